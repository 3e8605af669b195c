"""What training leaves of its members: their lines of members.jsonl, their losses in metrics.jsonl."""

import sys
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from etils import epath

from sergan import writers
from sergan.folds import Fold


class Trained(Protocol):
    """What a member is known by."""

    @property
    def index(self) -> int: ...
    @property
    def seed(self) -> int: ...


def ended(
    member: Trained, fold: Fold, place: int, stop_M: np.ndarray, finite_M: np.ndarray
) -> dict[str, Any]:
    """Keys of a member's line that every study has; says so where it diverged.

    Args:
      place: in its group, whose members have come to the steps `stop_M`; not `finite_M`: by diverging.
    """
    status = "done" if finite_M[place] else f"diverged@{stop_M[place]}"
    if not finite_M[place]:
        print(f"member {member.index} diverged at step {stop_M[place]} and was frozen", file=sys.stderr)
    return {
        "member": member.index,
        "place": place,
        "fold": fold.index,
        "inner": fold.inner,
        "held_out": fold.held_out[0] if len(fold.held_out) == 1 else list(fold.held_out),
        "seed": member.seed,
        "status": status,
    }


def last_step(line: Mapping[str, Any], steps: int) -> int:
    """The step at which a member's generators were left: the last of all, or that of its divergence."""
    return steps if line["status"] == "done" else int(line["status"].split("@")[1])


def write_group(run: epath.Path, group: int, size: int, lines: list[dict[str, Any]]) -> None:
    """Puts the lines of a group of that size in the place of those that the number had before."""
    path = run / "members.jsonl"
    others = [line for line in writers.read_lines(path) if line["group"] != group]
    own = [{"group": group, "group_size": size} | line for line in lines]
    writers.write_lines(path, sorted(others + own, key=lambda line: line["member"]))


def forget_after(run: epath.Path, members: Collection[int], step: int) -> None:
    """Drops what an interrupted run logged of these after its last checkpoint: it is trained again."""
    path = run / "metrics.jsonl"
    lines = writers.read_lines(path)
    writers.write_lines(path, (r for r in lines if r["member"] not in members or r["step"] <= step))
