"""Trains the GANs of a study on recordings, and leaves their generators in the run folder."""

import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from experiments import generators, groups, member_log
from experiments.clips.study import SoundMember, Study
from sergan import rngs, sounds, spectra, writers
from sergan.checkpoint import save_tree
from sergan.errors import ArmError, UserError
from sergan.events import FOLDER, Events
from sergan.folds import check_rows
from sergan.run_folder import diverged, last_step
from sergan.sounds import SoundConfig, SoundData, SoundState, Waves
from sergan.state import stack

_MADE = 16  # clips at once
# Which leaves have a member axis: the clips are shared, the views of them are not.
_DATA_AXES: Any = SoundData(None, 0, 0, 0, 0, 0)  # type: ignore[arg-type]


def group_length(study: Study) -> int:
    """How many GANs train as one program: one on a CPU, where convolutions of several are slow; elsewhere
    all alike, or as many of them as turn out to fit.
    """
    asked = study.config.training.members_per_group
    most = max(1, max(Counter(member.gan for member in study.members).values(), default=1))
    return min(most, asked or (1 if jax.default_backend() == "cpu" else most))


def next_group(todo: list[SoundMember], length: int) -> list[SoundMember]:
    """Of the members that are to be trained those that share the first one's program, at most `length`."""
    return [member for member in todo if member.gan == todo[0].gan][:length]


def train(study: Study, run: epath.Path, size: int, smaller: Callable[[int], None], profile: int = 0) -> None:
    """Trains the GANs that are not trained yet; see `groups.train`."""
    if not study.members:
        return
    clips = sounds.join(study.clips, study.config.sound.samples)
    logged = member_log.logged(run)
    training = groups.Training(
        "GANs",
        study.members,
        take=next_group,
        begin=lambda number, members: _Group(study, run, number, members, clips, logged),
    )
    groups.train(training, run, size, smaller, profile)


class _Group:
    """The GANs of one group on the device, and their part of the run folder."""

    def __init__(
        self,
        study: Study,
        run: epath.Path,
        number: int,
        members: list[SoundMember],
        clips: Waves,
        logged: set[int],
    ) -> None:
        """Adds its members to those that are `logged`; `start` does the rest."""
        self._study, self._run, self._number, self._members = study, run, number, members
        self._clips = clips
        self._gan, self.count, self.chunk = members[0].gan, len(members), study.config.training.log_every
        self.step, self.fits, self._indices = 0, False, [member.index for member in members]
        self._sound = True
        self._has_logged = bool(logged.intersection(self._indices))
        logged.update(self._indices)
        self._checkpoints = generators.checkpoints(generators.state_path(run, number, self._indices))
        self._events: Events | None = None

    def start(self) -> None:
        """Goes on from the newest checkpoint, or begins."""
        self.step = self._checkpoints.latest() or 0
        self.fits = self.step > 0
        data = [_data(self._study, member, self._clips) for member in self._members]
        self._data = _together(data)._replace(clips=Waves(*map(jnp.asarray, self._clips)))
        init, keys = _init(self._gan, self.count), _together([_key(member) for member in self._members])
        abstract = jax.eval_shape(init, keys)
        self._state = self._checkpoints.restore(self.step, abstract) if self.step else init(keys)
        self._sound = bool(np.any(jax.device_get(self._state.finite)))
        if self._has_logged:
            member_log.forget_after(self._run, self._indices, self.step)
        name = f"{self._members[0].arm}_{self._number:03d}"
        self._events = Events(self._run / FOLDER / name, self.step)
        self._started = time.monotonic()

    @property
    def left(self) -> int:
        """Steps that are still to be trained; none where all members have diverged."""
        return self._gan.steps - self.step if self._sound else 0

    def advance(self) -> dict[str, float]:
        """One chunk, logged, and saved when due; returns mean losses for the progress bar."""
        self._state, metrics = _compiled(self._gan, self.chunk, self.count)(self._data, self._state)
        self.step += self.chunk
        said, finite_M = jax.device_get((metrics, self._state.finite))
        self._sound = bool(np.any(finite_M))
        means = self._write_metrics({name: np.atleast_1d(v) for name, v in said.items()})
        self.fits = True
        if self.left and self.step % self._study.config.training.save_every == 0:
            self.save()
        return means

    def wait(self) -> None:
        """A chunk's metrics have been fetched: the device is done."""

    def save(self) -> None:
        """The whole state, in the background, so that the same command goes on from here."""
        self._checkpoints.save(self.step, self._state)

    def close(self) -> None:
        """Waits for what is being saved."""
        try:
            self._checkpoints.close()
        finally:
            if self._events:
                self._events.close()

    def finish(self) -> None:
        """Writes the members' lines, then the generators, whose being there says that the group is done."""
        stop_M, finite_M = (np.atleast_1d(x) for x in jax.device_get((self._state.step, self._state.finite)))
        lines = [
            member_log.line_of(member, self._study.folds[member.fold], place, stop_M, finite_M)
            | {
                "arm": member.arm,
                "normalisation": "train",
                "point": 0,
                "emotions": list(member.emotions),
            }
            for place, member in enumerate(self._members)
        ]
        member_log.write_group(self._run, self._number, self.count, lines)
        save_tree(generators.path(self._run, self._number), self._state.gen)

    def _write_metrics(self, metrics: dict[str, np.ndarray]) -> dict[str, float]:
        """What a chunk said, as lines of metrics.jsonl and for TensorBoard; returns the means of the members
        that have not diverged."""
        seconds = round(time.monotonic() - self._started, 2)
        head = {"step": self.step, "seconds": seconds, "phase": "train"}
        writers.append_lines(
            self._run / "metrics.jsonl",
            (
                head
                | {"member": member.index, "emotion": _whose(member)}
                | {name: writers.short(value_M[place]) for name, value_M in metrics.items()}
                for place, member in enumerate(self._members)
            ),
        )
        sound_M = np.isfinite(list(metrics.values())).all(axis=0)
        sound_M = sound_M if sound_M.any() else ~sound_M
        means = {name: float(value_M[sound_M].mean()) for name, value_M in metrics.items()}
        assert self._events is not None
        self._events.scalars(self.step, means)
        return {name: means[name] for name in ("critic", "wasserstein") if name in means}


