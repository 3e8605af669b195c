"""The figure "start": seconds until a process has done its first step, without and with compiled programs.

python -m experiments.benchmark.starts SIZE PRECISION [--quick]    does one step, prints its stages as JSON
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.benchmark import problems, sizes
from experiments.benchmark.sizes import Effort, Size

ROOT = Path(__file__).parents[2]


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """Each size in two processes: with an empty cache of compiled programs, then with a full one."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                yield {"figure": "start", "size": size.name, "cache": state} | _process(size, effort, cache)


def _process(size: Size, effort: Effort, cache: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "experiments.benchmark.starts", size.name, size.gan.precision]
    command += ["--quick"] if effort.quick else []
    settings = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # this process may hold the accelerator's memory
    }
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds = round(time.perf_counter() - started, 2)
    stages = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": seconds, "imports_s": round(seconds - sum(stages.values()), 2)} | stages


def first_step(name: str, precision: str, quick: bool) -> dict[str, float]:
    """Seconds of each stage from the imports to the end of one member's first step."""
    started = time.perf_counter()
    training = problems.Training(sizes.size(name, quick).resized(precision=precision), 1, 1)
    made = time.perf_counter()
    training()
    stepped = time.perf_counter()
    return {
        "init_s": round(made - started, 2),
        "compile_and_step_s": round(stepped - made, 2),
    }


if __name__ == "__main__":
    print(json.dumps(first_step(sys.argv[1], sys.argv[2], "--quick" in sys.argv)))
