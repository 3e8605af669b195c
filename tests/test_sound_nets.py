"""WaveGAN's and SpecGAN's networks against JAX's own convolutions and the papers' tables; phase shuffle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import nets
from sergan.nets.sound import STRIDES, correlate, down, up

LAYERS = [
    ((2, 64, 3), (25, 3, 5), 4),
    ((2, 32, 3), (25, 3, 5), 2),
    ((2, 12, 8, 3), (5, 5, 3, 4), 2),
]
SETTINGS = [(kind, samples) for kind in ("wavegan", "specgan") for samples in STRIDES]


def jaxs_down(x, kernel, stride):
    axes = x.ndim - 2
    names = ("NWC", "WIO", "NWC") if axes == 1 else ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,) * axes, "SAME", dimension_numbers=names)


def jaxs_up(y, kernel, stride):
    longer = (len(y), *(stride * length for length in y.shape[1:-1]), kernel.shape[-2])
    shorter = jax.linear_transpose(lambda x: jaxs_down(x, kernel, stride), jnp.zeros(longer))
    return shorter(y)[0]


def drawn(shape, kernel):
    return jax.random.normal(jax.random.key(0), shape), jax.random.normal(jax.random.key(1), kernel)


def quick(function):
    """Compiled in little time, to run in more."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def small(kind="wavegan", samples=16384, **more):
    return nets.SoundNets(kind, samples, **{"size": 4, "classes": 2, **more})


@pytest.mark.parametrize(("shape", "kernel", "stride"), LAYERS)
def test_a_strided_convolution_and_its_gradients_are_jaxs(shape, kernel, stride):
    def all_of(convolution):
        slopes = jax.grad(lambda x, k: jnp.sum(jnp.sin(convolution(x, k, stride))), (0, 1))
        return quick(lambda x, k: (convolution(x, k, stride), *slopes(x, k)))(*drawn(shape, kernel))

    ours = all_of(lambda x, k, s: down(x, k, s, "float32"))
    for a, b in zip(ours, all_of(jaxs_down), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("shape", "kernel", "stride"), LAYERS)
