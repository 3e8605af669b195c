"""Convolutional CycleGANs of spectrograms: shapes, identity, sizes, slopes, independence of rows."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import losses, nets
from sergan.nets.spectral import Layer

SHAPE, MAPS = (16, 8), (3, 5)
X = jax.random.normal(jax.random.key(1), (4, 128))


@lru_cache  # compiled once
def generator(maps=MAPS, **settings):
    return nets.Net(*map(jax.jit, nets.build_spectral_generator(SHAPE, maps, **settings)))


@lru_cache
def critic(maps=MAPS, **settings):
    return nets.Net(*map(jax.jit, nets.build_spectral_critic(SHAPE, maps, **settings)))


def size(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(("maps", "halving"), [((3,), 48), ((3, 5), 48 + 240), ((2, 4, 6), 32 + 128 + 384)])
def test_shapes_and_sizes(maps, halving):
    """Kernels of 16 places times the maps on both sides, the same up as down, and biases."""
    gen, judge = generator(maps), critic(maps)
    params = jax.eval_shape(gen.init, jax.random.key(0))
    assert jax.eval_shape(gen.apply, params, X).shape == X.shape
    assert size(params) == 2 * halving + sum(maps) + sum(maps[:-1]) + 1
    params = jax.eval_shape(judge.init, jax.random.key(0))
    assert jax.eval_shape(judge.apply, params, X).shape == (4, 1)
    left = 128 // 4 ** len(maps) * maps[-1]
    assert size(params) == halving + sum(maps) + left + 1
    assert nets.spectral_values((16, 8), (3,)) == 32 * (3 + 16)


@pytest.mark.parametrize("build", [nets.build_spectral_generator, nets.build_spectral_critic])
def test_a_shape_is_halved_as_often_as_it_can_be(build):
    assert nets.halvings((128, 40)) == 3 and nets.halvings((16, 8)) == 3 and nets.halvings((5, 4)) == 0
    for maps in ((), (2, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"can be halved 1 to 3 times"):
            build(SHAPE, maps)


def test_an_untrained_residual_generator_is_the_identity_and_can_learn():
    gen = generator(residual=True)
    params = gen.init(jax.random.key(0))
    np.testing.assert_array_equal(gen.apply(params, X), X)
    slopes = jax.jit(jax.grad(lambda p: jnp.sum(jnp.square(gen.apply(p, X) - 1))))(params)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes)) > 0.1
    plain = generator()
    assert not np.allclose(plain.apply(plain.init(jax.random.key(0)), X), X, atol=0.1)


def test_a_row_is_frame_after_frame_and_its_effect_is_local():
    """A change at frame 0, filter 7 reaches what two halvings see of it, and nothing further."""
    gen = generator()
    params = gen.init(jax.random.key(0))
    moved = gen.apply(params, X.at[:, 7].add(1.0)) - gen.apply(params, X)
    reached_TxF = np.abs(np.asarray(moved)).max(axis=0).reshape(SHAPE) > 1e-6
    assert reached_TxF[0, 7] and not reached_TxF[10:].any()


def test_the_penalty_and_its_gradient_are_finite_and_those_of_single_samples():
    judge = critic()
    params = judge.init(jax.random.key(0))

    def penalty(params):
        return losses.divergence_penalty(lambda x: judge.apply(params, x)[:, 0], X, 2.0, 6.0)

    value, slopes = jax.jit(jax.value_and_grad(penalty))(params)
    assert value > 0 and all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slopes))
    slope = jax.jit(jax.grad(lambda x: judge.apply(params, x[None])[0, 0]))
    alone = [np.linalg.norm(slope(x)) ** 6 for x in X]
    np.testing.assert_allclose(value, 2 * np.mean(alone), rtol=1e-5)


def test_rows_alone_are_rows_of_a_batch_and_members_alone_members_of_many():
    keys = jax.random.split(jax.random.key(2), 3)
    for net in (generator(), critic()):
        together = jax.jit(jax.vmap(lambda key, net=net: net.apply(net.init(key), X)))(keys)
        for m, key in enumerate(keys):
            params = net.init(key)
            for b in range(len(X)):
                alone = net.apply(params, X[b : b + 1])[0]
                np.testing.assert_allclose(together[m, b], alone, atol=1e-5)


def test_dropout_acts_where_a_key_is_given():
    gen = generator((3,), dropout=0.5)
    params = gen.init(jax.random.key(0))
    np.testing.assert_array_equal(gen.apply(params, X), gen.apply(params, X))
    assert not np.allclose(gen.apply(params, X, jax.random.key(3)), gen.apply(params, X))


@pytest.mark.parametrize("build", [generator, critic])
def test_narrow_activations_leave_parameters_and_outputs_in_float32(build):
    net, exact = build(activations="bfloat16"), build()
    params = net.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}
    narrow = net.apply(params, X)
    assert narrow.dtype == jnp.float32 and not np.array_equal(narrow, exact.apply(params, X))
    np.testing.assert_allclose(narrow, exact.apply(params, X), atol=0.1)
    slopes = jax.jit(jax.grad(lambda p: jnp.sum(net.apply(p, X))))(params)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slopes))


def test_a_layer_is_jaxs_own_convolution():
    layer = Layer(3, False, False, "float32", "float32")
    x = jax.random.normal(jax.random.key(0), (2, 8, 6, 2))
    params = jax.jit(layer.init)(jax.random.key(1), x)
    theirs = jax.lax.conv_general_dilated(
        x, params["params"]["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(jax.jit(layer.apply)(params, x), theirs, atol=1e-5)
