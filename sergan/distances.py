"""How near synthetic rows are to real ones: plain numpy in float64, each measure after the paper it names.

Rows are expected z-normed on the fold's real training rows; nothing here scales them. A measure that has too
few rows to be made is NaN.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sergan import covariance

_EQUAL = 1e-6  # rows nearer than this share of their length are one row
_FOLDS = 5
_PAIRWISE = 500  # synthetic rows that `compare` takes for mmd and prdc, more only to match the real ones
_MOST = 2000  # real rows that it takes for these two, which compare every row with every other
_RIDGES = np.logspace(0, 6, 13)


def mean_abs_difference(a_NxD: np.ndarray, b_NxD: np.ndarray) -> float:
    """Mean over features of |mean of a - mean of b|, in the unit of the features.

    Source: Bao, Neumann and Vu, "CycleGAN-based emotion style transfer as data augmentation for speech
      emotion recognition", Interspeech 2019, Table 1 (on min-max scaled features).
    """
    a_D, b_D = (np.mean(x_NxD, axis=0, dtype=np.float64) for x_NxD in (a_NxD, b_NxD))
    return float(np.abs(a_D - b_D).mean())


def frechet(a_NxD: np.ndarray, b_NxD: np.ndarray) -> float:
    """Squared Fréchet distance of two Gaussians with shrunk covariances, in squared units of the features.

    |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)). Not 0 on average for two draws of one kind: 65 rows
    of 1582 z-normed features of speech are 700 from others. NaN with fewer than two rows in a set.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal distributions",
      J. Multivariate Anal. 12(3), 1982; Heusel et al., "GANs trained by a two time-scale update rule converge
      to a local Nash equilibrium", NIPS 2017; Ledoit and Wolf, "A well-conditioned estimator for
      large-dimensional covariance matrices", J. Multivariate Anal. 88(2), 2004.
    """
    if min(len(a_NxD), len(b_NxD)) < 2:
        return float("nan")
    few, many = sorted((_gaussian(a_NxD), _gaussian(b_NxD)), key=lambda g: len(g.root_NxD))
    # With A = a I + R'R of the few rows and B = b I + W'W, A^(1/2) B A^(1/2) = a b I + Z'Z for
    # Z = [b^(1/2) R; W A^(1/2)], so the eigenvalues come from Z Z', which has a row per row of a and b.
    _, width_K, axis_KxD = np.linalg.svd(few.root_NxD, full_matrices=False)
    gain_K = np.sqrt(few.floor + width_K**2) - np.sqrt(few.floor)
    mixed_NxD = np.sqrt(few.floor) * many.root_NxD + (many.root_NxD @ axis_KxD.T * gain_K) @ axis_KxD
    gram = _gram(np.concatenate([np.sqrt(many.floor) * few.root_NxD, mixed_NxD]))
    floors, dims = few.floor * many.floor, a_NxD.shape[1]
    root_trace = np.sqrt(floors + np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum()
    root_trace += (dims - len(gram)) * np.sqrt(floors)
    traces = sum(np.sum(g.root_NxD**2) + dims * g.floor for g in (few, many))
    return max(float(np.sum((few.mean_D - many.mean_D) ** 2) + traces - 2 * root_trace), 0.0)


def mmd(
    a_NxD: np.ndarray, b_NxD: np.ndarray, rng: np.random.Generator, permutations: int = 200
) -> tuple[float, float]:
    """Unbiased squared maximum mean discrepancy, and the p value of it among random relabellings.

    Kernel exp(-d^2 / (2 s^2)), s the median distance of the pooled rows. 0 on average where nothing differs.
    p = (1 + relabellings that reach it) / (1 + permutations). NaN with fewer than two rows in a set.

    Source: Gretton et al., "A kernel two-sample test", JMLR 13, 2012 (eq. 3).
    """
    if min(len(a_NxD), len(b_NxD)) < 2:
        return float("nan"), float("nan")
    count_a, count_b = len(a_NxD), len(b_NxD)
    pooled_NxD = np.concatenate([a_NxD, b_NxD])
    square_NxN = _square_distances(pooled_NxD, pooled_NxD)
    median = np.median(square_NxN[np.triu_indices(len(square_NxN), k=1)])
    width = 2 * median or _EQUAL * square_NxN.max() or 1.0  # the limit where most rows are copies
    kernel_NxN = np.exp(-square_NxN / width)
    np.fill_diagonal(kernel_NxN, 0.0)
    in_a_PxN = np.zeros((1 + permutations, count_a + count_b))
    in_a_PxN[:, :count_a] = 1.0
    in_a_PxN[1:] = rng.permuted(in_a_PxN[1:], axis=1)
    a_a_P = np.sum(in_a_PxN @ kernel_NxN * in_a_PxN, axis=1)
    a_b_P = in_a_PxN @ kernel_NxN.sum(axis=1) - a_a_P
    b_b_P = kernel_NxN.sum() - a_a_P - 2 * a_b_P
    mmd_P = (
        a_a_P / (count_a * (count_a - 1))
        + b_b_P / (count_b * (count_b - 1))
        - 2 * a_b_P / (count_a * count_b)
    )
    return float(mmd_P[0]), float(np.mean(mmd_P >= mmd_P[0] - 1e-12))  # rounding must not lose ties


def prdc(real_RxD: np.ndarray, synthetic_NxD: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage: who lies in the other set's balls up to k-th neighbours.

    All but density are in [0, 1]; density is 1 where synthetic rows are as dense as real ones. A row on the
    edge of a ball is outside, a copy of its centre inside. NaN with k rows or fewer in a set.

    Source: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models",
      NeurIPS 2019; Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020.
    """
    if min(len(real_RxD), len(synthetic_NxD)) <= k:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
    real_radius_R, synthetic_radius_N = (_square_radius(x_NxD, k) for x_NxD in (real_RxD, synthetic_NxD))
    square_RxN = _square_distances(real_RxD, synthetic_NxD)
    in_real_RxN = _inside(square_RxN, real_radius_R[:, None])
    in_synthetic_RxN = _inside(square_RxN, synthetic_radius_N[None, :])
    return {
        "precision": float(in_real_RxN.any(axis=0).mean()),
        "recall": float(in_synthetic_RxN.any(axis=1).mean()),
        "density": float(in_real_RxN.sum(axis=0).mean() / k),
        "coverage": float(in_real_RxN.any(axis=1).mean()),
    }


