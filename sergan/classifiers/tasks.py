"""What a classifier is asked: rows that train, rows to predict, by index into the rows of one fold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Task:
    """One classifier to be trained on rows of `problems[problem]`, and what its randomness depends on.

    Rows are indices, and may come more than once; `label_R` in 0..C-1 and `weight_R` say what each counts as
    and how much; classes are balanced on top of it. `regularisation` is the SVM's C, the DNN's L2.
    """

    problem: int
    train_R: np.ndarray
    label_R: np.ndarray
    weight_R: np.ndarray
    test_R: np.ndarray
    regularisation: float
    fold: int
    seed: int


class Answer(NamedTuple):
    """Predicted labels of a task's test rows, and probabilities [R, C] where the classifier has them."""

    label_R: np.ndarray
    probability_RxC: np.ndarray | None

    @property
    def sound(self) -> bool:
        """Whether its training has not diverged."""
        return self.probability_RxC is None or bool(np.isfinite(self.probability_RxC).all())


# (settings, problems x_NxD, tasks, classes) -> one Answer per task
FitPredict = Callable[[Any, list[np.ndarray], list[Task], int], list[Answer]]


def rounded(length: int, to: int) -> int:
    """Few different lengths, so that calls of about the same size share a compiled program."""
    return -(-length // to) * to


def class_weights(label_R: np.ndarray, weight_R: np.ndarray, classes: int) -> np.ndarray:
    """Weights [C] that give every class the same sum (scikit-learn's "balanced", for weighted rows)."""
    sum_C = np.bincount(label_R, weights=weight_R, minlength=classes)
    return np.divide(sum_C.sum() / classes, sum_C, out=np.zeros(classes), where=sum_C > 0).astype(np.float32)
