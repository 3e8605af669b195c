"""Adam against optax, and the freezing of a diverged member."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sergan import adam

PARAMS = {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}
SETTINGS = (0.5, 0.9, 1e-6)


def gradients(seed):
    keys = jax.random.split(jax.random.key(seed), 2)
    return {"kernel": jax.random.normal(keys[0], (2, 3)), "bias": jax.random.normal(keys[1], (3,))}


def test_it_goes_where_optax_goes():
    ours, moments = PARAMS, adam.init(PARAMS)
    reference = optax.adam(0.01, *SETTINGS)
    theirs, state = PARAMS, reference.init(PARAMS)
    for seed in range(5):
        grads = gradients(seed)
        ours, moments = adam.update(ours, moments, grads, jnp.float32(0.01), jnp.bool_(True), *SETTINGS)
        updates, state = reference.update(grads, state)
        theirs = optax.apply_updates(theirs, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), ours, theirs)
    assert moments.updates == 5


def test_a_member_that_is_not_finite_stays_as_it_is():
    params, moments = adam.update(
        PARAMS, adam.init(PARAMS), gradients(0), jnp.float32(0.01), jnp.bool_(True), *SETTINGS
    )
    lost = jax.tree.map(lambda g: g * jnp.nan, gradients(1))
    frozen, still = adam.update(params, moments, lost, jnp.float32(0.01), jnp.bool_(False), *SETTINGS)
    jax.tree.map(np.testing.assert_array_equal, (frozen, still), (params, moments))
