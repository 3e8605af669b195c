"""Convolutional-recurrent classifier of log-Mel segments; a clip's posterior is pooled over them."""

import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from joblib import Parallel, delayed

from sergan import adam, logmel, losses, nets, rngs
from sergan.checkpoint import Checkpoints
from sergan.classifiers.tasks import Answer, rounded
from sergan.errors import UserError
from sergan.folds import LeakError
from sergan.logmel import Spectrograms, Standard

# What is added to the cross-entropy, and on which layer (Pham et al. 2021, section IV-B).
LOSSES = {
    "L_f1": (losses.center, "embedding"),
    "L_f2": None,
    "L_f3": (losses.center, "logits"),
    "L_f4": (losses.contrastive_center, "embedding"),
}
_TOGETHER = 8  # tasks in a program on an accelerator
_PREDICTED = 32  # segments at once


@dataclass(frozen=True)
class AdcrnnSettings:
    """Training of a network; the same number of gradient steps for every task, however many clips it has.

    The weights of the added losses (ε of eq. 8) and the rate of their centres (Wen et al. 2016) are not in
    Pham et al.; centres follow their classes, whichever the loss. The contrastive-centre loss, a ratio of
    distances that starts near 1 / (2 (classes - 1)), has a weight of its own. Segments that train may lose up
    to `mask_frames` frames in a row and up to `mask_filters` filters beside each other (Park et al. 2019),
    which the papers do not.
    """

    net: nets.AdcrnnConfig
    steps: int
    loss: str = "L_f1"
    center_weight: float = 0.1
    contrastive_weight: float = 1.0
    center_rate: float = 0.5
    learning_rate: float = 1e-4
    decay: bool = False  # whether the learning rate falls linearly to 0
    batch_size: int = 16
    mask_frames: int = 0
    mask_filters: int = 0

    @property
    def added_weight(self) -> float:
        """The weight of what the loss adds to the cross-entropy."""
        return self.contrastive_weight if self.loss == "L_f4" else self.center_weight

    def __str__(self) -> str:
        net = self.net
        maps = f"{net.first}, {net.convolutions} x {net.maps}"
        return f"maps {maps}, {len(net.dilations)} x {net.units} units, {self.loss}, {self.steps} steps"


@dataclass(frozen=True)
class ClipTask:
    """One classifier to be trained on clips, and what its randomness depends on.

    Clips U are places in `Spectrograms`; those that train may come more than once. `label_U` in 0..C-1 and
    `weight_U` say what each one counts as, and how often it is drawn, however long it is; classes are not
    balanced on top of it. Segments are z-normed on all frames of the clips `norm_U`.
    """

    train_U: np.ndarray
    label_U: np.ndarray
    weight_U: np.ndarray
    norm_U: np.ndarray
    test_U: np.ndarray
    fold: int
    seed: int


class Beside(NamedTuple):
    """What goes on beside the training of tasks, of which no answer depends.

    `told` is called for each task after every few steps, from several threads, with its steps so far, what
    these few said on average: "loss", of the whole, and "accuracy" on segments that train; and, about every
    `look` steps, with what it answers by now. About every `save` steps the state of the tasks of a program,
    which has room for so many, is saved in `states` of both; it goes on from there.
    """

    told: Callable[[ClipTask, int, dict[str, float], Answer | None], None] = lambda *_: None
    look: int = 0  # 0: never
    states: Callable[[list[ClipTask], int], Checkpoints] | None = None
    save: int = 0


ALONE = Beside()


class _Data(NamedTuple):
    """Per task: clips that train (padded), their labels, their share of the weight summed up to each; the
    standardisation; clips and first frames of the segments to predict (padded); key."""

    train_U: Any
    label_U: Any
    cumulative_U: Any
    standard: Standard
    test_N: Any
    start_N: Any
    key: Any


class _State(NamedTuple):
    params: Any
    statistics: Any  # of batch norm
    moments: adam.Moments
    centre_CxD: jax.Array


