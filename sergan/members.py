"""Members = normalisations × folds × seeds × sweep points, trained together as one batched train state."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sergan import cyclegan, rngs
from sergan.cyclegan import GanConfig, GanData, Step
from sergan.folds import Fold, Scaler
from sergan.state import GanState, Hypers, hypers, stack

# Which leaves of GanData have a member axis: the tables are shared, the views of them are not.
DATA_AXES = GanData(None, None, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Member:
    """One set of N emotion CycleGANs: where it trains, with which seed, at which sweep point."""

    index: int
    normalisation: str
    fold: int
    seed: int
    point: int
    hypers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class View:
    """What a fold lets a member see: rows of S, rows of each emotion, and the min-max scaler of both."""

    source_R: np.ndarray
    target_KxR: tuple[np.ndarray, ...]
    scaler: Scaler


def plan(
    normalisations: tuple[str, ...], folds: list[Fold], seeds: int, points: list[dict[str, float]]
) -> list[Member]:
    """All members of a run, those with the same tables next to each other."""
    members: list[Member] = []
    for normalisation in normalisations:
        for point, values in enumerate(points):
            for seed in range(seeds):
                for fold in folds:
                    settings = tuple(sorted(values.items()))
                    members.append(Member(len(members), normalisation, fold.index, seed, point, settings))
    return members


def init(config: GanConfig, group: list[Member]) -> GanState:
    """Fresh states of a group [M]; each member's key comes from its seed, fold and point."""
    keys_M = jnp.stack([rngs.member_key(m.seed, m.fold, m.point) for m in group])
    return jax.jit(jax.vmap(lambda key: cyclegan.init(config, key)))(keys_M)


def stack_hypers(group: list[Member]) -> Hypers:
    """Hypers [M] of a group."""
    return stack([hypers(**dict(m.hypers)) for m in group])


def stack_views(source_SxD: Any, target_UxD: Any, views: list[View]) -> GanData:
    """The data of a group: shared tables, and per member the rows it may see, padded to equal lengths."""
    rows = max(len(rows_R) for view in views for rows_R in view.target_KxR)
    sources = max(len(view.source_R) for view in views)

    def padded(rows_R: np.ndarray, length: int) -> np.ndarray:
        return np.pad(rows_R, (0, length - len(rows_R)), mode="edge").astype(np.int32)

    return GanData(
        source_SxD=jnp.asarray(source_SxD),
        target_UxD=jnp.asarray(target_UxD),
        source_rows_N=jnp.asarray(np.stack([padded(v.source_R, sources) for v in views])),
        source_count=jnp.asarray([len(v.source_R) for v in views], jnp.int32),
        target_rows_KxN=jnp.asarray(np.stack([[padded(r, rows) for r in v.target_KxR] for v in views])),
        target_count_K=jnp.asarray([[len(r) for r in v.target_KxR] for v in views], jnp.int32),
        low_D=jnp.asarray(np.stack([v.scaler.shift_D for v in views])),
        scale_D=jnp.asarray(np.stack([v.scaler.scale_D for v in views])),
    )


def make_chunk(step: Step, steps: int) -> Callable[[Hypers, GanData, GanState], tuple[GanState, dict]]:
    """`steps` steps of a whole group as one program; the state is donated.

    Returns the new state and the metrics [M, K], averaged over the chunk.
    """

    def chunk(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        state, metrics = jax.lax.scan(lambda s, _: step(hypers, data, s), state, length=steps)
        return state, jax.tree.map(lambda m: jnp.mean(m, axis=0), metrics)

    return jax.jit(jax.vmap(chunk, in_axes=(0, DATA_AXES, 0)), donate_argnums=2)


def groups(members: list[Member], size: int) -> list[list[Member]]:
    """Members in equally long groups of at most `size` that share their tables.

    The last group is filled up with copies of its last member, so that every group runs the same program.
    """
    by_tables: dict[str, list[Member]] = {}
    for member in members:
        by_tables.setdefault(member.normalisation, []).append(member)
    out: list[list[Member]] = []
    for same in by_tables.values():
        length = math.ceil(len(same) / math.ceil(len(same) / size))
        for start in range(0, len(same), length):
            group = same[start : start + length]
            out.append(group + [group[-1]] * (length - len(group)))
    return out


def bytes_per_member(config: GanConfig) -> int:
    """Memory of one member in training: state, gradients and updates of one group, activations of a batch."""
    state = jax.eval_shape(lambda: cyclegan.init(config, jax.random.key(0)))
    total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state._replace(key=())))
    gradients = 2 * sum(leaf.size * 4 for leaf in jax.tree.leaves(state.params["gen"]))
    rows = config.emotions * config.batch_size * 4
    activations = rows * (12 * config.features + 8 * sum(config.generator) + 12 * sum(config.critic))
    return total + gradients + activations


def group_size(config: GanConfig, members: int) -> int:
    """How many members fit: 80 % of an accelerator's free memory, half of the host's on CPU."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats:
        free = 0.8 * (stats["bytes_limit"] - stats["bytes_in_use"]) * len(jax.local_devices())
    else:
        free = 0.5 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(members, int(free // bytes_per_member(config))))


def shard(tree: Any, size: int) -> Any:
    """Lays the member axis of every leaf over the local devices (as many as divide the group)."""
    devices = jax.local_devices()[: math.gcd(size, len(jax.local_devices()))]
    sharding = NamedSharding(Mesh(np.array(devices), ("member",)), PartitionSpec("member"))
    return jax.device_put(tree, sharding)


def shard_data(data: GanData, size: int) -> GanData:
    """`shard` for a group's data: the tables go whole to every device."""
    devices = jax.local_devices()[: math.gcd(size, len(jax.local_devices()))]
    mesh = Mesh(np.array(devices), ("member",))
    specs = GanData(*(PartitionSpec() if axis is None else PartitionSpec("member") for axis in DATA_AXES))
    return GanData(
        *(jax.device_put(x, NamedSharding(mesh, spec)) for x, spec in zip(data, specs, strict=True))
    )
