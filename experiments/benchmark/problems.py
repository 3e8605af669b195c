"""A training problem of any size with random rows: what the program under test is given."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np

from experiments.benchmark.sizes import ROWS, Size
from sergan import cyclegan, folds, members
from sergan.gan import GanConfig, GanData
from sergan.members import Member, View

SOURCE_ROWS = 1019  # of the unlabelled speech that comes with sergan


def group(size: Size, count: int, point: int = 0, **swept: float) -> list[Member]:
    """`count` members of one sweep point, whose keys differ."""
    settings = tuple(sorted((dict(size.hypers) | swept).items()))
    return [Member(i, size.gan, "train", i, 0, point, settings) for i in range(count)]


def tables(gan: GanConfig, source_rows: int = SOURCE_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows of the source x_SxD and of the targets x_UxD, which have another mean."""
    rng = np.random.default_rng(0)
    source_SxD = rng.standard_normal((source_rows, gan.features), dtype=np.float32)
    return source_SxD, rng.normal(0.5, 1.0, (ROWS, gan.features)).astype(np.float32)


def data(gan: GanConfig, count: int, source_rows: int = SOURCE_ROWS) -> GanData:
    """The rows of `count` members; each emotion has as many of them."""
    source_SxD, target_UxD = tables(gan, source_rows)
    scaler = folds.min_max(source_SxD, target_UxD)
    scaler = folds.Scaler(*(part.astype(np.float32) for part in scaler))
    emotions_KxR = tuple(np.array_split(np.arange(ROWS), gan.emotions))
    view = View(np.arange(source_rows), emotions_KxR, scaler)
    return members.stack_views(source_SxD, target_UxD, [view] * count)


@lru_cache
def chunk(size: Size, steps: int, count: int, turns: bool | None = None) -> Any:
    """The program under test: `steps` steps of `count` members, compiled once for all figures."""
    return members.make_chunk(cyclegan.make_step(size.gan), steps, count, turns)


class Training:
    """A group in training; a call runs one chunk and waits for its end."""

    def __init__(
        self, size: Size, count: int, steps: int, program: Any = None, source_rows: int = SOURCE_ROWS
    ) -> None:
        self._chunk = program or chunk(size, steps, count)
        self._hypers = members.stack_hypers(group(size, count))
        self._data = data(size.gan, count, source_rows)
        self.state = members.init(size.gan, group(size, count))

    def __call__(self) -> None:
        self.state, metrics = self._chunk(self._hypers, self._data, self.state)
        jax.block_until_ready((self.state, metrics))


def abstract(size: Size, count: int) -> tuple[Any, Any, Any]:
    """Shapes of the chunk's arguments: hypers, data, state. Holds no member's arrays."""
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    state = jax.eval_shape(jax.vmap(lambda key: cyclegan.init(size.gan, key)), keys)
    hypers = members.stack_hypers(group(size, count))
    return _shapes(hypers), _shapes(data(size.gan, count)), state


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def fitting(size: Size, count: int) -> int:
    """`count`, or as many as training itself would put into a group of them."""
    return min(count, members.group_length(group(size, 4 * count)))


def chips_of(count: int) -> int:
    """How many times the measured rates a group of `count` members has: a CPU's devices share them."""
    return 1 if jax.default_backend() == "cpu" else members.devices_of(count)
