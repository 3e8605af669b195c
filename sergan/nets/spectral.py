"""Generators and critics of spectrograms in rows, by strided convolutions: transfer keeps time and pitch.

Strided convolutions as products of patches, see `sound`, with kernels of 4 x 4 at stride 2, which see each
place equally often.
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products
from sergan.nets.mlp import Net, Params
from sergan.nets.sound import down, up

_KERNEL = (4, 4)
_STRIDE = 2
_XAVIER = nn.initializers.xavier_uniform()


class Layer(nn.Module):
    """Half as long and high, or with `longer` twice; with `zero` 0 at the start."""

    maps: int
    longer: bool
    zero: bool
    precision: str  # of the products, see `products`
    activations: str  # their type

    @nn.compact
    def __call__(self, x_BxTxFxC: jax.Array) -> jax.Array:
        given = x_BxTxFxC.shape[-1]
        ends = (self.maps, given) if self.longer else (given, self.maps)
        kernel = self.param("kernel", nn.initializers.zeros if self.zero else _XAVIER, (*_KERNEL, *ends))
        bias = self.param("bias", nn.initializers.zeros, (self.maps,))
        x, kernel, bias = (part.astype(self.activations) for part in (x_BxTxFxC, kernel, bias))
        return (up if self.longer else down)(x, kernel, _STRIDE, self.precision) + bias[None, None, None]


class Generator(nn.Module):
    """A spectrogram, shorter and shorter, then longer again, to one of its own shape.

    With `residual` the output is x + f(x), and f is 0 at the start.
    """

    shape: tuple[int, int]
    maps: tuple[int, ...]
    slope: float
    dropout: float
    residual: bool
    precision: str
    activations: str

    @nn.compact
    def __call__(self, x_BxD: jax.Array, train: bool) -> jax.Array:
        layer = partial(Layer, precision=self.precision, activations=self.activations)
        h = x_BxD.reshape(-1, *self.shape, 1)
        steps = [(maps, False) for maps in self.maps] + [(maps, True) for maps in self.maps[-2::-1]]
        for maps, longer in steps:
            h = nn.leaky_relu(layer(maps, longer, False)(h), self.slope)
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
        y_BxD = layer(1, True, self.residual)(h).astype(jnp.float32).reshape(x_BxD.shape)
        return x_BxD + y_BxD if self.residual else y_BxD


class Critic(nn.Module):
    """A spectrogram, shorter and shorter, then a dense score; twice differentiable, samples are alone."""

    shape: tuple[int, int]
    maps: tuple[int, ...]
    slope: float
    precision: str
    activations: str

    @nn.compact
    def __call__(self, x_BxD: jax.Array) -> jax.Array:
        h = x_BxD.reshape(-1, *self.shape, 1)
        for maps in self.maps:
            h = nn.leaky_relu(Layer(maps, False, False, self.precision, self.activations)(h), self.slope)
        dtype = jnp.dtype(self.activations)
        dense = products.Dense(1, kernel_init=_XAVIER, dtype=dtype, precision=self.precision)
        return dense(h.reshape(len(x_BxD), -1)).astype(jnp.float32)


def build_spectral_generator(
    shape: tuple[int, int],
    maps: tuple[int, ...],
    *,
    slope: float = 0.2,
    dropout: float = 0.0,
    residual: bool = False,
    precision: str = "float32",
    activations: str = "float32",
) -> Net:
    """A net from rows of spectrograms to such rows, x_BxD with D = frames · filters, frame after frame.

    `maps` are those of each halving; as many doublings follow. `dropout` acts only where a key is given.

    Raises:
      ValueError: no maps, or a shape that cannot be halved as often.
    """
    _check(shape, maps)
    module = Generator(shape, tuple(maps), slope, dropout, residual, precision, activations)

    def init(key: jax.Array) -> Params:
        return module.init(key, jnp.zeros((1, math.prod(shape))), train=False)["params"]

    def apply(params: Params, x_BxD: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
        rngs = None if dropout_key is None else {"dropout": dropout_key}
        y_BxD: Any = module.apply({"params": params}, x_BxD, train=dropout_key is not None, rngs=rngs)
        return y_BxD

    return Net(init, apply)


def build_spectral_critic(
    shape: tuple[int, int],
    maps: tuple[int, ...],
    *,
    slope: float = 0.2,
    precision: str = "float32",
    activations: str = "float32",
) -> Net:
    """A net from rows of spectrograms to a score each, x_BxD -> y_Bx1; raises as the generator's does."""
    _check(shape, maps)
    module = Critic(shape, tuple(maps), slope, precision, activations)

    def init(key: jax.Array) -> Params:
        return module.init(key, jnp.zeros((1, math.prod(shape))))["params"]

    def apply(params: Params, x_BxD: jax.Array) -> jax.Array:
        y_Bx1: Any = module.apply({"params": params}, x_BxD)
        return y_Bx1

    return Net(init, apply)


def spectral_values(shape: tuple[int, ...], maps: tuple[int, ...]) -> int:
    """Numbers that halving layers hold for a sample: the maps' places, and the patches they are made of."""
    held, given = 0, 1
    for depth, own in enumerate(maps, start=1):
        places = math.prod(shape) // _STRIDE ** (2 * depth)
        held += places * (own + math.prod(_KERNEL) * given)
        given = own
    return held


def halvings(shape: tuple[int, ...]) -> int:
    """How often frames and filters can both be halved."""
    sides = math.gcd(*shape)
    return (sides & -sides).bit_length() - 1


def _check(shape: tuple[int, int], maps: tuple[int, ...]) -> None:
    if not 1 <= len(maps) <= halvings(shape):
        raise ValueError(f"{len(maps)} layers for {shape}, which can be halved 1 to {halvings(shape)} times")
