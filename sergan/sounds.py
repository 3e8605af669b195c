"""Training of WaveGAN or SpecGAN on slices of clips: one member as pure functions of its state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sergan import adam, losses, nets, rngs, spectra
from sergan.errors import UserError
from sergan.nets import sound

LOSSES = ("wgan_gp", "wdiv")  # gradient penalty, Wasserstein divergence
_MADE = 16  # samples that are made at once
_ADAM_EPS = 1e-8


@dataclass(frozen=True)
class SoundConfig:
    """What is compiled into a step; the defaults are the papers', who have size 64 and batches of 64.

    Raises:
      UserError: no such kind or loss, slices of another length than 16384, 32768 or 65536 samples, or a
        number below 1.
    Source: Donahue et al. 2019, appendix D, table 5; Wu et al. 2018 for `penalty_k` and `penalty_p`.
    """

    kind: str  # "wavegan" or "specgan"
    classes: int
    samples: int  # of a slice
    size: int  # d, which all numbers of feature maps are multiples of
    batch_size: int
    steps: int  # generator updates
    loss: str = "wgan_gp"
    penalty: float = 10.0  # λ of "wgan_gp"
    penalty_k: float = 2.0  # of "wdiv"
    penalty_p: float = 6.0
    critic_updates: int = 5  # before each of the generator
    learning_rate: float = 1e-4
    adam_b1: float = 0.5
    adam_b2: float = 0.9
    shuffle: int = 2  # n of WaveGAN's phase shuffle
    precision: str = "float32"  # of the products, see `nets.products`

    def __post_init__(self) -> None:
        if self.kind not in sound.KINDS:
            raise UserError(f"kind {self.kind!r} is none of {', '.join(sound.KINDS)}")
        if self.loss not in LOSSES:
            raise UserError(f"loss {self.loss!r} is none of {', '.join(LOSSES)}")
        if self.samples not in sound.STRIDES:
            raise UserError(f"a slice has {', '.join(map(str, sound.STRIDES))} samples, not {self.samples}")
        for name in ("classes", "size", "batch_size", "steps", "critic_updates"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 1 or more")


class Waves(NamedTuple):
    """Clips U, one after another: clip u has `length_U[u]` samples, from `first_U[u]` on; a clip that is
    shorter than a slice is followed by zeros to a slice's length."""

    x_L: Any
    first_U: Any
    length_U: Any


class SoundData(NamedTuple):
    """One member's training clips on the device, see `make_data`; the first leaf is all members'."""

    clips: Waves
    rows_R: jax.Array  # clips that train, padded
    label_R: jax.Array  # 0..C-1
    cumulative_R: jax.Array  # their shares of the draws summed up to each, padded with 2
    mean_F: jax.Array  # of the bins of a spectrogram; 0 and 1 for waveforms
    scale_F: jax.Array


class SoundState(NamedTuple):
    """One member, with everything that a restart needs."""

    step: jax.Array  # int32; a diverged member stops here
    finite: jax.Array  # bool; False freezes the member
    gen: Any
    critic: Any
    gen_moments: adam.Moments
    critic_moments: adam.Moments
    key: jax.Array  # the member's root key, never advanced


Step = Callable[[SoundData, SoundState], tuple[SoundState, dict[str, jax.Array]]]


def join(clips: Sequence[np.ndarray], samples: int) -> Waves:
    """Clips x_T as one array, in which slices of `samples` can be cut.

    Raises:
      UserError: there is no clip, or more than 37 hours of them.
    """
    if not len(clips):
        raise UserError("there is no clip to train on")
    length_U = np.array([len(x_T) for x_T in clips])
    room_U = np.maximum(length_U, samples)
    if room_U.sum() > np.iinfo(np.int32).max:
        raise UserError(
            f"config.corpus: its clips have {room_U.sum()} samples, GANs take {np.iinfo(np.int32).max} (37 "
            "hours at 16 kHz); leave long clips out"
        )
    first_U = np.cumsum(room_U) - room_U
    x_L = np.zeros(room_U.sum(), np.float32)
    for first, x_T in zip(first_U, clips, strict=True):
        x_L[first : first + len(x_T)] = x_T
    return Waves(x_L, first_U.astype(np.int32), length_U.astype(np.int32))


