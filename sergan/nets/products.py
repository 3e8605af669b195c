"""Matrix products whose derivatives lie in memory as what they belong to.

JAX's own rule gives the gradient of a matrix transposed. XLA's CPU compiler cannot turn products with a batch
axis around, and every optimiser update then reads its gradient against the grain, which took longer than all
products of a step. The three products below are each other's derivatives, of any order.
"""

from functools import partial
from typing import Any

import jax


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def ab(a_BxD: jax.Array, b_DxH: jax.Array, precision: Any) -> jax.Array:
    """a · b, [B, H]."""
    return jax.lax.dot_general(a_BxD, b_DxH, (((1,), (0,)), ((), ())), precision=precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def abt(a_BxH: jax.Array, b_DxH: jax.Array, precision: Any) -> jax.Array:
    """a · bᵀ, [B, D]."""
    return jax.lax.dot_general(a_BxH, b_DxH, (((1,), (1,)), ((), ())), precision=precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def atb(a_BxD: jax.Array, b_BxH: jax.Array, precision: Any) -> jax.Array:
    """aᵀ · b, [D, H]."""
    return jax.lax.dot_general(a_BxD, b_BxH, (((0,), (0,)), ((), ())), precision=precision)


ab.defvjp(
    lambda a, b, precision: (ab(a, b, precision), (a, b)),
    lambda precision, ab_, g_BxH: (abt(g_BxH, ab_[1], precision), atb(ab_[0], g_BxH, precision)),
)
abt.defvjp(
    lambda a, b, precision: (abt(a, b, precision), (a, b)),
    lambda precision, ab_, g_BxD: (ab(g_BxD, ab_[1], precision), atb(g_BxD, ab_[0], precision)),
)
atb.defvjp(
    lambda a, b, precision: (atb(a, b, precision), (a, b)),
    lambda precision, ab_, g_DxH: (abt(ab_[1], g_DxH, precision), ab(ab_[0], g_DxH, precision)),
)


def dot_general(x: jax.Array, kernel_DxH: jax.Array, dimensions: Any, precision: Any = None) -> jax.Array:
    """What flax's Dense calls: the last axis of x with the first of the kernel."""
    assert dimensions == (((x.ndim - 1,), (0,)), ((), ()))
    return ab(x.reshape(-1, x.shape[-1]), kernel_DxH, precision).reshape(*x.shape[:-1], kernel_DxH.shape[-1])
