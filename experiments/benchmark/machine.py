"""The machine: what it is, its best rate of products and its bandwidth."""

import platform
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

from experiments import hosts
from experiments.benchmark import clock
from experiments.benchmark.sizes import Effort
from experiments.record import commit, cpu
from sergan.gan import GanConfig
from sergan.nets import products


def describe() -> dict[str, Any]:
    """What results are kept with: machine, devices, versions, commit and date."""
    return {
        "cpu": cpu(),
        "cores": hosts.cores(),
        "system": f"{platform.machine()}, {platform.system()}",
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.local_devices()],
        "python": platform.python_version(),
        "jax": jax.__version__,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def product_rate(effort: Effort, precision: str) -> float:
    """FLOP/s of the fastest large matrix product on one device, its factors in that precision already."""

    def rate(width: int) -> float:
        a, b, how = products.narrow(precision, jnp.full((width, width), 0.5), jnp.full((width, width), 0.25))
        product = jax.jit(partial(jnp.matmul, **how))
        seconds = clock.best(lambda: product(a, b).block_until_ready(), 3 * effort.repeats)
        return 2 * width**3 / seconds

    return max(rate(width) for width in effort.products)


@lru_cache
def layer_rate(gan: GanConfig, effort: Effort) -> float:
    """FLOP/s on one device of the products of a member's generators: each layer forwards and backwards.

    They have the rows of a batch for each emotion; what the machine loses on products of few rows shows.
    """
    kinds, rows = gan.emotions, gan.batch_size
    flop = seconds = 0.0

    def timed(product: Any, a: jax.Array, b: jax.Array) -> float:
        each = jax.jit(jax.vmap(partial(product, precision=gan.precision)))
        return clock.best(lambda: each(a, b).block_until_ready(), 3 * effort.repeats)

    for inputs, outputs in pairwise((gan.features, *gan.generator, gan.features)):
        shapes = (rows, inputs), (inputs, outputs), (rows, outputs)
        x_KxBxD, w_KxDxH, g_KxBxH = (jnp.full((kinds, *shape), 0.5) for shape in shapes)
        seconds += timed(products.ab, x_KxBxD, w_KxDxH)
        seconds += timed(products.abt, g_KxBxH, w_KxDxH)
        seconds += timed(products.atb, x_KxBxD, g_KxBxH)
        flop += 3 * 2 * kinds * rows * inputs * outputs
    return flop / seconds


@lru_cache
def bandwidth(effort: Effort) -> float:
    """Bytes/s read and written on one device where a large array is copied or changed in place.

    On a CPU a copy pays for fresh pages, which training does not: its state stays where it is.
    """
    copy = jax.jit(jnp.copy)
    in_place = jax.jit(lambda x: x * 0.999, donate_argnums=0)
    held = [jnp.ones(effort.copied)]
    size = held[0].nbytes

    def change() -> None:
        held[0] = in_place(held[0]).block_until_ready()

    copied = clock.best(lambda: copy(held[0]).block_until_ready(), 3 * effort.repeats)
    return 2 * size / min(copied, clock.best(change, 3 * effort.repeats))
