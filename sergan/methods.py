"""The methods that are trained, by the name of their arm; each has init, both steps and transfer."""

from types import ModuleType

from sergan import adversarial, cyclegan
from sergan.gan import LOSSES, GanConfig

METHODS: dict[str, ModuleType] = dict.fromkeys(LOSSES, cyclegan) | dict.fromkeys(
    adversarial.KINDS, adversarial
)


def of(config: GanConfig) -> ModuleType:
    """The method of a config."""
    return METHODS[config.loss]
