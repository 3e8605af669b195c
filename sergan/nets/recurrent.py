"""LSTM layers over time, plain or dilated."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products

_UNROLLED = 4  # steps in a turn of the loops over time


class DilatedLSTM(nn.Module):
    """An LSTM whose state at t comes from t - dilation (Chang et al. 2017).

    That is one LSTM over `dilation` interleaved subsequences, which run here as so many times more rows.
    """

    units: int
    dilation: int
    precision: str

    @nn.compact
    def __call__(self, x_TxBxD: jax.Array) -> jax.Array:
        """Outputs [T, B, units] of all steps; the state before the first is 0."""
        steps, batch, width = x_TxBxD.shape
        inputs = self.param("input", nn.initializers.xavier_uniform(), (width, 4 * self.units))
        recurrent = self.param("recurrent", nn.initializers.orthogonal(), (self.units, 4 * self.units))
        bias = self.param("bias", _forget_one, (4 * self.units,))
        gates = products.dense(x_TxBxD, inputs, self.precision) + bias[None, None]
        more = -steps % self.dilation
        gates = jnp.pad(gates, ((0, more), (0, 0), (0, 0))).reshape(-1, self.dilation * batch, 4 * self.units)
        h = lstm(gates, recurrent, self.precision)
        return h.reshape(steps + more, batch, self.units)[:steps]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def lstm(gates_TxBxG: jax.Array, recurrent_HxG: jax.Array, precision: str) -> jax.Array:
    """Outputs [T, B, H] of an LSTM from what its inputs give the gates G = 4 H (input, forget, cell, output).

    The gradient of the recurrent matrix is one product after the backward pass, not a sum over its steps.
    """
    return _run(gates_TxBxG, recurrent_HxG, precision)[0]


def _run(gates_TxBxG, recurrent_HxG, precision):
    """Outputs, cells and opened gates of all steps."""
    zeros = jnp.zeros((gates_TxBxG.shape[1], len(recurrent_HxG)), gates_TxBxG.dtype)

    def step(state, own_BxG):
        cell, h = state
        given = own_BxG + products.matmul(h, recurrent_HxG, precision)
        i, f, g, o = jnp.split(given, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        cell = f * cell + i * g
        h = o * jnp.tanh(cell)
        return (cell, h), (h, cell, jnp.concatenate([i, f, g, o], axis=-1))

    return jax.lax.scan(step, (zeros, zeros), gates_TxBxG, unroll=_UNROLLED)[1]


def _lstm_forward(gates_TxBxG, recurrent_HxG, precision):
    h_TxBxH, cell_TxBxH, open_TxBxG = _run(gates_TxBxG, recurrent_HxG, precision)
    return h_TxBxH, (recurrent_HxG, h_TxBxH, cell_TxBxH, open_TxBxG)


def _lstm_backward(precision, kept, slope_TxBxH):
    recurrent_HxG, h_TxBxH, cell_TxBxH, open_TxBxG = kept
    before_TxBxH = jnp.pad(cell_TxBxH[:-1], ((1, 0), (0, 0), (0, 0)))
    zeros = jnp.zeros_like(slope_TxBxH[0])

    i, f, g, o = jnp.split(open_TxBxG, 4, axis=-1)
    squashed = jnp.tanh(cell_TxBxH)
    through_cell = jnp.concatenate([g * i * (1 - i), before_TxBxH * f * (1 - f), i * (1 - g**2)], axis=-1)

    def step(state, own):
        slope_cell, slope_h = state
        slope, to_cell, to_output, forget, to_gates = own
        slope_h = slope_h + slope
        slope_cell = slope_cell + slope_h * to_cell
        given = jnp.concatenate([jnp.tile(slope_cell, 3) * to_gates, slope_h * to_output], axis=-1)
        return (slope_cell * forget, products.matmul(given, turned_GxH, precision)), given

    turned_GxH = recurrent_HxG.T
    steps = (slope_TxBxH, o * (1 - squashed**2), squashed * o * (1 - o), f, through_cell)
    slope_gates_TxBxG = jax.lax.scan(step, (zeros, zeros), steps, reverse=True, unroll=_UNROLLED)[1]
    before_RxH, slope_RxG = (x.reshape(-1, x.shape[-1]) for x in (h_TxBxH[:-1], slope_gates_TxBxG[1:]))
    slope_recurrent_HxG = products.atb(before_RxH, slope_RxG, precision)
    return slope_gates_TxBxG, slope_recurrent_HxG


lstm.defvjp(_lstm_forward, _lstm_backward)


def _forget_one(key, shape, dtype=jnp.float32):
    """Biases of 0, but 1 for the forget gate, so that cells remember at the start."""
    return jnp.zeros(shape, dtype).at[shape[0] // 4 : shape[0] // 2].set(1)
