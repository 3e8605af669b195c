"""WaveGAN and SpecGAN: generators and critics of waveforms and spectrograms, by strided convolutions.

Sources: Donahue et al. 2019, "Adversarial audio synthesis"; Pham et al. 2021, Tables II and III.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products
from sergan.nets.mlp import Net, Params
from sergan.spectra import BINS, HOP

NOISE = 100  # dimensions of z
KINDS = ("wavegan", "specgan")
# By the samples of a slice: strides of WaveGAN's layers, of the generator from z on, of the critic from x on.
STRIDES = {16384: (4,) * 5, 32768: (4,) * 5 + (2,), 65536: (4,) * 6}
_LAYERS = 5  # of SpecGAN
_SLOPE = 0.2  # of leaky ReLU
_XAVIER = nn.initializers.xavier_uniform()


@dataclass(frozen=True)
class SoundNets:
    """Sizes and choices of a pair of networks; `size` is d of the papers' tables, 64 there."""

    kind: str  # one of KINDS
    samples: int  # of a slice, one of STRIDES
    size: int
    classes: int = 1
    shuffle: int = 2  # n of WaveGAN's phase shuffle; 0: none
    precision: str = "float32"  # of the products, see `products`


class SoundPair(NamedTuple):
    """A generator and its critic, which is high on what is real; B samples, Z = `NOISE`.

    gen.apply(params, z_BxZ, label_B) -> x in [-1, 1], of WaveGAN [B, T, 1], of SpecGAN [B, T, F, 1];
    critic.apply(params, x, label_B, shuffle_key=None) -> score_B. Without a key no phase is shuffled.
    """

    gen: Net
    critic: Net


class Strided(nn.Module):
    """A strided convolution with biases, or its transpose, which makes the sample longer."""

    maps: int
    kernel: tuple[int, ...]
    stride: int
    longer: bool
    precision: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        inner, outer = (self.maps, x.shape[-1]) if self.longer else (x.shape[-1], self.maps)
        kernel = self.param("kernel", _XAVIER, (*self.kernel, inner, outer))
        bias = self.param("bias", nn.initializers.zeros, (self.maps,))
        y = (up if self.longer else down)(x, kernel, self.stride, self.precision)
        return y + bias.reshape((1,) * (y.ndim - 1) + (-1,))


class Generator(nn.Module):
    """Noise and a one-hot class, if there are several, through a dense layer, then longer and longer."""

    config: SoundNets

    @nn.compact
    def __call__(self, z_BxZ: jax.Array, label_B: jax.Array) -> jax.Array:
        config = self.config
        start, kernel, strides = _shape(config)
        widest = config.size * 2 ** (len(strides) - 1)
        label_BxC = jax.nn.one_hot(label_B, config.classes)
        given = jnp.concatenate([z_BxZ, label_BxC], axis=1) if config.classes > 1 else z_BxZ
        h = nn.relu(_dense(math.prod(start) * widest, config)(given)).reshape(len(z_BxZ), *start, widest)
        last = len(strides) - 1
        for i, stride in enumerate(strides):
            maps = 1 if i == last else widest // 2 ** (i + 1)
            h = Strided(maps, kernel, stride, True, config.precision, name=f"up_{i}")(h)
            h = jnp.tanh(h) if i == last else nn.relu(h)
        return h


class Critic(nn.Module):
    """Shorter and shorter, then a dense score for each class, of which the sample's own counts."""

    config: SoundNets

    @nn.compact
    def __call__(self, x: jax.Array, label_B: jax.Array, shuffle_key: jax.Array | None) -> jax.Array:
        config = self.config
        _, kernel, strides = _shape(config)
        h, last = x, len(strides) - 1
        for i, stride in enumerate(strides):
            layer = Strided(config.size * 2**i, kernel, stride, False, config.precision, name=f"down_{i}")
            h = nn.leaky_relu(layer(h), _SLOPE)
            if shuffle_key is not None and config.kind == "wavegan" and i < last:
                h = phase_shuffle(jax.random.fold_in(shuffle_key, i), h, config.shuffle)
        score_BxC = _dense(config.classes, config)(h.reshape(len(x), -1))
        return jnp.sum(score_BxC * jax.nn.one_hot(label_B, config.classes), axis=1)


