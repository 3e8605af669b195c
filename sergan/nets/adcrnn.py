"""Convolutional-recurrent networks with attention, on 3-D log-Mel segments: ADCRNN, ADRNN, ACRNN."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sergan.nets import products
from sergan.nets.convolution import Convolution, max_pool
from sergan.nets.recurrent import DilatedLSTM


@dataclass(frozen=True)
class AdcrnnConfig:
    """Sizes and choices; the defaults are ADCRNN's (Pham et al. 2021, section III-C).

    The papers say nothing of activations and of where the skip connection ends: here leaky ReLU follows each
    convolution, the linear layer and the embedding, and the skip is added before the last one's.
    """

    classes: int
    frames: int = 300
    filters: int = 40
    channels: int = 3  # 1: the static coefficients alone
    first: int = 128  # feature maps of the convolution before pooling
    first_padding: str = "VALID"
    pool: tuple[int, int] = (2, 4)
    convolutions: int = 3  # those after it
    maps: int = 256  # feature maps of each of them
    kernel: tuple[int, int] = (3, 3)
    dilation: int = 2
    skip: bool = True  # a dilated convolution beside those after pooling
    convolution_norm: bool = False  # batch norm after those after pooling
    linear: int = 512
    units: int = 512  # of each LSTM layer and direction
    dilations: tuple[int, ...] = (1, 2)  # of the LSTM layers
    bidirectional: bool = False
    attention: bool = True  # False: the mean over time
    embedding: int = 64  # 0: none, logits follow the attention
    embedding_norm: bool = False
    dropout: float = 0.5
    slope: float = 0.01
    precision: str = "float32"  # of the products, see `products`


# By name: what differs from ADCRNN. The bidirectional one has eq. (4)'s two directions in as many units.
# ADRNN is Meng et al. 2019, with Pham's sizes where they are not known; ACRNN is Chen et al. 2018.
VARIANTS: dict[str, dict[str, Any]] = {
    "adcrnn": {},
    "adcrnn_bidirectional": {"bidirectional": True, "units": 256},
    "adrnn": {
        "convolution_norm": True,
        "bidirectional": True,
        "units": 256,
        "dilations": (1,),
        "embedding": 0,
    },
    "acrnn_3d": {
        "first_padding": "SAME",
        "convolutions": 5,
        "kernel": (5, 3),
        "dilation": 1,
        "skip": False,
        "linear": 768,
        "units": 128,
        "dilations": (1,),
        "bidirectional": True,
        "embedding_norm": True,
    },
}
VARIANTS["acrnn_2d"] = {**VARIANTS["acrnn_3d"], "channels": 1}

# Shares of a variant's maps and units in the same layers: for a CPU, and to see that everything runs.
SIZES = {"small": 3 / 16, "tiny": 1 / 128}
_WIDTHS = ("first", "maps", "linear", "units")


def variant(name: str, classes: int, size: str = "", **more: Any) -> AdcrnnConfig:
    """The network of a name in `VARIANTS`, at the papers' size or at a share of it in `SIZES`."""
    whole, share = AdcrnnConfig(classes, **VARIANTS[name] | more), SIZES.get(size, 1)
    return replace(whole, **{width: max(2, round(share * getattr(whole, width))) for width in _WIDTHS})


class Output(NamedTuple):
    """What a segment gives: logits, the layer before them, the attention to each moment (sum 1)."""

    logits_BxC: jax.Array
    embedding_BxD: jax.Array
    weight_BxT: jax.Array


class BatchNet(NamedTuple):
    """A network with batch norm as two pure functions; its running statistics are explicit.

    init(key) -> (params, statistics);
    apply(params, statistics, x_BxTxFx3, dropout_key=None) -> (Output, statistics). With a key it trains:
    units are dropped, the batch is normed by itself and the statistics move. Without, they stay and norm it.
    """

    init: Callable[[jax.Array], tuple[Any, Any]]
    apply: Callable[..., tuple[Output, Any]]


