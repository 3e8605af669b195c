"""GAN data augmentation for speech emotion recognition; what is public is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sergan.sampler import CycleGANSampler

__all__ = ["CycleGANSampler"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("sergan.sampler"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
