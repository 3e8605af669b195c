"""Trains the CycleGANs of a study, group after group, and leaves their generators in the run folder."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from etils import epath

from experiments import generators, groups, hosts, member_log
from experiments.study import Study
from sergan import members, methods, writers
from sergan.checkpoint import save_tree
from sergan.events import FOLDER, Events
from sergan.gan import GanConfig
from sergan.members import Member


def train(study: Study, run: epath.Path, size: int, smaller: Callable[[int], None], profile: int = 0) -> None:
    """Trains the CycleGANs that are not trained yet; see `groups.train`."""
    logged = member_log.logged(run)
    training = groups.Training(
        "CycleGANs",
        study.members,
        take=lambda todo, size: members.groups(todo, size)[0],
        begin=lambda number, group: _Group(study, run, number, group, logged),
    )
    groups.train(training, run, size, smaller, profile)


class _Group:
    """The members of one group on the device, and their part of the run folder."""

    def __init__(
        self, study: Study, run: epath.Path, number: int, group: list[Member], logged: set[int]
    ) -> None:
        """Adds its members to those that are `logged`; `start` does the rest."""
        self._study, self._run, self._number, self._group = study, run, number, group
        self._gan = group[0].gan
        self._indices = [member.index for member in group]
        self._has_logged = bool(logged.intersection(self._indices))
        logged.update(self._indices)
        self.count, self.chunk, self.step = len(_distinct(group)), study.config.training.log_every, 0
        self._unwritten: tuple[int, str, dict[str, jax.Array]] | None = None
        self._means: dict[str, float] = {}
        self._running, self._computed = "", set[str]()  # phases: of the newest chunk, of those that are done
        self._checkpoints = generators.checkpoints(generators.state_path(run, number, self._indices))
        self._events: Events | None = None

    def start(self) -> None:
        """Goes on from the newest checkpoint, or begins."""
        self.step = int(hosts.as_first(self._checkpoints.latest() or 0))
        self._running = self._phase(self.step)
        if self.step:
            self._computed.add(self._phase(self.step - self.chunk))
        x_UxD, x_SxD = self._study.tables[self._group[0].normalisation]
        self._data = members.stack_views(x_SxD, x_UxD, [self._study.view(member) for member in self._group])
        self._hypers = members.stack_hypers(self._group)
        if self.step:
            self._state = self._checkpoints.restore(self.step, members.abstract(self._gan, self._group))
        else:
            self._state = members.init(self._gan, self._group)
        if hosts.first() and self._has_logged:
            member_log.forget_after(self._run, self._indices, self.step)
        self._events = Events(self._run / FOLDER / self._name, self.step) if hosts.first() else None
        self._started = time.monotonic()

    @property
    def left(self) -> int:
        """Steps that are still to be trained."""
        return self._group[0].steps - self.step

    @property
    def fits(self) -> bool:
        """Whether the memory was enough for the program that runs: a chunk by it was computed once."""
        return self._running in self._computed

    def _phase(self, step: int) -> str:
        """Of the chunk from a step on."""
        return "pretrain" if step < self._gan.pretrain_steps else "train"

    def advance(self) -> dict[str, float]:
        """One chunk; while the device computes it, the one before is logged. Saves when due.

        Returns the newest mean losses for the progress bar.
        """
        self._running = self._phase(self.step)
        chunk = _compiled(self._gan, self._running, self.chunk, len(self._group))
        self._state, metrics = chunk(self._hypers, self._data, self._state)
        self._write_metrics()
        self.step += self.chunk
        self._unwritten = self.step, self._running, hosts.whole(metrics)
        if self.left and self.step % self._study.config.training.save_every == 0:
            self.save()
        return self._means

    def save(self) -> None:
        """The whole state, in the background, so that the same command goes on from here."""
        self._write_metrics()
        self._checkpoints.save(self.step, self._state)

    def wait(self) -> None:
        """Returns when the device has computed all that it was asked for."""
        jax.block_until_ready(self._state)

    def close(self) -> None:
        """Waits for what is being saved."""
        try:
            self._checkpoints.close()
        finally:
            if self._events:
                self._events.close()

    def finish(self) -> None:
        """Writes the members' lines, then the generators, whose being there says that the group is done."""
        ended = hosts.whole((self._state.step, self._state.finite))
        self._write_metrics()
        if hosts.first():
            self._write_members(*jax.device_get(ended))
        save_tree(generators.path(self._run, self._number), self._state.generators)

    def _write_members(self, stop_M: np.ndarray, finite_M: np.ndarray) -> None:
        lines = [
            member_log.line_of(member, self._study.fold(member.fold), place, stop_M, finite_M)
            | {
                "arm": member.loss,
                "normalisation": member.normalisation,
                "point": member.point,
                "hypers": dict(member.hypers),
            }
            for place, member in _distinct(self._group)
        ]
        member_log.write_group(self._run, self._number, len(self._group), lines)

    def _write_metrics(self) -> None:
        """What the last chunk said, in one transfer, as lines of metrics.jsonl."""
        if self._unwritten is None:
            return
        step, phase, on_device = self._unwritten
        self._unwritten = None
        metrics = jax.device_get(on_device) if hosts.first() else jax.block_until_ready(on_device)
        self._computed.add(phase)
        if not hosts.first():
            return
        seconds = round(time.monotonic() - self._started, 2)
        writers.append_lines(
            self._run / "metrics.jsonl",
            (
                {"step": step, "seconds": seconds, "phase": phase, "member": member.index, "emotion": emotion}
                | {name: writers.short(values_MxK[place, k]) for name, values_MxK in metrics.items()}
                for place, member in _distinct(self._group)
                for k, emotion in enumerate(self._study.classes)
            ),
        )
        shown = [name for name in ("critic_T", "cycle", "class") if name in metrics]
        self._means = {name: float(np.mean(_finite(metrics[name]))) for name in shown}
        self._tell_tensorboard(step, metrics)

    @property
    def _name(self) -> str:
        """What the group trains: loss, normalisation and number."""
        return f"{self._gan.loss}_{self._group[0].normalisation}_{self._number:03d}"

    def _tell_tensorboard(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Each metric as the mean of the group's sound members: of all emotions, and of each."""
        assert self._events is not None
        places = [place for place, _ in _distinct(self._group)]
        means = {name: _finite(values_MxK[places]).mean(axis=0) for name, values_MxK in metrics.items()}
        each = {
            f"{name}/{emotion}": float(mean_K[k])
            for name, mean_K in means.items()
            for k, emotion in enumerate(self._study.classes)
        }
        self._events.scalars(step, {name: float(mean_K.mean()) for name, mean_K in means.items()} | each)


def _finite(values_MxK: np.ndarray) -> np.ndarray:
    """The members whose values are all finite; where none has, all."""
    finite_M = np.isfinite(values_MxK).all(axis=1)
    return values_MxK[finite_M] if finite_M.any() else values_MxK


@lru_cache
def _compiled(gan: GanConfig, phase: str, steps: int, size: int) -> Any:
    """The chunk of a phase; one program for all groups of a loss."""
    make = methods.of(gan).make_pretrain_step if phase == "pretrain" else methods.of(gan).make_step
    return members.make_chunk(make(gan), steps, size)


def restore_generators(config: GanConfig, run: epath.Path, number: int, size: int) -> Any:
    """Generators [M] of a trained group of `size` members.

    Raises:
      UserError: not there, damaged, or of another architecture.
    """
    abstract = jax.eval_shape(
        lambda: jax.vmap(lambda k: methods.of(config).init(config, k).generators)(
            jax.random.split(jax.random.key(0), size)
        )
    )
    return generators.restore(run, number, abstract)


def _distinct(group: list[Member]) -> list[tuple[int, Member]]:
    """(place, member) without the copies that fill a group up."""
    places = {member.index: (place, member) for place, member in reversed(list(enumerate(group)))}
    return sorted(places.values())
