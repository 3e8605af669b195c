"""Saving and restoring train states and trained generators; the only file that knows Orbax."""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
from etils import epath
from orbax.checkpoint import v1 as ocp

from sergan import checksums
from sergan.errors import UserError

_ONE = threading.Lock()  # Orbax's saves from several threads would wait for each other forever


class Damaged(UserError):
    """A checkpoint is not as it was saved."""


def _is_no_trace(record: logging.LogRecord) -> bool:
    """Whether a line of the log is no trace of Orbax's threads; what fails in them is raised here."""
    return not (record.exc_info and "orbax" in record.pathname)


logging.getLogger("absl").addFilter(_is_no_trace)


def drop_damaged(directory: epath.PathLike) -> list[str]:
    """Deletes the checkpoints of one group that are not as they were saved; says which, and why.

    A save counts from the moment that its checksums are there.
    """
    said = []
    for path in _steps(epath.Path(directory)):
        fault = checksums.fault(path)
        if fault:
            path.rmtree()
            said.append(f"{path}: not whole ({fault}), and deleted")
    return said


def _steps(directory: epath.Path) -> list[epath.Path]:
    """The folders of finished saves."""
    return [path for path in directory.iterdir() if path.name.isdigit()] if directory.exists() else []


class Checkpoints:
    """The newest train states of one group of members; an unfinished save never counts."""

    def __init__(self, directory: epath.PathLike, keep: int = 2) -> None:
        self._directory = epath.Path(directory).resolve()  # Orbax wants it absolute
        self._thread = ThreadPoolExecutor(1, "checksums")
        self._sealed: Future | None = None
        self._begun: int | None = None
        self._checkpointer = ocp.training.Checkpointer(
            self._directory,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def latest(self) -> int | None:
        """Step of the newest checkpoint, one that is being saved included, or None."""
        newest = self._checkpointer.latest
        return None if newest is None else newest.step

    def save(self, step: int, state: Any) -> None:
        """Writes `state` under `step` in the background, then drops older ones; it may be donated at once.

        A step that was saved before is not saved again. What failed of the save before is raised here. A
        save of other checkpoints that is under way is waited for.
        """
        self.settle()
        if step == self._begun:
            return
        _ONE.acquire()
        try:
            self._sealed = self._thread.submit(self._seal, step, self._checkpointer.save_async(step, state))
        except BaseException:
            _ONE.release()
            raise
        self._begun = step

    def _seal(self, step: int, saving: Any) -> None:
        """Waits for a save, and keeps its checksums."""
        try:
            saving.result()
        finally:
            _ONE.release()
        if jax.process_index() == 0:
            checksums.write(self._directory / str(step))

    def settle(self) -> None:
        """Waits for the last save; raises what it did."""
        sealed, self._sealed = self._sealed, None
        if sealed:
            sealed.result()

    def restore(self, step: int, state: Any) -> Any:
        """The checkpoint of a step, in the structure, shapes and shardings of `state` (abstract or not).

        Raises:
          UserError: it was written by another architecture.
        """
        where = self._directory / str(step)
        with _ONE:
            _check_shapes(self._checkpointer.metadata(step).metadata, state, where)
            return self._checkpointer.load(step, jax.tree.map(_abstract, state))

    def close(self) -> None:
        """Waits for what is under way; raises what it did."""
        try:
            self.settle()
        finally:
            self._thread.shutdown()
            self._checkpointer.close()


def save_tree(path: epath.PathLike, tree: Any) -> None:
    """Writes a tree of arrays as one checkpoint; the folder appears only when it is whole."""
    path = epath.Path(path).resolve()
    ocp.save(path, tree, overwrite=True)
    if jax.process_index() == 0:
        checksums.write(path)


def damaged_tree(path: epath.PathLike) -> str:
    """What is wrong with the files that `save_tree` left, in words; empty where nothing is known."""
    return checksums.fault(epath.Path(path), needed=False)


def restore_tree(path: epath.PathLike, tree: Any) -> Any:
    """A tree written by `save_tree`, in the structure and shapes of `tree` (`jax.ShapeDtypeStruct` leaves).

    It comes to this process's first device; no other process needs to take part.

    Raises:
      UserError: there is none, or it was written by another architecture.
      Damaged: it is not as it was saved.
    """
    path = epath.Path(path).resolve()
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint; run the training of this run folder to its end first")
    if fault := damaged_tree(path):
        raise Damaged(f"{path}: a damaged checkpoint ({fault})")
    alone = ocp.Context()
    process = jax.process_index()
    alone.multiprocessing.primary_host = process
    alone.multiprocessing.active_processes = {process}
    alone.multiprocessing.barrier_sync_key_prefix = f"process_{process}"
    with alone:
        try:
            metadata = ocp.metadata(path).metadata
        except (ocp.errors.InvalidLayoutError, FileNotFoundError, ValueError) as error:
            raise Damaged(f"{path}: not a whole checkpoint ({type(error).__name__}: {error})") from error
        _check_shapes(metadata, tree, path)
        try:
            return ocp.load(path, jax.tree.map(_abstract, tree))
        except jax.errors.JaxRuntimeError:  # no memory for it, say
            raise
        except Exception as error:  # Orbax raises no narrower one for arrays that are cut short
            raise Damaged(f"{path}: a damaged checkpoint, whose arrays cannot be read") from error


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    """A leaf's shape and type, on its own devices or on the first."""
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or first)


def _check_shapes(saved: Any, wanted: Any, where: epath.Path) -> None:
    """Names the first array that the checkpoint has otherwise than the config says."""
    saved_shapes, wanted_shapes = _shapes(saved), _shapes(wanted)
    for name in sorted(saved_shapes.keys() | wanted_shapes.keys()):
        if saved_shapes.get(name) != wanted_shapes.get(name):
            there, wanted_shape = saved_shapes.get(name, "absent"), wanted_shapes.get(name, "absent")
            raise UserError(
                f"{where}: a checkpoint of another architecture: {name} is {there} there and {wanted_shape} "
                "in the config; use the run folder's own config"
            )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shapes by name, whatever the containers: Orbax returns tuples as dictionaries and keys as words."""

    def name(path: tuple) -> str:
        return "/".join(str(getattr(p, "key", getattr(p, "name", getattr(p, "idx", p)))) for p in path)

    def shape(leaf: Any) -> tuple[int, ...]:
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return (jax.eval_shape(jax.random.key_data, leaf) if is_key else leaf).shape

    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {name(path): tuple(shape(leaf)) for path, leaf in leaves if hasattr(leaf, "shape")}
