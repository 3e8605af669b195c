"""The network sizes that are measured, and how much is done to measure them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from configs.emodb_wdiv import get_config
from experiments.programs import gan_config
from sergan.errors import UserError
from sergan.folds import Fold
from sergan.gan import GanConfig

NAMES = ("default", "wide", "papers", "bao")
FEATURES = 1582  # of IS10
ROWS = 480  # of a fold's training rows, as in EMO-DB


@dataclass(frozen=True)
class Size:
    """What is compiled and what is traced of a member."""

    name: str
    gan: GanConfig
    hypers: tuple[tuple[str, float], ...]

    def resized(self, **changes: Any) -> "Size":
        """The same with other sizes of the CycleGANs."""
        return replace(self, gan=replace(self.gan, **changes))


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    members: int  # in a batch
    steps: int  # in a chunk
    repeats: int  # of a timing, whose median is kept
    products: tuple[int, ...]  # widths of the square matrix products
    copied: int  # float32 numbers in the array that is copied
    growth: tuple[tuple[str, tuple[int, ...]], ...]
    clips: int  # of 3 s that features are extracted from
    points: int  # of the sweep
    folds: int
    compiles: bool  # whether torch.compile is tried
    quick: bool  # whether sizes are tiny


FULL = Effort(
    members=10,
    steps=10,
    repeats=5,
    products=(1024, 2048, 4096),
    copied=2**27,
    growth=(
        ("members", (1, 2, 4, 8, 16, 32, 64)),
        ("emotions", (2, 4, 8, 16)),
        ("features", (88, 384, 1582, 6373)),
        ("source", (1019, 10_000, 92_973)),  # the last is TED-LIUM 2
    ),
    clips=600,
    points=12,
    folds=10,
    compiles=True,
    quick=False,
)
QUICK = Effort(
    members=2,
    steps=1,
    repeats=2,
    products=(64,),
    copied=2**12,
    growth=(("members", (1, 2)), ("emotions", (2, 3)), ("features", (12, 24)), ("source", (50, 100))),
    clips=4,
    points=2,
    folds=2,
    compiles=False,
    quick=True,
)


def size(name: str, quick: bool = False) -> Size:
    """A size by name; `quick` makes it tiny.

    "default" is the study's own, "wide" has generators and critics of 2 x 256, "papers" the layers of
    Shilandari et al. (2022) and "bao" those of Bao et al. (2019), both with a batch of 64.

    Raises:
      UserError: no such size.
    """
    if name not in NAMES:
        raise UserError(f"no size {name!r}; there are {', '.join(NAMES)}")
    config = get_config("paper" if name in ("papers", "bao") else "")
    config.gan.batch_size = 64
    config.gan.pretrain_epochs = 0
    if name == "wide":
        config.gan.generator = config.gan.critic = (256, 256)
    if name == "bao":
        config.gan.critic, config.gan.classifier = (1000, 1000), (100, 100)
    hypers = tuple(sorted((key, float(value)) for key, value in config.hypers.items()))
    fold = Fold(0, ("one",), np.arange(ROWS), np.arange(0))
    names_D = tuple(f"feature_{i}" for i in range(FEATURES))
    gan = gan_config(config, names_D, [fold], tuple(config.corpus.classes), config.hypers.lambda_id > 0)
    full = Size(name, gan, hypers)
    return _tiny(full) if quick else full


def _tiny(size: Size) -> Size:
    return size.resized(features=24, emotions=2, batch_size=8, generator=(8,), critic=(8,), classifier=(8,))
