"""The figures "step", "floor" and "members": a step's time against its work and against single members."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from experiments.benchmark import clock, machine, problems, work
from experiments.benchmark.sizes import Effort, Size

TARGET = 1.15  # times the floor


def step(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Time, FLOP and FLOP/s of a step of one member and of a batch."""
    for size, count in _groups(sizes, effort):
        seconds, flop = _seconds(size, count, effort), count * flop_of(size)
        yield {
            "figure": "step",
            "size": size.name,
            "precision": size.gan.precision,
            "members": count,
            "ms": round(1e3 * seconds, 3),
            "ms_per_member": round(1e3 * seconds / count, 3),
            "gflop": round(flop / 1e9, 6),
            "gflop_products": round(count * work.product_flop(size.gan) / 1e9, 6),
            "gflop_per_s": round(flop / seconds / 1e9, 3),
            "best_product_gflop_per_s": round(_rate(size, count, effort) / 1e9, 3),
            "share_of_best": round(flop / seconds / _rate(size, count, effort), 4),
        }


def floor(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A step's time over what its FLOP and its optimisers' bytes take at the machine's best rates.

    `layers_ms` is what its FLOP take at the rate of its own layers' products instead of the best one, and
    `rest_ms` what is then left beside the bytes.
    """
    for size, count in _groups(sizes, effort):
        width = machine.bandwidth(effort) * problems.chips_of(count)
        products = count * flop_of(size) / _rate(size, count, effort)
        moved = count * work.optimiser_bytes(size.gan) / width
        layers = count * flop_of(size) / (machine.layer_rate(size.gan, effort) * problems.chips_of(count))
        seconds = _seconds(size, count, effort)
        yield {
            "figure": "floor",
            "size": size.name,
            "members": count,
            "ms": round(1e3 * seconds, 3),
            "flop_ms": round(1e3 * products, 4),
            "bytes_ms": round(1e3 * moved, 4),
            "floor_ms": round(1e3 * (products + moved), 4),
            "layers_ms": round(1e3 * layers, 4),
            "rest_ms": round(1e3 * (seconds - layers - moved), 4),
            "bandwidth_gb_per_s": round(width / 1e9, 3),
            "ratio": round(seconds / (products + moved), 3),
            "target": TARGET,
        }


def batching(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A batch of members against the same number of members one after another."""
    for size in sizes:
        count = problems.fitting(size, effort.members)
        program = problems.chunk(size, effort.steps, 1)
        singles = [problems.Training(size, 1, effort.steps, program) for _ in range(count)]
        runs: dict[str, clock.Run] = {
            "batched": problems.Training(size, count, effort.steps),
            "one by one": lambda singles=singles: [single() for single in singles],  # type: ignore[misc]
        }
        seconds = clock.medians(runs, effort.repeats)
        yield {
            "figure": "members",
            "size": size.name,
            "members": count,
            "batched_ms": round(1e3 * seconds["batched"] / effort.steps, 3),
            "one_by_one_ms": round(1e3 * seconds["one by one"] / effort.steps, 3),
            "ratio": round(seconds["batched"] / seconds["one by one"], 3),
        }


def flop_of(size: Size) -> float:
    """FLOP of a member's step as compiled; where the backend does not say, those of the products."""
    return work.compiled_flop(size) or work.product_flop(size.gan)


def _groups(sizes: list[Size], effort: Effort) -> list[tuple[Size, int]]:
    counts = {size: sorted({1, problems.fitting(size, effort.members)}) for size in sizes}
    return [(size, count) for size in sizes for count in counts[size]]


@lru_cache
def _seconds(size: Size, count: int, effort: Effort) -> float:
    """Of a step; two figures share it."""
    run = problems.Training(size, count, effort.steps)
    return clock.medians({"": run}, effort.repeats)[""] / effort.steps


def _rate(size: Size, count: int, effort: Effort) -> float:
    return machine.product_rate(effort, size.gan.precision) * problems.chips_of(count)
