"""Feed-forward classifier: dropout, L2, Adam; all tasks of a call train as one vmapped program."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sergan import nets, rngs
from sergan.classifiers.tasks import Answer, Problem, Task, class_weights


@dataclass(frozen=True)
class DnnSettings:
    """The same number of gradient steps for every task, however many rows it has."""

    hidden: tuple[int, ...]
    dropout: float
    l2: float
    learning_rate: float
    batch_size: int
    steps: int


class _Data(NamedTuple):
    """Per task: its table, its training rows (padded) with their share of the weight summed up to each,
    class weights, test rows (padded)."""

    problem: jax.Array
    train_R: jax.Array
    cumulative_R: jax.Array
    weight_C: jax.Array
    test_R: jax.Array
    key: jax.Array


def fit_predict(
    settings: DnnSettings,
    problems: list[Problem],
    tasks: list[Task],
    classes: int,
    progress: Callable[[int, int], None],
) -> list[Answer]:
    """Answers of the tasks, with probabilities."""
    rows = max(len(problem.label_N) for problem in problems)
    x_PxNxD = jnp.stack([_padded(problem.x_NxD, rows) for problem in problems])
    label_PxN = jnp.stack([_padded(problem.label_N.astype(np.int32), rows) for problem in problems])
    data = _stack(problems, tasks, classes)
    init, chunk, predict = _programs(settings, x_PxNxD.shape[-1], classes)
    state = init(data.key)
    length = _chunk_length(settings)
    for done in range(0, settings.steps, length):
        state = chunk(x_PxNxD, label_PxN, data, jnp.asarray(done, jnp.int32), state)
        jax.block_until_ready(state)
        progress(done + length, settings.steps)
    probability_MxRxC = np.asarray(predict(x_PxNxD, data, state[0]))
    cut = [p[: len(task.test_R)] for p, task in zip(probability_MxRxC, tasks, strict=True)]
    return [Answer(p.argmax(axis=1), p) for p in cut]


def _chunk_length(settings: DnnSettings) -> int:
    return next(n for n in (50, 25, 20, 10, 5, 1) if settings.steps % n == 0)


@lru_cache
def _programs(settings: DnnSettings, inputs: int, classes: int) -> tuple[Callable, Callable, Callable]:
    """init, chunk of steps and prediction, each vmapped over the tasks and compiled once."""
    net = nets.build(inputs, settings.hidden, classes, dropout=settings.dropout)
    adam = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))

    def init(key: jax.Array) -> tuple[Any, Any]:
        params = net.init(rngs.stream(key, "init"))
        return params, adam.init(params)

    def loss(
        params: Any, x_BxD: jax.Array, label_B: jax.Array, weight_C: jax.Array, key: jax.Array
    ) -> jax.Array:
        logits_BxC = net.apply(params, x_BxD, key)
        each_B = optax.softmax_cross_entropy_with_integer_labels(logits_BxC, label_B)
        kernels = [layer["kernel"] for layer in params.values()]
        return jnp.mean(weight_C[label_B] * each_B) + settings.l2 * sum(
            jnp.sum(jnp.square(k)) for k in kernels
        )

    def step(x_PxNxD, label_PxN, data, number, state):  # type: ignore[no-untyped-def]
        params, opt_state = state
        key = jax.random.fold_in(rngs.stream(data.key, "train"), number)
        share_B = jax.random.uniform(rngs.stream(key, "batch"), (settings.batch_size,))
        rows_B = data.train_R[jnp.searchsorted(data.cumulative_R, share_B)]
        x_BxD, label_B = x_PxNxD[data.problem, rows_B], label_PxN[data.problem, rows_B]
        grads = jax.grad(loss)(params, x_BxD, label_B, data.weight_C, rngs.stream(key, "dropout"))
        updates, opt_state = adam.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def chunk(x_PxNxD, label_PxN, data, start, state):  # type: ignore[no-untyped-def]
        one = jax.vmap(step, in_axes=(None, None, 0, None, 0))
        numbers = start + jnp.arange(_chunk_length(settings), dtype=jnp.int32)
        return jax.lax.scan(lambda s, n: (one(x_PxNxD, label_PxN, data, n, s), None), state, numbers)[0]

    def predict(x_PxNxD: jax.Array, data: _Data, params: Any) -> jax.Array:
        def one(data: _Data, params: Any) -> jax.Array:
            return jax.nn.softmax(net.apply(params, x_PxNxD[data.problem, data.test_R]))

        return jax.vmap(one)(data, params)

    return jax.jit(jax.vmap(init)), jax.jit(chunk, donate_argnums=4), jax.jit(predict)


def _stack(problems: list[Problem], tasks: list[Task], classes: int) -> _Data:
    train, test = max(len(t.train_R) for t in tasks), max(len(t.test_R) for t in tasks)
    weights = [class_weights(problems[t.problem].label_N[t.train_R], t.weight_R, classes) for t in tasks]
    cumulative = [np.append(np.cumsum(t.weight_R / t.weight_R.sum())[:-1], 1.0) for t in tasks]
    keys = [
        jax.random.fold_in(rngs.stream(jax.random.key(task.seed), "classifier"), task.fold) for task in tasks
    ]
    return _Data(
        problem=jnp.asarray([t.problem for t in tasks], jnp.int32),
        train_R=jnp.stack([_padded(t.train_R.astype(np.int32), train) for t in tasks]),
        cumulative_R=jnp.stack([_padded(c.astype(np.float32), train, 2.0) for c in cumulative]),
        weight_C=jnp.asarray(np.stack(weights)),
        test_R=jnp.stack([_padded(t.test_R.astype(np.int32), test) for t in tasks]),
        key=jnp.stack(keys),
    )


def _padded(x: np.ndarray, length: int, value: float = 0) -> jax.Array:
    widths = [(0, length - len(x))] + [(0, 0)] * (x.ndim - 1)
    return jnp.asarray(np.pad(x, widths, constant_values=value))