def test_a_transposed_convolution_and_its_gradients_are_jaxs(shape, kernel, stride):
    shorter = (shape[0], *(length // stride for length in shape[1:-1]), kernel[-1])

    def all_of(convolution):
        slopes = jax.grad(lambda x, k: jnp.sum(jnp.sin(convolution(x, k, stride))), (0, 1))
        return quick(lambda x, k: (convolution(x, k, stride), *slopes(x, k)))(*drawn(shorter, kernel))

    ours = all_of(lambda y, k, s: up(y, k, s, "float32"))
    assert ours[0].shape == shape
    for a, b in zip(ours, all_of(jaxs_up), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("shape", "kernel", "stride"), LAYERS)
def test_the_gradient_of_a_gradient_penalty_is_jaxs(shape, kernel, stride):
    x, first = drawn(shape, kernel)
    second = jax.random.normal(jax.random.key(2), (*kernel[:-2], kernel[-1], 2))

    def penalty(convolution):
        def score(x, kernels):
            h = jnp.tanh(0.1 * convolution(x, kernels[0], stride))
            return jnp.sum(jnp.tanh(0.1 * convolution(h, kernels[1], stride)))

        def loss(kernels, x):
            return jnp.sum(jnp.square(jax.grad(score)(x, kernels)))

        return quick(jax.grad(loss, (0, 1)))([first, second], x)

    ours = penalty(lambda x, k, s: down(x, k, s, "float32"))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(penalty(jaxs_down)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("shape", "kernel", "stride"), LAYERS)
def test_a_kernels_gradient_has_jaxs_gradients(shape, kernel, stride):
    x, first = drawn(shape, kernel)
    y = jaxs_down(x, first, stride)

    def jaxs(x, y):
        return jax.grad(lambda kernel: jnp.sum(y * jaxs_down(x, kernel, stride)))(first)

    def all_of(correlation):
        slopes = jax.grad(lambda x, y: jnp.sum(jnp.sin(0.01 * correlation(x, y))), (0, 1))
        return quick(lambda x, y: (correlation(x, y), *slopes(x, y)))(x, y)

    ours = all_of(lambda x, y: correlate(x, y, kernel[:-2], stride, "float32"))
    for a, b in zip(ours, all_of(jaxs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("kind", "samples"), SETTINGS)
def test_a_slice_of_any_length_has_its_shape(kind, samples):
    pair = nets.build_sound(small(kind, samples))
    shape = (samples, 1) if kind == "wavegan" else (samples // 128, 128, 1)
    gen, critic = (jax.eval_shape(net.init, jax.random.key(0)) for net in pair)
    label = jax.ShapeDtypeStruct((3,), jnp.int32)
    z = jax.ShapeDtypeStruct((3, 100), jnp.float32)
    made = jax.eval_shape(pair.gen.apply, gen, z, label)
    assert made.shape == (3, *shape)
    assert jax.eval_shape(pair.critic.apply, critic, made, label, jax.random.key(0)).shape == (3,)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("kind", ["wavegan", "specgan"])
def test_the_papers_sizes(kind):
    """Tables II and III with d = 64, where a kernel of 5 x 5 has as many weights as one of 25."""
    d = 64
    pair = nets.build_sound(nets.SoundNets(kind, 16384, d))
    gen, critic = (jax.eval_shape(net.init, jax.random.key(0)) for net in pair)
    layers = [(1, d), (d, 2 * d), (2 * d, 4 * d), (4 * d, 8 * d), (8 * d, 16 * d)]
    weights = sum(25 * a * b for a, b in layers)
    assert count(gen) == 100 * 256 * d + 256 * d + weights + (8 + 4 + 2 + 1) * d + 1
    assert count(critic) == weights + (1 + 2 + 4 + 8 + 16) * d + 256 * d + 1
    assert gen["up_0"]["kernel"].shape[-2:] == (8 * d, 16 * d)


def test_a_longer_slice_has_a_sixth_layer_last_in_both_networks():
    assert STRIDES[32768] == (4, 4, 4, 4, 4, 2)
    pair = nets.build_sound(small(samples=32768))
    gen, critic = (jax.eval_shape(net.init, jax.random.key(0)) for net in pair)
    assert gen["up_0"]["kernel"].shape == (25, 64, 128)
    assert gen["up_5"]["kernel"].shape == (25, 1, 4)
    assert critic["down_5"]["kernel"].shape == (25, 64, 128)


@pytest.fixture(scope="module")
def wavegan():
    pair = nets.build_sound(small())
    gen, critic = quick(lambda key: (pair.gen.init(key), pair.critic.init(key)))(jax.random.key(0))
    return gen, critic, quick(pair.gen.apply), quick(pair.critic.apply)


def test_a_class_changes_what_is_made_and_how_it_is_judged(wavegan):
    gen, critic, make, judge = wavegan
    z = jnp.broadcast_to(jax.random.uniform(jax.random.key(1), (1, 100)), (3, 100))
    label = jnp.array([0, 1, 0])
    x = make(gen, z, label)
    assert jnp.abs(x).max() <= 1
    assert jnp.abs(x[0] - x[1]).max() > 1e-4
    score = judge(critic, jnp.broadcast_to(x[:1], x.shape), label, jax.random.key(0))
    assert jnp.abs(score[0] - score[1]) > 1e-6
    np.testing.assert_allclose(score[0], score[2], rtol=1e-5)


def test_samples_of_a_batch_are_judged_alone_and_shuffled_alike(wavegan):
    _, critic, _, judge = wavegan
    x = jax.random.uniform(jax.random.key(2), (3, 16384, 1), minval=-1, maxval=1)
    label = jnp.array([0, 1, 0])
    score = judge(critic, x, label, jax.random.key(5))
    turned = judge(critic, x[::-1], label[::-1], jax.random.key(5))
    np.testing.assert_allclose(turned[::-1], score, rtol=1e-4)
    assert jnp.abs(score - judge(critic, x, label, jax.random.key(6))).min() > 0


def test_every_shift_is_equally_likely():
    x = jnp.arange(20.0)[None, :, None]
    keys = jax.random.split(jax.random.key(0), 4000)
    first = jax.vmap(lambda key: nets.phase_shuffle(key, x, 2)[0, 10, 0])(keys)
    shift, times = np.unique(10 - np.asarray(first), return_counts=True)
    assert shift.tolist() == [-2, -1, 0, 1, 2]
    assert np.abs(times - 800).max() < 5 * np.sqrt(4000 * 0.2 * 0.8)


def test_a_shuffled_sample_is_reflected_at_its_ends():
    x = jnp.arange(12.0).reshape(2, 6, 1)
    moved = quick(jax.vmap(lambda key: nets.phase_shuffle(key, x, 2)))(
        jax.random.split(jax.random.key(0), 40)
    )
    seen = {tuple(np.ravel(one[0]).tolist()) for one in moved}
    by_hand = {
        (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
        (1.0, 0.0, 1.0, 2.0, 3.0, 4.0),
        (2.0, 1.0, 0.0, 1.0, 2.0, 3.0),
        (1.0, 2.0, 3.0, 4.0, 5.0, 4.0),
        (2.0, 3.0, 4.0, 5.0, 4.0, 3.0),
    }
    assert seen == by_hand
    np.testing.assert_array_equal(moved[:, 1] - moved[:, 0], np.full((40, 6, 1), 6.0))
    np.testing.assert_array_equal(nets.phase_shuffle(jax.random.key(0), x, 0), x)
