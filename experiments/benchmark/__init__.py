"""How fast training is: against what the machine can do at best, and against the same loop in PyTorch."""
