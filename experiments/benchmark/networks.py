"""The figure "networks": steps of the networks on spectrograms against the work of their products."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.benchmark import clock, machine
from experiments.benchmark.sizes import Effort, Size
from sergan import nets
from sergan.classifiers.adcrnn import AdcrnnSettings, ClipTask, fit_predict
from sergan.logmel import Spectrograms
from sergan.nets import AdcrnnConfig

TARGET = 0.5  # of the best product's rate
_SEGMENTS = 32
_STEPS = 5


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A line for ADCRNN at the paper's size and at the small one; a step of batch 16, one member.

    The time of a step is the difference of trainings of ten steps and of five, so that nothing but steps
    counts.
    """
    for name in ("small", "") if effort.compiles else ("tiny",):
        precision = sizes[0].gan.precision
        config = nets.variant("adcrnn", 7, name, precision=precision)
        config = replace(config, frames=60) if name == "tiny" else config
        settings = AdcrnnSettings(net=config, steps=_STEPS)
        runs = {n: partial(_train, replace(settings, steps=n * _STEPS)) for n in (1, 2)}
        taken = clock.medians({"few": runs[1], "many": runs[2]}, effort.repeats)
        seconds = max((taken["many"] - taken["few"]) / _STEPS, 1e-9)
        flop, rate = product_flop(config, settings.batch_size), machine.product_rate(effort, precision)
        yield {
            "figure": "networks",
            "network": f"{name} adcrnn".strip(),
            "ms": round(1e3 * seconds, 3),
            "gflop_products": round(flop / 1e9, 6),
            "gflop_per_s": round(flop / seconds / 1e9, 3),
            "best_product_gflop_per_s": round(rate / 1e9, 3),
            "share_of_best": round(flop / seconds / rate, 4),
            "target": TARGET,
        }


def product_flop(config: AdcrnnConfig, batch: int) -> float:
    """FLOP of the products in convolutions, dense and recurrent layers of a training step.

    A layer has a product forwards and two backwards; the first one has no gradient of its input.
    """
    kernel = config.kernel[0] * config.kernel[1]
    valid = config.first_padding == "VALID"
    frames, filters = (
        (length - size + 1 if valid else length)
        for length, size in zip((config.frames, config.filters), config.kernel, strict=True)
    )
    first = frames * filters * kernel * config.channels * config.first
    moments, places = frames // config.pool[0], filters // config.pool[1]
    widths = [config.first, *[config.maps] * config.convolutions]
    maps = sum(a * b for a, b in pairwise(widths))
    maps += config.first * config.maps * config.skip
    convolutions = moments * places * kernel * maps
    linear = moments * places * config.maps * config.linear
    directions = 1 + config.bidirectional
    inputs = [config.linear, *[directions * config.units] * (len(config.dilations) - 1)]
    recurrent = sum(moments * directions * (width + config.units) * 4 * config.units for width in inputs)
    last = directions * config.units * config.embedding + (config.embedding or config.units) * config.classes
    return 2.0 * batch * (2 * first + 3 * (convolutions + linear + recurrent + last))


def _train(settings: AdcrnnSettings) -> None:
    config, rng = settings.net, np.random.default_rng(0)
    x_LxFx3 = rng.standard_normal((_SEGMENTS * config.frames, config.filters, 3), dtype=np.float32)
    places_U = np.arange(_SEGMENTS, dtype=np.int32)
    clips = Spectrograms(x_LxFx3, places_U * config.frames, np.full(_SEGMENTS, config.frames, np.int32))
    train_U = places_U[1:]
    task = ClipTask(
        train_U, train_U % config.classes, np.ones(len(train_U)), train_U, places_U[:1], fold=0, seed=0
    )
    fit_predict(settings, clips, [task])
