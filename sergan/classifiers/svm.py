"""Linear support vector machine (scikit-learn), one against one, with balanced class weights."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.svm import SVC

from sergan.classifiers.tasks import Answer, Problem, Task, class_weights


@dataclass(frozen=True)
class SvmSettings:
    """`C` is scikit-learn's, the same whatever the number of rows."""

    C: float


def fit_predict(
    settings: SvmSettings,
    problems: list[Problem],
    tasks: list[Task],
    classes: int,
    progress: Callable[[int, int], None],
) -> list[Answer]:
    """Answers of the tasks; an SVM is deterministic, so tasks that differ only in their seed are one fit."""
    unique: dict[tuple, list[int]] = {}
    for i, task in enumerate(tasks):
        unique.setdefault(
            tuple(
                part.tobytes() for part in (np.array(task.problem), task.train_R, task.weight_R, task.test_R)
            ),
            [],
        ).append(i)
    answers: list[Answer | None] = [None] * len(tasks)
    firsts = [places[0] for places in unique.values()]
    fits = (delayed(_answer)(settings, problems[tasks[i].problem], tasks[i], classes) for i in firsts)
    results = Parallel(n_jobs=min(os.cpu_count() or 1, 4), prefer="threads", return_as="generator")(fits)
    for done, (places, answer) in enumerate(zip(unique.values(), results, strict=True), start=1):
        for place in places:
            answers[place] = answer
        progress(done, len(firsts))
    return [answer for answer in answers if answer is not None]


def _answer(settings: SvmSettings, problem: Problem, task: Task, classes: int) -> Answer:
    """Fits on a Gram matrix by BLAS, which is many times faster than libsvm's own products."""
    counts = task.weight_R > 0  # libsvm mistakes the rows of a Gram matrix when it drops some itself
    rows_R, weight_R = task.train_R[counts], task.weight_R[counts]
    train, label_R = problem.x_NxD[rows_R], problem.label_N[rows_R]
    weight_R = weight_R * class_weights(label_R, weight_R, classes)[label_R]
    machine = SVC(kernel="precomputed", C=settings.C, cache_size=500)
    machine.fit((train @ train.T).astype(np.float64), label_R, sample_weight=weight_R)
    return Answer(machine.predict((problem.x_NxD[task.test_R] @ train.T).astype(np.float64)), None)
