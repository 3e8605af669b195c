"""The figure "growth": how the time of a step grows with members, emotions, features and rows of S."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.benchmark import clock, problems, work
from experiments.benchmark.sizes import Effort, Size


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A line for each point, and for each axis the exponents of time and of work against its size.

    An exponent of 1 is proportional growth. `time_over_work` is that of time against FLOP: at most 1 where a
    step gets no dearer than its work; none on the axis "source", along which a step has no more work.
    """
    for size in sizes:
        for axis, points in effort.growth:
            lines = [_point(size, axis, point, effort) for point in points]
            yield from lines
            ms, gflop = [line["ms"] for line in lines], [line["gflop"] for line in lines]
            yield {
                "figure": "growth_exponents",
                "size": size.name,
                "axis": axis,
                "time": exponent(points, ms),
                "work": exponent(points, gflop),
                "time_over_work": exponent(gflop, ms) if len(set(gflop)) > 1 else None,
            }


def _point(size: Size, axis: str, point: int, effort: Effort) -> dict[str, Any]:
    members = point if axis == "members" else 1
    rows = point if axis == "source" else problems.SOURCE_ROWS
    sized = size if axis in ("members", "source") else size.resized(**{axis: point})
    training = problems.Training(sized, members, effort.steps, source_rows=rows)
    seconds = clock.medians({"": training}, effort.repeats)[""]
    return {
        "figure": "growth",
        "size": size.name,
        "axis": axis,
        "count": point,
        "ms": round(1e3 * seconds / effort.steps, 3),
        "gflop": members * work.product_flop(sized.gan) / 1e9,
    }


def exponent(sizes: Any, values: Any) -> float:
    """b of the least-squares fit values = a * sizes^b."""
    return round(float(np.polyfit(np.log(sizes), np.log(values), 1)[0]), 3)
