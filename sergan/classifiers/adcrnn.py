"""Convolutional-recurrent classifier of log-Mel segments; a clip's posterior is pooled over them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sergan import adam, logmel, losses, nets, rngs
from sergan.classifiers.tasks import Answer
from sergan.errors import UserError
from sergan.folds import LeakError
from sergan.logmel import Segments, Standard

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

    The weight of the added loss (ε of eq. 8) and the rate of its centres (Wen et al. 2016) are not in Pham et
    al.; centres follow their classes, whichever the loss.
    """

    net: nets.AdcrnnConfig
    steps: int
    loss: str = "L_f1"
    center_weight: float = 0.1
    center_rate: float = 0.5
    learning_rate: float = 1e-4
    decay: bool = False  # whether the learning rate falls linearly to 0
    batch_size: int = 16

    def __str__(self) -> str:
        net = self.net
        maps = f"{net.first}, {net.convolutions} x {net.maps}"
        return f"maps {maps}, {len(net.dilations)} x {net.units} units, {self.loss}, {self.steps} steps"


@dataclass(frozen=True)
class ClipTask:
    """One classifier to be trained on clips of `Segments`, and what its randomness depends on.

    Clips U are places as in `Segments.clip_N`; those that train may come more than once. `label_U` in 0..C-1
    and `weight_U` say what each one's segments count as, and how often they are drawn; classes are not
    balanced on top of it.
    """

    train_U: np.ndarray
    label_U: np.ndarray
    weight_U: np.ndarray
    test_U: np.ndarray
    fold: int
    seed: int


class _Data(NamedTuple):
    """Per task: segments that train (padded), their labels, their share of the weight summed up to each; the
    standardisation; segments to predict (padded); key."""

    train_R: Any
    label_R: Any
    cumulative_R: Any
    standard: Standard
    test_R: Any
    key: Any


class _State(NamedTuple):
    params: Any
    statistics: Any  # of batch norm
    moments: adam.Moments
    centre_CxD: jax.Array


def fit_predict(
    settings: AdcrnnSettings, segments: Segments, tasks: list[ClipTask], together: int = 0
) -> list[Answer]:
    """Answers of the tasks, a row for each of a task's `test_U`; the largest posterior over segments counts.

    Segments are z-normed on those that train in the task.

    Args:
      together: tasks that train as one vmapped program; 0 is one on a CPU, where a step of two
        took 17 times as long as that of one, and `_TOGETHER` elsewhere. Answers do not depend on it.
    Raises:
      UserError: no such loss, clips without segments, or training that diverged.
      LeakError: a task trains on a clip that it predicts.
    """
    if settings.loss not in LOSSES:
        raise UserError(f"loss {settings.loss!r} is none of {', '.join(LOSSES)}")
    together = min(len(tasks), together or (1 if jax.default_backend() == "cpu" else _TOGETHER))
    places = _places(segments, tasks)
    filled = tasks + [tasks[-1]] * (-len(tasks) % together)
    data = _stack(segments, filled, places)
    x_NxTxFx3, frames_N = jnp.asarray(segments.x_NxTxFx3), jnp.asarray(segments.frames_N)
    parts: list[np.ndarray] = []
    for start in range(0, len(filled), together):
        which = start if together == 1 else slice(start, start + together)
        own = jax.tree.map(lambda leaf, which=which: leaf[which], data)
        posterior = _train(settings, together, x_NxTxFx3, frames_N, own)
        parts.extend(posterior[None] if together == 1 else posterior)
    return [_answer(task, places, part) for task, part in zip(tasks, parts, strict=False)]


def _answer(task: ClipTask, places: dict[int, np.ndarray], posterior_RxC: np.ndarray) -> Answer:
    lengths_U = [len(places[clip]) for clip in task.test_U.tolist()]
    clip_R = np.repeat(np.arange(len(lengths_U)), lengths_U)
    if not np.isfinite(posterior_RxC[: len(clip_R)]).all():
        raise UserError(f"adcrnn: fold {task.fold}, seed {task.seed} diverged; lower its learning rate")
    pooled_UxC = logmel.pool(posterior_RxC[: len(clip_R)], clip_R)
    return Answer(pooled_UxC.argmax(axis=1), pooled_UxC)


def _train(
    settings: AdcrnnSettings, together: int, x_NxTxFx3: jax.Array, frames_N: jax.Array, data: _Data
) -> np.ndarray:
    """Posteriors [R, C] of the segments to predict, with an axis of tasks in front if there are several."""
    begin, chunk, predict = _programs(settings, together)
    state = begin(*_init(settings.net, together)(data.key))
    for done in range(0, settings.steps, _chunk_length(settings)):
        state = chunk(x_NxTxFx3, frames_N, data, jnp.asarray(done, jnp.int32), state)
    return np.asarray(predict(x_NxTxFx3, frames_N, data, state))


def _chunk_length(settings: AdcrnnSettings) -> int:
    return next(n for n in (50, 25, 20, 10, 5, 1) if settings.steps % n == 0)


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

    def chunk(x_NxTxFx3, frames_N, data, start, state):  # type: ignore[no-untyped-def]
        numbers = start + jnp.arange(_chunk_length(settings), dtype=jnp.int32)
        return jax.lax.scan(lambda s, n: (step(x_NxTxFx3, frames_N, data, n, s), None), state, numbers)[0]

    def predict(x_NxTxFx3, frames_N, data, state):  # type: ignore[no-untyped-def]
        def some(rows_B: jax.Array) -> jax.Array:
            x_BxTxFx3 = logmel.standardise(x_NxTxFx3[rows_B], frames_N[rows_B], data.standard)
            out, _ = net.apply(state.params, state.statistics, x_BxTxFx3)
            return jax.nn.softmax(out.logits_BxC)

        posterior = jax.lax.map(some, data.test_R.reshape(-1, _PREDICTED))
        return posterior.reshape(-1, settings.net.classes)

    if together > 1:
        begin = jax.vmap(begin)
        chunk = jax.vmap(chunk, in_axes=(None, None, 0, None, 0))
        predict = jax.vmap(predict, in_axes=(None, None, 0, 0))
    return jax.jit(begin), jax.jit(chunk, donate_argnums=4), jax.jit(predict)


