"""Networks as pairs of pure functions; the only package that knows flax."""

from sergan.nets.adcrnn import SIZES, VARIANTS, AdcrnnConfig, BatchNet, Output, build_adcrnn, variant
from sergan.nets.mlp import Net, build, build_heads
from sergan.nets.sound import SoundNets, SoundPair, build_sound, phase_shuffle
from sergan.nets.spectral import build_spectral_critic, build_spectral_generator, halvings, spectral_values

__all__ = [
    "SIZES",
    "VARIANTS",
    "AdcrnnConfig",
    "BatchNet",
    "Net",
    "Output",
    "SoundNets",
    "SoundPair",
    "build",
    "build_adcrnn",
    "build_heads",
    "build_sound",
    "build_spectral_critic",
    "build_spectral_generator",
    "halvings",
    "phase_shuffle",
    "spectral_values",
    "variant",
]
