"""One member: N emotion CycleGANs vmapped over the emotions, with a shared auxiliary classifier.

G maps source -> target, F target -> source; critic T judges targets, critic S sources (Bao et al. 2019,
Shilandari et al. 2022). Everything here is one member's; `members` batches it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sergan import gan, losses, nets, rngs
from sergan.gan import GanConfig, GanData, Step
from sergan.state import GanState, Hypers


class Nets(NamedTuple):
    """The three kinds of network."""

    gen: nets.Net
    critic: nets.Net
    cls: nets.Net


def make_nets(config: GanConfig) -> Nets:
    """Networks of the sizes in `config`."""
    d = config.features
    shared: dict[str, Any] = {
        "slope": config.slope,
        "precision": config.precision,
        "activations": config.activations,
    }
    own: dict[str, Any] = {"dropout": config.dropout, "residual": config.residual, **shared}
    cls = nets.build(d, config.classifier, config.emotions, **shared)
    if config.shape:
        frames, filters = config.shape
        gen = nets.build_spectral_generator((frames, filters), config.generator, **own)
        return Nets(gen, nets.build_spectral_critic((frames, filters), config.critic, **shared), cls)
    return Nets(
        gen=nets.build(d, config.generator, d, **own),
        critic=nets.build_heads(config.heads, config.critic, **shared)
        if config.heads
        else nets.build(d, config.critic, 1, **shared),
        cls=cls,
    )


def init(config: GanConfig, key: jax.Array) -> GanState:
    """A fresh member from its root key."""
    net = make_nets(config)

    def per_emotion(build: nets.Net, name: str) -> Any:
        return jax.vmap(build.init)(jax.random.split(rngs.stream(key, name), config.emotions))

    params = {
        "gen": {"G": per_emotion(net.gen, "G"), "F": per_emotion(net.gen, "F")},
        "critic": {"T": per_emotion(net.critic, "critic_T"), "S": per_emotion(net.critic, "critic_S")},
        "cls": net.cls.init(rngs.stream(key, "C")),
    }
    return gan.start(config, params, key)


def make_pretrain_step(config: GanConfig) -> Step:
    """A pure step of generator pre-training: reconstruction of S and T through the cycle, with dropout."""
    net = make_nets(config)

    def emotion_loss(gen: Any, s_BxD: jax.Array, t_BxD: jax.Array, key: jax.Array) -> Any:
        keys = jax.random.split(key, 4)
        fake_t_BxD = net.gen.apply(gen["G"], s_BxD, keys[0])
        fake_s_BxD = net.gen.apply(gen["F"], t_BxD, keys[1])
        loss = losses.cycle(net.gen.apply(gen["F"], fake_t_BxD, keys[2]), s_BxD, config.cycle_reduction)
        loss += losses.cycle(net.gen.apply(gen["G"], fake_s_BxD, keys[3]), t_BxD, config.cycle_reduction)
        return loss, loss

    def step(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        key = jax.random.fold_in(rngs.stream(state.key, "pretrain"), state.step)
        s_KxBxD, t_KxBxD = gan.batch(config, data, rngs.stream(key, "batch"))
        keys = jax.random.split(rngs.stream(key, "dropout"), config.emotions)
        grads, cycle_K = jax.vmap(jax.grad(emotion_loss, has_aux=True))(
            state.params["gen"], s_KxBxD, t_KxBxD, keys
        )
        norm_K = _norms(grads)
        state = gan.update(config, state, "gen", grads, hypers.lr_g, jnp.all(jnp.isfinite(norm_K)))
        state = gan.averaged(state, 0.0)
        return state._replace(step=state.step + state.finite), {"cycle": cycle_K, "grad_gen": norm_K}

    return step


def make_step(config: GanConfig) -> Step:
    """A pure step of joint training: `generator_updates` of G, F and C, then `critic_updates` of the critics.

    Metrics are arrays [K], one value per emotion.
    """
    net = make_nets(config)
    generator_loss = _make_generator_loss(config, net)
    critic_loss = _make_critic_loss(config, net)
    labels_K = jnp.arange(config.emotions)
    taps = {name: jnp.zeros((config.batch_size, config.features)) for name in ("adv", "cyc")}

    def classifier_loss(cls: Any, real_KxBxD: jax.Array, fake_KxBxD: jax.Array) -> jax.Array:
        rows = {"real": [real_KxBxD], "fake": [fake_KxBxD], "both": [real_KxBxD, fake_KxBxD]}
        ce = jax.vmap(losses.cross_entropy)
        logits = [net.cls.apply(cls, x_KxBxD) for x_KxBxD in rows[config.classifier_data]]
        return sum((ce(x_KxBxC, labels_K).mean() for x_KxBxC in logits), jnp.zeros(()))

    def update_generators(
        hypers: Hypers, data: GanData, state: GanState, key: jax.Array
    ) -> tuple[GanState, dict[str, jax.Array]]:
        s_KxBxD, t_KxBxD = gan.batch(config, data, key)
        grad = jax.grad(generator_loss, argnums=(0, 1), has_aux=True)
        per_emotion = jax.vmap(grad, in_axes=(0, None, 0, None, 0, 0, 0, None))
        (grads, tap_grads), (metrics, fake_t_KxBxD) = per_emotion(
            state.params["gen"],
            taps,
            state.params["critic"],
            state.params["cls"],
            s_KxBxD,
            t_KxBxD,
            labels_K,
            hypers,
        )
        cls_grads = jax.grad(classifier_loss)(state.params["cls"], t_KxBxD, fake_t_KxBxD)
        norm_K, rate = _norms(grads), gan.decay(config, state.step)
        ok = jnp.all(jnp.isfinite(norm_K)) & jnp.isfinite(optax.tree.norm(cls_grads))
        state = gan.update(config, state, "gen", grads, hypers.lr_g * rate, ok)
        state = gan.update(config, state, "cls", cls_grads, hypers.lr_cls * rate, ok)
        ratio_K = _norms(tap_grads["cyc"]) / (_norms(tap_grads["adv"]) + 1e-12)
        return state, metrics | {"grad_gen": norm_K, "cycle_ratio": ratio_K}

    def update_critics(
        hypers: Hypers, data: GanData, state: GanState, key: jax.Array
    ) -> tuple[GanState, dict[str, jax.Array]]:
        s_KxBxD, t_KxBxD = gan.batch(config, data, rngs.stream(key, "batch"))
        keys = jax.random.split(rngs.stream(key, "interpolate"), config.emotions)
        per_emotion = jax.vmap(jax.grad(critic_loss, has_aux=True), in_axes=(0, 0, 0, 0, 0, None))
        grads, metrics = per_emotion(
            state.params["critic"], state.params["gen"], s_KxBxD, t_KxBxD, keys, hypers
        )
        norm_K = _norms(grads)
        rate = hypers.lr_c * gan.decay(config, state.step)
        state = gan.update(config, state, "critic", grads, rate, jnp.all(jnp.isfinite(norm_K)))
        return state, metrics | {"grad_critic": norm_K}

    return gan.alternate(config, update_generators, update_critics)


def transfer(config: GanConfig, gen: Any, key: jax.Array, x_BxD: jax.Array) -> jax.Array:
    """Rows of S (min-max scaled) through every G_i: x_BxD -> y_KxBxD. `gen` is a state's `generators`.

    There is no randomness in it; `key` is for methods that make rows from noise.
    """
    net = make_nets(config).gen
    return jax.vmap(net.apply, in_axes=(0, None))(gen["G"], x_BxD)


def _make_generator_loss(config: GanConfig, net: Nets) -> Callable:
    """Loss of one emotion's (G, F).

    `taps` are zeros added where G(s) enters the critic and where it enters F: their gradients are those of
    the adversarial and of the cycle loss with respect to the generated rows, at no further pass.
    """
    adversarial = losses.wasserstein_generator if config.loss == "wdiv" else losses.gan_generator
    reduction = config.cycle_reduction

    def loss(gen, taps, critic, cls, s_BxD, t_BxD, label, hypers):  # type: ignore[no-untyped-def]
        fake_t_BxD = net.gen.apply(gen["G"], s_BxD)
        fake_s_BxD = net.gen.apply(gen["F"], t_BxD)
        gen_t = adversarial(net.critic.apply(critic["T"], fake_t_BxD + taps["adv"])[:, 0])
        gen_s = adversarial(net.critic.apply(critic["S"], fake_s_BxD)[:, 0])
        cycle_s = losses.cycle(net.gen.apply(gen["F"], fake_t_BxD + taps["cyc"]), s_BxD, reduction)
        cycle_t = losses.cycle(net.gen.apply(gen["G"], fake_s_BxD), t_BxD, reduction)
        class_loss = losses.cross_entropy(net.cls.apply(cls, fake_t_BxD), label)
        total = gen_t + gen_s + hypers.lambda_cyc * (cycle_s + cycle_t) + hypers.lambda_cls * class_loss
        metrics = {"gen_T": gen_t, "gen_S": gen_s, "cycle": cycle_s + cycle_t, "class": class_loss}
        if config.identity:
            identity = losses.identity(net.gen.apply(gen["G"], t_BxD), t_BxD, reduction)
            identity += losses.identity(net.gen.apply(gen["F"], s_BxD), s_BxD, reduction)
            total += hypers.lambda_id * identity
            metrics["identity"] = identity
        return total, (metrics, fake_t_BxD)

    return loss


def _make_critic_loss(config: GanConfig, net: Nets) -> Callable:
    """Loss of one emotion's two critics on rows of the generators as they are."""

    def one(params, real_BxD, fake_BxD, key, hypers):  # type: ignore[no-untyped-def]
        real_B, fake_B = jnp.split(net.critic.apply(params, jnp.concatenate([real_BxD, fake_BxD]))[:, 0], 2)
        estimate = -losses.wasserstein_critic(real_B, fake_B)
        if config.loss == "gan":
            return losses.gan_discriminator(real_B, fake_B, hypers.smoothing), (estimate, jnp.zeros(()))
        x_BxD = losses.interpolate(key, real_BxD, fake_BxD)
        penalty = losses.divergence_penalty(
            lambda x_BxD: net.critic.apply(params, x_BxD)[:, 0], x_BxD, hypers.penalty_k, hypers.penalty_p
        )
        return losses.wasserstein_critic(real_B, fake_B) + penalty, (estimate, penalty)

    def loss(critic, gen, s_BxD, t_BxD, key, hypers):  # type: ignore[no-untyped-def]
        fake_t_BxD = jax.lax.stop_gradient(net.gen.apply(gen["G"], s_BxD))
        fake_s_BxD = jax.lax.stop_gradient(net.gen.apply(gen["F"], t_BxD))
        key_t, key_s = jax.random.split(key)
        loss_t, (estimate_t, penalty_t) = one(critic["T"], t_BxD, fake_t_BxD, key_t, hypers)
        loss_s, (estimate_s, penalty_s) = one(critic["S"], s_BxD, fake_s_BxD, key_s, hypers)
        metrics = {
            "critic_T": loss_t,
            "critic_S": loss_s,
            "wasserstein_T": estimate_t,
            "wasserstein_S": estimate_s,
        }
        if config.loss == "wdiv":
            metrics |= {"penalty_T": penalty_t, "penalty_S": penalty_s}
        return loss_t + loss_s, metrics

    return loss


def _norms(tree: Any) -> jax.Array:
    """L2 norm per emotion of a tree whose leaves lead with K."""
    leaves = jax.tree.leaves(tree)
    squares_K = [jnp.sum(jnp.square(leaf), axis=tuple(range(1, leaf.ndim))) for leaf in leaves]
    return jnp.sqrt(sum(squares_K[1:], squares_K[0]))