def two_sample_accuracy(a_NxD: np.ndarray, b_NxD: np.ndarray, rng: np.random.Generator) -> float:
    """Balanced accuracy of telling rows of a from rows of b, 5-fold cross-validated; 0.5 if none can be told.

    The larger set is cut to the smaller one's size by rng. The classifier is ridge regression on z-normed
    features, its penalty chosen on the training rows by leave-one-out. Below 0.5 where rows of one set are
    made of rows of the other (copies, interpolations, a Gaussian fitted to them): what stands in for a
    held-out row is then among the training rows, with the other label. NaN with fewer than five rows in a
    set.

    Source: Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    count = min(len(a_NxD), len(b_NxD))
    rows_a, rows_b = (rng.permutation(len(x_NxD))[:count] for x_NxD in (a_NxD, b_NxD))
    x_NxD = np.concatenate([a_NxD[rows_a], b_NxD[rows_b]]).astype(np.float64)
    is_b_N = np.repeat([False, True], count)
    if count < _FOLDS:
        return float("nan")
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    said_N = np.zeros(2 * count, bool)
    for train_R, test_R in folds.split(x_NxD, is_b_N):
        classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(_RIDGES))
        said_N[test_R] = classifier.fit(x_NxD[train_R], is_b_N[train_R]).predict(x_NxD[test_R])
    return float(balanced_accuracy_score(is_b_N, said_N))


def agreement(label_N: Sequence | np.ndarray, predicted_N: Sequence | np.ndarray) -> float:
    """Share of synthetic rows that a classifier of real rows gives their target label; NaN without rows.

    Source: Shmelkov, Schmid and Alahari, "How good is my GAN?", ECCV 2018 (GAN-test).
    """
    hit_N = np.asarray(label_N) == np.asarray(predicted_N)
    return float(hit_N.mean()) if hit_N.size else float("nan")


def memorisation(
    train_RxD: np.ndarray, held_out_HxD: np.ndarray, synthetic_NxD: np.ndarray
) -> dict[str, float]:
    """Median distances to the nearest training row, of synthetic and held-out rows, and the number of copies.

    nearest_synthetic below nearest_held_out tells of memorised rows. Distances are Euclidean, in the unit of
    the features, NaN without rows; `duplicates` counts synthetic rows that equal a training row but for 1e-6
    of its length.

    Source: Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in generative
      models", AISTATS 2020 (the comparison with held-out rows).
    """
    synthetic_N, held_out_H = (_nearest(x_NxD, train_RxD) for x_NxD in (synthetic_NxD, held_out_HxD))
    return {
        "nearest_synthetic": _median(synthetic_N),
        "nearest_held_out": _median(held_out_H),
        "duplicates": float(np.sum(synthetic_N == 0)),
    }


def compare(
    train_RxD: np.ndarray, held_out_HxD: np.ndarray, synthetic_NxD: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Every measure of one emotion of one fold, by name; NaN where there are too few rows for one.

    frechet and memorisation see all rows, two_sample as many synthetic as training rows; mmd and prdc see
    2000 training rows at most, and 500 synthetic ones, or as many as training rows if these are more.
    """
    drawn_R = np.arange(len(train_RxD))
    if len(drawn_R) > _MOST:
        drawn_R = rng.permutation(drawn_R)[:_MOST]
    drawn_N = rng.permutation(len(synthetic_NxD))[: max(_PAIRWISE, len(drawn_R))]
    mmd_square, mmd_p = mmd(train_RxD[drawn_R], synthetic_NxD[drawn_N], rng)
    return {
        "frechet": frechet(train_RxD, synthetic_NxD),
        "mmd": mmd_square,
        "mmd_p": mmd_p,
        **prdc(train_RxD[drawn_R], synthetic_NxD[drawn_N]),
        "two_sample": two_sample_accuracy(train_RxD, synthetic_NxD, rng),
        **memorisation(train_RxD, held_out_HxD, synthetic_NxD),
    }


