"""Trains members group after group, from the newest checkpoints to the end or to an interrupt."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

import jax
from etils import epath

from experiments import generators, hosts
from experiments.generators import M
from experiments.interrupts import Interrupts
from experiments.traces import Trace
from sergan import members, writers
from sergan.errors import UserError


class Group(Protocol):
    """Members on the device that train as one program, `count` different ones, `chunk` steps at a time."""

    count: int
    chunk: int
    step: int

    def start(self) -> None:
        """Goes on from the newest checkpoint, or begins."""

    @property
    def left(self) -> int:
        """Steps that are still to be trained."""

    @property
    def fits(self) -> bool:
        """Whether the memory was enough for the program that runs: a chunk by it was computed once."""

    def advance(self) -> dict[str, float]:
        """One chunk, logged, and saved when due; returns mean losses for the progress bar."""

    def wait(self) -> None:
        """Returns when the device has computed all that it was asked for."""

    def save(self) -> None:
        """The whole state, in the background, so that the same command goes on from here."""

    def finish(self) -> None:
        """Writes the members' lines, then the generators, whose being there says that the group is done."""

    def close(self) -> None:
        """Waits for what is being saved."""


@dataclass(frozen=True)
class Training(Generic[M]):
    """What is trained: `planned` members, of which `take` chooses those of the next group from what is left
    and the size of a group, and `begin` makes it with its number. `name` is for the progress bar.
    """

    name: str
    planned: Sequence[M]
    take: Callable[[list[M], int], list[M]]
    begin: Callable[[int, list[M]], Group]


def train(
    training: Training[M], run: epath.Path, size: int, smaller: Callable[[int], None], profile: int = 0
) -> None:
    """Trains what is not trained yet, `size` members at a time.

    A group whose program does not fit the memory is halved and begins anew, and so are all after it;
    `smaller` is told their size. The first `profile` steps after a chunk that compiles are traced.

    Raises:
      UserError: a group does not fit the memory of one of several hosts, or that has fitted before.
    """
    total = _steps(training.planned)
    generators.drop_damaged_ones(run)
    if hosts.first():
        writers.drop_cut_line(run / "metrics.jsonl")
    number, todo = generators.remaining(run, training.planned)
    with (
        Interrupts() as interrupts,
        hosts.progress(training.name, total, total - _steps(todo)) as progress,
        Trace(run / "profile", profile if hosts.first() else 0) as trace,
    ):
        while todo:
            taken = training.take(todo, size)
            group, interrupted = training.begin(number, taken), False
            try:
                interrupted = _to_its_end(group, interrupts, progress, trace, total - _steps(todo))
            except jax.errors.JaxRuntimeError as error:
                if not generators.lacks_memory(error) or len(taken) == 1:
                    raise
                if group.fits:  # other programs have taken memory; what is saved is not thrown away
                    raise UserError(
                        f"{len(taken)} members no longer fit the memory; free some and run the same command "
                        "again, which goes on"
                    ) from error
                size = _halved(len(taken), error)
                generators.drop_states(run, number)
                smaller(size)
            number, todo = generators.remaining(run, training.planned)
            progress(total - _steps(todo))
            # Of several hosts the second call has the answer to the first.
            if interrupted or interrupts.agreed() or interrupts.agreed():
                hosts.part()
                raise KeyboardInterrupt


def _to_its_end(
    group: Group, interrupts: Interrupts, progress: writers.Progress, trace: Trace, done: int
) -> bool:
    """One group to its end, or to an interrupt, which it tells."""
    try:
        group.start()
        while group.left:
            means = group.advance()
            trace.advance(group.chunk, group.wait)
            progress(done + group.step * group.count, values=means)
            if interrupts.agreed():
                group.save()
                return True
        group.finish()
        return False
    finally:
        group.close()


def _halved(size: int, error: Exception) -> int:
    """The size after one that does not fit; raises UserError on several hosts."""
    half = members.halved(size)
    if hosts.count() > 1:  # the others may be in the middle of it
        raise UserError(
            f"{size} members do not fit the memory of {hosts.count()} hosts; begin a new run folder with "
            f"--config.training.members_per_group={half}"
        ) from error
    print(f"{size} members do not fit the memory; trying {half}", file=sys.stderr)
    return half


def _steps(planned: Sequence[M]) -> int:
    return sum(member.steps for member in planned)
