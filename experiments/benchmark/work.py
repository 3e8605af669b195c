"""The work of one member's training step: FLOP as compiled and as counted by hand, and bytes of its state."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import jax

from experiments.benchmark import problems
from experiments.benchmark.sizes import Size
from sergan import cyclegan, members
from sergan.gan import GanConfig

FLOAT = 4  # bytes


@lru_cache
def compiled_flop(size: Size) -> float:
    """FLOP of a step by XLA's cost analysis of the compiled program; 0 where the backend has none.

    The analysis counts the body of a loop once, so that programs with one update of each kind are compiled,
    whose loops are gone, and their parts are taken as often as a step has them.
    """
    gan = size.gan
    once = replace(size, gan=replace(gan, generator_updates=1, critic_updates=1))
    whole = problems.chunk(once, 1, 1)

    def generators(*arguments: Any) -> Any:
        state, _ = whole(*arguments)
        return state.params["gen"], state.params["cls"], state.opt_state["gen"], state.opt_state["cls"]

    both, generator = _flop(whole, once), _flop(jax.jit(generators), once)
    return gan.generator_updates * generator + gan.critic_updates * (both - generator)


def _flop(program: Any, size: Size) -> float:
    cost = program.lower(*problems.abstract(size, 1)).compile().cost_analysis()
    return float((cost or {}).get("flops", 0.0))


def product_flop(gan: GanConfig) -> float:
    """FLOP of the products in the dense layers that a step cannot do without.

    A layer of B rows has a product forwards and two backwards, for its weights and for its rows; the last
    one is missing in a net's first layer where nobody asks for the gradient of the rows.
    """
    rows = gan.batch_size
    gen = _layers(gan.features, gan.generator, gan.features)
    cls = _layers(gan.features, gan.classifier, gan.emotions)
    generators = _generators(rows, gan, gen, cls) * gan.generator_updates
    return gan.emotions * (generators + _critics(rows, gan, gen) * gan.critic_updates)


def _generators(rows: int, gan: GanConfig, gen: list[int], cls: list[int]) -> float:
    """One update of an emotion's G and F, and of its part of the shared classifier."""
    first = 3 * sum(gen) - gen[0]  # G(s), F(t): rows are data
    second = 3 * sum(gen)  # F(G(s)), G(F(t))
    judged = 2 * sum(sum(layers) for layers in _critic_layers(gan))  # their weights stay
    sets = 2 if gan.classifier_data == "both" else 1
    classified = 2 * sum(cls) + sets * (3 * sum(cls) - cls[0])
    identity = 2 * first if gan.identity else 0
    return 2.0 * rows * (2 * (first + second) + 2 * judged + classified + identity)


def _critics(rows: int, gan: GanConfig, gen: list[int]) -> float:
    """One update of an emotion's two critics, on rows that the generators make for it."""
    each = 0
    for layers in _critic_layers(gan):
        each += 2 * (3 * sum(layers) - layers[0])  # real and generated rows
        if gan.loss == "wdiv":  # forwards, to the rows, and both of the latter's derivatives
            each += 4 * sum(layers) - 2 * layers[-1]
    return 2.0 * rows * (2 * sum(gen) + 2 * each)


def _critic_layers(gan: GanConfig) -> list[list[int]]:
    inputs = [len(group) for group in gan.heads] or [gan.features]
    return [_layers(width, gan.critic, 1) for width in inputs]


def _layers(inputs: int, hidden: tuple[int, ...], outputs: int) -> list[int]:
    """Weights of each dense layer."""
    return [a * b for a, b in pairwise((inputs, *hidden, outputs))]


@lru_cache
def parameters(gan: GanConfig) -> dict[str, int]:
    """Parameters of a member by kind: "gen", "critic", "cls"."""
    params = jax.eval_shape(lambda: cyclegan.init(gan, jax.random.key(0))).params
    return {kind: sum(leaf.size for leaf in jax.tree.leaves(tree)) for kind, tree in params.items()}


def optimiser_bytes(gan: GanConfig) -> int:
    """Bytes that a step's optimisers and the moving average read and write, each array once an update.

    Adam reads parameters, gradients and two moments and writes three of them; the average, if there is one,
    reads itself and the parameters and writes itself.
    """
    count = parameters(gan)
    adam = gan.generator_updates * (count["gen"] + count["cls"]) + gan.critic_updates * count["critic"]
    return FLOAT * (7 * adam + 3 * count["gen"] * (gan.ema_decay > 0))


def activation_bytes(gan: GanConfig) -> int:
    """Bytes of what the backward pass of the largest update keeps: inputs and outputs of every layer once."""
    gen, critic, cls = sum(gan.generator), sum(gan.critic), sum(gan.classifier)
    generators = 4 * (gan.features + gen) + 2 * critic + 2 * cls + 2 * gan.features
    critics = 2 * (3 * gan.features + 2 * critic + 3 * critic)
    return FLOAT * gan.emotions * gan.batch_size * max(generators, critics)


def planned_bytes(gan: GanConfig) -> int:
    """What training itself reckons with for a member."""
    return members.bytes_per_member(gan)
