"""Every loss against its closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sergan import losses


@pytest.fixture(autouse=True)
def _strict_dtypes():
    with jax.numpy_dtype_promotion("strict"):
        yield


def rows(seed, count=7, width=5):
    return jax.random.normal(jax.random.key(seed), (count, width))


@pytest.mark.parametrize(("k", "p"), [(2.0, 6.0), (10.0, 2.0), (1.0, 3.0)])
def test_penalty_of_a_linear_critic_is_k_times_its_slope_to_the_p(k, p):
    w = jnp.array([0.5, -1.0, 2.0, 0.0, 0.25])
    penalty = losses.divergence_penalty(lambda x: x @ w, rows(0), k, p)
    assert penalty == pytest.approx(k * float(jnp.linalg.norm(w)) ** p, rel=1e-5)


def test_penalty_of_a_quadratic_critic():
    a = jnp.array([1.0, 0.5, 0.2, -0.3, 0.7])
    x = rows(1)
    penalty = losses.divergence_penalty(lambda x: jnp.sum(a[None] * x**2, axis=1) / 2, x, 2.0, 6.0)
    gradients = np.asarray(x, np.float64) * np.asarray(a, np.float64)
    assert penalty == pytest.approx(2 * np.mean(np.sum(gradients**2, axis=1) ** 3), rel=1e-4)


def test_penalty_moves_the_critic_downhill_in_slope():
    def penalty(w):
        return losses.divergence_penalty(lambda x: x @ w, rows(2), 2.0, 6.0)

    w = jnp.ones(5)
    expected = 2 * 6 * float(jnp.linalg.norm(w)) ** 4 * w  # d/dw k‖w‖^p = k p ‖w‖^(p-2) w
    np.testing.assert_allclose(jax.grad(penalty)(w), expected, rtol=1e-4)


def test_penalty_and_its_gradient_are_finite_where_the_critic_is_flat():
    value, gradient = jax.value_and_grad(
        lambda w: losses.divergence_penalty(lambda x: x @ w, rows(3), jnp.float32(2), jnp.float32(6))
    )(jnp.zeros(5))
    assert value == 0
    assert np.all(np.asarray(gradient) == 0)


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_divergence_is_the_published_one_with_the_critic_turned_round(scores):
    """Published (low on real, minimised): E f(x) - E f(G); ours with D = -f."""
    f_real = jnp.array(scores, jnp.float32)
    f_fake = f_real[::-1] + 1
    published = jnp.mean(f_real) - jnp.mean(f_fake)
    assert losses.wasserstein_critic(-f_real, -f_fake) == pytest.approx(float(published), abs=1e-5)
    assert losses.wasserstein_generator(-f_fake) == pytest.approx(float(jnp.mean(f_fake)), abs=1e-5)


def test_interpolates_lie_between_their_ends_with_one_epsilon_a_row():
    real, fake = rows(4), rows(5)
    x = losses.interpolate(jax.random.key(0), real, fake)
    epsilon = (x - fake) / (real - fake)
    np.testing.assert_allclose(epsilon, np.repeat(epsilon[:, :1], 5, axis=1), atol=1e-4)
    assert len(set(np.round(np.asarray(epsilon[:, 0]), 4))) == len(x)
    assert np.all((epsilon > 0) & (epsilon < 1))


def test_gan_losses_against_the_sigmoid_by_hand():
    real, fake = jnp.array([0.3, -1.2]), jnp.array([2.0, -0.5])
    sigmoid = lambda z: 1 / (1 + np.exp(-np.asarray(z, np.float64)))  # noqa: E731
    by_hand = -np.mean(0.9 * np.log(sigmoid(real)) + 0.1 * np.log(1 - sigmoid(real)))
    by_hand -= np.mean(np.log(1 - sigmoid(fake)))
    assert losses.gan_discriminator(real, fake, 0.9) == pytest.approx(by_hand, rel=1e-5)
    assert losses.gan_generator(fake) == pytest.approx(-np.mean(np.log(sigmoid(fake))), rel=1e-5)


def test_smoothing_is_one_sided():
    """The best logit for real rows is the smoothed one; fake rows are still pushed to 0 without end."""
    real_only = jax.grad(lambda z: losses.gan_discriminator(z[None], jnp.array([-50.0]), 0.9))
    assert real_only(jnp.float32(np.log(9.0))) == pytest.approx(0, abs=1e-6)
    fake_only = jax.grad(lambda z: losses.gan_discriminator(jnp.array([0.0]), z[None], 0.9))
    assert fake_only(jnp.float32(-3.0)) > 0.01


def test_cycle_is_a_squared_norm_and_mean_is_its_dth_part():
    x, y = rows(6), rows(7)
    expected = np.mean(np.sum((np.asarray(x) - np.asarray(y)) ** 2, axis=1))
    assert losses.cycle(x, y) == pytest.approx(expected, rel=1e-5)
    assert losses.cycle(x, y, "mean") == pytest.approx(expected / 5, rel=1e-5)


def test_cross_entropy_has_its_minus():
    logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    p = np.exp(np.asarray(logits)) / np.exp(np.asarray(logits)).sum(axis=1, keepdims=True)
    assert losses.cross_entropy(logits, 2) == pytest.approx(-np.mean(np.log(p[:, 2])), rel=1e-5)
    assert losses.cross_entropy(logits, 2) > 0


def test_gradient_penalty_of_a_linear_critic_is_its_slope_less_1_squared():
    w = jnp.array([0.5, -1.0, 2.0, 0.0, 0.25])
    slope = float(jnp.linalg.norm(w))
    assert losses.gradient_penalty(lambda x: x @ w, rows(0), 10.0) == pytest.approx(
        10 * (slope - 1) ** 2, rel=1e-5
    )
    assert losses.gradient_penalty(lambda x: x @ w / slope, rows(0), 10.0) == pytest.approx(0, abs=1e-8)
    waves = jnp.reshape(rows(1, 6, 12), (6, 4, 3))
    filter = jnp.ones((4, 3))
    expected = 10 * (np.sqrt(12) - 1) ** 2
    assert losses.gradient_penalty(
        lambda x: jnp.sum(x * filter[None], axis=(1, 2)), waves, 10.0
    ) == pytest.approx(expected, rel=1e-5)


def test_gradient_penalty_is_finite_where_the_critic_is_flat():
    value, gradient = jax.value_and_grad(
        lambda w: losses.gradient_penalty(lambda x: x @ w, rows(3), jnp.float32(10))
    )(jnp.zeros(5))
    assert value == pytest.approx(10, rel=1e-4)
    assert np.isfinite(np.asarray(gradient)).all()


LABELS = jnp.array([0, 1, 1, 2, 0, 2, 1])


def test_center_loss_is_half_the_mean_squared_distance():
    x, centres = rows(0), rows(1, 3)
    expected = np.mean([np.sum((x[i] - centres[y]) ** 2) for i, y in enumerate(LABELS)]) / 2
    assert losses.center(x, LABELS, centres) == pytest.approx(expected, rel=1e-5)


def test_contrastive_center_is_a_ratio_for_each_sample():
    x, centres = np.asarray(rows(0), np.float64), np.asarray(rows(1, 3), np.float64)
    distance = ((x[:, None] - centres) ** 2).sum(axis=-1)
    ratios = [d[y] / (d.sum() - d[y] + 1) for d, y in zip(distance, np.asarray(LABELS), strict=True)]
    ours = losses.contrastive_center(rows(0), LABELS, rows(1, 3))
    assert ours == pytest.approx(np.mean(ratios) / 2, rel=1e-5)
    far = losses.contrastive_center(rows(0), LABELS, rows(1, 3), delta=100.0)
    assert far < ours


def test_centres_move_to_their_classes_and_those_without_rows_stay():
    x, centres = rows(0), rows(1, 4)
    moved = losses.move_centres(centres, x, LABELS, 0.5)
    for label in range(3):
        own = x[label == LABELS]
        step = 0.5 * np.sum(np.asarray(centres[label]) - np.asarray(own), axis=0) / (1 + len(own))
        np.testing.assert_allclose(moved[label], np.asarray(centres[label]) - step, atol=1e-6)
    np.testing.assert_array_equal(moved[3], centres[3])


@pytest.mark.parametrize("distance", [losses.center, losses.contrastive_center])
def test_center_losses_bring_a_class_together(distance):
    """Descent on the features, while the centres follow them; the ratio's slope is the smaller one."""

    def within(x):
        return sum(float(jnp.sum(jnp.var(x[label == LABELS], axis=0))) for label in range(3))

    x, centres = rows(0), jnp.zeros((3, 5))
    before, slope = within(x), jax.jit(jax.grad(distance))
    for _ in range(300):
        centres = losses.move_centres(centres, x, LABELS, 0.5)
        x = x - 0.5 * slope(x, LABELS, centres)
    assert within(x) < 0.5 * before