class Adcrnn(nn.Module):
    """Convolutions, a linear layer for each moment, recurrent layers, attention, embedding, logits."""

    config: AdcrnnConfig

    @nn.compact
    def __call__(self, x_BxTxFx3: jax.Array, train: bool) -> Output:
        config, act = self.config, partial(nn.leaky_relu, negative_slope=self.config.slope)
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        dense = partial(products.Dense, kernel_init=nn.initializers.he_normal(), precision=config.precision)
        h_BxTxFxC = self._convolutions(x_BxTxFx3[..., : config.channels], act, norm)
        h_BxTxD = h_BxTxFxC.reshape(*h_BxTxFxC.shape[:2], -1)
        h_TxBxD = act(norm(name="linear_norm")(dense(config.linear, name="linear")(h_BxTxD))).swapaxes(0, 1)
        for i, dilation in enumerate(config.dilations):
            h_TxBxD = self._recurrent(h_TxBxD, dilation, f"lstm_{i}")
        weight_TxB = self._weights(h_TxBxD)
        e_BxD = jnp.sum(weight_TxB[..., None] * h_TxBxD, axis=0)
        if config.embedding:
            e_BxD = dense(config.embedding, name="embedding")(e_BxD)
            e_BxD = act(norm(name="embedding_norm")(e_BxD) if config.embedding_norm else e_BxD)
        kept_BxD = nn.Dropout(config.dropout, deterministic=not train)(e_BxD)
        xavier = nn.initializers.xavier_uniform()
        return Output(dense(config.classes, kernel_init=xavier, name="logits")(kept_BxD), e_BxD, weight_TxB.T)

    def _convolutions(self, x: jax.Array, act: Callable, norm: Callable) -> jax.Array:
        config = self.config
        conv = partial(Convolution, kernel=config.kernel, precision=config.precision)
        dilated = partial(conv, dilation=config.dilation, padding="SAME")
        first = conv(config.first, dilation=1, padding=config.first_padding, name="first")
        h = act(max_pool(first(x), config.pool))  # the largest value stays so under leaky ReLU
        beside: Any = 0.0
        for i in range(config.convolutions):
            both = config.skip and i == 0  # the skip's convolution sees the same rows: they are made as one
            h = dilated(config.maps * (1 + both), name=f"conv_{i}")(h)
            h, beside = jnp.split(h, 2, axis=-1) if both else (h, beside)
            h = norm(name=f"conv_norm_{i}")(h) if config.convolution_norm else h
            h = act(h + beside if i == config.convolutions - 1 else h)
        return h

    def _recurrent(self, x_TxBxD: jax.Array, dilation: int, name: str) -> jax.Array:
        layer = partial(DilatedLSTM, self.config.units, dilation, self.config.precision)
        forward = layer(name=name)(x_TxBxD)
        if not self.config.bidirectional:
            return forward
        backward = layer(name=f"{name}_backward")(x_TxBxD[::-1])[::-1]
        return jnp.concatenate([forward, backward], axis=-1)

    def _weights(self, h_TxBxD: jax.Array) -> jax.Array:
        """Softmax over time of a scalar score for each moment (Pham et al. 2021, eq. 5)."""
        if not self.config.attention:
            return jnp.full(h_TxBxD.shape[:2], 1 / len(h_TxBxD))
        query_D = self.param("attention", nn.initializers.normal(0.1), (h_TxBxD.shape[-1],))
        score_TxB = products.dense(h_TxBxD, query_D[:, None], self.config.precision)[..., 0]
        return jax.nn.softmax(score_TxB, axis=0)


def build_adcrnn(config: AdcrnnConfig) -> BatchNet:
    """The network of a config.

    Padding frames are frames like others, for convolutions, batch norm and attention alike: the papers pad
    with zeros and mask nothing.
    """
    module = Adcrnn(config)

    def init(key: jax.Array) -> tuple[Any, Any]:
        x_BxTxFx3 = jnp.zeros((1, config.frames, config.filters, max(3, config.channels)), jnp.float32)
        made = module.init(key, x_BxTxFx3, train=False)
        return made["params"], made.get("batch_stats", {})

    def apply(
        params: Any, statistics: Any, x_BxTxFx3: jax.Array, dropout_key: jax.Array | None = None
    ) -> tuple[Output, Any]:
        given = {"params": params, "batch_stats": statistics}
        if dropout_key is None:
            out: Any = module.apply(given, x_BxTxFx3, train=False)
            return out, statistics
        out, moved = module.apply(
            given, x_BxTxFx3, train=True, rngs={"dropout": dropout_key}, mutable=["batch_stats"]
        )
        return out, moved["batch_stats"]

    return BatchNet(init, apply)