def fit_predict(
    settings: AdcrnnSettings,
    clips: Spectrograms,
    tasks: list[ClipTask],
    together: int = 0,
    beside: Beside = ALONE,
) -> list[Answer]:
    """Answers of the tasks, a row for each of a task's `test_U`; the largest posterior over segments counts.

    A step trains on segments that begin anywhere in a clip, or of a shorter one have it anywhere in them. The
    segments that are predicted are `logmel.starts`.

    Args:
      together: tasks that train as one vmapped program; 0 is one on a CPU, where a step of two took 17 times
        as long as that of one, and `_TOGETHER` elsewhere. As many programs run beside each other as there
        are devices; those of a CPU all on one, where they compile once. Answers depend on neither but for
        rounding, which training makes larger. Half as many are tried where they do not fit the memory.
    Raises:
      UserError: no such loss, or no such clip.
      LeakError: a task trains on a clip that it predicts.
    """
    if settings.loss not in LOSSES:
        raise UserError(f"loss {settings.loss!r} is none of {', '.join(LOSSES)}")
    _check(clips, tasks)
    on_cpu, devices = jax.default_backend() == "cpu", jax.local_devices()
    most = together or (1 if on_cpu else _TOGETHER)
    together = -(-len(tasks) // -(-len(tasks) // most))  # programs of about the same length
    filled = tasks + [tasks[-1]] * (-len(tasks) % together)
    data, frames = _stack(clips, filled, settings.net.frames), _padded(clips)

    def train(number: int) -> np.ndarray:
        first = number * together
        which = first if together == 1 else slice(first, first + together)
        own_tasks = tasks[first : first + together]  # the last program's may be fewer
        device = devices[0 if on_cpu else number % len(devices)]
        with jax.default_device(device):
            own = jax.tree.map(lambda leaf: leaf[which], data)
            posterior = _train(settings, together, jax.device_put(frames), own, own_tasks, beside)
        return posterior[None] if together == 1 else posterior

    programs = (delayed(train)(number) for number in range(len(filled) // together))
    try:
        posteriors = np.concatenate(Parallel(n_jobs=len(devices), prefer="threads")(programs))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or together == 1:
            raise
        half = -(-together // 2)
        print(f"{together} classifiers do not fit the memory; trying {half}", file=sys.stderr)
        return fit_predict(settings, clips, tasks, half, beside)
    which_N = [_segments(clips, task, settings.net.frames)[0] for task in tasks]
    return [_answer(*pair) for pair in zip(which_N, posteriors, strict=False)]


def _answer(clip_N: np.ndarray, posterior_NxC: np.ndarray) -> Answer:
    """What posteriors of segments, whose clips are `clip_N`, say of these; padded ones stand behind."""
    pooled_UxC = logmel.pool(posterior_NxC[: len(clip_N)], clip_N)
    return Answer(pooled_UxC.argmax(axis=1), pooled_UxC)


def _train(
    settings: AdcrnnSettings,
    together: int,
    clips: Spectrograms,
    data: _Data,
    tasks: list[ClipTask],
    beside: Beside,
) -> np.ndarray:
    """Posteriors [N, C] of the segments to predict, with an axis of tasks in front if there are several."""
    begin, chunk, predict = _programs(settings, together)
    state, done = begin(*_init(settings.net, together)(data.key)), 0
    length = chunk_length(settings.steps)
    which_N = [_segments(clips, task, settings.net.frames)[0] for task in tasks]
    with closing(beside.states(tasks, together)) if beside.states else nullcontext() as states:
        if states and (saved := states.latest()):
            state, done = states.restore(saved, state), saved
        while done < settings.steps:
            state, said = chunk(clips, data, jnp.asarray(done, jnp.int32), state)
            said_M = {name: np.atleast_1d(value) for name, value in jax.device_get(said).items()}
            answers = list[Answer | None]([None] * len(tasks))
            if _is_due(beside.look, done, done + length, settings.steps):
                posterior = np.asarray(predict(clips, data, state))
                pairs = zip(which_N, posterior[None] if together == 1 else posterior, strict=False)
                answers = [_answer(*pair) for pair in pairs]
            for place, task in enumerate(tasks):
                values = {name: float(value_M[place]) for name, value_M in said_M.items()}
                beside.told(task, done + length, values, answers[place])
            if states and _is_due(beside.save, done, done + length, settings.steps):
                states.save(done + length, state)
            done += length
    return np.asarray(predict(clips, data, state))


def _is_due(every: int, before: int, after: int, end: int) -> bool:
    """Whether what is done about `every` steps, and at the end, is to be done between two steps; 0: never."""
    return every > 0 and (after // every > before // every or after == end)


def chunk_length(steps: int) -> int:
    """How many of the steps are one call."""
    return max(n for n in range(1, 51) if steps % n == 0)


@lru_cache
def _init(config: nets.AdcrnnConfig, together: int) -> Callable:
    """Keys -> parameters and statistics; most of what there is to compile, and the same for all losses."""
    net = nets.build_adcrnn(config)

    def init(key: jax.Array) -> tuple[Any, Any]:
        return net.init(rngs.stream(key, "init"))

    return jax.jit(jax.vmap(init) if together > 1 else init)


@lru_cache
def _programs(settings: AdcrnnSettings, together: int) -> tuple[Callable, Callable, Callable]:
    """State before the first step, chunk of steps and prediction of that many tasks, compiled once."""
    net = nets.build_adcrnn(settings.net)
    step = _make_step(settings, net)

    def begin(params: Any, statistics: Any) -> _State:
        return _State(
            params, statistics, adam.init(params), _first_centres(settings, net, params, statistics)
        )

    def chunk(clips, data, start, state):  # type: ignore[no-untyped-def]
        numbers = start + jnp.arange(chunk_length(settings.steps), dtype=jnp.int32)
        state, said = jax.lax.scan(lambda s, n: step(clips, data, n, s), state, numbers)
        return state, jax.tree.map(jnp.mean, said)

    def predict(clips, data, state):  # type: ignore[no-untyped-def]
        def some(place: tuple[jax.Array, jax.Array]) -> jax.Array:
            x_BxTxFx3 = logmel.standardise(logmel.segments(clips, *place, settings.net.frames), data.standard)
            out, _ = net.apply(state.params, state.statistics, x_BxTxFx3)
            return jax.nn.softmax(out.logits_BxC)

        places = data.test_N.reshape(-1, _PREDICTED), data.start_N.reshape(-1, _PREDICTED)
        return jax.lax.map(some, places).reshape(-1, settings.net.classes)

    if together > 1:
        begin = jax.vmap(begin)
        chunk = jax.vmap(chunk, in_axes=(None, 0, None, 0))
        predict = jax.vmap(predict, in_axes=(None, 0, 0))
    return jax.jit(begin), jax.jit(chunk, donate_argnums=3), jax.jit(predict)


def _make_step(settings: AdcrnnSettings, net: nets.BatchNet) -> Callable:
    """(clips, a task's data, number of the step, state) -> state, loss and accuracy by name."""
    added, weight = LOSSES[settings.loss], settings.added_weight

    def loss(params, state, x_BxTxFx3, label_B, key):  # type: ignore[no-untyped-def]
        out, statistics = net.apply(params, state.statistics, x_BxTxFx3, key)
        total = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(out.logits_BxC, label_B))
        features_BxD = out.embedding_BxD
        if added is not None:
            distance, layer = added
            features_BxD = out.logits_BxC if layer == "logits" else features_BxD
            total = total + weight * distance(features_BxD, label_B, state.centre_CxD)
        right = jnp.mean(out.logits_BxC.argmax(axis=1) == label_B)
        return total, (statistics, features_BxD, {"loss": total, "accuracy": right})

    def step(clips, data, number, state):  # type: ignore[no-untyped-def]
        key = jax.random.fold_in(rngs.stream(data.key, "train"), number)
        x_BxTxFx3, label_B = _batch(settings, clips, data, key)
        grads, (statistics, features_BxD, said) = jax.grad(loss, has_aux=True)(
            state.params, state, x_BxTxFx3, label_B, rngs.stream(key, "dropout")
        )
        left = 1 - number / settings.steps if settings.decay else 1.0
        rate, finite = jnp.asarray(settings.learning_rate * left, jnp.float32), jnp.asarray(True)
        params, moments = adam.update(state.params, state.moments, grads, rate, finite, 0.9, 0.999, 1e-8)
        centre_CxD = losses.move_centres(state.centre_CxD, features_BxD, label_B, settings.center_rate)
        return _State(params, statistics, moments, centre_CxD), said

    return step


def _batch(
    settings: AdcrnnSettings, clips: Spectrograms, data: _Data, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Segments x_BxTxFx3 of clips drawn by their weights, and their labels."""
    share_B = jax.random.uniform(rngs.stream(key, "batch"), (settings.batch_size,))
    drawn_B = jnp.searchsorted(data.cumulative_U, share_B, side="right")
    clip_B = data.train_U[drawn_B]
    more_B = clips.frames_U[clip_B] - settings.net.frames
    first_B, last_B = jnp.minimum(more_B, 0), jnp.maximum(more_B, 0)
    start_B = jax.random.randint(rngs.stream(key, "start"), (settings.batch_size,), first_B, last_B + 1)
    x_BxTxFx3 = logmel.segments(clips, clip_B, start_B, settings.net.frames)
    x_BxTxFx3 = logmel.standardise(x_BxTxFx3, data.standard)
    if settings.mask_frames or settings.mask_filters:
        most = settings.mask_frames, settings.mask_filters
        own_BxT = logmel.own_frames(clips, clip_B, start_B, settings.net.frames)
        x_BxTxFx3 = logmel.masked(x_BxTxFx3, own_BxT, *most, rngs.stream(key, "mask"))
    return x_BxTxFx3, data.label_U[drawn_B]


def _first_centres(settings: AdcrnnSettings, net: nets.BatchNet, params: Any, statistics: Any) -> jax.Array:
    """Zeros [C, D], D being the width of the layer whose centres they are."""
    config = settings.net
    x = jax.ShapeDtypeStruct((1, config.frames, config.filters, 3), jnp.float32)
    out, _ = jax.eval_shape(net.apply, params, statistics, x)
    added = LOSSES[settings.loss]
    layer = out.logits_BxC if added is not None and added[1] == "logits" else out.embedding_BxD
    return jnp.zeros((config.classes, layer.shape[-1]), jnp.float32)


def _check(clips: Spectrograms, tasks: list[ClipTask]) -> None:
    """Raises for what a task may not ask."""
    for task in tasks:
        train_U = np.concatenate([task.train_U, task.norm_U])
        both = np.intersect1d(train_U, task.test_U)
        if len(both):
            raise LeakError(f"fold {task.fold}: {len(both)} clips train that are predicted, {both[0]} first")
        for clip in np.concatenate([train_U, task.test_U]).tolist():
            if not 0 <= clip < len(clips.frames_U):
                raise UserError(f"fold {task.fold}: there is no clip {clip}, there are {len(clips.frames_U)}")


def _padded(clips: Spectrograms) -> Spectrograms:
    """The clips with further frames, and further clips of no frames, that nobody asks for."""
    frames = rounded(len(clips.x_LxFx3), 8192) - len(clips.x_LxFx3)
    more = rounded(len(clips.frames_U), 256) - len(clips.frames_U)
    return Spectrograms(
        np.pad(clips.x_LxFx3, ((0, frames), (0, 0), (0, 0))),
        np.pad(clips.first_U, (0, more)),
        np.pad(clips.frames_U, (0, more)),
    )


def _segments(clips: Spectrograms, task: ClipTask, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The segments to predict: places of their clips in the task's `test_U`, and their first frames."""
    starts_U = [logmel.starts(count, length) for count in np.asarray(clips.frames_U)[task.test_U].tolist()]
    place_N = np.repeat(np.arange(len(starts_U)), [len(starts_N) for starts_N in starts_U])
    return place_N, np.concatenate(starts_U)


def _stack(clips: Spectrograms, tasks: list[ClipTask], length: int) -> _Data:
    """The tasks' data, padded to common lengths; padding is never drawn and its predictions are cut off."""
    each = [_task_data(clips, task, length) for task in tasks]
    train = rounded(max(len(own.train_U) for own in each), 256)
    test = rounded(max(len(own.test_N) for own in each), _PREDICTED)

    def padded(own: _Data) -> _Data:
        more, rest = train - len(own.train_U), test - len(own.test_N)
        return own._replace(
            train_U=np.pad(own.train_U, (0, more)).astype(np.int32),
            label_U=np.pad(own.label_U, (0, more)).astype(np.int32),
            cumulative_U=np.pad(own.cumulative_U, (0, more), constant_values=2).astype(np.float32),
            test_N=np.pad(own.test_N, (0, rest)).astype(np.int32),
            start_N=np.pad(own.start_N, (0, rest)).astype(np.int32),
        )

    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(padded, each))


def _task_data(clips: Spectrograms, task: ClipTask, length: int) -> _Data:
    place_N, start_N = _segments(clips, task, length)
    return _Data(
        train_U=task.train_U,
        label_U=task.label_U,
        cumulative_U=np.append(np.cumsum(task.weight_U / task.weight_U.sum())[:-1], 1.0),
        standard=logmel.fit(clips, np.unique(task.norm_U)),
        test_N=task.test_U[place_N],
        start_N=start_N,
        key=jax.random.fold_in(rngs.stream(jax.random.key(task.seed), "adcrnn"), task.fold),
    )
