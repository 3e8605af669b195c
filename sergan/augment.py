"""The augmentation arms that need no network: synthetic rows of every class from the fold's own rows.

Every arm takes rows z-normed on the fold's real training rows and makes `per_class` rows of each class.
duplicate, noise, smote, mixup and gaussian look at the real rows alone; moments and coral move rows of the
unlabelled source to the place and spread of a class, as a CycleGAN does, but by a linear map.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sergan.covariance import shrunk, times_power
from sergan.errors import ArmError, UserError

NEIGHBOURS = 5  # of SMOTE


class Synthetic(NamedTuple):
    """Synthetic rows per class in random order, so that the first n of each class are a draw of n.

    A row's label is its own class with weight `share_KxN` and `other_KxN` with the rest; but for mixup,
    share is 1 and other the own class. `parent_KxN` is the index of the row it was made from: among the real
    rows (duplicate, noise, mixup), among the source rows (moments, coral, CycleGANs), or -1 where no single
    row is known (smote, gaussian, rows from noise).
    """

    x_KxNxD: np.ndarray
    other_KxN: np.ndarray
    share_KxN: np.ndarray
    parent_KxN: np.ndarray


class Given(NamedTuple):
    """What an arm works with, as in `make`."""

    x_RxD: np.ndarray
    label_R: np.ndarray
    source_SxD: np.ndarray
    classes: Sequence[str]
    per_class: int
    strength: float


def make(
    arm: str,
    x_RxD: np.ndarray,
    label_R: np.ndarray,
    source_SxD: np.ndarray,
    classes: Sequence[str],
    per_class: int,
    strength: float,
    rng: np.random.Generator,
) -> Synthetic:
    """Synthetic rows of every class by the named arm, float32.

    Args:
      arm: a name in `ARMS`.
      x_RxD: the fold's real training rows, z-normed on themselves.
      label_R: their classes, as places in `classes`.
      source_SxD: rows of the unlabelled source that the fold may see, scaled as the real rows. moments and
        coral use each at most once per class, and so make S rows of each class when `per_class` is more.
      classes: the names.
      per_class: rows N to make of each class.
      strength: noise: its deviation, in deviations of the training rows; mixup: alpha of Beta(alpha, alpha);
        the other arms have none.
      rng: the result is a function of it and the rest.
    Raises:
      UserError: no such arm.
      ArmError: too few rows of a class or of the source, or a strength out of range.
    """
    if arm not in ARMS:
        raise UserError(f"arm {arm!r} is none of {', '.join(ARMS)}")
    given = Given(x_RxD, label_R, source_SxD, classes, per_class, strength)
    made = ARMS[arm](given, rng)
    return made._replace(x_KxNxD=made.x_KxNxD.astype(np.float32, copy=False))


def duplicate(given: Given, rng: np.random.Generator) -> Synthetic:
    """Rows of the class again, any two of them used equally often or once more."""
    parent_KxN = _parents("duplicate", given, rng)
    return _pure(given.x_RxD[parent_KxN], parent_KxN)


def noise(given: Given, rng: np.random.Generator) -> Synthetic:
    """Duplicates plus normal noise; a feature that does not vary in the training rows gets none.

    Raises ArmError for a strength below 0.
    """
    if not 0 <= given.strength < np.inf:
        raise ArmError(f"noise: its strength is 0 or more, not {given.strength:g}")
    parent_KxN = _parents("noise", given, rng)
    deviation_D = given.strength * given.x_RxD.std(axis=0, dtype=np.float64).astype(np.float32)
    noise_KxNxD = rng.standard_normal((*parent_KxN.shape, len(deviation_D)), dtype=np.float32)
    return _pure(given.x_RxD[parent_KxN] + deviation_D * noise_KxNxD, parent_KxN)


def smote(given: Given, rng: np.random.Generator) -> Synthetic:
    """Rows between a row of the class and one of its 5 nearest neighbours in the class.

    Source: Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16, 2002, as in
      imbalanced-learn.
    """
    from imblearn.over_sampling import SMOTE  # half a second, for this arm alone

    if len(given.classes) < 2:
        raise ArmError(
            f"smote: imbalanced-learn needs 2 or more classes, there is {given.classes[0]!r} alone"
        )
    rows = _rows_of("smote", given, NEIGHBOURS + 1, f"its {NEIGHBOURS} neighbours need")
    draws = np.random.RandomState(int(rng.integers(2**32)))  # an int would give all classes the same steps
    wanted = {k: len(rows_C) + given.per_class for k, rows_C in enumerate(rows)}
    sampler = SMOTE(sampling_strategy=wanted, k_neighbors=NEIGHBOURS, random_state=draws)
    x_NxD, label_N = (part[len(given.x_RxD) :] for part in sampler.fit_resample(given.x_RxD, given.label_R))
    x_KxNxD = np.stack([x_NxD[label_N == k] for k in range(len(rows))])
    return _pure(x_KxNxD, np.full(x_KxNxD.shape[:2], -1))


def mixup(given: Given, rng: np.random.Generator) -> Synthetic:
    """A row of the class mixed with a row of any class, features and labels alike; the own class leads.

    Raises ArmError for a strength of 0 or below.
    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, with lambda >= 1/2.
    """
    if not 0 < given.strength < np.inf:
        raise ArmError(
            f"mixup: its strength (alpha of the beta distribution) is above 0, not {given.strength:g}"
        )
    parent_KxN = _parents("mixup", given, rng)
    partner_KxN = rng.integers(len(given.x_RxD), size=parent_KxN.shape)
    lambda_KxN = rng.beta(given.strength, given.strength, size=parent_KxN.shape)
    share_KxN = np.maximum(lambda_KxN, 1 - lambda_KxN).astype(np.float32)
    weight_KxNx1 = share_KxN[..., None]
    x_KxNxD = weight_KxNx1 * given.x_RxD[parent_KxN] + (1 - weight_KxNx1) * given.x_RxD[partner_KxN]
    return Synthetic(x_KxNxD, given.label_R[partner_KxN], share_KxN, parent_KxN)


def moments(given: Given, rng: np.random.Generator) -> Synthetic:
    """Source rows with every feature shifted and scaled to the class's mean and deviation.

    A feature that does not vary in the source becomes the class's mean.
    """
    rows = _rows_of("moments", given, 2, "its deviation needs")
    parent_KxN = _source_parents("moments", given, rng)
    mean_D, deviation_D = _moments(given.source_SxD)
    x_KxNxD = np.empty((*parent_KxN.shape, len(mean_D)), np.float32)
    for k, rows_C in enumerate(rows):
        class_mean_D, class_deviation_D = _moments(given.x_RxD[rows_C])
        scale_D = np.divide(class_deviation_D, deviation_D, out=np.zeros_like(mean_D), where=deviation_D > 0)
        x_KxNxD[k] = class_mean_D + scale_D * (given.source_SxD[parent_KxN[k]] - mean_D)
    return _pure(x_KxNxD, parent_KxN)


def coral(given: Given, rng: np.random.Generator) -> Synthetic:
    """Source rows whitened by the source's shrunk covariance and coloured by the class's.

    Source: Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016.
    """
    rows = _rows_of("coral", given, 2, "its covariance needs")
    parent_KxN = _source_parents("coral", given, rng)
    source = shrunk(given.source_SxD)
    used_U, place_KxN = np.unique(parent_KxN, return_inverse=True)
    white_UxD = times_power(source, given.source_SxD[used_U] - source.mean_D, -0.5)
    x_KxNxD = np.empty((*parent_KxN.shape, white_UxD.shape[1]), np.float32)
    for k, rows_C in enumerate(rows):
        target = shrunk(given.x_RxD[rows_C])
        x_KxNxD[k] = target.mean_D + times_power(target, white_UxD, 0.5)[place_KxN[k]]
    return _pure(x_KxNxD, parent_KxN)


def gaussian(given: Given, rng: np.random.Generator) -> Synthetic:
    """Draws from the normal distribution with the class's mean and shrunk covariance."""
    rows = _rows_of("gaussian", given, 2, "its covariance needs")
    width = given.x_RxD.shape[1]
    x_KxNxD = np.empty((len(rows), given.per_class, width), np.float32)
    for k, rows_C in enumerate(rows):
        target = shrunk(given.x_RxD[rows_C])
        x_KxNxD[k] = target.mean_D + times_power(target, rng.standard_normal((given.per_class, width)), 0.5)
    return _pure(x_KxNxD, np.full(x_KxNxD.shape[:2], -1))


