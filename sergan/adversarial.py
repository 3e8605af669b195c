"""Baselines that make rows from noise instead of unlabelled speech; the signature of `cyclegan`.

"sahu_gan" has one generator and one discriminator for all emotions: an emotion is a component of the
mixture of Gaussians that its 2-dimensional noise comes from. In "sahu_cgan" both are also given the emotion.
"adan" and "wadan" generate codes of an auto-encoder, which a critic tells from real rows' codes; a classifier
keeps the codes of both kinds apart by emotion, and the decoder makes rows of them. "wadan" has the
Wasserstein divergence, the others the Jensen-Shannon loss.

Sources: Sahu et al. 2018, "On enhancing speech emotion recognition using generative adversarial networks"; Yi
and Mak 2020, "Improving speech emotion recognition with adversarial data augmentation network".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sergan import gan, losses, nets, rngs
from sergan.gan import GanConfig, GanData, Step
from sergan.state import GanState, Hypers

KINDS = ("sahu_gan", "sahu_cgan", "adan", "wadan")
CODED = ("adan", "wadan")  # with an auto-encoder and a classifier of its codes
PRIOR = 2  # dimensions of Sahu's noise
CODE = 100  # dimensions of ADAN's noise and codes
_SPREAD = 0.2  # deviation of a mixture's component; their means lie on the unit circle


class Nets(NamedTuple):
    """The networks of a member; without an auto-encoder the generator makes rows, and there is no C."""

    gen: nets.Net
    encoder: nets.Net
    decoder: nets.Net | None
    critic: nets.Net
    cls: nets.Net | None


def make_nets(config: GanConfig) -> Nets:
    """Networks of the widths in `config`."""
    options: dict[str, Any] = {
        "slope": config.slope,
        "precision": config.precision,
        "activations": config.activations,
    }
    d, kinds, coded = config.features, config.emotions, _coded(config)
    noise, made = (CODE, CODE) if coded else (PRIOR, d)
    told = 0 if config.loss == "sahu_gan" else kinds
    judged = kinds if config.loss == "sahu_cgan" else 0
    return Nets(
        gen=nets.build(noise + told, config.generator, made, **options),
        encoder=nets.build(d, config.generator, noise, **options),
        decoder=nets.build(CODE, config.generator, d, **options) if coded else None,
        critic=nets.build(made + judged, config.critic, 1, **options),
        cls=nets.build(CODE, config.classifier, kinds, **options) if coded else None,
    )


def init(config: GanConfig, key: jax.Array) -> GanState:
    """A fresh member from its root key."""
    net = make_nets(config)
    named = {"G": net.gen, "E": net.encoder} | ({"R": net.decoder} if net.decoder else {})
    params = {
        "gen": {name: part.init(rngs.stream(key, name)) for name, part in named.items()},
        "critic": {"D": net.critic.init(rngs.stream(key, "critic_D"))},
        "cls": net.cls.init(rngs.stream(key, "C")) if net.cls else {},
    }
    return gan.start(config, params, key)


def make_pretrain_step(config: GanConfig) -> Step:
    """A pure step of pre-training: an encoder's codes of real rows are made into these rows again."""
    net = make_nets(config)

    def loss(gen: Any, t_KxBxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss_K = _reconstruction(config, net, gen, t_KxBxD)
        return loss_K.mean(), loss_K

    def step(hypers: Hypers, data: GanData, state: GanState) -> tuple[GanState, dict[str, jax.Array]]:
        key = jax.random.fold_in(rngs.stream(state.key, "pretrain"), state.step)
        _, t_KxBxD = gan.batch(config, data, rngs.stream(key, "batch"))
        grads, loss_K = jax.grad(loss, has_aux=True)(state.params["gen"], t_KxBxD)
        norm = optax.tree.norm(grads)
        rate = hypers.lr_g * config.noise_rate
        state = gan.update(config, state, "gen", grads, rate, jnp.isfinite(norm))
        state = gan.averaged(state, 0.0)
        metrics = {"reconstruction": loss_K, "grad_gen": jnp.full(config.emotions, norm)}
        return state._replace(step=state.step + state.finite), metrics

    return step


def make_step(config: GanConfig) -> Step:
    """A pure step of joint training: `generator_updates`, then `critic_updates`.

    Metrics are arrays [K], one value per emotion.
    """
    net = make_nets(config)
    generator_loss, critic_loss = _make_generator_loss(config, net), _make_critic_loss(config, net)
    labels_K = jnp.arange(config.emotions)

    def classifier_loss(cls: Any, code_KxBxH: jax.Array) -> jax.Array:
        assert net.cls is not None
        return jax.vmap(losses.cross_entropy)(net.cls.apply(cls, code_KxBxH), labels_K).mean()

    def update_generator(
        hypers: Hypers, data: GanData, state: GanState, key: jax.Array
    ) -> tuple[GanState, dict[str, jax.Array]]:
        _, t_KxBxD = gan.batch(config, data, rngs.stream(key, "batch"))
        grad = jax.grad(generator_loss, has_aux=True)
        grads, metrics = grad(state.params["gen"], state.params, t_KxBxD, rngs.stream(key, "noise"), hypers)
        norm, rate = optax.tree.norm(grads), _rate(config, state.step)
        code_KxBxH = _real(config, net, state.params["gen"], t_KxBxD)
        state = gan.update(config, state, "gen", grads, hypers.lr_g * rate, jnp.isfinite(norm))
        if net.cls:
            cls_grads = jax.grad(classifier_loss)(state.params["cls"], code_KxBxH)
            ok = jnp.isfinite(optax.tree.norm(cls_grads))
            state = gan.update(config, state, "cls", cls_grads, hypers.lr_cls * rate, ok)
        return state, metrics | {"grad_gen": jnp.full(config.emotions, norm)}

    def update_critic(
        hypers: Hypers, data: GanData, state: GanState, key: jax.Array
    ) -> tuple[GanState, dict[str, jax.Array]]:
        _, t_KxBxD = gan.batch(config, data, rngs.stream(key, "batch"))
        grad = jax.grad(critic_loss, has_aux=True)
        grads, metrics = grad(state.params["critic"], state.params["gen"], t_KxBxD, key, hypers)
        norm, rate = optax.tree.norm(grads), hypers.lr_c * _rate(config, state.step)
        state = gan.update(config, state, "critic", grads, rate, jnp.isfinite(norm))
        return state, metrics | {"grad_critic": jnp.full(config.emotions, norm)}

    return gan.alternate(config, update_generator, update_critic)


def transfer(config: GanConfig, gen: Any, key: jax.Array, x_BxD: jax.Array) -> jax.Array:
    """As many new rows of each emotion as x_BxD has, which are not looked at: y_KxBxD, min-max scaled."""
    net = make_nets(config)
    return _rows(net, gen, _generated(config, net, gen, rngs.stream(key, "transfer"), len(x_BxD)))


def _coded(config: GanConfig) -> bool:
    return config.loss in CODED


def _rate(config: GanConfig, step: jax.Array) -> jax.Array:
    return config.noise_rate * gan.decay(config, step)


def _prior(config: GanConfig, key: jax.Array, count: int) -> jax.Array:
    """z_KxBxP: standard normal noise, for "sahu_gan" around each emotion's own mean."""
    width = CODE if _coded(config) else PRIOR
    z_KxBxP = jax.random.normal(key, (config.emotions, count, width))
    return _placed(config, z_KxBxP)


def _placed(config: GanConfig, z_KxBxP: jax.Array) -> jax.Array:
    """Standard normal noise as the component of each emotion, where a component is all that tells it."""
    if config.loss != "sahu_gan":
        return z_KxBxP
    angle_K = 2 * jnp.pi * jnp.arange(config.emotions) / config.emotions
    mean_KxP = jnp.stack([jnp.cos(angle_K), jnp.sin(angle_K)], axis=1)
    return mean_KxP[:, None] + _SPREAD * z_KxBxP


def _with_emotion(x_KxBxD: jax.Array) -> jax.Array:
    """Rows with their emotion as further features, one of K that is 1."""
    kinds, count, _ = x_KxBxD.shape
    one_hot_KxBxK = jnp.repeat(jnp.eye(kinds)[:, None], count, axis=1)
    return jnp.concatenate([x_KxBxD, one_hot_KxBxK], axis=-1)


def _made(config: GanConfig, net: Nets, gen: Any, z_KxBxP: jax.Array) -> jax.Array:
    """What the generator makes of noise: codes, or rows in [0, 1]."""
    given = z_KxBxP if config.loss == "sahu_gan" else _with_emotion(z_KxBxP)
    made = net.gen.apply(gen["G"], given)
    return made if _coded(config) else jax.nn.sigmoid(made)


def _generated(config: GanConfig, net: Nets, gen: Any, key: jax.Array, count: int) -> jax.Array:
    return _made(config, net, gen, _prior(config, key, count))


def _real(config: GanConfig, net: Nets, gen: Any, t_KxBxD: jax.Array) -> jax.Array:
    """What the critic sees of real rows: their codes, or themselves."""
    return jax.lax.stop_gradient(net.encoder.apply(gen["E"], t_KxBxD)) if _coded(config) else t_KxBxD


def _rows(net: Nets, gen: Any, made: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(net.decoder.apply(gen["R"], made)) if net.decoder else made


def _reconstruction(config: GanConfig, net: Nets, gen: Any, t_KxBxD: jax.Array) -> jax.Array:
    """Squared error [K] of real rows through encoder and decoder; without a decoder the generator is one,
    and the batch's codes get the mean and deviation of its noise."""
    code_KxBxH = net.encoder.apply(gen["E"], t_KxBxD)
    if net.decoder is None:
        axes = (1,) if config.loss == "sahu_gan" else (0, 1)
        centred_KxBxH = code_KxBxH - code_KxBxH.mean(axis=axes, keepdims=True)
        code_KxBxH = centred_KxBxH * jax.lax.rsqrt(
            jnp.mean(jnp.square(centred_KxBxH), axis=axes, keepdims=True) + 1e-6
        )
        back_KxBxD = _made(config, net, gen, _placed(config, code_KxBxH))
    else:
        back_KxBxD = _rows(net, gen, code_KxBxH)
    return jax.vmap(lambda y, t: losses.cycle(y, t, config.cycle_reduction))(back_KxBxD, t_KxBxD)


def _scores(config: GanConfig, net: Nets, critic: Any, x_KxBxD: jax.Array) -> jax.Array:
    """score_KxB of rows or codes."""
    given = _with_emotion(x_KxBxD) if config.loss == "sahu_cgan" else x_KxBxD
    return net.critic.apply(critic["D"], given)[..., 0]


def _make_generator_loss(config: GanConfig, net: Nets) -> Callable:
    adversarial = losses.wasserstein_generator if config.loss == "wadan" else losses.gan_generator
    labels_K = jnp.arange(config.emotions)

    def loss(gen, params, t_KxBxD, key, hypers):  # type: ignore[no-untyped-def]
        fake_KxBxH = _generated(config, net, gen, key, config.batch_size)
        gen_K = jax.vmap(adversarial)(_scores(config, net, params["critic"], fake_KxBxH))
        total, metrics = gen_K.mean(), {"gen_T": gen_K}
        if net.cls:
            code_KxBxH = net.encoder.apply(gen["E"], t_KxBxD)
            codes_KxBxH = jnp.concatenate([fake_KxBxH, code_KxBxH], axis=1)
            class_K = jax.vmap(losses.cross_entropy)(net.cls.apply(params["cls"], codes_KxBxH), labels_K)
            metrics |= {"class": class_K, "reconstruction": _reconstruction(config, net, gen, t_KxBxD)}
            total += hypers.lambda_cls * class_K.mean() + metrics["reconstruction"].mean()
        return total, metrics

    return loss


def _make_critic_loss(config: GanConfig, net: Nets) -> Callable:
    def one(critic, real_BxH, fake_BxH, real_B, fake_B, key, hypers):  # type: ignore[no-untyped-def]
        if config.loss != "wadan":
            return losses.gan_discriminator(real_B, fake_B, hypers.smoothing), jnp.zeros(())
        penalty = losses.divergence_penalty(
            lambda x_BxH: net.critic.apply(critic["D"], x_BxH)[:, 0],
            losses.interpolate(key, real_BxH, fake_BxH),
            hypers.penalty_k,
            hypers.penalty_p,
        )
        return losses.wasserstein_critic(real_B, fake_B) + penalty, penalty

    def loss(critic, gen, t_KxBxD, key, hypers):  # type: ignore[no-untyped-def]
        real_KxBxH = _real(config, net, gen, t_KxBxD)
        fake_KxBxH = jax.lax.stop_gradient(
            _generated(config, net, gen, rngs.stream(key, "noise"), config.batch_size)
        )
        real_KxB, fake_KxB = (_scores(config, net, critic, x) for x in (real_KxBxH, fake_KxBxH))
        keys = jax.random.split(rngs.stream(key, "interpolate"), config.emotions)
        each = jax.vmap(one, in_axes=(None, 0, 0, 0, 0, 0, None))
        loss_K, penalty_K = each(critic, real_KxBxH, fake_KxBxH, real_KxB, fake_KxB, keys, hypers)
        metrics = {"critic_T": loss_K, "wasserstein_T": real_KxB.mean(axis=1) - fake_KxB.mean(axis=1)}
        if config.loss == "wadan":
            metrics["penalty_T"] = penalty_K
        return loss_K.mean(), metrics

    return loss