def make_data(
    config: SoundConfig,
    clips: Waves,
    rows_R: np.ndarray,
    label_R: np.ndarray,
    room: int = 0,
) -> SoundData:
    """A member's data, from clips by `join`; classes are drawn equally often, and so are a class's clips.

    Args:
      rows_R, label_R: places of the clips that train, and their classes; with one class, labels do not count.
      room: the length R to pad to, so that members of different counts can be stacked; 0: no padding.
    Raises:
      UserError: no clip at all, a class without any, a label that is no class, or clips that were joined for
        shorter slices.
    """
    label_R = np.asarray(label_R) if config.classes > 1 else np.zeros(len(rows_R), int)
    count_C = _counts(config, clips, label_R)
    share_R = 1 / (config.classes * count_C[label_R])
    cumulative_R = np.append(np.cumsum(share_R)[:-1], 1.0)
    padding = (0, max(0, room - len(rows_R)))
    mean_F, scale_F = np.zeros(spectra.BINS, np.float32), np.ones(spectra.BINS, np.float32)
    if config.kind == "specgan":
        own = [clips.x_L[clips.first_U[u] :][: clips.length_U[u]] for u in np.unique(rows_R)]
        mean_F, scale_F = spectra.fit_bins(own)
    return SoundData(
        clips=Waves(*map(jnp.asarray, clips)),
        rows_R=jnp.asarray(np.pad(rows_R, padding), jnp.int32),
        label_R=jnp.asarray(np.pad(label_R, padding), jnp.int32),
        cumulative_R=jnp.asarray(np.pad(cumulative_R, padding, constant_values=2), jnp.float32),
        mean_F=jnp.asarray(mean_F),
        scale_F=jnp.asarray(scale_F),
    )


def init(config: SoundConfig, key: jax.Array) -> SoundState:
    """A fresh member from its root key."""
    net = _nets(config)
    gen, critic = net.gen.init(rngs.stream(key, "G")), net.critic.init(rngs.stream(key, "D"))
    return SoundState(
        step=jnp.zeros((), jnp.int32),
        finite=jnp.ones((), bool),
        gen=gen,
        critic=critic,
        gen_moments=adam.init(gen),
        critic_moments=adam.init(critic),
        key=key,
    )


def make_step(config: SoundConfig) -> Step:
    """A pure step: `critic_updates` of the critic, each on its own batch, then one of the generator.

    Metrics are scalars, of the last update: "critic" and "generator" (losses), "wasserstein" (how much higher
    the critic is on real slices), "penalty", "grad_critic" and "grad_gen" (norms).
    """
    net = _nets(config)
    critic_loss, generator_loss = _make_critic_loss(config, net), _make_generator_loss(config, net)

    def update_critic(
        data: SoundData, state: SoundState, key: jax.Array
    ) -> tuple[SoundState, dict[str, jax.Array]]:
        real, label_B = batch(config, data, rngs.stream(key, "batch"))
        z_BxZ = _noise(rngs.stream(key, "noise"), config.batch_size)
        fake = net.gen.apply(state.gen, z_BxZ, label_B)
        grads, metrics = jax.grad(critic_loss, has_aux=True)(state.critic, real, fake, label_B, key)
        norm = optax.tree.norm(grads)
        finite = state.finite & jnp.isfinite(norm)
        critic, moments = _adam(config, state.critic, state.critic_moments, grads, finite)
        state = state._replace(finite=finite, critic=critic, critic_moments=moments)
        return state, metrics | {"grad_critic": norm}

    def update_generator(state: SoundState, key: jax.Array) -> tuple[SoundState, dict[str, jax.Array]]:
        loss, grads = jax.value_and_grad(generator_loss)(state.gen, state.critic, key)
        norm = optax.tree.norm(grads)
        finite = state.finite & jnp.isfinite(norm)
        gen, moments = _adam(config, state.gen, state.gen_moments, grads, finite)
        state = state._replace(finite=finite, gen=gen, gen_moments=moments)
        return state, {"generator": loss, "grad_gen": norm}

    def step(data: SoundData, state: SoundState) -> tuple[SoundState, dict[str, jax.Array]]:
        key = jax.random.fold_in(rngs.stream(state.key, "train"), state.step)
        keys = jax.random.split(rngs.stream(key, "critics"), config.critic_updates)
        state, critic_metrics = jax.lax.scan(lambda s, k: update_critic(data, s, k), state, keys)
        state, metrics = update_generator(state, rngs.stream(key, "generator"))
        state = state._replace(step=state.step + state.finite)
        return state, metrics | jax.tree.map(lambda m: m[-1], critic_metrics)

    return step


