"""The methods that are trained, by the name of their arm; each has init, both steps and transfer."""

from types import ModuleType

from sergan import adversarial, cyclegan
from sergan.gan import LOSSES, GanConfig
from sergan.state import Hypers

METHODS: dict[str, ModuleType] = dict.fromkeys(LOSSES, cyclegan) | dict.fromkeys(
    adversarial.KINDS, adversarial
)


_UNREAD = {  # fields of Hypers that a method's steps do not look at
    "wdiv": {"smoothing"},
    "gan": {"penalty_k", "penalty_p"},
    "sahu_gan": {"lambda_cyc", "lambda_cls", "lambda_id", "lr_cls", "penalty_k", "penalty_p"},
    "sahu_cgan": {"lambda_cyc", "lambda_cls", "lambda_id", "lr_cls", "penalty_k", "penalty_p"},
    "adan": {"lambda_cyc", "lambda_id", "penalty_k", "penalty_p"},
    "wadan": {"lambda_cyc", "lambda_id", "smoothing"},
}


def reads(loss: str) -> frozenset[str]:
    """The fields of `Hypers` that make a difference to a method, by the name of its arm."""
    return frozenset(Hypers._fields) - _UNREAD[loss]


def from_noise(arm: str) -> bool:
    """Whether an arm is trained and makes its rows from noise, as many as are wanted, and not of S."""
    return METHODS.get(arm) is adversarial


def of(config: GanConfig) -> ModuleType:
    """The method of a config."""
    return METHODS[config.loss]