def _make_step(settings: AdcrnnSettings, net: nets.BatchNet) -> Callable:
    """(segments, their frames, a task's data, number of the step, state) -> state."""
    added = LOSSES[settings.loss]

    def loss(params, state, x_BxTxFx3, label_B, key):  # type: ignore[no-untyped-def]
        out, statistics = net.apply(params, state.statistics, x_BxTxFx3, key)
        total = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(out.logits_BxC, label_B))
        features_BxD = out.embedding_BxD
        if added is not None:
            distance, layer = added
            features_BxD = out.logits_BxC if layer == "logits" else features_BxD
            total = total + settings.center_weight * distance(features_BxD, label_B, state.centre_CxD)
        return total, (statistics, features_BxD)

    def step(x_NxTxFx3, frames_N, data, number, state):  # type: ignore[no-untyped-def]
        key = jax.random.fold_in(rngs.stream(data.key, "train"), number)
        share_B = jax.random.uniform(rngs.stream(key, "batch"), (settings.batch_size,))
        drawn_B = jnp.searchsorted(data.cumulative_R, share_B)
        rows_B, label_B = data.train_R[drawn_B], data.label_R[drawn_B]
        x_BxTxFx3 = logmel.standardise(x_NxTxFx3[rows_B], frames_N[rows_B], data.standard)
        grads, (statistics, features_BxD) = jax.grad(loss, has_aux=True)(
            state.params, state, x_BxTxFx3, label_B, rngs.stream(key, "dropout")
        )
        left = 1 - number / settings.steps if settings.decay else 1.0
        rate, finite = jnp.asarray(settings.learning_rate * left, jnp.float32), jnp.asarray(True)
        params, moments = adam.update(state.params, state.moments, grads, rate, finite, 0.9, 0.999, 1e-8)
        centre_CxD = losses.move_centres(state.centre_CxD, features_BxD, label_B, settings.center_rate)
        return _State(params, statistics, moments, centre_CxD)

    return step


def _first_centres(settings: AdcrnnSettings, net: nets.BatchNet, params: Any, statistics: Any) -> jax.Array:
    """Zeros [C, D], D being the width of the layer whose centres they are."""
    config = settings.net
    x = jax.ShapeDtypeStruct((1, config.frames, config.filters, 3), jnp.float32)
    out, _ = jax.eval_shape(net.apply, params, statistics, x)
    added = LOSSES[settings.loss]
    layer = out.logits_BxC if added is not None and added[1] == "logits" else out.embedding_BxD
    return jnp.zeros((config.classes, layer.shape[-1]), jnp.float32)


def _places(segments: Segments, tasks: list[ClipTask]) -> dict[int, np.ndarray]:
    """Places of each clip's segments, for all clips of the tasks; checks what a task may ask."""
    places: dict[int, np.ndarray] = {}
    for task in tasks:
        both = np.intersect1d(task.train_U, task.test_U)
        if len(both):
            raise LeakError(f"fold {task.fold}: {len(both)} clips train that are predicted, {both[0]} first")
        for clip in np.concatenate([task.train_U, task.test_U]).tolist():
            if clip not in places:
                places[clip] = np.flatnonzero(segments.clip_N == clip)
                if not len(places[clip]):
                    raise UserError(f"clip {clip} has no segments")
    return places


def _stack(segments: Segments, tasks: list[ClipTask], places: dict[int, np.ndarray]) -> _Data:
    """The tasks' data, padded to common lengths; padding is never drawn and its predictions are cut off."""
    each = [_task_data(segments, task, places) for task in tasks]
    train = _rounded(max(len(own.train_R) for own in each), 256)
    test = _rounded(max(len(own.test_R) for own in each), _PREDICTED)

    def padded(own: _Data) -> _Data:
        more, rest = train - len(own.train_R), test - len(own.test_R)
        return own._replace(
            train_R=np.pad(own.train_R, (0, more)).astype(np.int32),
            label_R=np.pad(own.label_R, (0, more)).astype(np.int32),
            cumulative_R=np.pad(own.cumulative_R, (0, more), constant_values=2).astype(np.float32),
            test_R=np.pad(own.test_R, (0, rest)).astype(np.int32),
        )

    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(padded, each))


def _task_data(segments: Segments, task: ClipTask, places: dict[int, np.ndarray]) -> _Data:
    train = [places[clip] for clip in task.train_U.tolist()]
    lengths_U = [len(rows) for rows in train]
    train_R, weight_R = np.concatenate(train), np.repeat(task.weight_U, lengths_U)
    return _Data(
        train_R=train_R,
        label_R=np.repeat(task.label_U, lengths_U),
        cumulative_R=np.append(np.cumsum(weight_R / weight_R.sum())[:-1], 1.0),
        standard=logmel.fit(segments, np.unique(train_R[weight_R > 0])),
        test_R=np.concatenate([places[clip] for clip in task.test_U.tolist()]),
        key=jax.random.fold_in(rngs.stream(jax.random.key(task.seed), "adcrnn"), task.fold),
    )


def _rounded(length: int, to: int) -> int:
    """Few different lengths, so that calls of about the same size share a compiled program."""
    return -(-length // to) * to
