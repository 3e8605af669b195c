"""What training leaves of its members: their lines of members.jsonl, their losses in metrics.jsonl."""

import sys
from collections.abc import Collection, Iterator
from typing import Any, Protocol

import numpy as np
from etils import epath

from sergan import writers
from sergan.folds import Fold
from sergan.run_folder import MEMBER


class Trained(Protocol):
    """What a member is known by."""

    @property
    def index(self) -> int: ...
    @property
    def seed(self) -> int: ...


def line_of(
    member: Trained, fold: Fold, place: int, stop_M: np.ndarray, finite_M: np.ndarray
) -> dict[str, Any]:
    """What every study's line of a member has; says so on stderr where it diverged.

    Args:
      place: of the member in its group.
      stop_M: the step that each of the group came to.
      finite_M: False where it stopped there by diverging.
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


def write_group(run: epath.Path, group: int, size: int, lines: list[dict[str, Any]]) -> None:
    """Puts the lines of a group of that size in the place of those that the number had before."""
    others = [line for line in read(run) if line["group"] != group]
    own = [{"group": group, "group_size": size} | line for line in lines]
    writers.write_lines(run / "members.jsonl", sorted(others + own, key=lambda line: line["member"]))


def forget_after(run: epath.Path, members: Collection[int], step: int) -> None:
    """Drops what an interrupted run logged of these after its last checkpoint: it is trained again."""
    lines = _losses(run)
    kept = (line for line in lines if line["member"] not in members or line["step"] <= step)
    writers.write_lines(run / "metrics.jsonl", kept)


def read(run: epath.Path) -> list[dict[str, Any]]:
    """The lines of the members that are trained; raises UserError for a damaged one."""
    return writers.read_lines(run / "members.jsonl", MEMBER | {"group": int, "group_size": int, "place": int})


def logged(run: epath.Path) -> set[int]:
    """The members with lines in metrics.jsonl; raises UserError for a damaged one."""
    return {line["member"] for line in _losses(run)}


def _losses(run: epath.Path) -> Iterator[dict[str, Any]]:
    return writers.each_line(run / "metrics.jsonl", {"member": int, "step": int})
