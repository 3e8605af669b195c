"""Shrunk covariances of few rows with many features, and their powers."""

from typing import NamedTuple

import numpy as np


class Centred(NamedTuple):
    """Rows about their mean; their shrunk covariance is (1 - share) X'X / N + floor I."""

    mean_D: np.ndarray
    x_NxD: np.ndarray
    share: float
    floor: float


class Shrunk(NamedTuple):
    """A mean and a shrunk covariance: `values_P` along the rows of `basis_PxD`, `floor` across them."""

    mean_D: np.ndarray
    basis_PxD: np.ndarray
    values_P: np.ndarray
    floor: float


def centre(x_NxD: np.ndarray) -> Centred:
    """2 or more rows about their mean, float64, with Ledoit and Wolf's share of the mean variance.

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
      J. Multivariate Analysis 88(2), 2004; scikit-learn's shrinkage.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    mean_D = x_NxD.mean(axis=0, dtype=np.float64)
    centred_NxD = x_NxD - mean_D
    share = max(float(ledoit_wolf_shrinkage(centred_NxD, assume_centered=True)), 0.0)
    return Centred(mean_D, centred_NxD, share, share * float(np.mean(centred_NxD**2)))


def shrunk(x_NxD: np.ndarray) -> Shrunk:
    """Mean and shrunk covariance of 2 or more rows.

    Decomposes the smaller of X'X and XX', so with few rows the cost hardly grows with the features.
    """
    count, width = x_NxD.shape
    mean_D, x_NxD, share, floor = centre(x_NxD)
    wide = width > count
    squares_P, vectors = np.linalg.eigh(x_NxD @ x_NxD.T if wide else x_NxD.T @ x_NxD)
    varies_P = squares_P > max(count, width) * np.finfo(np.float64).eps * max(squares_P[-1], 0.0)
    squares_P, basis_PxD = squares_P[varies_P], vectors.T[varies_P]
    if wide:
        basis_PxD = basis_PxD @ x_NxD / np.sqrt(squares_P)[:, None]
    return Shrunk(mean_D, basis_PxD, (1 - share) * squares_P / count + floor, floor)


def times_power(covariance: Shrunk, x_NxD: np.ndarray, power: float) -> np.ndarray:
    """Rows times a power of the covariance; where it does not vary, the power is 0."""
    across = covariance.floor**power if covariance.floor > 0 else 0.0
    gain_P = covariance.values_P**power - across
    return across * x_NxD + (x_NxD @ covariance.basis_PxD.T * gain_P) @ covariance.basis_PxD
