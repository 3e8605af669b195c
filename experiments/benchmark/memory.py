"""The figure "memory": what a member takes as compiled, and how many of them a device holds."""

from collections.abc import Iterator
from typing import Any

import jax

from experiments.benchmark import problems, work
from experiments.benchmark.sizes import Effort, Size

DEVICES_GB = (16, 24, 80, 141)


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Bytes of a member beside 16 bytes a parameter and a batch's activations; nothing is trained.

    Members are those of a program that has them vmapped, as on an accelerator, and on a CPU also those that
    it takes in turns, which share gradients and activations.
    """
    for size in sizes:
        for turns in (False, True) if jax.default_backend() == "cpu" else (False,):
            yield {
                "figure": "memory",
                "size": size.name,
                "members": "in turns" if turns else "vmapped",
            } | _line(size, effort, turns)


def _line(size: Size, effort: Effort, turns: bool) -> dict[str, Any]:
    few, many = 2, max(4, effort.members)  # one alone has no copy that is being worked on
    one, all_ = (device_bytes(size, count, effort, turns) for count in (few, many))
    member = (all_ - one) / (many - few)
    shared = max(0.0, one - few * member)
    parameters = sum(work.parameters(size.gan).values())
    average = work.parameters(size.gan)["gen"] * (size.gan.ema_decay > 0)
    expected = 16 * parameters + work.activation_bytes(size.gan)
    line = {
        "parameters": parameters,
        "member_mb": round(member / 1e6, 3),
        "shared_mb": round(shared / 1e6, 3),
        "expected_mb": round(expected / 1e6, 3),
        "ratio": round(member / expected, 3),
        "average_mb": round(work.FLOAT * average / 1e6, 3),
        "planned_mb": round(work.planned_bytes(size.gan) / 1e6, 3),
    }
    return line | {f"fit_{gb}_gb": int((gb * 1e9 - shared) // member) for gb in DEVICES_GB}


def device_bytes(size: Size, count: int, effort: Effort, turns: bool) -> int:
    """Arguments, results and temporary arrays of a chunk, on a device that has `count` of its members."""
    group = count * jax.device_count()
    chunk = problems.chunk(size, effort.steps, group, turns)
    program = chunk.lower(*problems.abstract(size, group)).compile()
    memory = program.memory_analysis()
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes  # the state stays where it is
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + new
