"""Speed, memory and growth of training: one JSON line for each figure's line, then tables.

python -m experiments.benchmark [--figures=step,floor,...] [--sizes=default,wide,...] [--members=N]
                                [--axes=members,...] [--precision=bfloat16] [--quick]
                                [--out=experiments/benchmark/results/MACHINE.json]
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from experiments.benchmark import (
    extraction,
    growth,
    ideas,
    machine,
    memory,
    networks,
    rivals,
    saves,
    starts,
    steps,
    sweeps,
)
from experiments.benchmark.sizes import FULL, NAMES, QUICK, Effort, Size, size
from sergan import writers
from sergan.errors import UserError
from sergan.gan import PRECISIONS

Figure = Callable[[list[Size], Effort], Iterator[dict[str, Any]]]
FIGURES: dict[str, Figure] = {
    "step": steps.step,
    "floor": steps.floor,
    "members": steps.batching,
    "ideas": ideas.figure,
    "torch": rivals.figure,
    "start": starts.figure,
    "growth": growth.figure,
    "extraction": extraction.figure,
    "memory": memory.figure,
    "networks": networks.figure,
    "sweep": sweeps.figure,
    "saves": saves.figure,
}
AXES = tuple(axis for axis, _ in FULL.growth)
AT_FIRST_SIZE = ("growth", "sweep", "saves", "extraction", "networks")  # the others: at all sizes asked for


def main(argv: Sequence[str]) -> int:
    """0 done, 2 wrong usage."""
    try:
        options = _options(argv)
        lines = measure(options.figures, options.sizes, options.effort, options.out)
    except UserError as error:
        print(f"experiments.benchmark: {error}", file=sys.stderr)
        return 2
    print(tables(lines))
    return 0


def measure(figures: list[str], sizes: list[Size], effort: Effort, out: str = "") -> list[dict[str, Any]]:
    """The figures' lines, printed as they come, and kept in the file `out` with the machine they hold for."""
    lines: list[dict[str, Any]] = []
    record = {"machine": machine.describe(), "precision": sizes[0].gan.precision, "lines": lines}
    for name in figures:
        for line in FIGURES[name](sizes[:1] if name in AT_FIRST_SIZE else sizes, effort):
            print(json.dumps(line), flush=True)
            lines.append(line)
            if out:  # what has been measured is not lost where a later figure fails
                writers.write_json(out, record)
    return lines


def tables(lines: list[dict[str, Any]]) -> str:
    """The lines as a table for each figure."""
    parts = []
    for name in dict.fromkeys(line["figure"] for line in lines):
        frame = pd.DataFrame([line for line in lines if line["figure"] == name]).drop(columns="figure")
        parts.append(f"\n{name}\n{frame.to_string(index=False, na_rep='')}")
    return "\n".join(parts)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmark", description=__doc__)
    parser.add_argument("--figures", default=",".join(FIGURES), help="default: all, %(default)s")
    parser.add_argument("--sizes", default="default,wide,papers", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--members", type=int, default=0, help="in a batch; 0: 10")
    parser.add_argument("--axes", default=",".join(AXES), help="of growth, default: all, %(default)s")
    parser.add_argument("--precision", default="float32", help="of the products, PyTorch's too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run, not how fast it is")
    parser.add_argument("--out", default="", help="keep the lines and the machine in this JSON file")
    options = parser.parse_args(argv)
    options.figures = options.figures.split(",")
    for name in options.figures:
        if name not in FIGURES:
            raise UserError(f"no figure {name!r}; there are {', '.join(FIGURES)}")
    for axis in options.axes.split(","):
        if axis not in AXES:
            raise UserError(f"no axis {axis!r}; there are {', '.join(AXES)}")
    if options.members < 0:
        raise UserError(f"--members must be 0 or more, it is {options.members}")
    if options.precision not in PRECISIONS:
        raise UserError(f"no precision {options.precision!r}; there are {', '.join(PRECISIONS)}")
    options.sizes = [
        size(name, options.quick).resized(precision=options.precision) for name in options.sizes.split(",")
    ]
    effort = QUICK if options.quick else FULL
    kept = tuple((axis, points) for axis, points in effort.growth if axis in options.axes.split(","))
    options.effort = replace(effort, growth=kept)
    if options.members:
        options.effort = replace(options.effort, members=options.members)
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