class Generators:
    """The trained GANs of a run folder."""

    def __init__(self, study: Study, run: epath.Path) -> None:
        self._study, self._run = study, run
        self._lines = {line["member"]: line for line in member_log.read(run)}

    @cached_property
    def _clips(self) -> Waves:
        return sounds.join(self._study.clips, self._study.config.sound.samples)

    def members(self, arm: str, fold: int, seed: int) -> list[SoundMember]:
        """Those that make the clips of an arm, fold and seed: one, or one for each class; none of shifts."""
        return [m for m in self._study.members if (m.arm, m.fold, m.seed) == (arm, fold, seed)]

    def step(self, member: SoundMember) -> int:
        """The step at which the member's generator was left."""
        return last_step(self._lines[member.index], member.gan.steps)

    def fault(self, arm: str, fold: int, seed: int, count_C: np.ndarray) -> ArmError | None:
        """Why `count_C` clips of each class cannot be made for an arm, fold and seed: a GAN diverged."""
        wanted = {emotion for emotion, count in zip(self._study.classes, count_C, strict=True) if count}
        needed = [m for m in self.members(arm, fold, seed) if wanted.intersection(m.emotions)]
        lost = [m for m in needed if diverged(self._lines[m.index])]
        if not lost:
            return None
        step = self.step(lost[0])
        return ArmError(f"{arm}: training diverged at step {step}; lower config.sound.learning_rate")

    def check_trained(self) -> None:
        """Raises UserError for a run whose training has not come to its end."""
        missing = [member for member in self._study.members if member.index not in self._lines]
        if missing:
            raise UserError(
                f"{self._run}: {len(missing)} of {len(self._study.members)} GANs are not trained yet; run "
                "the run folder's own command to its end first"
            )

    def clips(self, member: SoundMember, label_N: np.ndarray, stream: str) -> list[np.ndarray]:
        """Clips x_T in [-1, 1] by a member, of the classes `label_N` by their places among its own.

        Each is as long as a clip of its class that trains in the member's fold, drawn by lot, and at most as
        a slice: if all were of one length, it would tell that they were made.

        Args:
          stream: of random numbers; the same gives the same clips.
        """
        if not len(label_N):
            return []
        gen, key = self._gen(member), rngs.stream(_key(member), stream)
        to_waves = self._inverse(member)
        parts = []
        for start in range(0, len(label_N), _MADE):
            label_B = np.resize(label_N[start : start + _MADE], _MADE)  # one program for all
            own = jax.random.fold_in(key, start)
            made = _compiled_sample(member.gan)(gen, own, jnp.asarray(label_B))
            parts.append(to_waves(np.asarray(made), int(jax.random.bits(rngs.stream(own, "phases")))))
        lengths_N = self._lengths(member, label_N, rngs.stream(key, "lengths"))
        return [x_T[:length] for x_T, length in zip(np.concatenate(parts), lengths_N, strict=False)]

    def _lengths(self, member: SoundMember, label_N: np.ndarray, key: jax.Array) -> list[int]:
        """Samples of clips of the classes `label_N` that train in the member's fold, drawn by lot."""
        train_R = self._study.folds[member.fold].train_R
        emotion_R = self._study.corpus.emotions_U[train_R]
        length_R = np.array([len(self._study.clips[u]) for u in train_R])
        own = [length_R[emotion_R == emotion] for emotion in member.emotions]
        rng = np.random.default_rng(int(jax.random.bits(key)))
        return [int(rng.choice(own[label])) for label in label_N]

    def _inverse(self, member: SoundMember) -> Callable[[np.ndarray, int], np.ndarray]:
        """What makes waveforms of what the member's GAN makes, and of a seed of their phases."""
        if member.gan.kind == "wavegan":
            return lambda x_NxT, _: x_NxT
        data = _data(self._study, member, self._clips)
        mean_F, scale_F = np.asarray(data.mean_F), np.asarray(data.scale_F)
        samples = member.gan.samples
        return lambda spec_NxTxF, seed: spectra.waveforms(spec_NxTxF, mean_F, scale_F, samples, seed)

    def _gen(self, member: SoundMember) -> Any:
        line = self._lines[member.index]
        gen = _restored(member.gan, self._run, line["group"], line["group_size"])
        return gen if line["group_size"] == 1 else jax.tree.map(lambda leaf: leaf[line["place"]], gen)


