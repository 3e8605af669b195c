"""Matrix products in the precision that is asked for, whose derivatives lie in memory as what they belong to.

Of JAX's names for a precision "bfloat16" leaves float32 to a CPU and tensorfloat32 to a GPU; here factors are
rounded to it everywhere, and the result has the type of the first.

JAX's own rule gives the gradient of a matrix transposed. XLA's CPU compiler cannot turn products with a batch
axis around, and every optimiser update then reads its gradient against the grain, which took longer than all
products of a step. The three products below are each other's derivatives, of any order.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def narrow(precision: str, a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, dict[str, Any]]:
    """Two factors as a product takes them, and what else JAX is told, so that the result has a's type."""
    if precision != "bfloat16":
        return a, b, {"precision": precision}
    return a.astype(jnp.bfloat16), b.astype(jnp.bfloat16), {"preferred_element_type": a.dtype}


def matmul(a: jax.Array, b: jax.Array, precision: str) -> jax.Array:
    """`jnp.matmul`, for what is not differentiated."""
    a, b, how = narrow(precision, a, b)
    return jnp.matmul(a, b, **how)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def ab(a_BxD: jax.Array, b_DxH: jax.Array, precision: str) -> jax.Array:
    """a · b, [B, H]."""
    return _product(a_BxD, b_DxH, (1, 0), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def abt(a_BxH: jax.Array, b_DxH: jax.Array, precision: str) -> jax.Array:
    """a · bᵀ, [B, D]."""
    return _product(a_BxH, b_DxH, (1, 1), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def atb(a_BxD: jax.Array, b_BxH: jax.Array, precision: str) -> jax.Array:
    """aᵀ · b, [D, H]."""
    return _product(a_BxD, b_BxH, (0, 0), precision)


def _product(a: jax.Array, b: jax.Array, axes: tuple[int, int], precision: str) -> jax.Array:
    """Sums over one axis of each."""
    a, b, how = narrow(precision, a, b)
    return jax.lax.dot_general(a, b, (((axes[0],), (axes[1],)), ((), ())), **how)


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


def dense(x: jax.Array, kernel_DxH: jax.Array, precision: str) -> jax.Array:
    """x · kernel, [..., H], of x [..., D]."""
    return ab(x.reshape(-1, x.shape[-1]), kernel_DxH, precision).reshape(*x.shape[:-1], kernel_DxH.shape[-1])


def dot_general(x: jax.Array, kernel_DxH: jax.Array, dimensions: Any, precision: str) -> jax.Array:
    """`dense`, as flax's Dense calls it."""
    assert dimensions == (((x.ndim - 1,), (0,)), ((), ()))
    return dense(x, kernel_DxH, precision)


Dense = partial(nn.Dense, dot_general=dot_general)
