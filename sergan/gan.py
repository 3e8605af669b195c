"""What all adversarial methods share: what is compiled, the rows, and the parts of a step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sergan import adam, rngs
from sergan.state import GanState, Hypers

LOSSES = ("gan", "wdiv")  # Jensen-Shannon, Wasserstein divergence
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
ACTIVATIONS = ("float32", "bfloat16")
_LARGEST = 2**31 - 1  # step


@dataclass(frozen=True)
class GanConfig:
    """What is compiled into a step; two configs that are equal share one program."""

    features: int
    emotions: int
    loss: str  # the arm: one of LOSSES, or of adversarial.KINDS
    generator: tuple[int, ...]  # widths of hidden layers; with a shape the maps of each halving, as critic
    critic: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...]  # feature groups with a critic each; none: one critic for all
    classifier: tuple[int, ...]
    residual: bool
    precision: str  # of the matrix products: "float32" | "tensorfloat32" | "bfloat16"
    activations: str  # "float32" | "bfloat16"
    slope: float
    dropout: float  # in pre-training only
    cycle_reduction: str  # "sum" | "mean"
    identity: bool  # whether the identity loss is computed at all
    classifier_data: str  # "real" | "fake" | "both"
    batch_size: int
    generator_updates: int
    critic_updates: int
    adam_b1: float
    adam_b2: float
    adam_eps: float
    ema_decay: float  # of the generators' moving average; 0: none is kept
    pretrain_steps: int
    steps: int  # after pre-training
    noise_pretrain_steps: int  # both numbers of steps of the methods that make rows from noise,
    noise_steps: int
    noise_rate: float  # and how many times faster these learn
    decay_steps: int
    decay_factor: float
    decay_floor: float
    shape: tuple[int, ...] = ()  # frames and filters of rows that are spectrograms: convolutional networks


class GanData(NamedTuple):
    """One member's view of the rows on the device; a batch is an index into them.

    Rows are gathered, then min-max scaled with the fold's own `low_D` and `scale_D`.
    """

    source_SxD: jax.Array
    target_UxD: jax.Array
    source_rows_N: jax.Array  # rows of source_SxD that the fold may see, padded
    source_count: jax.Array
    target_rows_KxN: jax.Array  # rows of target_UxD per emotion, padded
    target_count_K: jax.Array
    low_D: jax.Array
    scale_D: jax.Array


Step = Callable[[Hypers, GanData, GanState], tuple[GanState, dict[str, jax.Array]]]


def steps_per_epoch(rows: float, batch_size: int) -> int:
    """Steps of a pass over the mean number of rows of an emotion, 1 or more."""
    return max(1, round(rows / batch_size))


def start(config: GanConfig, params: dict[str, Any], key: jax.Array) -> GanState:
    """A member before its first step, from its networks' parameters and its root key."""
    return GanState(
        step=jnp.zeros((), jnp.int32),
        finite=jnp.ones((), bool),
        params=params,
        opt_state={name: adam.init(params[name]) for name in params},
        ema=jax.tree.map(jnp.copy, params["gen"]) if config.ema_decay else {},
        key=key,
    )


def alternate(config: GanConfig, update_generators: Any, update_critics: Any) -> Step:
    """A step of `generator_updates` of the one kind, then `critic_updates` of the other.

    An update takes (hypers, data, state, key) and returns the new state and metrics [K].
    """

    def step(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        key = jax.random.fold_in(rngs.stream(state.key, "train"), state.step)

        def repeat(update: Any, name: str, times: int, state: GanState) -> tuple[GanState, dict]:
            keys = jax.random.split(rngs.stream(key, name), times)
            state, metrics = jax.lax.scan(lambda s, k: update(hypers, data, s, k), state, keys)
            return state, jax.tree.map(lambda m: m[-1], metrics)

        state, gen_metrics = repeat(update_generators, "generators", config.generator_updates, state)
        state, critic_metrics = repeat(update_critics, "critics", config.critic_updates, state)
        state = averaged(state, config.ema_decay)
        return state._replace(step=state.step + state.finite), gen_metrics | critic_metrics

    return step


def averaged(state: GanState, rate: float) -> GanState:
    """The moving average of a sound member's generators an update further, of which the old one is `rate`."""
    if not state.ema:
        return state
    ema = jax.tree.map(lambda e, p: rate * e + (1 - rate) * p, state.ema, state.params["gen"])
    return state._replace(ema=where(state.finite, ema, state.ema))


def batch(config: GanConfig, data: GanData, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows drawn with replacement: s_KxBxD from the source, t_KxBxD from each emotion's targets."""
    shape = (config.emotions, config.batch_size)

    def draw(name: str, count: jax.Array) -> jax.Array:
        return jax.random.randint(rngs.stream(key, name), shape, 0, count)

    def scaled(x_KxBxD: jax.Array) -> jax.Array:
        return (x_KxBxD - data.low_D[None, None]) * data.scale_D[None, None]

    source = data.source_rows_N[draw("source", data.source_count)]
    target = jnp.take_along_axis(data.target_rows_KxN, draw("target", data.target_count_K[:, None]), axis=1)
    return scaled(data.source_SxD[source]), scaled(data.target_UxD[target])


def decay(config: GanConfig, step: jax.Array) -> jax.Array:
    """The papers' learning-rate shape: factor^floor(step of joint training / decay_steps), above a floor."""
    epochs = jnp.maximum(step - config.pretrain_steps, 0) // min(config.decay_steps, _LARGEST)
    return jnp.maximum(config.decay_factor ** epochs.astype(jnp.float32), config.decay_floor)


def update(
    config: GanConfig, state: GanState, name: str, grads: Any, rate: jax.Array, ok: jax.Array
) -> GanState:
    """Adam on one group of parameters; a member with a gradient that is not finite keeps its old values."""
    finite = state.finite & ok
    settings = config.adam_b1, config.adam_b2, config.adam_eps
    params, moments = adam.update(state.params[name], state.opt_state[name], grads, rate, finite, *settings)
    return state._replace(
        finite=finite,
        params=state.params | {name: params},
        opt_state=state.opt_state | {name: moments},
    )


def where(condition: jax.Array, new: Any, old: Any) -> Any:
    """`new` where the condition holds, else `old`, for every leaf."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)
