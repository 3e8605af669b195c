"""The figure "torch": a step of sergan against the loop of `torch_loop`, in turns in one process."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from experiments import hosts
from experiments.benchmark import clock, problems
from experiments.benchmark.sizes import Effort, Size

# What PyTorch calls the precisions of products; "medium" is bfloat16 on CPUs that have it, tensorfloat32 on
# a GPU.
_PRECISIONS = {"float32": "highest", "tensorfloat32": "high", "bfloat16": "medium"}


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Milliseconds of a member's step, alone and in a batch, against the loop's, eager and compiled."""
    try:
        from experiments.benchmark import torch_loop
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        yield {"figure": "torch", "note": "torch is not installed"}
        return
    before = torch_loop.torch.get_float32_matmul_precision()
    try:
        for size in sizes:
            torch_loop.torch.set_float32_matmul_precision(_PRECISIONS[size.gan.precision])
            yield _line(torch_loop, size, effort)
    finally:
        torch_loop.torch.set_float32_matmul_precision(before)


def _line(torch_loop: Any, size: Size, effort: Effort) -> dict[str, Any]:
    device, threads = _device(torch_loop.torch), hosts.cores()
    rows = scaled_rows(torch_loop, size, device)
    hypers = dict(size.hypers)
    count = problems.fitting(size, effort.members)
    runs: dict[str, clock.Run] = {
        "sergan_alone": problems.Training(size, 1, effort.steps),
        "sergan": problems.Training(size, count, effort.steps),
        "torch": _steps(torch_loop, torch_loop.Loop(size.gan, hypers, rows), effort, threads),
    }
    if device == "cpu":  # many threads on small products may be slower than one
        runs["torch_one_thread"] = _steps(torch_loop, torch_loop.Loop(size.gan, hypers, rows), effort, 1)
    note = ""
    if effort.compiles:
        compiled = _steps(torch_loop, torch_loop.Loop(size.gan, hypers, rows, compile=True), effort, threads)
        try:
            compiled()
            runs["torch_compiled"] = compiled
        except Exception as error:  # a missing C++ compiler, an unsupported operation: whatever it lacks
            note = f"torch.compile does not work here: {str(error).strip().splitlines()[0][:120]}"
    seconds = clock.medians(runs, effort.repeats)
    members = {name: count if name == "sergan" else 1 for name in seconds}
    ms = {name: 1e3 * value / effort.steps / members[name] for name, value in seconds.items()}
    fastest = min(value for name, value in ms.items() if name.startswith("torch"))
    line = {"figure": "torch", "size": size.name, "members": count, "device": device}
    line |= {"threads": threads, "torch_version": torch_loop.torch.__version__}
    line |= {"precision": size.gan.precision, "torch_precision": _PRECISIONS[size.gan.precision]}
    line |= {f"{name}_ms_per_member": round(value, 3) for name, value in ms.items()}
    line |= {"times_faster_alone": round(fastest / ms["sergan_alone"], 2)}
    line |= {"times_faster": round(fastest / ms["sergan"], 2)}
    return line | ({"note": note} if note else {})


def _device(torch: Any) -> str:
    """The device that JAX is on."""
    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def scaled_rows(torch_loop: Any, size: Size, device: str) -> Any:
    """The rows of `problems.data`, min-max scaled, for the loop."""
    data = problems.data(size.gan, 1)
    low_D, scale_D = np.asarray(data.low_D[0]), np.asarray(data.scale_D[0])
    source_SxD = (np.asarray(data.source_SxD) - low_D) * scale_D
    target_UxD = (np.asarray(data.target_UxD) - low_D) * scale_D
    rows_KxN, count_K = np.asarray(data.target_rows_KxN[0]), np.asarray(data.target_count_K[0])
    target_KxRxD = [target_UxD[rows_N[:n]] for rows_N, n in zip(rows_KxN, count_K, strict=True)]
    return torch_loop.rows_on(device, source_SxD, target_KxRxD)


def _steps(torch_loop: Any, loop: Any, effort: Effort, threads: int) -> clock.Run:
    """A chunk of the loop's steps on `threads` cores that ends when the device is done."""

    def run() -> None:
        torch_loop.torch.set_num_threads(threads)
        for _ in range(effort.steps):
            losses = loop.step()
        for values in losses.values():  # as ours, which are there when a chunk ends
            values.tolist()
        if torch_loop.torch.cuda.is_available():
            torch_loop.torch.cuda.synchronize()

    return run
