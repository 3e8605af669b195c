"""Trains the networks on real clips and on real with made ones; writes what they say of held-out clips."""

import threading
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from etils import epath

from experiments import predictions
from experiments.clips import make
from experiments.clips.study import Study
from experiments.clips.train import Generators
from experiments.holes import Holes
from sergan import logmel, writers
from sergan.classifiers import adcrnn
from sergan.classifiers.adcrnn import ClipTask
from sergan.classifiers.tasks import Answer
from sergan.errors import UserError
from sergan.events import FOLDER, Events
from sergan.folds import Fold, LeakError, check_rows

NORMALISATION = "train"  # spectrograms are z-normed on the training clips


class Job(NamedTuple):
    """A part of the predictions that is kept as a file: of a fold of an arm, by a classifier."""

    classifier: str
    arm: str
    seed: int
    fold: int

    @property
    def name(self) -> str:
        """A file's."""
        return f"{self.classifier.replace(' ', '_')}_{self.arm}_seed_{self.seed}_fold_{self.fold}"

    def path(self, run: epath.Path) -> epath.Path:
        """Where its predictions are kept."""
        return run / "predictions" / f"{self.name}.parquet"

    def learning(self, run: epath.Path) -> epath.Path:
        """Where its learning curve is kept."""
        return run / "predictions" / f"{self.name}.learning.parquet"

    @property
    def real_and(self) -> str:
        """The arm as tables have it: made clips train beside real ones."""
        return self.arm if self.arm == "real" else f"real+{self.arm}"


def classify(study: Study, run: epath.Path) -> None:
    """Writes predictions.csv; folds of a classifier, arm and seed are kept as soon as they are done.

    As many folds train together as there are devices, on accelerators all. TensorBoard and learning.csv have
    loss and accuracy of every classifier.

    Raises:
      UserError: every classifier diverged.
    """
    spectrograms = logmel.extract(study.clips, study.corpus.ids_U.tolist())
    count = jax.local_device_count() if jax.default_backend() == "cpu" else len(study.folds)
    groups = [
        [Job(classifier, arm, seed, fold.index) for fold in study.folds]
        for seed in range(study.config.sound.seeds)
        for arm in ("real", *study.arms)
        for classifier in study.classifiers
    ]
    each = study.config.seeds * study.config.adcrnn.steps  # steps for a fold
    left = [[job for job in group if not job.path(run).exists()] for group in groups]
    total = each * sum(map(len, groups))
    _leave_out(study, run, [job for todo in left for job in todo])
    left = [[job for job in todo if not job.path(run).exists()] for todo in left]
    done = total - each * sum(map(len, left))
    batches = [todo[start : start + count] for todo in left for start in range(0, len(todo), count)]
    with writers.Progress("classifiers", total, done) as progress:
        for jobs in batches:
            with _Log(study, run, jobs, progress, done) as log:
                _classify(study, run, spectrograms, jobs, log)
            done += each * len(jobs)
        progress(done)
    parts = [writers.read_frame(job.path(run)) for group in groups for job in group]
    if not any(map(len, parts)):
        raise UserError(
            f"{run}: every classifier diverged; begin anew with a lower config.adcrnn.learning_rate"
        )
    learning = [job.learning(run) for group in groups for job in group]
    frames = [writers.read_frame(path) for path in learning if path.exists()]
    if frames:  # folds that an older version trained have none
        writers.write_frame(run / "learning.csv", pd.concat(frames))
    writers.write_frame(run / "predictions.csv", pd.concat(parts))


