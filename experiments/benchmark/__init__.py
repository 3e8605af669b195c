"""How fast training is: against what the machine can do at best, and against the same loop in PyTorch."""

from experiments import hosts

hosts.use_every_core()  # the devices that a run has
