"""Feed-forward networks on rows of functionals: generators, critics, classifiers."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products

Params = Any


class Net(NamedTuple):
    """A network as two pure functions.

    init(key) -> params; apply(params, x_BxD, dropout_key=None) -> y_BxD. Without a key nothing is dropped.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[..., jax.Array]


class MLP(nn.Module):
    """Dense layers with leaky ReLU between them (Bao 2019; Shilandari 2022).

    With `residual` the output is x + f(x), and f is 0 at the start: an untrained generator is the identity.
    Parameters are float32 whatever `activations` are; so is the output.
    """

    hidden: tuple[int, ...]
    outputs: int
    slope: float
    dropout: float
    residual: bool
    precision: str  # of the products, see `products`
    activations: str  # their type

    @nn.compact
    def __call__(self, x_BxD: jax.Array, train: bool) -> jax.Array:
        xavier = nn.initializers.xavier_uniform()
        dense = partial(products.Dense, dtype=jnp.dtype(self.activations), precision=self.precision)
        h = x_BxD
        for width in self.hidden:
            h = nn.leaky_relu(dense(width, kernel_init=xavier)(h), self.slope)
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
        last = nn.initializers.zeros if self.residual else xavier
        y = dense(self.outputs, kernel_init=last)(h).astype(jnp.float32)
        return x_BxD + y if self.residual else y


def build(
    inputs: int,
    hidden: tuple[int, ...],
    outputs: int,
    *,
    slope: float = 0.2,
    dropout: float = 0.0,
    residual: bool = False,
    precision: str = "float32",
    activations: str = "float32",
) -> Net:
    """A feed-forward net from `inputs` features to `outputs`; `dropout` acts only where a key is given.

    Raises:
      ValueError: a residual net whose outputs differ from its inputs.
    """
    if residual and inputs != outputs:
        raise ValueError(f"a residual net keeps its width: {inputs} inputs, {outputs} outputs")
    module = MLP(tuple(hidden), outputs, slope, dropout, residual, precision, activations)

    def init(key: jax.Array) -> Params:
        return module.init(key, jnp.zeros((1, inputs), jnp.float32), train=False)["params"]

    def apply(params: Params, x_BxD: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
        rngs = None if dropout_key is None else {"dropout": dropout_key}
        y: Any = module.apply({"params": params}, x_BxD, train=dropout_key is not None, rngs=rngs)
        return y

    return Net(init, apply)


def build_heads(groups: tuple[tuple[int, ...], ...], hidden: tuple[int, ...], **settings: Any) -> Net:
    """A critic with a head for each group of features, whose outputs are averaged: x_BxD -> y_Bx1.

    What a PatchGAN critic (Shilandari 2022) can mean on a vector: each head judges its own part of it.
    """
    heads = [build(len(group), hidden, 1, **settings) for group in groups]

    def init(key: jax.Array) -> Params:
        keys = jax.random.split(key, len(heads))
        return {f"head_{i}": head.init(keys[i]) for i, head in enumerate(heads)}

    def apply(params: Params, x_BxD: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
        parts = [
            head.apply(params[f"head_{i}"], x_BxD[:, jnp.array(group)], dropout_key)
            for i, (head, group) in enumerate(zip(heads, groups, strict=True))
        ]
        return jnp.mean(jnp.stack(parts), axis=0)

    return Net(init, apply)
