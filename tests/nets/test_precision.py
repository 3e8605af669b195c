"""Products have the precision that a config asks for, in every network and in its gradients."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import nets
from sergan.nets import products
from tests.nets.test_adcrnn_net import config

X = jnp.ones((2, 8 * 4))
KEY = jax.random.key(0)
_TYPES = r"\((tensor<\S+>), (tensor<\S+>)\) -> (tensor<\S+>)"


def of_rows(net):
    return net.init(KEY), lambda params: net.apply(params, X)


def of_slopes(net):
    """What a penalty takes the gradient of: the gradient of a critic's scores."""
    return net.init(KEY), lambda params: jax.grad(lambda x: jnp.sum(jnp.square(net.apply(params, x))))(X)


def of_clips(kind):
    def build(precision):
        pair = nets.build_sound(nets.SoundNets(kind, 16384, 1, precision=precision))
        label_B = jnp.zeros(1, jnp.int32)

        def scores(params):
            gen, critic = params
            return pair.critic.apply(
                critic, pair.gen.apply(gen, jnp.ones((1, nets.sound.NOISE)), label_B), label_B
            )

        return (pair.gen.init(KEY), pair.critic.init(KEY)), scores

    return build


def of_segments(precision):
    net = nets.build_adcrnn(config(precision=precision, bidirectional=True))
    params, statistics = net.init(KEY)
    x_BxTxFx3 = jnp.ones((2, 40, 16, 3))
    return params, lambda params: net.apply(params, statistics, x_BxTxFx3, KEY)[0].logits_BxC


BUILD = {
    "mlp": lambda precision: of_rows(nets.build(32, (4,), 2, precision=precision)),
    "mlp's slopes": lambda precision: of_slopes(nets.build(32, (4,), 1, precision=precision)),
    "spectral critic's slopes": lambda precision: of_slopes(
        nets.build_spectral_critic((8, 4), (2, 3), precision=precision)
    ),
    "spectral generator": lambda precision: of_rows(
        nets.build_spectral_generator((8, 4), (2, 3), precision=precision)
    ),
    "spectral critic": lambda precision: of_rows(
        nets.build_spectral_critic((8, 4), (2, 3), precision=precision)
    ),
    "wavegan": of_clips("wavegan"),
    "specgan": of_clips("specgan"),
    "adcrnn": of_segments,
}


def products_of(params, apply):
    """The lines of a program and its gradient that multiply matrices or convolve."""
    program = jax.jit(jax.grad(lambda p: jnp.sum(apply(p)))).lower(params).as_text()
    lines = [
        line for line in program.splitlines() if re.search(r"stablehlo\.(dot_general|convolution)", line)
    ]
    assert len(lines) >= 3
    return lines


@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
@pytest.mark.parametrize(("precision", "word"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH")])
def test_a_wide_product_says_how_exact_it_is(build, precision, word):
    lines = products_of(*build(precision))
    assert not [line for line in lines if len(re.findall(rf"\b{word}\b", line)) != 2]


@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
def test_a_narrow_product_has_rounded_factors_and_but_for_convolutions_a_float32_sum(build):
    for line in products_of(*build("bfloat16")):
        *factors, made = re.search(_TYPES, line).groups()
        assert all(kind.endswith("xbf16>") for kind in factors), line
        assert made.endswith("xbf16>" if "convolution" in line else "xf32>"), line


def test_rounded_factors_are_multiplied_exactly():
    a, b = (jax.random.normal(key, (64, 64)) for key in jax.random.split(KEY))
    rounded = [np.asarray(x.astype(jnp.bfloat16), np.float64) for x in (a, b)]
    for product, factors in (
        (products.dense, rounded),
        (products.abt, (rounded[0], rounded[1].T)),
        (products.atb, (rounded[0].T, rounded[1])),
        (products.matmul, rounded),
    ):
        narrow = jax.jit(partial(product, precision="bfloat16"))(a, b)
        assert narrow.dtype == jnp.float32
        np.testing.assert_allclose(narrow, factors[0] @ factors[1], atol=1e-4)
        assert np.abs(narrow - products.dense(a, b, "float32")).max() > 1e-2
