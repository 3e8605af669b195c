"""Networks as pairs of pure functions; the only package that knows flax."""

from sergan.nets.adcrnn import VARIANTS, AdcrnnConfig, BatchNet, Output, build_adcrnn
from sergan.nets.mlp import Net, build, build_heads

__all__ = [
    "VARIANTS",
    "AdcrnnConfig",
    "BatchNet",
    "Net",
    "Output",
    "build",
    "build_adcrnn",
    "build_heads",
]
