"""Several processes, each with its own devices, at work on one run folder that all of them see.

A program that never joined others is the first and only one: every function here then costs nothing.
"""

import io
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import joblib
import numpy as np

from sergan import writers
from sergan.errors import UserError

Part = TypeVar("Part")
_GOODBYE_SECONDS = 30  # how long one that ends waits for the others to end, too


def use_every_core() -> None:
    """A CPU device for each core, to be called before JAX is imported; what the environment says goes first.

    Members train beside each other on devices; the products of one are too small for several cores.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores()))


def cores() -> int:
    """How many this process may use."""
    return joblib.cpu_count()


def join(how: str) -> None:
    """Joins the other processes of a run; to be called before anything is computed, of a single one, too.

    Args:
      how: "" for one process; "auto" where the environment says who takes part (TPU pod slices, SLURM,
        Open MPI, Kubernetes); or ADDRESS:PORT,COUNT,INDEX, with the first process's address.

    Raises:
      UserError: another word, or an environment that does not say it.
    """
    use_every_core()
    if not how:
        return
    import jax

    asked: dict[str, Any] = {}
    if how != "auto":
        found = re.fullmatch(r"([^,]+:\d+),(\d+),(\d+)", how)
        if not found or int(found[3]) >= int(found[2]):
            raise UserError(f"--hosts={how}: either auto or ADDRESS:PORT,COUNT,INDEX with INDEX below COUNT")
        asked = {
            "coordinator_address": found[1],
            "num_processes": int(found[2]),
            "process_id": int(found[3]),
        }
    jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from us
    try:
        jax.distributed.initialize(shutdown_timeout_seconds=_GOODBYE_SECONDS, **asked)
    except ValueError as error:
        raise UserError(f"--hosts={how}: {error}; name ADDRESS:PORT,COUNT,INDEX") from error


def count() -> int:
    """How many processes there are."""
    jax = sys.modules.get("jax")
    return jax.process_count() if jax and jax.distributed.is_initialized() else 1


def first() -> bool:
    """Whether this process writes what belongs to all."""
    return count() == 1 or sys.modules["jax"].process_index() == 0


def mine(parts: list[Part]) -> list[Part]:
    """This process's share of independent parts: every n-th."""
    return parts[sys.modules["jax"].process_index() :: count()] if count() > 1 else parts


def meet(what: str) -> None:
    """Waits until all processes have come to `what`."""
    if count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)


@contextmanager
def in_turn(what: str) -> Iterator[None]:
    """The first process runs the block before the others do."""
    if not first():
        meet(what)
    yield
    if first():
        meet(what)


def as_first(found: Any) -> Any:
    """What the first process found in the shared folder, which may show the others an older state of it.

    `found` is a number or an array, of the same shape on all hosts; it comes back as an array.
    """
    if count() == 1:
        return np.asarray(found)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(np.asarray(found)))


def whole(tree: Any) -> Any:
    """Arrays that lie over all hosts' devices as arrays that every process can read; waits for nothing."""
    return _gather()(tree) if count() > 1 else tree


def flags(flag: bool) -> Any:
    """Every process's flag, as an array that all of them can read later; waits for nothing."""
    import jax

    own = np.full(len(jax.local_devices()), flag)
    return whole(jax.make_array_from_process_local_data(_over_all(spread=True), own))


@lru_cache
def _gather() -> Any:
    import jax

    return jax.jit(lambda tree: tree, out_shardings=_over_all(spread=False))


def _over_all(spread: bool) -> Any:
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("device",))
    return NamedSharding(mesh, PartitionSpec("device") if spread else PartitionSpec())


def part() -> None:
    """Ends the working together, when all processes have come to it."""
    if count() > 1:
        sys.modules["jax"].distributed.shutdown()


def leave(code: int) -> int:
    """The exit code; a process that failed alone ends without the others, which then end, too."""
    if code and count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        if first():
            time.sleep(1)  # others that failed with it can say why
        os._exit(code)
    return code


def progress(stage: str, total: int, done: int = 0) -> writers.Progress:
    """The first process's progress on the terminal, from what was `done` before; the others are silent."""
    return writers.Progress(stage, total, done, stream=None if first() else io.StringIO())
