"""The arms without a network: known answers, where rows come from, and what is refused."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from sergan import augment, covariance, data, folds
from sergan.errors import UserError

CLASSES = ("anger", "fear", "sadness")
ON_SOURCE = ("moments", "coral")


def world(seed=0, counts=(9, 7, 6), source=12, width=5):
    """Real rows of three classes z-normed on themselves, labels and source rows, shuffled."""
    rng = np.random.default_rng(seed)
    label_R = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    x_RxD = (
        rng.normal(size=(len(label_R), width)) @ rng.normal(size=(width, width)) + label_R[:, None]
    ).astype(np.float32)
    source_SxD = (3 * rng.normal(size=(source, width)) + 1).astype(np.float32)
    return folds.z_norm(x_RxD).apply(x_RxD), label_R, source_SxD


def made(arm, parts, per_class=20, strength=0.3, seed=0):
    x_RxD, label_R, source_SxD = parts
    rng = np.random.default_rng(seed)
    return augment.make(arm, x_RxD, label_R, source_SxD, CLASSES, per_class, strength, rng)


@pytest.fixture(scope="module")
def fold():
    """The first EMO-DB fold of five classes with the embedded source, as a study sees it."""
    classes = ("anger", "fear", "happiness", "neutral", "sadness")
    table, source = data.load("emodb", "IS10"), data.load("speech", "IS10")
    table = table.select(np.flatnonzero(np.isin(table.emotions_U, classes)))
    train_R = folds.loso(table, classes)[0].train_R
    scaler = folds.z_norm(table.x_UxD[train_R])
    label_R = np.array([classes.index(emotion) for emotion in table.emotions_U[train_R]])
    return scaler.apply(table.x_UxD[train_R]), label_R, scaler.apply(source.x_UxD), classes


@given(
    arm=st.sampled_from(list(augment.ARMS)),
    seed=st.integers(0, 2**32),
    counts=st.lists(st.integers(6, 15), min_size=3, max_size=3),
    source=st.integers(2, 30),
    width=st.integers(1, 8),
    per_class=st.integers(1, 40),
)
@settings(max_examples=80, deadline=None)
def test_every_arm_makes_finite_float32_rows_of_each_class_from_its_own_rows(
    arm, seed, counts, source, width, per_class
):
    parts = _, label_R, _ = world(seed, counts, source, width)
    rows = made(arm, parts, per_class, seed=seed)
    count = min(per_class, source) if arm in ON_SOURCE else per_class
    assert rows.x_KxNxD.shape == (3, count, width) and rows.x_KxNxD.dtype == np.float32
    assert rows.other_KxN.shape == rows.share_KxN.shape == rows.parent_KxN.shape == (3, count)
    assert np.isfinite(rows.x_KxNxD).all()
    assert rows.share_KxN.min() >= 0.5 and rows.share_KxN.max() <= 1
    own_Kx1 = np.arange(3)[:, None]
    if arm != "mixup":
        assert (rows.share_KxN == 1).all() and (rows.other_KxN == own_Kx1).all()
    if arm in ("smote", "gaussian"):
        assert (rows.parent_KxN == -1).all()
    elif arm in ON_SOURCE:
        assert all(len(set(parents)) == count for parents in rows.parent_KxN.tolist())
        assert rows.parent_KxN.min() >= 0 and rows.parent_KxN.max() < source
    else:
        assert (label_R[rows.parent_KxN] == own_Kx1).all()


@pytest.mark.parametrize("arm", augment.ARMS)
def test_rows_follow_from_the_generator_and_leave_what_they_are_made_of_alone(arm):
    parts = world()
    before = [part.copy() for part in parts]
    first, again, other = made(arm, parts), made(arm, parts), made(arm, parts, seed=1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.x_KxNxD, other.x_KxNxD)
    for part, copy in zip(parts, before, strict=True):
        np.testing.assert_array_equal(part, copy)


@given(seed=st.integers(0, 2**32), first=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_of_the_first_n_duplicates_any_two_rows_are_used_equally_often_or_once_more(seed, first):
    parts = x_RxD, label_R, _ = world(seed)
    rows = made("duplicate", parts, per_class=60, seed=seed)
    np.testing.assert_array_equal(rows.x_KxNxD, x_RxD[rows.parent_KxN])
    for k in range(3):
        used_R = np.bincount(rows.parent_KxN[k, :first], minlength=len(x_RxD))[label_R == k]
        assert np.ptp(used_R) <= 1


@pytest.mark.parametrize("arm", ["duplicate", "noise", "mixup", "moments", "coral"])
def test_each_class_is_a_random_draw_of_its_own_from_the_first_row_on(arm):
    parts = world(counts=(12, 12, 12), source=12)
    drawn_QxKxN = np.stack([made(arm, parts, per_class=12, seed=seed).parent_KxN for seed in range(100)])
    for k in range(3):
        assert len(np.unique(drawn_QxKxN[:, k, 0])) == 12
        assert 0.3 < np.mean(drawn_QxKxN[:, k, 0] < drawn_QxKxN[:, k, 1]) < 0.7
    order_QxKxN = drawn_QxKxN.argsort(axis=2)
    assert (order_QxKxN[:, 0] != order_QxKxN[:, 1]).any(axis=1).all()


@pytest.mark.parametrize("strength", [0.0, 0.2, 1.5])
def test_noise_is_as_strong_as_asked_and_spares_what_does_not_vary(strength):
    x_RxD, label_R, source_SxD = world(width=4)
    x_RxD[:, 3] = 0
    rows = made("noise", (x_RxD, label_R, source_SxD), per_class=5000, strength=strength)
    added_NxD = (rows.x_KxNxD - x_RxD[rows.parent_KxN]).reshape(-1, 4)
    np.testing.assert_allclose(added_NxD[:, :3].std(axis=0), strength, rtol=0.03, atol=1e-6)
    np.testing.assert_allclose(added_NxD.mean(axis=0), 0, atol=0.05 * strength + 1e-7)
    np.testing.assert_allclose(
        np.cov(added_NxD[:, :3].T), strength**2 * np.eye(3), atol=0.05 * strength**2 + 1e-12
    )
    assert (added_NxD[:, 3] == 0).all()


def test_smote_rows_lie_between_two_neighbours_of_the_class():
    parts = x_RxD, label_R, _ = world(counts=(20, 9, 6), width=8)
    rows = made("smote", parts, per_class=60)
    for k in range(3):
        own_CxD = x_RxD[label_R == k].astype(np.float64)
        distance_CxC = np.linalg.norm(own_CxD[:, None] - own_CxD, axis=2)
        near_CxJ = np.argsort(distance_CxC, axis=1)[:, 1:6]
        step_CxJxD = own_CxD[near_CxJ] - own_CxD[:, None]
        offset_NxCxD = rows.x_KxNxD[k][:, None] - own_CxD
        t_NxCxJ = np.einsum("ncd,cjd->ncj", offset_NxCxD, step_CxJxD) / (step_CxJxD**2).sum(axis=2)
        ends = t_NxCxJ.clip(0, 1)[..., None] * step_CxJxD
        miss_NxCxJ = np.linalg.norm(offset_NxCxD[:, :, None] - ends, axis=3)
        assert miss_NxCxJ.reshape(60, -1).min(axis=1).max() < 1e-5
        assert len(np.unique(rows.x_KxNxD[k], axis=0)) == 60


def test_smote_steps_of_two_classes_are_not_the_same_draws():
    """Two classes of the same rows: imbalanced-learn seeded by an int would give the same rows twice."""
    x_RxD, label_R, source_SxD = world(counts=(8, 8, 8))
    x_RxD[label_R == 1] = x_RxD[label_R == 0]
    rows = made("smote", (x_RxD, label_R, source_SxD))
    assert not np.allclose(rows.x_KxNxD[0], rows.x_KxNxD[1])


@given(seed=st.integers(0, 2**32), alpha=st.floats(1e-3, 50))
@settings(max_examples=30, deadline=None)
def test_a_mixup_row_is_its_parent_and_a_row_of_the_other_class_in_their_shares(seed, alpha):
    parts = x_RxD, label_R, _ = world(seed)
    rows = made("mixup", parts, strength=alpha, seed=seed)
    share_KxNx1 = rows.share_KxN[..., None].astype(np.float64)
    rest_KxNxD = rows.x_KxNxD - share_KxNx1 * x_RxD[rows.parent_KxN]
    miss_KxNxR = np.abs(rest_KxNxD[:, :, None] - (1 - share_KxNx1)[..., None] * x_RxD).max(axis=3)
    fits_KxNxR = (miss_KxNxR < 1e-5) & (label_R == rows.other_KxN[..., None])
    assert fits_KxNxR.any(axis=2).all()


def test_mixup_shares_follow_the_beta_distribution_and_the_second_row_is_of_any_class():
    rows = made("mixup", world(counts=(30, 10, 10)), per_class=20_000, strength=0.4)
    reference = np.random.default_rng(7).beta(0.4, 0.4, 60_000)
    expected = np.quantile(np.maximum(reference, 1 - reference), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(np.quantile(rows.share_KxN, [0.1, 0.3, 0.5]), expected, atol=0.01)
    for other_N in rows.other_KxN:
        np.testing.assert_allclose(np.bincount(other_N) / len(other_N), [0.6, 0.2, 0.2], atol=0.02)


def test_moments_gives_each_feature_the_classs_mean_and_deviation_and_keeps_its_order():
    parts = x_RxD, label_R, source_SxD = world(source=50)
    rows = made("moments", parts, per_class=50)
    for k in range(3):
        own = x_RxD[label_R == k].astype(np.float64)
        np.testing.assert_allclose(rows.x_KxNxD[k].mean(axis=0, dtype=float), own.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(rows.x_KxNxD[k].std(axis=0, dtype=float), own.std(axis=0), rtol=1e-6)
        from_NxD = source_SxD[rows.parent_KxN[k]]
        np.testing.assert_array_equal(np.argsort(from_NxD, axis=0), np.argsort(rows.x_KxNxD[k], axis=0))


def test_moments_of_a_feature_without_spread_in_the_source_are_the_classs_mean():
    x_RxD, label_R, source_SxD = world()
    source_SxD[:, 2] = 1 / 3
    rows = made("moments", (x_RxD, label_R, source_SxD))
    for k in range(3):
        np.testing.assert_allclose(rows.x_KxNxD[k, :, 2], x_RxD[label_R == k, 2].mean(), atol=1e-6)
    assert np.ptp(rows.x_KxNxD[:, :, 1], axis=1).min() > 0


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (9, 9), (3, 40)])
@pytest.mark.parametrize("power", [0.5, -0.5, 1.0])
def test_the_shrunk_covariance_is_scikit_learns_and_its_powers_those_of_the_dense_matrix(shape, power):
    rng = np.random.default_rng(sum(shape))
    x_NxD = rng.normal(size=shape) * rng.gamma(1.0, size=shape[1]) + 3
    ours, theirs = covariance.shrunk(x_NxD), LedoitWolf().fit(x_NxD)
    np.testing.assert_allclose(ours.mean_D, theirs.location_, atol=1e-12)
    root_DxD = scipy.linalg.sqrtm(theirs.covariance_).real
    dense_DxD = {0.5: root_DxD, -0.5: np.linalg.inv(root_DxD), 1.0: theirs.covariance_}[power]
    np.testing.assert_allclose(covariance.times_power(ours, np.eye(shape[1]), power), dense_DxD, atol=1e-8)


def test_a_covariance_without_a_floor_has_a_pseudo_inverse():
    """Of two rows the shrinkage is 0, so the covariance has one direction only."""
    x_NxD = np.array([[1.0, 2.0, 5.0], [3.0, 2.0, 4.0]])
    ours = covariance.shrunk(x_NxD)
    covariance_DxD = np.cov(x_NxD.T, bias=True)
    inverse_DxD = covariance.times_power(ours, np.eye(3), -1.0)
    np.testing.assert_allclose(covariance.times_power(ours, np.eye(3), 1.0), covariance_DxD, atol=1e-12)
    np.testing.assert_allclose(inverse_DxD, np.linalg.pinv(covariance_DxD), atol=1e-12)
    same = covariance.shrunk(np.ones((4, 3)))
    assert (covariance.times_power(same, np.eye(3), -0.5) == 0).all()


def test_coral_is_the_dense_formula_whatever_rows_are_drawn():
    parts = x_RxD, label_R, source_SxD = world(source=12, width=20)
    rows = made("coral", parts, per_class=8)
    source = LedoitWolf().fit(source_SxD.astype(np.float64))
    white_DxD = np.linalg.inv(scipy.linalg.sqrtm(source.covariance_).real)
    for k in range(3):
        target = LedoitWolf().fit(x_RxD[label_R == k].astype(np.float64))
        map_DxD = white_DxD @ scipy.linalg.sqrtm(target.covariance_).real
        expected = target.location_ + (source_SxD[rows.parent_KxN[k]] - source.location_) @ map_DxD
        np.testing.assert_allclose(rows.x_KxNxD[k], expected, atol=1e-5)


def test_gaussian_rows_have_the_classs_mean_and_shrunk_covariance():
    parts = x_RxD, label_R, _ = world(width=8)
    rows = made("gaussian", parts, per_class=40_000)
    for k in range(3):
        target = LedoitWolf().fit(x_RxD[label_R == k].astype(np.float64))
        np.testing.assert_allclose(rows.x_KxNxD[k].mean(axis=0), target.location_, atol=0.03)
        np.testing.assert_allclose(np.cov(rows.x_KxNxD[k].T), target.covariance_, atol=0.04)


@pytest.mark.parametrize("arm", augment.ARMS)
def test_a_whole_fold_of_emodb_gets_twice_its_rows_of_every_arm(fold, arm):
    x_RxD, label_R, source_SxD, classes = fold
    rows = augment.make(arm, x_RxD, label_R, source_SxD, classes, 740, 0.2, np.random.default_rng(0))
    assert rows.x_KxNxD.shape == (5, 740, 1582)
    together = np.concatenate([x_RxD, rows.x_KxNxD.reshape(-1, 1582)])
    assert together.shape == (len(label_R) + 5 * 740, 1582) and together.dtype == np.float32
    assert np.isfinite(together).all()
    assert np.abs(together).max() < 100
    centre_KxD = np.stack([x_RxD[label_R == k].mean(axis=0) for k in range(len(classes))])
    distance_KxK = np.linalg.norm(rows.x_KxNxD.mean(axis=1)[:, None] - centre_KxD, axis=2)
    np.testing.assert_array_equal(distance_KxK.argmin(axis=1), np.arange(5))


def test_a_short_source_gives_fewer_rows_and_none_twice(fold):
    x_RxD, label_R, source_SxD, classes = fold
    for arm in ON_SOURCE:
        rows = augment.make(arm, x_RxD, label_R, source_SxD[:50], classes, 740, 0.0, np.random.default_rng(0))
        assert [sorted(parents) for parents in rows.parent_KxN.tolist()] == [list(range(50))] * 5


@pytest.mark.parametrize(
    ("arm", "counts", "message"),
    [
        ("smote", (9, 4, 9), "smote: class 'fear' has 4 rows, its 5 neighbours need 6 or more"),
        ("coral", (9, 9, 1), "coral: class 'sadness' has 1 rows, its covariance needs 2 or more"),
        ("gaussian", (1, 9, 9), "gaussian: class 'anger' has 1 rows, its covariance needs 2 or more"),
        ("moments", (9, 1, 9), "moments: class 'fear' has 1 rows, its deviation needs 2 or more"),
        ("noise", (9, 0, 9), "noise: class 'fear' has 0 rows, it needs 1 or more"),
    ],
)
def test_a_class_that_is_too_small_for_an_arm_is_refused_by_name(arm, counts, message):
    with pytest.raises(UserError, match=message):
        made(arm, world(counts=counts))


def test_smote_runs_on_the_fewest_rows_it_accepts():
    assert made("smote", world(counts=(6, 6, 6))).x_KxNxD.shape == (3, 20, 5)


@pytest.mark.parametrize(
    ("arm", "strength"), [("noise", -0.1), ("noise", np.nan), ("mixup", 0.0), ("mixup", np.inf)]
)
def test_a_strength_out_of_range_is_refused(arm, strength):
    with pytest.raises(UserError, match=f"{arm}: its strength .* not {strength:g}"):
        made(arm, world(), strength=strength)


def test_an_unknown_arm_is_refused_with_the_known_ones():
    with pytest.raises(
        UserError, match="'copy' is none of duplicate, noise, smote, mixup, moments, coral, g"
    ):
        made("copy", world())


def test_one_class_alone_is_refused_by_smote_and_one_source_row_by_the_source_arms():
    x_RxD, label_R, source_SxD = world()
    one = label_R == 0
    with pytest.raises(UserError, match=r"smote: .* 'anger' alone"):
        augment.make(
            "smote", x_RxD[one], label_R[one], source_SxD, ("anger",), 5, 0.0, np.random.default_rng(0)
        )
    for arm in ON_SOURCE:
        with pytest.raises(UserError, match=f"{arm}: the source has 1 rows"):
            made(arm, (x_RxD, label_R, source_SxD[:1]))