class _Log:
    """What classifiers that train beside each other say: for the progress bar, TensorBoard, learning.csv."""

    def __init__(
        self, study: Study, run: epath.Path, jobs: list[Job], progress: writers.Progress, done: int
    ) -> None:
        self._study, self._run, self._progress, self._done = study, run, progress, done
        self._jobs, self._lines = {job.fold: job for job in jobs}, list[dict[str, object]]()
        self._events: dict[str, Events] = {}
        self._steps: dict[str, int] = {}
        self._lock, self._closed = threading.Lock(), False

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:  # after an interrupt other threads may still be at work
            self._closed = True
            for events in self._events.values():
                events.close()

    def told(self, task: ClipTask, steps: int, values: dict[str, float], answer: Answer | None) -> None:
        """Loss and accuracy of a task after that many steps, and on held-out clips; from whichever thread."""
        job = self._jobs[task.fold]
        name = f"{job.name}_classifier_{task.seed}"
        if answer is not None and answer.sound:
            right_U = answer.label_R == self._study.label_U[task.test_U]
            values = values | {"held_out": float(np.mean(right_U))}
        line = {"classifier": job.classifier, "arm": job.real_and, "fold": task.fold, "seed": task.seed}
        with self._lock:
            if self._closed:
                return
            self._lines.append(line | {"step": steps} | {key: writers.short(v) for key, v in values.items()})
            if name not in self._events:
                self._events[name] = Events(self._run / FOLDER / name)
            self._events[name].scalars(steps, values)
            self._steps[name] = steps
            self._progress(self._done + sum(self._steps.values()), values=values)

    def write(self, job: Job) -> None:
        """Keeps the lines of a job, each step of a classifier once, beside its predictions."""
        lines = [line for line in self._lines if line["fold"] == job.fold]
        frame = pd.DataFrame(lines, columns=None if lines else ["seed", "step"])
        frame = frame.drop_duplicates(["seed", "step"], keep="last")  # halved programs begin anew
        writers.write_frame(job.learning(self._run), frame.sort_values(["seed", "step"]))


def _leave_out(study: Study, run: epath.Path, jobs: list[Job]) -> None:
    """Keeps a hole in the place of predictions by clips of GANs that diverged."""
    generators = Generators(study, run)
    for job in jobs:
        if fault := generators.fault(job.arm, job.fold, job.seed):
            holes = Holes(NORMALISATION, job.arm)
            holes.add(study.folds[job.fold], _amount(study, job), fault)
            holes.write(job.path(run))
            writers.write_frame(job.path(run), pd.DataFrame())


def _classify(
    study: Study, run: epath.Path, spectrograms: list[np.ndarray], jobs: list[Job], log: _Log
) -> None:
    """Writes what one classifier predicts in folds of one arm, whose made clips are in memory at once.

    What diverged is a hole, and the rest goes on.
    """
    seen, tasks = list(spectrograms), list[ClipTask]()
    for job in jobs:
        label_N = np.zeros(0, int)
        if job.arm != "real":
            fold, made = study.folds[job.fold], make.read(study, run, make.Job(job.arm, job.fold, job.seed))
            parents = np.isin(study.corpus.ids_U, made.lines["parent"].dropna().to_numpy(str))
            check_rows(fold, study.corpus, np.flatnonzero(parents))
            if not (made.lines["fold"] == job.fold).all():
                raise LeakError(f"fold {job.fold}: clips that were made for another one")
            label_N = np.array([study.classes.index(emotion) for emotion in made.lines["emotion"]], int)
            seen += logmel.extract(made.clips, made.lines["file"].astype(str).tolist())
        places_N = np.arange(len(seen) - len(label_N), len(seen))
        tasks += [_task(study, study.folds[job.fold], places_N, label_N, seed) for seed in _seeds(study, job)]
    settings = study.classifiers[jobs[0].classifier]
    look = study.config.adcrnn.look_every
    said = adcrnn.fit_predict(settings, logmel.join(seen), tasks, told=log.told, look=look)
    for job in jobs:
        holes, lines = Holes(NORMALISATION, job.arm), [pd.DataFrame()]
        for task, answer in zip(tasks, said, strict=True):
            if task.fold != job.fold:
                continue
            if answer.sound:
                lines.append(_lines(study, job, task, answer))
            else:
                reason = f"{job.classifier} diverged with seed {task.seed}; lower config.adcrnn.learning_rate"
                holes.add(study.folds[job.fold], _amount(study, job), UserError(reason))
        log.write(job)
        holes.write(job.path(run))
        writers.write_frame(job.path(run), pd.concat(lines))


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
        "arm": job.real_and,
        "amount": _amount(study, job),
        "classifier": job.classifier,
        "normalisation": NORMALISATION,
    }
    return predictions.lines(study.config.corpus.name, study.corpus, task.test_U, study.classes, answer, cell)


def _amount(study: Study, job: Job) -> float:
    """Made clips in multiples of the training clips, mean over the folds."""
    if job.arm == "real":
        return 0.0
    shares = [study.missing(fold).sum() / len(fold.train_R) for fold in study.folds]
    return round(float(np.mean(shares)), 2)
