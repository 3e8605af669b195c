"""Two-dimensional convolution and pooling, as fast within `lax.scan` as outside."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products

_CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


class Convolution(nn.Module):
    """A convolution with stride 1 and biases; the same dilation in time and frequency."""

    maps: int
    kernel: tuple[int, int]
    dilation: int
    padding: str  # "SAME" or "VALID"
    precision: str

    @nn.compact
    def __call__(self, x_BxTxFxC: jax.Array) -> jax.Array:
        shape = (*self.kernel, x_BxTxFxC.shape[-1], self.maps)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.maps,))
        reach = [(size - 1) * self.dilation for size in self.kernel]
        same = tuple((total // 2, total - total // 2) for total in reach)
        padding = same if self.padding == "SAME" else ((0, 0), (0, 0))
        y = convolve(x_BxTxFxC, kernel, self.dilation, padding, self.precision)
        return y + bias[None, None, None]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(
    x_BxTxFxC: jax.Array,
    kernel: jax.Array,
    dilation: int,
    padding: tuple[tuple[int, int], tuple[int, int]],
    precision: str,
) -> jax.Array:
    """Convolution of [B, T, F, C] with a kernel [T, F, C, maps]; `padding`: before and after, in T and in F.

    Both its gradients are convolutions with channels last, too. Those that JAX makes are not, and within a
    loop on a CPU such run in plain loops, a hundred times slower.
    """
    shape = {"window_strides": (1, 1), "padding": padding, "rhs_dilation": (dilation, dilation)}
    return _convolution(x_BxTxFxC, kernel, precision, **shape)


def _convolution(x: jax.Array, kernel: jax.Array, precision: str, **shape: Any) -> jax.Array:
    """Channels last. In bfloat16 the result is rounded, too: a GPU has no other for such factors."""
    narrow_x, narrow_kernel, how = products.narrow(precision, x, kernel)
    how.pop("preferred_element_type", None)
    made = jax.lax.conv_general_dilated(
        narrow_x, narrow_kernel, dimension_numbers=_CHANNELS_LAST, **shape, **how
    )
    return made.astype(x.dtype)


def _convolve_forward(x, kernel, dilation, padding, precision):
    return convolve(x, kernel, dilation, padding, precision), (x, kernel)


def _convolve_backward(dilation, padding, precision, kept, slope):
    x, kernel = kept
    rest = tuple(
        ((size - 1) * dilation - before, (size - 1) * dilation - after)
        for size, (before, after) in zip(kernel.shape[:2], padding, strict=True)
    )
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    slope_x = convolve(slope, turned, dilation, rest, precision)
    slope_kernel = _convolution(
        x.transpose(3, 1, 2, 0),  # channels as rows, rows as channels
        slope.transpose(1, 2, 0, 3),
        precision,
        window_strides=(dilation, dilation),
        padding=padding,
    )
    return slope_x, slope_kernel.transpose(1, 2, 0, 3)


convolve.defvjp(_convolve_forward, _convolve_backward)


def max_pool(x_BxTxFxC: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Largest values of windows side by side; what is left over at the ends is dropped."""
    batch, steps, filters, maps = x_BxTxFxC.shape
    t, f = steps // size[0], filters // size[1]
    whole = x_BxTxFxC[:, : t * size[0], : f * size[1]]
    return jnp.max(whole.reshape(batch, t, size[0], f, size[1], maps), axis=(2, 4))
