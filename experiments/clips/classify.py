"""Trains the networks on real clips and on real with made ones; writes what they say of held-out clips."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from etils import epath

from experiments import predictions
from experiments.clips import make
from experiments.clips.study import Study
from sergan import logmel, writers
from sergan.classifiers import adcrnn
from sergan.classifiers.adcrnn import ClipTask
from sergan.classifiers.tasks import Answer
from sergan.folds import Fold, check_rows

NORMALISATION = "train"  # spectrograms are z-normed on the training clips


class Job(NamedTuple):
    """A part of the predictions that is made and kept at once: some folds of an arm."""

    classifier: str
    arm: str
    seed: int
    folds: tuple[int, ...]

    @property
    def name(self) -> str:
        """A file's."""
        words = self.classifier.replace(" ", "_")
        return f"{words}_{self.arm}_seed_{self.seed}_fold_{'_'.join(map(str, self.folds))}"


def classify(study: Study, run: epath.Path) -> None:
    """Writes predictions.csv; every classifier, arm, seed and fold is kept as soon as it is done.

    On a CPU as many folds are trained at once as there are devices, elsewhere all.
    """
    spectrograms = logmel.extract(study.clips, study.corpus.ids_U.tolist())
    indices = [fold.index for fold in study.folds]
    count = jax.local_device_count() if jax.default_backend() == "cpu" else len(indices)
    together = [tuple(indices[i : i + count]) for i in range(0, len(indices), count)]
    jobs = [
        Job(classifier, arm, seed, folds)
        for seed in range(study.config.sound.seeds)
        for arm in ("real", *study.arms)
        for classifier in study.classifiers
        for folds in together
    ]
    paths = [run / "predictions" / f"{job.name}.parquet" for job in jobs]
    each = study.config.seeds * study.config.adcrnn.steps  # steps for a fold
    done = 0
    with writers.Progress("classifiers", each * sum(len(job.folds) for job in jobs)) as progress:
        for path, job in zip(paths, jobs, strict=True):
            if not path.exists():
                told = _counting(progress, done)
                writers.write_frame(path, _predictions(study, run, spectrograms, job, told))
            done += each * len(job.folds)
            progress(done)
    writers.write_frame(run / "predictions.csv", pd.concat([writers.read_frame(path) for path in paths]))


def _counting(progress: writers.Progress, done: int) -> Callable[[int], None]:
    """Adds steps, from whichever thread, to those that are done."""
    lock = threading.Lock()

    def told(steps: int) -> None:
        nonlocal done
        with lock:
            done += steps
            progress(done)

    return told


def _predictions(
    study: Study, run: epath.Path, spectrograms: list[np.ndarray], job: Job, told: Callable[[int], None]
) -> pd.DataFrame:
    """Of the folds of a job, whose made clips are in memory at once."""
    seen, tasks = list(spectrograms), list[ClipTask]()
    for fold in (study.folds[index] for index in job.folds):
        label_N = np.zeros(0, int)
        if job.arm != "real":
            made = make.read(study, run, make.Job(job.arm, fold.index, job.seed))
            label_N = np.array([study.classes.index(emotion) for emotion in made.lines["emotion"]], int)
            seen += logmel.extract(made.clips, made.lines["file"].astype(str).tolist())
        places_N = np.arange(len(seen) - len(label_N), len(seen))
        tasks += [_task(study, fold, places_N, label_N, seed) for seed in _seeds(study, job)]
    said = adcrnn.fit_predict(study.classifiers[job.classifier], logmel.join(seen), tasks, told=told)
    lines = [_lines(study, job, task, answer) for task, answer in zip(tasks, said, strict=True)]
    return pd.concat(lines)


def _seeds(study: Study, job: Job) -> range:
    first = job.seed * study.config.seeds
    return range(first, first + study.config.seeds)


def _task(study: Study, fold: Fold, places_N: np.ndarray, label_N: np.ndarray, seed: int) -> ClipTask:
    """The fold's real clips and those made for it, each as often as the others; z-normed on the real ones."""
    check_rows(fold, study.corpus, fold.train_R)
    train_U = np.concatenate([fold.train_R, places_N])
    label_U = np.concatenate([study.label_U[fold.train_R], label_N])
    return ClipTask(train_U, label_U, np.ones(len(train_U)), fold.train_R, fold.test_R, fold.index, seed)


def _lines(study: Study, job: Job, task: ClipTask, answer: Answer) -> pd.DataFrame:
    cell = {
        "fold": task.fold,
        "seed": task.seed,
        "point": 0,
        "arm": job.arm if job.arm == "real" else f"real+{job.arm}",
        "amount": _amount(study) if job.arm != "real" else 0.0,
        "classifier": job.classifier,
        "normalisation": NORMALISATION,
    }
    return predictions.lines(study.config.corpus.name, study.corpus, task.test_U, study.classes, answer, cell)


def _amount(study: Study) -> float:
    """Made clips in multiples of the training clips, mean over the folds."""
    shares = [study.missing(fold).sum() / len(fold.train_R) for fold in study.folds]
    return round(float(np.mean(shares)), 2)
