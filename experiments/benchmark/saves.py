"""The figure "saves": what it costs training that a group's state is saved in the background."""

import tempfile
from collections.abc import Iterator
from typing import Any

import jax

from configs.common import base
from experiments.benchmark import clock, problems
from experiments.benchmark.sizes import Effort, Size
from sergan.checkpoint import Checkpoints

_CHUNKS = 4  # to a save


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Milliseconds that a save adds to the steps beside it, and their share of all steps from save to save,
    as often as the configs save."""
    for size in sizes:
        count = problems.fitting(size, effort.members)
        with tempfile.TemporaryDirectory() as folder:
            plain, saved = (_Chunks(size, count, effort, place) for place in ("", folder))
            turns: dict[str, clock.Run] = {"plain": plain, "saved": saved, "settling": saved.settle}
            seconds = clock.medians(turns, effort.repeats)
            saved.close()
        cost, step = seconds["saved"] - seconds["plain"], seconds["plain"] / _CHUNKS / effort.steps
        yield {
            "figure": "saves",
            "size": size.name,
            "members": count,
            "state_mb": round(plain.bytes / 1e6, 1),
            "save_ms": round(1e3 * cost, 1),
            "share_of_training": round(cost / (base().training.save_every * step), 4),
        }


class _Chunks:
    """A group in training; a call is some chunks, and the first one's state is saved beside the others."""

    def __init__(self, size: Size, count: int, effort: Effort, folder: str) -> None:
        self._training = problems.Training(size, count, effort.steps)
        self._checkpoints = Checkpoints(folder) if folder else None
        self._saves = 0
        state = self._training.state
        kept = state.params, state.opt_state, state.ema
        self.bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(kept))

    def __call__(self) -> None:
        for number in range(_CHUNKS):
            self._training()
            if self._checkpoints and number == 0:
                self._saves += 1
                self._checkpoints.save(self._saves, self._training.state)

    def settle(self) -> None:
        """Waits for the save, so that the next turn of others is without it."""
        if self._checkpoints:
            self._checkpoints.settle()

    def close(self) -> None:
        """Waits for the last save."""
        if self._checkpoints:
            self._checkpoints.close()
