"""The convolutional-recurrent networks and their parts, against plain loops and JAX's own."""

from dataclasses import replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import nets
from sergan.nets.convolution import convolve, max_pool
from sergan.nets.recurrent import DilatedLSTM, lstm

SMALL = {"frames": 40, "filters": 16, "first": 4, "maps": 4, "linear": 8, "units": 6}


def config(variant="adcrnn", **more):
    small = {**nets.VARIANTS[variant], **SMALL}
    return nets.AdcrnnConfig(3, **{"embedding": 5, **small, **more})


def segments(count=4, frames=40, filters=16):
    return jax.random.normal(jax.random.key(1), (count, frames, filters, 3))


def looped(params, x_TxBxD, dilation):
    """A dilated LSTM as its equations say, one row and one moment at a time."""
    steps, batch, _ = x_TxBxD.shape
    units = params["recurrent"].shape[0]
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    h, cell = np.zeros((2, steps, batch, units))
    for t in range(steps):
        before = (h[t - dilation], cell[t - dilation]) if t >= dilation else np.zeros((2, batch, units))
        gates = x_TxBxD[t] @ params["input"] + before[0] @ params["recurrent"] + params["bias"]
        i, f, g, o = np.split(gates, 4, axis=-1)
        cell[t] = sigmoid(f) * before[1] + sigmoid(i) * np.tanh(g)
        h[t] = sigmoid(o) * np.tanh(cell[t])
    return h


@pytest.mark.parametrize(("steps", "dilation"), [(7, 1), (7, 2), (8, 2), (5, 3), (2, 4)])
def test_a_dilated_lstm_is_the_loop_over_time(steps, dilation):
    layer = DilatedLSTM(6, dilation, "float32")
    x = jax.random.normal(jax.random.key(0), (steps, 3, 5))
    rng = np.random.default_rng(0)
    shapes = {"input": (5, 24), "recurrent": (6, 24), "bias": (24,)}
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    expected = looped(wide, np.asarray(x), dilation)
    np.testing.assert_allclose(jax.jit(layer.apply)({"params": params}, x), expected, atol=1e-5)


def test_the_gradient_of_an_lstm_is_that_of_its_steps():
    gates = jax.random.normal(jax.random.key(0), (3, 2, 12))
    recurrent = jax.random.normal(jax.random.key(1), (3, 12))

    def unrolled(gates, recurrent):
        h, cell, out = jnp.zeros((2, 3)), jnp.zeros((2, 3)), []
        for own in gates:
            i, f, g, o = jnp.split(own + h @ recurrent, 4, axis=-1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(cell)
            out.append(h)
        return jnp.stack(out)

    weight = jax.random.normal(jax.random.key(2), (3, 2, 3))

    def slopes(run):
        return jax.jit(jax.grad(lambda *a: jnp.sum(weight * run(*a)), (0, 1)))(gates, recurrent)

    ours = slopes(lambda *a: lstm(*a, "float32"))
    for one, other in zip(ours, slopes(unrolled), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((2, 2), (1, 3))])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_convolution_and_its_gradients_are_jaxs(padding, dilation):
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 2, 3, 4))

    def jaxs(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            padding,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def ours(x, kernel):
        return convolve(x, kernel, dilation, padding, "float32")

    def all_of(f):
        slopes = jax.grad(lambda x, k: jnp.sum(jnp.sin(f(x, k))), (0, 1))
        return jax.jit(lambda x, k: (f(x, k), *slopes(x, k)))(x, kernel)

    for a, b in zip(all_of(ours), all_of(jaxs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_pooling_takes_the_largest_of_whole_windows():
    x = jnp.arange(2.0 * 5 * 9).reshape(1, 5, 9, 2)
    theirs = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 4, 1), (1, 2, 4, 1), "VALID")
    np.testing.assert_array_equal(max_pool(x, (2, 4)), theirs)


@lru_cache
def made(variant="adcrnn", **more):
    """Random parameters, statistics, and a compiled apply(params, statistics, x, dropout_key)."""
    net, rng = nets.build_adcrnn(config(variant, **more)), np.random.default_rng(0)
    params, statistics = jax.eval_shape(net.init, jax.random.key(0))
    drawn = jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), params)
    return drawn, jax.tree.map(lambda leaf: jnp.ones(leaf.shape), statistics), jax.jit(net.apply)


@pytest.mark.parametrize("variant", nets.VARIANTS)
def test_every_variant_gives_logits_the_layer_before_and_attention(variant):
    net = nets.build_adcrnn(config(variant))
    params, statistics = jax.eval_shape(net.init, jax.random.key(0))
    out, moved = jax.eval_shape(net.apply, params, statistics, segments(), jax.random.key(1))
    assert out.logits_BxC.shape == (4, 3)
    assert out.embedding_BxD.shape == (4, 12 if variant == "adrnn" else 5)
    assert out.weight_BxT.shape == (4, 20 if variant.startswith("acrnn") else 19)
    assert jax.tree.structure(moved) == jax.tree.structure(statistics)


@pytest.mark.parametrize("variant", ["adcrnn", "adrnn"])
def test_attention_sums_to_1_and_differs_between_moments(variant):
    params, statistics, apply = made(variant)
    weight = apply(params, statistics, segments())[0].weight_BxT
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-6)
    assert weight.std(axis=1).min() > 1e-4


