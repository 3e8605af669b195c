"""What a classifier is asked: rows that train, rows to predict, by index into a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Problem:
    """The rows of one fold, real and synthetic: x_NxD scaled for classifiers, label_N in 0..C-1."""

    x_NxD: np.ndarray
    label_N: np.ndarray


@dataclass(frozen=True)
class Task:
    """One classifier to be trained: rows of `problems[problem]`, and what its randomness depends on.

    `weight_R` says how much each training row counts (mean 1); classes are balanced on top of it.
    """

    problem: int
    train_R: np.ndarray
    weight_R: np.ndarray
    test_R: np.ndarray
    fold: int
    seed: int


class Answer(NamedTuple):
    """Predicted labels of a task's test rows, and probabilities [R, C] where the classifier has them."""

    label_R: np.ndarray
    probability_RxC: np.ndarray | None


# (settings, problems, tasks, classes, progress(done, total)) -> one Answer per task
FitPredict = Callable[[Any, list[Problem], list[Task], int, Callable[[int, int], None]], list[Answer]]


def class_weights(label_R: np.ndarray, weight_R: np.ndarray, classes: int) -> np.ndarray:
    """Weights [C] that give every class the same sum (scikit-learn's "balanced", for weighted rows)."""
    sum_C = np.bincount(label_R, weights=weight_R, minlength=classes)
    return np.divide(sum_C.sum() / classes, sum_C, out=np.zeros(classes), where=sum_C > 0).astype(np.float32)
