"""Linear support vector machine (scikit-learn), one against one, with balanced class weights."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, cpu_count, delayed
from sklearn.svm import SVC

from sergan.classifiers.tasks import Answer, Task, class_weights

_ITERATIONS = 200_000  # of libsvm at least, which else may go on for ever where synthetic rows are far away
_GRAM_ROWS = 12_000  # of a problem whose Gram matrix is made: 0.6 GB, and 1.2 GB for each task at work


@dataclass(frozen=True)
class SvmSettings:
    """Nothing but C, which comes with the task: scikit-learn's, times the weight of a row."""

    def __str__(self) -> str:
        return "linear"


def fit_predict(
    settings: SvmSettings, problems: list[np.ndarray], tasks: list[Task], classes: int
) -> list[Answer]:
    """Answers of the tasks, without probabilities; a problem's tasks share one Gram matrix of its rows.

    Of many rows libsvm makes the products itself, as it needs them: slower, in bounded memory. One that does
    not converge is stopped, with scikit-learn's ConvergenceWarning.
    """
    places: dict[int, list[int]] = {}
    for i, task in enumerate(tasks):
        places.setdefault(task.problem, []).append(i)
    answers: dict[int, Answer] = {}
    with Parallel(n_jobs=min(cpu_count(), 4), prefer="threads", return_as="generator") as parallel:
        for problem, mine in places.items():
            x_NxD = problems[problem]
            gram_NxN = x_NxD @ x_NxD.T if len(x_NxD) <= _GRAM_ROWS else None
            fits = parallel(delayed(_answer)(x_NxD, gram_NxN, tasks[i], classes) for i in mine)
            for i, answer in zip(mine, fits, strict=True):
                answers[i] = answer
    return [answers[i] for i in range(len(tasks))]


def _answer(x_NxD: np.ndarray, gram_NxN: np.ndarray | None, task: Task, classes: int) -> Answer:
    """Fits on products made by BLAS, which is many times faster than libsvm's own, where there are any."""
    counts = task.weight_R > 0  # libsvm mistakes the rows of a Gram matrix when it drops some itself
    rows_R, label_R, weight_R = task.train_R[counts], task.label_R[counts], task.weight_R[counts]
    weight_R = weight_R * class_weights(label_R, weight_R, classes)[label_R]
    if gram_NxN is None:
        train, test, kernel = x_NxD[rows_R], x_NxD[task.test_R], "linear"
    else:
        train, test = gram_NxN[np.ix_(rows_R, rows_R)], gram_NxN[np.ix_(task.test_R, rows_R)]
        kernel = "precomputed"
    iterations = max(_ITERATIONS, 20 * len(train))
    machine = SVC(kernel=kernel, C=task.regularisation, cache_size=500, max_iter=iterations)
    machine.fit(train.astype(np.float64), label_R, sample_weight=weight_R)
    return Answer(machine.predict(test.astype(np.float64)), None)
