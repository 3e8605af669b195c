"""Feed-forward classifier: dropout, L2, Adam; all tasks of a call train by one compiled program."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from joblib import Parallel, cpu_count, delayed

from sergan import nets, rngs
from sergan.classifiers.tasks import Answer, Task, class_weights, rounded

_STEP = 256  # rows, of which arrays have a multiple


@dataclass(frozen=True)
class DnnSettings:
    """The same number of gradient steps for every task, however many rows it has; L2 comes with the task.

    With `decay` the learning rate falls to 0, as half a cosine.
    """

    hidden: tuple[int, ...]
    dropout: float
    learning_rate: float
    batch_size: int
    steps: int
    decay: bool = True

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.hidden))}, dropout {self.dropout:g}, {self.steps} steps"


class _Data(NamedTuple):
    """Per task: its problem, training rows (padded) with labels and their share of the weight summed up to
    each, class weights, L2, test rows (padded), key."""

    problem: jax.Array
    train_R: jax.Array
    label_R: jax.Array
    cumulative_R: jax.Array
    weight_C: jax.Array
    l2: jax.Array
    test_R: jax.Array
    key: jax.Array


def fit_predict(
    settings: DnnSettings, problems: list[np.ndarray], tasks: list[Task], classes: int
) -> list[Answer]:
    """Answers of the tasks, with probabilities.

    They train together, vmapped; on a CPU beside each other, one on each core, whose caches hold its state.
    """
    x_PxNxD, data = _stacked(problems), _stack(tasks, classes)
    program = _program(settings, x_PxNxD.shape[-1], classes)
    if jax.default_backend() == "cpu":
        each = (jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], data) for i in range(len(tasks)))
        with Parallel(n_jobs=cpu_count(), prefer="threads", return_as="generator") as parallel:
            parts = list(parallel(delayed(_probabilities)(program, x_PxNxD, own) for own in each))
    else:
        parts = [_probabilities(program, x_PxNxD, data)]
    cut = [p[: len(task.test_R)] for p, task in zip(np.concatenate(parts), tasks, strict=True)]
    return [Answer(p.argmax(axis=1), p) for p in cut]


def _probabilities(program: Callable, x_PxNxD: jax.Array, data: _Data) -> np.ndarray:
    """What the program gives, [M, R, C], when it is there."""
    return np.asarray(program(x_PxNxD, data))


@lru_cache
def _program(settings: DnnSettings, inputs: int, classes: int) -> Callable:
    """(x_PxNxD, data) -> probabilities [M, R, C]: training and prediction, vmapped over the tasks."""
    net = nets.build(inputs, settings.hidden, classes, dropout=settings.dropout)
    rate = settings.learning_rate
    adam = optax.adam(optax.cosine_decay_schedule(rate, settings.steps) if settings.decay else rate)

    def loss(params: Any, x_BxD: jax.Array, label_B: jax.Array, data: _Data, key: jax.Array) -> jax.Array:
        logits_BxC = net.apply(params, x_BxD, key)
        each_B = optax.softmax_cross_entropy_with_integer_labels(logits_BxC, label_B)
        kernels = [layer["kernel"] for layer in params.values()]
        return jnp.mean(data.weight_C[label_B] * each_B) + data.l2 * sum(
            jnp.sum(jnp.square(k)) for k in kernels
        )

    def probabilities(x_PxNxD: jax.Array, data: _Data) -> jax.Array:
        def step(state: Any, number: jax.Array) -> tuple[Any, None]:
            params, opt_state = state
            key = jax.random.fold_in(rngs.stream(data.key, "train"), number)
            share_B = jax.random.uniform(rngs.stream(key, "batch"), (settings.batch_size,))
            drawn_B = jnp.searchsorted(data.cumulative_R, share_B)
            x_BxD, label_B = x_PxNxD[data.problem, data.train_R[drawn_B]], data.label_R[drawn_B]
            grads = jax.grad(loss)(params, x_BxD, label_B, data, rngs.stream(key, "dropout"))
            updates, opt_state = adam.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        params = net.init(rngs.stream(data.key, "init"))
        numbers = jnp.arange(settings.steps, dtype=jnp.int32)
        params, _ = jax.lax.scan(step, (params, adam.init(params)), numbers)[0]
        return jax.nn.softmax(net.apply(params, x_PxNxD[data.problem, data.test_R]))

    return jax.jit(jax.vmap(probabilities, in_axes=(None, 0)))


def _stacked(problems: list[np.ndarray]) -> jax.Array:
    """x_PxNxD, padded with zeros; made in one place, since it is most of what a study holds in memory."""
    rows, width = rounded(max(map(len, problems)), _STEP), problems[0].shape[1]
    x_PxNxD = np.zeros((len(problems), rows, width), np.float32)
    for own_NxD, x_NxD in zip(x_PxNxD, problems, strict=True):
        own_NxD[: len(x_NxD)] = x_NxD
    return jnp.asarray(x_PxNxD)


def _stack(tasks: list[Task], classes: int) -> _Data:
    train = rounded(max(len(t.train_R) for t in tasks), _STEP)
    test = rounded(max(len(t.test_R) for t in tasks), _STEP)
    weights = [class_weights(t.label_R, t.weight_R, classes) for t in tasks]
    cumulative = [np.append(np.cumsum(t.weight_R / t.weight_R.sum())[:-1], 1.0) for t in tasks]
    keys = [
        jax.random.fold_in(rngs.stream(jax.random.key(task.seed), "classifier"), task.fold) for task in tasks
    ]
    return _Data(
        problem=jnp.asarray([t.problem for t in tasks], jnp.int32),
        train_R=jnp.stack([_padded(t.train_R.astype(np.int32), train) for t in tasks]),
        label_R=jnp.stack([_padded(t.label_R.astype(np.int32), train) for t in tasks]),
        cumulative_R=jnp.stack([_padded(c.astype(np.float32), train, 2.0) for c in cumulative]),
        weight_C=jnp.asarray(np.stack(weights)),
        l2=jnp.asarray([t.regularisation for t in tasks], jnp.float32),
        test_R=jnp.stack([_padded(t.test_R.astype(np.int32), test) for t in tasks]),
        key=jnp.stack(keys),
    )


def _padded(x: np.ndarray, length: int, value: float = 0) -> jax.Array:
    widths = [(0, length - len(x))] + [(0, 0)] * (x.ndim - 1)
    return jnp.asarray(np.pad(x, widths, constant_values=value))