def _dense(outputs: int, config: SoundNets) -> nn.Dense:
    return products.Dense(outputs, kernel_init=_XAVIER, precision=config.precision)


def build_sound(config: SoundNets) -> SoundPair:
    """The networks of a config: of WaveGAN kernels of 25, of SpecGAN of 5 x 5 with stride 2; no batch norm.

    A longer slice is a sixth layer to WaveGAN, last in both networks, with twice the maps where it is deep;
    to SpecGAN more frames to start from. With several classes the generator is told the class, and the critic
    has a score for each (the papers' networks know no classes).

    Source: Donahue et al. 2019, appendix D; Pham et al. 2021, Tables II and III.
    """
    generator, critic = Generator(config), Critic(config)
    samples = (config.samples, 1) if config.kind == "wavegan" else (config.samples // HOP, BINS, 1)
    label_B = jnp.zeros(1, jnp.int32)

    def init_generator(key: jax.Array) -> Params:
        return generator.init(key, jnp.zeros((1, NOISE)), label_B)["params"]

    def init_critic(key: jax.Array) -> Params:
        return critic.init(key, jnp.zeros((1, *samples)), label_B, None)["params"]

    def generate(params: Params, z_BxZ: jax.Array, label_B: jax.Array) -> jax.Array:
        x: Any = generator.apply({"params": params}, z_BxZ, label_B)
        return x

    def judge(
        params: Params, x: jax.Array, label_B: jax.Array, shuffle_key: jax.Array | None = None
    ) -> jax.Array:
        score_B: Any = critic.apply({"params": params}, x, label_B, shuffle_key)
        return score_B

    return SoundPair(Net(init_generator, generate), Net(init_critic, judge))


def phase_shuffle(key: jax.Array, x_BxTxC: jax.Array, n: int) -> jax.Array:
    """All samples moved by one whole number of places, uniform over -n to n; ends are filled by reflection.

    A positive shift moves them later. Source: Donahue et al. 2019, section 3.3.
    """
    shift = jax.random.randint(key, (), -n, n + 1)
    wide = jnp.pad(x_BxTxC, ((0, 0), (n, n), (0, 0)), mode="reflect")
    return jax.lax.dynamic_slice_in_dim(wide, n - shift, x_BxTxC.shape[1], axis=1)


def _shape(config: SoundNets) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Where the generator starts, the kernel, and the strides of the layers."""
    if config.kind == "wavegan":
        strides = STRIDES[config.samples]
        return (config.samples // math.prod(strides),), (25,), strides
    strides = (2,) * _LAYERS
    return (config.samples // HOP // 2**_LAYERS, BINS // 2**_LAYERS), (5, 5), strides


def patches(x: jax.Array, kernel: tuple[int, ...], stride: int) -> jax.Array:
    """What a kernel sees at every place, as channels: [B, *N, C] -> [B, *N / stride, kernel · C].

    N is one axis or several, each a multiple of the stride, padded with zeros as TensorFlow's SAME does.
    """
    *others, size = kernel
    axis, inputs = len(kernel), x.shape[-1]
    before, after = (size - stride) // 2, size - stride - (size - stride) // 2
    early, late = -(-before // stride), -(-after // stride)  # blocks of `stride` places beside a place's own
    padding = [(0, 0)] * x.ndim
    padding[axis] = (early * stride, late * stride)
    blocks = jnp.pad(x, padding).reshape(*x.shape[:axis], -1, stride * inputs)
    length, first = x.shape[axis] // stride, (early * stride - before) * inputs
    cut = partial(jax.lax.slice_in_dim, blocks, axis=axis)
    wide = jnp.concatenate([cut(i, i + length) for i in range(early + 1 + late)], axis=-1)
    seen = wide[..., first : first + size * inputs]
    return _patches_before(seen, others, stride) if others else seen


def _patches_before(x: jax.Array, kernel: list[int], stride: int) -> jax.Array:
    """The same along the axes before the last, whose patches are channels already."""
    for axis, size in reversed(list(enumerate(kernel, start=1))):
        length, rest = x.shape[axis], size - stride
        padding = [(0, 0)] * x.ndim
        padding[axis] = (rest // 2, rest - rest // 2)
        cut = partial(jax.lax.slice_in_dim, jnp.pad(x, padding), stride=stride, axis=axis)
        x = jnp.concatenate([cut(i, i + length - stride + 1) for i in range(size)], axis=-1)
    return x


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def down(x: jax.Array, kernel: jax.Array, stride: int, precision: str) -> jax.Array:
    """Strided convolution of [B, *N, C] with a kernel [*K, C, maps], to [B, *N / stride, maps]; SAME.

    `down`, `up` and `correlate` are linear in both arguments and each other's gradients, so all gradients of
    any order are products of patches, which is what a CPU does fastest, within a loop too.
    """
    seen = patches(x, kernel.shape[:-2], stride)
    return products.matmul(seen, kernel.reshape(-1, kernel.shape[-1]), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def up(y: jax.Array, kernel: jax.Array, stride: int, precision: str) -> jax.Array:
    """Transpose of `down`: [B, *N, maps] -> [B, *N · stride, C], with the same kernel [*K, C, maps].

    Each place makes `stride` places along each axis at once, from its neighbours on both sides.
    """
    axes = kernel.ndim - 2
    spread = _spread(kernel, stride)
    seen = patches(y, spread.shape[:axes], 1)
    made = products.matmul(seen, spread.reshape(seen.shape[-1], -1), precision)
    split = made.reshape(*y.shape[:-1], *(stride,) * axes, kernel.shape[-2])
    order = [place for axis in range(axes) for place in (1 + axis, 1 + axes + axis)]
    turned = split.transpose(0, *order, split.ndim - 1)
    return turned.reshape(len(y), *(stride * length for length in y.shape[1:-1]), kernel.shape[-2])


def _spread(kernel: jax.Array, stride: int) -> jax.Array:
    """Kernel [*K, C, maps] as [*neighbours, maps, *stride, C]: what a place gets from each neighbour."""
    *sizes, inputs, maps = kernel.shape
    axes, padding, split = len(sizes), [], []
    for size in sizes:
        rest = size - stride
        reach = -(-(rest - rest // 2) // stride)  # neighbours on each side
        early = stride * reach - rest // 2
        padding.append((early, stride * (2 * reach + 1) - early - size))
        split += [2 * reach + 1, stride]
    padded = jnp.pad(kernel, [*padding, (0, 0), (0, 0)])
    neighbours, phases = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
    turned = jnp.flip(padded.reshape(*split, inputs, maps), neighbours)
    return turned.transpose(*neighbours, 2 * axes + 1, *phases, 2 * axes)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def correlate(x: jax.Array, y: jax.Array, kernel: tuple[int, ...], stride: int, precision: str) -> jax.Array:
    """The kernel's gradient [*K, C, maps] from x [B, *N, C] and a slope y [B, *N / stride, maps]."""
    seen = patches(x, kernel, stride)
    made = products.matmul(seen.reshape(-1, seen.shape[-1]).T, y.reshape(-1, y.shape[-1]), precision)
    return made.reshape(*kernel, x.shape[-1], y.shape[-1])


def _kept(function: Callable) -> Callable:
    return lambda a, b, *settings: (function(a, b, *settings), (a, b))


def _down_backward(stride, precision, kept, slope):
    x, kernel = kept
    size = kernel.shape[:-2]
    return up(slope, kernel, stride, precision), correlate(x, slope, size, stride, precision)


def _up_backward(stride, precision, kept, slope):
    y, kernel = kept
    size = kernel.shape[:-2]
    return down(slope, kernel, stride, precision), correlate(slope, y, size, stride, precision)


def _correlate_backward(kernel, stride, precision, kept, slope):
    x, y = kept
    return up(y, slope, stride, precision), down(x, slope, stride, precision)


down.defvjp(_kept(down), _down_backward)
up.defvjp(_kept(up), _up_backward)
correlate.defvjp(_kept(correlate), _correlate_backward)
