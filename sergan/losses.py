"""Losses of GANs and classifiers, as pure functions of scores, rows and features of samples.

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
    critic: Callable[[jax.Array], jax.Array],
    x_BxD: jax.Array,
    k: jax.Array | float,
    p: jax.Array | float,
) -> jax.Array:
    """k · E ‖∇_x D(x)‖^p, the Wasserstein divergence's penalty (Wu et al. 2018; k = 2, p = 6).

    Args:
      critic: samples -> their scores, x_BxD -> score_B; a sample may have any shape. It must treat samples
        alone: no batch norm, no dropout.
      x_BxD: the points at which the gradient is taken, see `interpolate`.
    """
    return k * jnp.mean(_squared_slope(critic, x_BxD) ** (p / 2))


def _squared_slope(critic: Callable[[jax.Array], jax.Array], x_BxD: jax.Array) -> jax.Array:
    """‖∇_x D(x)‖² of each sample: that of the sum, in which it has but its own score."""
    gradient_BxD = jax.grad(lambda x: jnp.sum(critic(x)))(x_BxD)
    return jnp.sum(jnp.square(gradient_BxD), axis=range(1, gradient_BxD.ndim))


def interpolate(key: jax.Array, real_BxD: jax.Array, fake_BxD: jax.Array) -> jax.Array:
    """x̂ = ε·real + (1-ε)·fake with ε ~ U(0, 1) fresh for every sample, of any shape (Wu et al. 2018)."""
    epsilon = jax.random.uniform(key, (real_BxD.shape[0],) + (1,) * (real_BxD.ndim - 1))
    return epsilon * real_BxD + (1 - epsilon) * fake_BxD


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


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array],
    x_BxD: jax.Array,
    weight: jax.Array | float,
) -> jax.Array:
    """λ · E (‖∇_x D(x)‖ - 1)², which holds the critic's slope at 1 (Gulrajani et al. 2017; λ = 10).

    Args:
      critic, x_BxD: as in `divergence_penalty`.
    """
    norm_B = jnp.sqrt(_squared_slope(critic, x_BxD) + 1e-12)  # has a gradient where it is flat
    return weight * jnp.mean(jnp.square(norm_B - 1))


def center(x_BxD: jax.Array, label_B: jax.Array, centre_CxD: jax.Array) -> jax.Array:
    """½ E ‖x - c_y‖², the squared distance from the own class's centre (Wen et al. 2016; Pham 2021, eq. 7).

    The papers sum over the batch, here and in the cross-entropy; both are means here, which leaves their
    ratio as it is.
    """
    return jnp.mean(jnp.sum(jnp.square(x_BxD - centre_CxD[label_B]), axis=-1)) / 2


def contrastive_center(
    x_BxD: jax.Array, label_B: jax.Array, centre_CxD: jax.Array, delta: float = 1.0
) -> jax.Array:
    """½ E ‖x - c_y‖² / (Σ_{j≠y} ‖x - c_j‖² + δ), the ratio taken for each sample (Qi and Su 2017).

    The paper sums over the batch, as in `center`.
    """
    distance_BxC = jnp.sum(jnp.square(x_BxD[:, None] - centre_CxD[None]), axis=-1)
    own_B = jnp.take_along_axis(distance_BxC, label_B[:, None], axis=1)[:, 0]
    return jnp.mean(own_B / (jnp.sum(distance_BxC, axis=1) - own_B + delta)) / 2


def move_centres(
    centre_CxD: jax.Array, x_BxD: jax.Array, label_B: jax.Array, rate: jax.Array | float
) -> jax.Array:
    """c_j - α · Σ 1[y=j] (c_j - x) / (1 + n_j): centres follow their classes (Wen et al. 2016; α = ½)."""
    own_BxC = jax.nn.one_hot(label_B, len(centre_CxD), dtype=x_BxD.dtype)
    count_Cx1 = jnp.sum(own_BxC, axis=0)[:, None]
    sum_CxD = jnp.matmul(own_BxC.T, x_BxD, precision="float32")
    return centre_CxD - rate * (count_Cx1 * centre_CxD - sum_CxD) / (1 + count_Cx1)
