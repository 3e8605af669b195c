"""Members = normalisations × sweep points × seeds × folds, trained as batched train states."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sergan import adversarial, memory, methods, nets, rngs
from sergan.errors import UserError
from sergan.folds import Fold, Scaler
from sergan.gan import GanConfig, GanData, Step
from sergan.state import GanState, Hypers, hypers, stack

_CPU_MEMBERS = 3  # on each device: in turns more are no faster, and an interrupt waits for a chunk of all
_BESIDE = 0.1  # of a CPU's time for a member, what a group takes beside its members
# Which leaves of GanData have a member axis: the tables are shared, the views of them are not.
DATA_AXES: Any = GanData(None, None, 0, 0, 0, 0, 0, 0)  # type: ignore[arg-type]
_DATA_SPECS = GanData._make(
    PartitionSpec() if axis is None else PartitionSpec("member") for axis in DATA_AXES
)
Chunk = Callable[[Hypers, GanData, GanState], tuple[GanState, dict[str, jax.Array]]]


@dataclass(frozen=True)
class Member:
    """One set of N emotion CycleGANs: where it trains, with which seed, at which sweep point.

    `gan` is what is compiled, `hypers` what is traced.
    """

    index: int
    gan: GanConfig
    normalisation: str
    fold: int
    seed: int
    point: int
    hypers: tuple[tuple[str, float], ...]

    @property
    def loss(self) -> str:
        """The arm that it makes rows for."""
        return self.gan.loss

    @property
    def steps(self) -> int:
        """Of its training, pre-training among them."""
        return self.gan.pretrain_steps + self.gan.steps


@dataclass(frozen=True)
class View:
    """What a fold lets a member see: rows of S, rows of each emotion, and the min-max scaler of both."""

    source_R: np.ndarray
    target_KxR: tuple[np.ndarray, ...]
    scaler: Scaler


def plan(
    losses: tuple[str, ...],
    normalisations: tuple[str, ...],
    folds: list[Fold],
    seeds: int,
    points: list[tuple[GanConfig, dict[str, float]]],
) -> list[Member]:
    """All members of a run: each point's networks with each loss, and its hypers.

    Points that make no difference to a loss have those of the first of them. Inner folds have the first seed
    only.
    """
    members: list[Member] = []

    def program(gan: GanConfig, loss: str) -> GanConfig:
        """The networks of a loss, without the settings that it does not look at."""
        if not methods.from_noise(loss):
            return replace(gan, loss=loss, noise_pretrain_steps=0, noise_steps=0, noise_rate=0.0)
        return replace(
            gan,
            loss=loss,
            residual=False,
            dropout=0.0,
            heads=(),
            identity=False,
            classifier=gan.classifier if loss in adversarial.CODED else (),
            classifier_data="",
            pretrain_steps=gan.noise_pretrain_steps,
            steps=gan.noise_steps,
            decay_steps=max(1, gan.decay_steps * gan.noise_steps // gan.steps),  # as often in all
        )

    def own(loss: str) -> list[int]:
        first: dict[Any, int] = {}
        for point, (gan, values) in enumerate(points):
            read = tuple(values.get(name) for name in sorted(methods.reads(loss)))
            first.setdefault((program(gan, loss), read), point)
        return list(first.values())

    for loss, normalisation in product(losses, normalisations):
        for point, seed in product(own(loss), range(seeds)):
            gan, values = points[point]
            settings = tuple(sorted(values.items()))
            for fold in folds:
                if not fold.inner or seed == 0:
                    at = normalisation, fold.index, seed, point
                    members.append(Member(len(members), program(gan, loss), *at, settings))
    return members


def init(config: GanConfig, group: list[Member]) -> GanState:
    """Fresh states of a group [M]; each member's key comes from its seed and fold."""
    keys_M = jnp.stack([rngs.member_key(m.seed, m.fold) for m in group])
    return _compiled_init(config, _placement(len(group), PartitionSpec("member")))(keys_M)


