"""Networks as pairs of pure functions; the only package that knows flax."""

from sergan.nets.mlp import Net, build, build_heads

__all__ = ["Net", "build", "build_heads"]
