"""Linear support vector machine (scikit-learn), one against one, with balanced class weights."""

import os
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.svm import SVC

from sergan.classifiers.tasks import Answer, Task, class_weights


@dataclass(frozen=True)
class SvmSettings:
    """Nothing but C, which comes with the task: scikit-learn's, the same whatever the number of rows."""

    def __str__(self) -> str:
        return "linear"


def fit_predict(
    settings: SvmSettings, problems: list[np.ndarray], tasks: list[Task], classes: int
) -> list[Answer]:
    """Answers of the tasks, without probabilities; a problem's tasks share one Gram matrix of its rows."""
    places: dict[int, list[int]] = {}
    for i, task in enumerate(tasks):
        places.setdefault(task.problem, []).append(i)
    answers: dict[int, Answer] = {}
    with Parallel(n_jobs=min(os.cpu_count() or 1, 4), prefer="threads", return_as="generator") as parallel:
        for problem, mine in places.items():
            gram_NxN = problems[problem] @ problems[problem].T
            fits = parallel(delayed(_answer)(gram_NxN, tasks[i], classes) for i in mine)
            for i, answer in zip(mine, fits, strict=True):
                answers[i] = answer
    return [answers[i] for i in range(len(tasks))]


def _answer(gram_NxN: np.ndarray, task: Task, classes: int) -> Answer:
    """Fits on products made by BLAS, which is many times faster than libsvm's own."""
    counts = task.weight_R > 0  # libsvm mistakes the rows of a Gram matrix when it drops some itself
    rows_R, label_R, weight_R = task.train_R[counts], task.label_R[counts], task.weight_R[counts]
    weight_R = weight_R * class_weights(label_R, weight_R, classes)[label_R]
    machine = SVC(kernel="precomputed", C=task.regularisation, cache_size=500)
    machine.fit(gram_NxN[np.ix_(rows_R, rows_R)].astype(np.float64), label_R, sample_weight=weight_R)
    return Answer(machine.predict(gram_NxN[np.ix_(task.test_R, rows_R)].astype(np.float64)), None)