def abstract(config: GanConfig, group: list[Member]) -> GanState:
    """Shapes, types and places of `init`, without memory: what a checkpoint is restored as."""
    placement = _placement(len(group), PartitionSpec("member"))
    keys_M = jax.random.split(jax.random.key(0), len(group))
    state = jax.eval_shape(jax.vmap(lambda key: methods.of(config).init(config, key)), keys_M)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placement), state)


@lru_cache
def _compiled_init(config: GanConfig, placement: NamedSharding) -> Callable[[jax.Array], GanState]:
    return jax.jit(jax.vmap(lambda key: methods.of(config).init(config, key)), out_shardings=placement)


def stack_hypers(group: list[Member]) -> Hypers:
    """Hypers [M] of a group."""
    return shard(stack([hypers(**dict(m.hypers)) for m in group]), len(group))


def stack_views(source_SxD: Any, target_UxD: Any, views: list[View]) -> GanData:
    """A group's data on its devices: the tables whole on each, and per member the rows it may see, padded."""
    rows, sources = len(target_UxD), len(source_SxD)  # the same for every group: one program

    def padded(rows_R: np.ndarray, length: int) -> np.ndarray:
        return np.pad(rows_R, (0, length - len(rows_R)), mode="edge").astype(np.int32)

    tables = {"source_SxD": source_SxD, "target_UxD": target_UxD}
    own = {
        "source_rows_N": np.stack([padded(v.source_R, sources) for v in views]),
        "source_count": np.array([len(v.source_R) for v in views], np.int32),
        "target_rows_KxN": np.stack([[padded(r, rows) for r in v.target_KxR] for v in views]),
        "target_count_K": np.array([[len(r) for r in v.target_KxR] for v in views], np.int32),
        "low_D": np.stack([v.scaler.shift_D for v in views]),
        "scale_D": np.stack([v.scaler.scale_D for v in views]),
    }
    whole = jax.device_put(tables, _placement(len(views), PartitionSpec()))
    return GanData(**whole, **shard(own, len(views)))


def make_chunk(step: Step, steps: int, size: int, turns: bool | None = None) -> Chunk:
    """`steps` steps of a group of `size` members as one program; the state is donated and stays where it is.

    Args:
      turns: whether a device takes its members one after another, instead of vmapped; None: as a CPU does,
        in whose caches the state of one then stays.
    Returns:
      The program; it gives the new state and the metrics [M, K], averaged over the chunk.
    """

    def chunk(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        state, metrics = jax.lax.scan(lambda s, _: step(hypers, data, s), state, length=steps)
        return state, jax.tree.map(lambda m: jnp.mean(m, axis=0), metrics)

    together = jax.vmap(chunk, in_axes=(0, DATA_AXES, 0))
    placement = _placement(size, PartitionSpec("member"))
    if turns is None:
        turns = placement.mesh.devices.flat[0].platform == "cpu"
    on_each_device = jax.shard_map(
        _in_turns(together) if turns else together,
        mesh=placement.mesh,
        in_specs=(placement.spec, _DATA_SPECS, placement.spec),
        out_specs=placement.spec,
        check_vma=False,  # random draws and constants are the same on all devices
    )
    return jax.jit(on_each_device, donate_argnums=2)


def _in_turns(together: Chunk) -> Chunk:
    """The same of one member at a time, each of which is written back to its place."""

    def in_turns(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        def turn(state: GanState, place: jax.Array) -> tuple[GanState, dict[str, jax.Array]]:
            def own(leaf: jax.Array) -> jax.Array:
                return jax.lax.dynamic_slice_in_dim(leaf, place, 1)

            def written(whole: jax.Array, part: jax.Array) -> jax.Array:
                return jax.lax.dynamic_update_slice_in_dim(whole, part, place, 0)

            seen = GanData(*(x if axis is None else own(x) for x, axis in zip(data, DATA_AXES, strict=True)))
            new, metrics = together(jax.tree.map(own, hypers), seen, jax.tree.map(own, state))
            return jax.tree.map(written, state, new), jax.tree.map(lambda metric_1xK: metric_1xK[0], metrics)

        return jax.lax.scan(turn, state, jnp.arange(len(state.step)))

    return in_turns


def groups(members: list[Member], length: int) -> list[list[Member]]:
    """Members that share their program and tables in groups of exactly `length`.

    The last one is filled up with copies of its last member, so that every group runs the same program.
    """
    out: list[list[Member]] = []
    for same in _alike(members):
        for start in range(0, len(same), length):
            group = same[start : start + length]
            out.append(group + [group[-1]] * (length - len(group)))
    return out


def _alike(members: list[Member]) -> list[list[Member]]:
    alike: dict[tuple[GanConfig, str], list[Member]] = {}
    for member in members:
        alike.setdefault((member.gan, member.normalisation), []).append(member)
    return list(alike.values())


def bytes_per_member(config: GanConfig) -> int:
    """Memory of one member in training: state, gradients and updates of one group, activations of a batch."""
    state = jax.eval_shape(lambda: methods.of(config).init(config, jax.random.key(0)))
    total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state._replace(key=())))
    gradients = 2 * sum(leaf.size * 4 for leaf in jax.tree.leaves(state.params["gen"]))
    rows = config.emotions * config.batch_size * 4
    generator, critic = sum(config.generator), sum(config.critic)
    if config.shape:
        generator = nets.spectral_values(config.shape, config.generator)
        critic = nets.spectral_values(config.shape, config.critic)
    activations = rows * (12 * config.features + 8 * generator + 12 * critic)
    return total + gradients + activations


