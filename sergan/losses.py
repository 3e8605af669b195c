"""Losses of the emotion CycleGANs, as pure functions of scores and rows.

Convention: a critic is *high on real* rows. The Wasserstein divergence is published with the opposite sign
(Wu et al. 2018: low on real); the two are equivalent under D -> -D.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def wasserstein_critic(real_B: jax.Array, fake_B: jax.Array) -> jax.Array:
    """The critic's part without penalty: E D(fake) - E D(real), to be minimised (Shilandari 2022, eq. 10)."""
    return jnp.mean(fake_B) - jnp.mean(real_B)


def wasserstein_generator(fake_B: jax.Array) -> jax.Array:
    """The generator's part: -E D(fake) (Shilandari 2022, eq. 11, sign turned)."""
    return -jnp.mean(fake_B)


def divergence_penalty(
    critic: Callable[[jax.Array], jax.Array], x_BxD: jax.Array, k: jax.Array | float, p: jax.Array | float
) -> jax.Array:
    """k · E ‖∇_x D(x)‖^p, the Wasserstein divergence's penalty (Wu et al. 2018; k = 2, p = 6).

    Args:
      critic: one row D -> scalar score. It must treat rows alone: no batch norm, no dropout.
      x_BxD: the points at which the gradient is taken, see `interpolate`.
    """
    gradient_BxD = jax.vmap(jax.grad(critic))(x_BxD)
    squared_norm_B = jnp.sum(jnp.square(gradient_BxD), axis=-1)
    return k * jnp.mean(squared_norm_B ** (p / 2))


def interpolate(key: jax.Array, real_BxD: jax.Array, fake_BxD: jax.Array) -> jax.Array:
    """x̂ = ε·real + (1-ε)·fake with ε ~ U(0, 1) fresh for every row (Wu et al. 2018)."""
    epsilon_Bx1 = jax.random.uniform(key, (real_BxD.shape[0], 1))
    return epsilon_Bx1 * real_BxD + (1 - epsilon_Bx1) * fake_BxD


def gan_discriminator(real_B: jax.Array, fake_B: jax.Array, smoothing: jax.Array | float) -> jax.Array:
    """Jensen-Shannon GAN: sigmoid cross-entropy with one-sided smoothing (Bao 2019, eq. 1; Salimans 2016).

    Args:
      real_B, fake_B: logits.
      smoothing: the target for real rows, 0.9 in the papers; the target for fake rows is always 0.
    """
    softplus = jax.nn.softplus
    real = smoothing * softplus(-real_B) + (1 - smoothing) * softplus(real_B)
    return jnp.mean(real) + jnp.mean(softplus(fake_B))


def gan_generator(fake_B: jax.Array) -> jax.Array:
    """The non-saturating generator loss -log σ(D(fake)) (Goodfellow 2014; Shilandari preprint, eq. 3)."""
    return jnp.mean(jax.nn.softplus(-fake_B))


def cycle(reconstructed_BxD: jax.Array, x_BxD: jax.Array, reduction: str = "sum") -> jax.Array:
    """Squared error of F(G(x)) against x, averaged over the batch (Bao 2019, eq. 3).

    `reduction` over the features: "sum" is the papers' ‖·‖²₂; with "mean" the term is D times weaker and
    the generators run away.
    """
    error_BxD = jnp.square(reconstructed_BxD - x_BxD)
    per_row_B = jnp.sum(error_BxD, axis=-1) if reduction == "sum" else jnp.mean(error_BxD, axis=-1)
    return jnp.mean(per_row_B)


def identity(mapped_BxD: jax.Array, x_BxD: jax.Array, reduction: str = "sum") -> jax.Array:
    """Squared error of G(t) against t: a row that has the emotion stays (Zhu et al. 2017; L2 here)."""
    return cycle(mapped_BxD, x_BxD, reduction)


def cross_entropy(logits_BxC: jax.Array, label: jax.Array) -> jax.Array:
    """-E log C(x)_label for a batch of one class (Shilandari 2022, eq. 13; Bao's eq. 4 lacks the minus)."""
    return -jnp.mean(jax.nn.log_softmax(logits_BxC)[:, label])
