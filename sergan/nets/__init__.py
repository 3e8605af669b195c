"""Networks as pairs of pure functions; the only package that knows flax."""

from sergan.nets.mlp import Net, build

__all__ = ["Net", "build"]