def test_the_skip_is_added_before_the_last_activation():
    """Without weights it is no skip; alone before the last activation it gives what one convolution does."""
    params, statistics, apply = made(convolutions=2)
    none = {**params, "conv_0": jax.tree.map(lambda leaf: leaf.at[..., 4:].set(0), params["conv_0"])}
    plain = {**params, "conv_0": jax.tree.map(lambda leaf: leaf[..., :4], params["conv_0"])}
    without = made(convolutions=2, skip=False)[2](plain, statistics, segments())[0]
    np.testing.assert_allclose(
        apply(none, statistics, segments())[0].logits_BxC, without.logits_BxC, atol=1e-5
    )
    alone = {**params, "conv_1": jax.tree.map(jnp.zeros_like, params["conv_1"])}
    one = {**params, "conv_0": jax.tree.map(lambda leaf: leaf[..., 4:], params["conv_0"])}
    one.pop("conv_1")
    direct = made(convolutions=1, skip=False)[2](one, statistics, segments())[0]
    np.testing.assert_allclose(
        apply(alone, statistics, segments())[0].logits_BxC, direct.logits_BxC, atol=1e-5
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_the_papers_sizes():
    """ADCRNN's parameters counted by hand: convolutions, linear layer and norm, LSTMs, attention, layers."""
    net = nets.build_adcrnn(nets.AdcrnnConfig(7))
    params, statistics = jax.eval_shape(net.init, jax.random.key(0))
    convolutions = 9 * 3 * 128 + 128 + 2 * (9 * 128 * 256 + 256) + 2 * (9 * 256 * 256 + 256)
    linear = 9 * 256 * 512 + 512 + 2 * 512
    recurrent = 2 * ((512 + 512) * 4 * 512 + 4 * 512)
    last = 512 + 512 * 64 + 64 + 64 * 7 + 7
    assert count(params) == convolutions + linear + recurrent + last
    assert count(statistics) == 2 * 512
    out, _ = jax.eval_shape(net.apply, params, statistics, jax.ShapeDtypeStruct((2, 300, 40, 3), jnp.float32))
    assert out.weight_BxT.shape == (2, 149)
    assert out.embedding_BxD.shape == (2, 64)


def test_variants_differ_where_the_papers_do():
    kinds = {name: nets.build_adcrnn(config(name)) for name in nets.VARIANTS}
    params = {name: jax.eval_shape(net.init, jax.random.key(0)) for name, net in kinds.items()}
    maps = {name: params[name][0]["conv_0"]["kernel"].shape[-1] for name in nets.VARIANTS}
    assert (maps["adcrnn"], maps["adrnn"], maps["acrnn_3d"]) == (8, 8, 4)  # with the skip connection's
    assert "conv_norm_0" in params["adrnn"][1] and "conv_norm_0" not in params["adcrnn"][1]
    assert "lstm_0_backward" in params["acrnn_3d"][0] and "lstm_1" in params["adcrnn"][0]
    assert params["acrnn_2d"][0]["first"]["kernel"].shape[2] == 1


def test_two_dimensions_see_the_static_coefficients_alone():
    params, statistics, apply = made("acrnn_2d")
    x = segments()
    for channel, same in ((0, False), (1, True), (2, True)):
        moved = x.at[..., channel].add(1.0)
        a, b = (apply(params, statistics, v)[0].logits_BxC for v in (x, moved))
        assert np.allclose(a, b) == same


def test_prediction_leaves_the_statistics_and_rows_alone():
    params, statistics, apply = made()
    x = segments()
    whole, same = apply(params, statistics, x)
    other, _ = apply(params, statistics, x.at[2:].set(5.0))
    jax.tree.map(np.testing.assert_array_equal, same, statistics)
    np.testing.assert_allclose(whole.logits_BxC[:2], other.logits_BxC[:2], atol=1e-5)
    _, moved = apply(params, statistics, x, jax.random.key(1))
    assert not np.allclose(moved["linear_norm"]["mean"], statistics["linear_norm"]["mean"])


def test_dropout_acts_after_the_embedding_and_only_with_a_key():
    params, statistics, apply = made()
    one, other = (apply(params, statistics, segments(), jax.random.key(k))[0] for k in (1, 2))
    np.testing.assert_array_equal(one.embedding_BxD, other.embedding_BxD)
    assert not np.allclose(one.logits_BxC, other.logits_BxC)


def test_without_attention_the_weights_are_equal():
    params, statistics, apply = made(attention=False)
    assert "attention" not in params
    np.testing.assert_allclose(apply(params, statistics, segments())[0].weight_BxT, 1 / 19, rtol=1e-6)


@pytest.mark.parametrize("name", nets.VARIANTS)
def test_a_small_network_is_the_same_share_of_every_layer(name):
    whole, small = nets.variant(name, 7), nets.variant(name, 7, "small")
    for width in ("first", "maps", "linear", "units"):
        assert getattr(small, width) == 3 * getattr(whole, width) // 16
    assert replace(small, first=128, maps=256, linear=whole.linear, units=whole.units) == whole
