"""The figure "ideas": what a step would take if something in it were done otherwise, all in one run."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.benchmark import clock, problems
from experiments.benchmark.sizes import Effort, Size
from sergan import adam, cyclegan
from sergan.gan import GanConfig

_OTHERWISE: dict[str, dict[str, Any]] = {
    "products in bfloat16": {"precision": "bfloat16"},
    "activations in bfloat16": {"activations": "bfloat16"},
    "both in bfloat16": {"precision": "bfloat16", "activations": "bfloat16"},
}


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A line for each idea: a member's step with it, and that over the step as it is.

    A CPU takes its members in turns as it is, an accelerator takes them together. Three are reckoned from
    their part alone: what Adam takes on the generators' parameters, and takes more by optax; critics that
    took the rows of the generators' update would save the pass that makes their own, whatever that would
    train.
    """
    for size in sizes:
        count = problems.fitting(size, effort.members)
        runs: dict[str, clock.Run] = {"as it is": problems.Training(size, count, effort.steps)}
        for idea, changes in _OTHERWISE.items():
            if size.resized(**changes) != size:
                runs[idea] = problems.Training(size.resized(**changes), count, effort.steps)
        for turns, idea in ((True, "members in turns"), (False, "members vmapped")):
            program = problems.chunk(size, effort.steps, count, turns)
            runs[idea] = problems.Training(size, count, effort.steps, program)
        per_step = effort.steps * count
        seconds = {name: each / per_step for name, each in clock.medians(runs, effort.repeats).items()}
        seconds |= _reckoned(size.gan, effort, seconds["as it is"])
        for idea, each in seconds.items():
            yield {
                "figure": "ideas",
                "size": size.name,
                "members": count,
                "idea": idea,
                "ms_per_member": round(1e3 * each, 3),
                "over_as_it_is": round(each / seconds["as it is"], 3),
            }


def _reckoned(gan: GanConfig, effort: Effort, step: float) -> dict[str, float]:
    """Seconds of a step that took as much less, or more, as a part of it does."""
    gen = cyclegan.init(gan, jax.random.key(0)).params["gen"]
    parts: dict[str, clock.Run] = {
        "ours": _Updates(_ours(gan), gen),
        "optax": _Updates(_optax(gan), gen),
        "pass": _both(gan, gen),
    }
    seconds = clock.medians(parts, 3 * effort.repeats)
    return {
        "generators without Adam": step - gan.generator_updates * seconds["ours"],
        "Adam of optax": step + gan.generator_updates * (seconds["optax"] - seconds["ours"]),
        "one pass for both losses": step - gan.critic_updates * seconds["pass"],
    }


class _Updates:
    """Updates of the generators' parameters; a call is one, and its arrays stay where they are."""

    def __init__(self, optimiser: tuple[Any, Any], params: Any) -> None:
        init, update = optimiser
        self._update = jax.jit(update, donate_argnums=(0, 1))
        self._grads = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e-3), params)
        self._held = jax.tree.map(jnp.copy, params), init(params)

    def __call__(self) -> None:
        self._held = jax.block_until_ready(self._update(*self._held, self._grads))


def _ours(gan: GanConfig) -> tuple[Any, Any]:
    def update(params: Any, moments: adam.Moments, grads: Any) -> Any:
        rate, finite = jnp.asarray(1e-6), jnp.asarray(True)
        return adam.update(params, moments, grads, rate, finite, gan.adam_b1, gan.adam_b2, gan.adam_eps)

    return adam.init, update


def _optax(gan: GanConfig) -> tuple[Any, Any]:
    optimiser = optax.adam(1e-6, gan.adam_b1, gan.adam_b2, gan.adam_eps)

    def update(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return optimiser.init, update


def _both(gan: GanConfig, gen: Any) -> clock.Run:
    """The pass that makes what critics see: a batch through each G and each F."""
    net = cyclegan.make_nets(gan).gen
    made = jax.jit(lambda gen, x: [jax.vmap(net.apply)(gen[name], x) for name in ("G", "F")])
    x_KxBxD = jnp.full((gan.emotions, gan.batch_size, gan.features), 0.5)
    return lambda: jax.block_until_ready(made(gen, x_KxBxD))
