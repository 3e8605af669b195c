"""Products against JAX's own, to the second derivative, and how their gradients lie in memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan.nets import products


def ours(x, kernel_DxH):
    return products.dense(x, kernel_DxH, "float32")


def jaxs(x, kernel_DxH):
    return jnp.matmul(x, kernel_DxH, precision="float32")


def network(dot):
    """Scores of rows [..., D] by two layers of kernels {"in": [D, H], "out": [H, 1]}."""

    def apply(kernels, x):
        return dot(jnp.tanh(dot(x, kernels["in"])), kernels["out"])[..., 0]

    return apply


@pytest.fixture
def kernels_x():
    keys = jax.random.split(jax.random.key(0), 3)
    kernels = {"in": jax.random.normal(keys[0], (3, 7, 5)), "out": jax.random.normal(keys[1], (3, 5, 1))}
    return kernels, jax.random.normal(keys[2], (3, 4, 7))


def slope(apply):
    """The squared gradient of each row's score: what a penalty on the critic takes."""

    def penalty(kernels, x):
        return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(apply(kernels, x)))(x)))

    return penalty


@pytest.mark.parametrize("loss", [lambda apply: lambda k, x: jnp.sum(apply(k, x) ** 2), slope])
def test_values_gradients_and_gradients_of_gradients_are_jaxs_own(kernels_x, loss):
    mine, theirs = (
        jax.vmap(jax.value_and_grad(loss(network(dot)), argnums=(0, 1)))(*kernels_x) for dot in (ours, jaxs)
    )
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_rows_may_have_several_axes(kernels_x):
    kernels, x = kernels_x
    one = jax.tree.map(lambda kernel: kernel[0], kernels)
    together = network(ours)(one, x)
    alone = jnp.stack([network(ours)(one, rows) for rows in x])
    np.testing.assert_allclose(
        together, alone, rtol=2e-5, atol=1e-6
    )  # products of other shapes are summed otherwise


def test_a_gradient_of_many_networks_is_not_turned_round(kernels_x):
    def turns(dot):
        gradient = jax.jit(jax.vmap(jax.grad(lambda k, x: jnp.sum(network(dot)(k, x) ** 2))))
        text = gradient.lower(*kernels_x).as_text()
        return [line for line in text.splitlines() if "transpose" in line and "-> tensor<3x7x5xf32>" in line]

    assert not turns(ours)
    assert turns(jaxs)
