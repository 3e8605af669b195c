"""Timing: rivals take turns, so that whatever else the machine does meets all of them alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median

Run = Callable[[], object]


def medians(runs: Mapping[str, Run], repeats: int) -> dict[str, float]:
    """Median seconds of each run, taken in turns (A B A B ...).

    A run returns when its work is done. Each runs once before, so that no compilation is timed.
    """
    return {name: median(seconds) for name, seconds in _in_turns(runs, repeats).items()}


def best(run: Run, repeats: int) -> float:
    """The least seconds of a run: what the machine can do when nothing disturbs it."""
    return min(_in_turns({"": run}, repeats)[""])


def _in_turns(runs: Mapping[str, Run], repeats: int) -> dict[str, list[float]]:
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(_once(run))
    return seconds


def _once(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
