"""Adam whose learning rate is data, and which leaves a member as it is that has diverged."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Moments(NamedTuple):
    """What Adam carries from update to update: moving averages of the gradients and of their squares."""

    updates: jax.Array  # int32, how many there were
    mean: Any
    square: Any


def init(params: Any) -> Moments:
    """Before the first update."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return Moments(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.copy, zeros))


def update(
    params: Any,
    moments: Moments,
    grads: Any,
    rate: jax.Array,
    finite: jax.Array,
    b1: float,
    b2: float,
    eps: float,
) -> tuple[Any, Moments]:
    """New parameters and moments of one member; where `finite` is False the old ones.

    `params`, `grads` and the moments' trees have the same structure and shapes; `rate` and `finite` are
    scalars, and so are b1, b2 and eps, which are compiled.

    Each array is written in one pass over what it depends on, which is most of what a step of wide networks
    has to do beside its products.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """
    count = moments.updates + finite
    mean_bias, square_bias = 1 - b1**count, 1 - b2**count

    def mean(old: jax.Array, gradient: jax.Array) -> jax.Array:
        return jnp.where(finite, b1 * old + (1 - b1) * gradient, old)

    def square(old: jax.Array, gradient: jax.Array) -> jax.Array:
        return jnp.where(finite, b2 * old + (1 - b2) * jnp.square(gradient), old)

    def moved(old: jax.Array, mean: jax.Array, square: jax.Array) -> jax.Array:
        step = (mean / mean_bias) / (jnp.sqrt(square / square_bias) + eps)
        return jnp.where(finite, old - rate * step, old)

    means = jax.tree.map(mean, moments.mean, grads)
    squares = jax.tree.map(square, moments.square, grads)
    return jax.tree.map(moved, params, means, squares), Moments(count, means, squares)
