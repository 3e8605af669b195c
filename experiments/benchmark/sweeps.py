"""The figure "sweep": all points of a sweep as members of one run, against a run for each point."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from experiments.benchmark import clock, problems
from experiments.benchmark.sizes import Effort, Size
from sergan import cyclegan, members


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Time of equally many steps of the same members, and how often a chunk was compiled for them."""
    for size in sizes:
        lambdas = np.geomspace(0.1, 10.0, effort.points).tolist()
        points = [
            problems.group(size, effort.folds, number, lambda_cyc=value)
            for number, value in enumerate(lambdas)
        ]
        sweep = _Runs(size, [[member for point in points for member in point]], effort)
        runs = _Runs(size, points, effort)
        seconds = clock.medians({"sweep": sweep, "runs": runs}, max(1, effort.repeats // 2))
        yield {
            "figure": "sweep",
            "size": size.name,
            "points": effort.points,
            "folds": effort.folds,
            "group": sweep.length,
            "sweep_s_per_step": round(seconds["sweep"] / effort.steps, 4),
            "runs_s_per_step": round(seconds["runs"] / effort.steps, 4),
            "ratio": round(seconds["sweep"] / seconds["runs"], 3),
            "sweep_programs": sweep.programs(),
            "runs_programs": runs.programs(),
        }


class _Runs:
    """Runs of given members one after another, each with its own program, as separate processes have."""

    def __init__(self, size: Size, runs: list[list[members.Member]], effort: Effort) -> None:
        self.length = members.group_length(runs[0])
        self._size = size
        self._runs = [members.groups(run, self.length) for run in runs]
        self._compiled: list[Any] = []
        self._chunks: list[Any] = [
            members.make_chunk(cyclegan.make_step(size.gan), effort.steps, self.length) for _ in runs
        ]
        self._data = problems.data(size.gan, self.length)

    def __call__(self) -> None:
        for number, (chunk, groups) in enumerate(zip(self._chunks, self._runs, strict=True)):
            for group in groups:
                state = members.init(self._size.gan, group)
                given = members.stack_hypers(group), self._data, state
                if number == len(self._compiled):
                    self._compiled.append(chunk.lower(*given).compile())
                jax.block_until_ready(self._compiled[number](*given))  # another program is refused

    def programs(self) -> int:
        """Chunks that were compiled."""
        return len(self._compiled)