def group_length(members: list[Member], at_most: int = 0) -> int:
    """How long groups are to be: as the memory allows, each device with as many members as the others.

    The memory is 80 % of what is free on the accelerators. A CPU takes what half of the free memory holds,
    but no more than `_CPU_MEMBERS` on each device, and fewer where more would leave a group half empty.
    Several hosts are taken to be alike, and all of their devices take part. `at_most` above 0 overrides
    the memory. Without members it is 0.
    """
    if not members:
        return 0
    same = max(map(len, _alike(members)))
    largest = max(bytes_per_member(gan) for gan in {member.gan for member in members})
    on_a_host = max(1, int(memory.for_training() // largest))
    on_cpu = jax.local_devices()[0].platform == "cpu"
    if on_cpu:
        on_a_host = min(on_a_host, _CPU_MEMBERS * jax.local_device_count())
    fitting = at_most or on_a_host * jax.process_count()
    several = jax.process_count() > 1
    devices = len(jax.devices()) if several else min(len(jax.devices()), fitting)
    turns = math.ceil(same / devices)  # members of a device, in all groups
    most = min(turns, max(1, fitting // devices))
    fewest, beside = (1, _BESIDE) if on_cpu else (most // 2 + 1, 0.0)
    on_each = min(range(fewest, most + 1), key=lambda n: (math.ceil(turns / n) * (n + beside), -n))
    return on_each * (devices if several else min(devices, math.ceil(same / on_each)))


def shard(tree: Any, size: int) -> Any:
    """Lays the member axis of every leaf over the devices."""
    return jax.device_put(tree, _placement(size, PartitionSpec("member")))


def devices_of(size: int) -> int:
    """How many devices a group lies over: the most that have equally many members."""
    return max(count for count in range(1, len(jax.devices()) + 1) if size % count == 0)


def halved(size: int) -> int:
    """Members of a group that takes half of the memory on each of its devices, or lies over fewer of them."""
    devices = devices_of(size)
    each = size // devices
    return devices * -(-each // 2) if each > 1 else -(-size // 2)


def _placement(size: int, spec: PartitionSpec) -> NamedSharding:
    """On the group's devices; several hosts take part with all of theirs.

    Raises:
      UserError: the group does not lie evenly on several hosts' devices.
    """
    devices, together = jax.devices(), devices_of(size)
    if jax.process_count() > 1 and together < len(devices):
        raise UserError(
            f"groups of {size} members do not lie evenly on {len(devices)} devices of {jax.process_count()} "
            f"hosts; go on with as many devices as the run began with, or begin a new run folder"
        )
    return NamedSharding(Mesh(np.array(devices[:together]), ("member",)), spec)