def batch(config: SoundConfig, data: SoundData, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slices as the critic sees them, [B, T, 1] or [B, T, F, 1], and their classes label_B.

    A clip is drawn, then a slice of it, all that lie within it being equally likely; a clip that is shorter
    than a slice is followed by zeros.
    """
    share_B = jax.random.uniform(rngs.stream(key, "clip"), (config.batch_size,))
    drawn_B = jnp.searchsorted(data.cumulative_R, share_B, side="right")
    rows_B = data.rows_R[drawn_B]
    starts_B = jnp.maximum(data.clips.length_U[rows_B] - config.samples, 0) + 1
    start_B = jax.random.randint(rngs.stream(key, "start"), (config.batch_size,), 0, starts_B)

    def cut(first: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(data.clips.x_L, (first,), (config.samples,))

    x_BxT = jax.vmap(cut)(data.clips.first_U[rows_B] + start_B)
    if config.kind == "specgan":
        return spectra.spectrogram(x_BxT, data.mean_F, data.scale_F)[..., None], data.label_R[drawn_B]
    return x_BxT[..., None], data.label_R[drawn_B]


def sample(config: SoundConfig, gen: Any, key: jax.Array, label_N: jax.Array) -> jax.Array:
    """As many sounds as labels: waveforms x_NxT, or of SpecGAN spectrograms x_NxTxF; in [-1, 1]."""
    net = _nets(config)
    z_NxZ = _noise(rngs.stream(key, "sample"), len(label_N))

    def one(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        z_Z, label = given
        return net.gen.apply(gen, z_Z[None], label[None])[0, ..., 0]

    return jax.lax.map(one, (z_NxZ, label_N), batch_size=_MADE)


def _counts(config: SoundConfig, clips: Waves, label_R: np.ndarray) -> np.ndarray:
    """Clips that train of each class; checks what `make_data` may be asked for."""
    if not len(label_R):
        raise UserError("there is no clip to train on")
    if label_R.min() < 0 or label_R.max() >= config.classes:
        raise UserError(
            f"labels go from {label_R.min()} to {label_R.max()}, classes from 0 to {config.classes - 1}"
        )
    count_C = np.bincount(label_R, minlength=config.classes)
    if not count_C.all():
        raise UserError(f"class {int(np.argmin(count_C))} has no clip to train on")
    room = np.diff(np.append(clips.first_U, len(clips.x_L))).min()
    if room < config.samples:
        raise UserError(f"clips were joined for slices of {room} samples; a slice has {config.samples}")
    return count_C


def _nets(config: SoundConfig) -> nets.SoundPair:
    return nets.build_sound(
        nets.SoundNets(
            kind=config.kind,
            samples=config.samples,
            size=config.size,
            classes=config.classes,
            shuffle=config.shuffle,
            precision=config.precision,
        )
    )


def _noise(key: jax.Array, count: int) -> jax.Array:
    return jax.random.uniform(key, (count, sound.NOISE), minval=-1.0, maxval=1.0)


def _adam(
    config: SoundConfig, params: Any, moments: adam.Moments, grads: Any, finite: jax.Array
) -> tuple[Any, adam.Moments]:
    rate = jnp.asarray(config.learning_rate, jnp.float32)
    return adam.update(params, moments, grads, rate, finite, config.adam_b1, config.adam_b2, _ADAM_EPS)


def _make_critic_loss(config: SoundConfig, net: nets.SoundPair) -> Callable:
    """Real and generated slices are judged in one batch, so their phases are shuffled alike."""

    def loss(critic, real, fake, label_B, key):  # type: ignore[no-untyped-def]
        def between(x: jax.Array) -> jax.Array:
            return net.critic.apply(critic, x, label_B, rngs.stream(key, "shuffle_between"))

        points = losses.interpolate(rngs.stream(key, "interpolate"), real, fake)
        if config.loss == "wgan_gp":
            penalty = losses.gradient_penalty(between, points, config.penalty)
        else:
            k, p = config.penalty_k, config.penalty_p
            penalty = losses.divergence_penalty(between, points, k, p)
        both, labels = jnp.concatenate([real, fake]), jnp.concatenate([label_B, label_B])
        scores = net.critic.apply(critic, both, labels, rngs.stream(key, "shuffle"))
        gap = losses.wasserstein_critic(*jnp.split(scores, 2))
        return gap + penalty, {"critic": gap + penalty, "wasserstein": -gap, "penalty": penalty}

    return loss


def _make_generator_loss(config: SoundConfig, net: nets.SoundPair) -> Callable:
    def loss(gen, critic, key):  # type: ignore[no-untyped-def]
        label_B = jax.random.randint(rngs.stream(key, "label"), (config.batch_size,), 0, config.classes)
        z_BxZ = _noise(rngs.stream(key, "noise"), config.batch_size)
        fake = net.gen.apply(gen, z_BxZ, label_B)
        score_B = net.critic.apply(critic, fake, label_B, rngs.stream(key, "shuffle"))
        return losses.wasserstein_generator(score_B)

    return loss