@lru_cache(maxsize=1)
def _restored(gan: SoundConfig, run: epath.Path, group: int, count: int) -> Any:
    """Generators of a group, whose members make their clips one after another."""
    keys = jax.random.key(0) if count == 1 else jax.random.split(jax.random.key(0), count)
    return generators.restore(run, group, jax.eval_shape(_init(gan, count), keys).gen)


def _whose(member: SoundMember) -> str:
    return member.emotions[0] if len(member.emotions) == 1 else "all"


def _key(member: SoundMember) -> jax.Array:
    """A member's key: of its arm, seed and fold, and of its class where it has but one."""
    key = rngs.stream(rngs.member_key(member.seed, member.fold), member.arm)
    return rngs.stream(key, "-".join(member.emotions))


def _together(trees: list[Any]) -> Any:
    """One member's tree as it is, several with a leading member axis."""
    return trees[0] if len(trees) == 1 else stack(trees)


def _data(study: Study, member: SoundMember, clips: Waves) -> SoundData:
    """What a member trains on: the clips of its classes that train in its fold, without the samples, which
    all members share."""
    fold = study.folds[member.fold]
    check_rows(fold, study.corpus, fold.train_R)
    emotion_R = study.corpus.emotions_U[fold.train_R]
    rows_R = fold.train_R[np.isin(emotion_R, member.emotions)]
    label_R = np.array([member.emotions.index(emotion) for emotion in study.corpus.emotions_U[rows_R]])
    made = sounds.make_data(member.gan, clips, rows_R, label_R, room=len(clips.length_U))
    return made._replace(clips=None)  # type: ignore[arg-type]


@lru_cache
def _init(gan: SoundConfig, count: int) -> Any:
    def init(key: jax.Array) -> SoundState:
        return sounds.init(gan, key)

    return jax.jit(init if count == 1 else jax.vmap(init))


@lru_cache
def _compiled_sample(gan: SoundConfig) -> Any:
    return jax.jit(lambda gen, key, label_B: sounds.sample(gan, gen, key, label_B))


@lru_cache
def _compiled(gan: SoundConfig, steps: int, count: int) -> Any:
    """`steps` steps of a group as one program, and the metrics averaged over them; the state is donated."""
    step = sounds.make_step(gan)

    def chunk(data: SoundData, state: SoundState) -> tuple[SoundState, dict[str, jax.Array]]:
        state, metrics = jax.lax.scan(lambda s, _: step(data, s), state, length=steps)
        return state, jax.tree.map(lambda m: jnp.mean(m, axis=0), metrics)

    several = jax.vmap(chunk, in_axes=(_DATA_AXES, 0))
    return jax.jit(chunk if count == 1 else several, donate_argnums=1)
