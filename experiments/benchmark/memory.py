"""The figure "memory": what a member takes as compiled, and how many of them a device holds."""

from collections.abc import Iterator
from typing import Any

import jax

from experiments.benchmark import problems, work
from experiments.benchmark.sizes import Effort, Size

DEVICES_GB = (16, 24, 80, 141)


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Bytes of a member, from two numbers of them, beside 16 bytes a parameter and a batch's activations.

    Nothing is trained: the programs are compiled for shapes only.
    """
    for size in sizes:
        few, many = 2, max(4, effort.members)  # one alone has no copy that is being worked on
        one, all_ = device_bytes(size, few, effort), device_bytes(size, many, effort)
        member = (all_ - one) / (many - few)
        shared = max(0.0, one - few * member)
        parameters = sum(work.parameters(size.gan).values())
        expected = 16 * parameters + work.activation_bytes(size.gan)
        line = {
            "figure": "memory",
            "size": size.name,
            "parameters": parameters,
            "member_mb": round(member / 1e6, 3),
            "shared_mb": round(shared / 1e6, 3),
            "expected_mb": round(expected / 1e6, 3),
            "ratio": round(member / expected, 3),
            "average_mb": round(work.FLOAT * work.parameters(size.gan)["gen"] / 1e6, 3),
            "planned_mb": round(work.planned_bytes(size.gan) / 1e6, 3),
        }
        fits = {f"fit_{gb}_gb": int((gb * 1e9 - shared) // member) for gb in DEVICES_GB}
        yield line | fits


def device_bytes(size: Size, count: int, effort: Effort) -> int:
    """Arguments, results and temporary arrays of a chunk, on a device that has `count` of its members."""
    group = count * jax.device_count()
    program = problems.chunk(size, effort.steps, group).lower(*problems.abstract(size, group)).compile()
    memory = program.memory_analysis()
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes  # the state stays where it is
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + new