class _Gaussian(NamedTuple):
    """A mean, and a covariance floor * I + root' root."""

    mean_D: np.ndarray
    root_NxD: np.ndarray
    floor: float


def _gaussian(x_NxD: np.ndarray) -> _Gaussian:
    """The rows' mean and shrunk covariance."""
    mean_D, centred_NxD, share, floor = covariance.centre(x_NxD)
    return _Gaussian(mean_D, np.sqrt((1 - share) / len(x_NxD)) * centred_NxD, floor)


def _gram(x_NxD: np.ndarray) -> np.ndarray:
    """x x' or x' x, whichever is smaller: their eigenvalues differ in zeros only."""
    return x_NxD @ x_NxD.T if len(x_NxD) <= x_NxD.shape[1] else x_NxD.T @ x_NxD


def _square_distances(a_NxD: np.ndarray, b_NxD: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, exactly 0 between rows that are equal but for 1e-6 of their length."""
    a_NxD, b_NxD = a_NxD.astype(np.float64), b_NxD.astype(np.float64)
    squares = np.sum(a_NxD**2, axis=1)[:, None] + np.sum(b_NxD**2, axis=1)
    square = squares - 2 * a_NxD @ b_NxD.T
    square[square <= _EQUAL**2 * squares / 2] = 0.0
    return square


def _square_radius(x_NxD: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of every row to its k-th neighbour."""
    return np.partition(_square_distances(x_NxD, x_NxD), k, axis=1)[:, k]  # the row itself comes first


def _inside(square: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return (square < radius * (1 - 1e-9)) | (square == 0)  # rounding must not put the edge inside


def _nearest(x_NxD: np.ndarray, train_RxD: np.ndarray) -> np.ndarray:
    """Distance of every row to the nearest training row; none without training rows."""
    return np.sqrt(_square_distances(x_NxD, train_RxD).min(axis=1)) if len(train_RxD) else np.empty(0)


def _median(x_N: np.ndarray) -> float:
    return float(np.median(x_N)) if len(x_N) else float("nan")
