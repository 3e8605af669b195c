"""Where a run folder has its trained generators, and the states of groups that are not trained to the end."""

import sys
import zlib
from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from etils import epath

from experiments import hosts, member_log
from sergan.checkpoint import Checkpoints, Damaged, damaged_tree, drop_damaged, restore_tree
from sergan.errors import UserError


class _Member(Protocol):
    @property
    def index(self) -> int: ...
    @property
    def steps(self) -> int: ...


M = TypeVar("M", bound=_Member)


def path(run: epath.Path, group: int) -> epath.Path:
    """Where the generators of a trained group are."""
    return run / "checkpoints" / f"generators_{group:03d}"


def state_path(run: epath.Path, group: int, members: Collection[int]) -> epath.Path:
    """Where the states of a group in training are; other members of the same number find nothing there."""
    return run / "checkpoints" / f"group_{group:03d}_{zlib.crc32(repr(list(members)).encode()):08x}"


def drop_states(run: epath.Path, group: int) -> None:
    """Deletes the states of a group's number, whosever they are."""
    for place in (run / "checkpoints").glob(f"group_{group:03d}_*"):
        place.rmtree()


def remaining(run: epath.Path, planned: Sequence[M]) -> tuple[int, list[M]]:
    """The number of the next group, and the members of no finished one; tidies up after those."""
    hosts.meet("a group is done")
    names = [place.name for place in (run / "checkpoints").glob("g*_*")]
    number = 0
    while path(run, number).name in names:
        number += 1
    for name in names if hosts.first() else ():
        kind, group = name.split("_")[:2]
        if kind == "group" and f"generators_{group}" in names:
            (run / "checkpoints" / name).rmtree()
    lines = member_log.read(run)
    trained = {line["member"] for line in lines if line["group"] < number}
    left = [member.index not in trained for member in planned]
    number, *left = hosts.as_first([number, *left]).tolist()
    return number, [member for member, todo in zip(planned, left, strict=True) if todo]


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that a group does not fit the memory."""
    return "RESOURCE_EXHAUSTED" in str(error)


def restore(run: epath.Path, group: int, abstract: Any) -> Any:
    """Generators of a trained group, in the structure and shapes of `abstract`.

    Raises:
      UserError: not there, damaged, or of another architecture.
    """
    if not path(run, group).exists():
        raise UserError(
            f"{path(run, group)}: is not there; delete {run / 'report.html'} and run the run folder's own "
            "command again: its group is trained anew"
        )
    try:
        return restore_tree(path(run, group), abstract)
    except Damaged as error:
        raise UserError(
            f"{error}; delete it and run the run folder's own command again: its group is trained anew"
        ) from error


def drop_damaged_ones(run: epath.Path) -> None:
    """Deletes generators that are not as they were saved, or that no line of members.jsonl says the members
    of, so that their group is trained again.
    """
    if not hosts.first():
        return
    listed = {path(run, line["group"]).name for line in member_log.read(run)}
    for place in sorted((run / "checkpoints").glob("generators_*")):
        if not place.name.removeprefix("generators_").isdigit():
            continue  # Orbax's own, of a save that was cut off
        fault = damaged_tree(place) or ("" if place.name in listed else "members.jsonl has no line of it")
        if fault:
            place.rmtree()
            print(f"{place}: damaged ({fault}), and deleted; its group is trained again", file=sys.stderr)


def checkpoints(place: epath.Path) -> Checkpoints:
    """The checkpoints of what is in training, without those that are not as they were saved."""
    dropped = drop_damaged(place) if hosts.first() else []
    hosts.meet("damaged checkpoints are gone")
    found = Checkpoints(place)
    if dropped:
        step = found.latest()
        left = "is trained anew" if step is None else f"goes on from the one at step {step}"
        print("\n".join([*dropped, f"{place.name}: {left}"]), file=sys.stderr)
    return found