ARMS: dict[str, Callable[[Given, np.random.Generator], Synthetic]] = {
    "duplicate": duplicate,
    "noise": noise,
    "smote": smote,
    "mixup": mixup,
    "moments": moments,
    "coral": coral,
    "gaussian": gaussian,
}
OF_SOURCE = ("moments", "coral")  # make of each source row at most one of each class


def _pure(x_KxNxD: np.ndarray, parent_KxN: np.ndarray) -> Synthetic:
    """Rows that are wholly of their own class."""
    other_KxN = np.broadcast_to(np.arange(len(x_KxNxD))[:, None], parent_KxN.shape).copy()
    return Synthetic(x_KxNxD, other_KxN, np.ones(parent_KxN.shape, np.float32), parent_KxN)


def _rows_of(arm: str, given: Given, least: int, purpose: str) -> list[np.ndarray]:
    """Places of each class's rows; raises ArmError for a class with fewer than `least`."""
    rows = [np.flatnonzero(given.label_R == k) for k in range(len(given.classes))]
    for name, rows_C in zip(given.classes, rows, strict=True):
        if len(rows_C) < least:
            raise ArmError(f"{arm}: class {name!r} has {len(rows_C)} rows, {purpose} {least} or more")
    return rows


def _parents(arm: str, given: Given, rng: np.random.Generator) -> np.ndarray:
    """A real row of the class for each row to make: whole random permutations one after another."""
    rows = _rows_of(arm, given, 1, "it needs")
    return np.stack([_deal(rows_C, given.per_class, rng) for rows_C in rows])


def _source_parents(arm: str, given: Given, rng: np.random.Generator) -> np.ndarray:
    """A source row for each row to make, none twice in a class; fewer columns when the source is short."""
    count = len(given.source_SxD)
    if count < 2:
        raise ArmError(f"{arm}: the source has {count} rows, their spread needs 2 or more")
    drawn = (_deal(np.arange(count), min(given.per_class, count), rng) for _ in given.classes)
    return np.stack(list(drawn))


def _deal(rows_C: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows: a random permutation of them, then another, and so on."""
    rounds = -(-count // len(rows_C))
    return rng.permuted(np.tile(rows_C, (rounds, 1)), axis=1).ravel()[:count]


def _moments(x_NxD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each feature in float64, in which a constant float32 deviates by exactly 0."""
    return x_NxD.mean(axis=0, dtype=np.float64), x_NxD.std(axis=0, dtype=np.float64)
