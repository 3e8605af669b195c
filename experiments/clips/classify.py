"""Trains the networks on real clips and on real with made ones; writes what they say of held-out clips."""

import threading
import zlib
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from etils import epath

from experiments import generators, predictions
from experiments.clips import make
from experiments.clips.study import Study
from experiments.clips.train import Generators
from experiments.holes import Holes
from sergan import logmel, writers
from sergan.checkpoint import Checkpoints
from sergan.classifiers import adcrnn
from sergan.classifiers.adcrnn import ClipTask
from sergan.classifiers.tasks import Answer
from sergan.errors import ArmError, UserError
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
        """Where its learning curve is kept, from the first steps on."""
        return run / "predictions" / f"{self.name}.learning.jsonl"

    def states(self, run: epath.Path) -> epath.Path:
        """Where networks in training are, those of the other folds beside it."""
        name = f"{self.classifier}_{self.arm}_seed_{self.seed}.states".replace(" ", "_")
        return run / "predictions" / name

    @property
    def real_and(self) -> str:
        """The arm as tables have it: made clips train beside real ones."""
        return self.arm if self.arm == "real" else f"real+{self.arm}"


def classify(study: Study, run: epath.Path) -> None:
    """Writes predictions.csv; folds of a classifier, arm and seed are kept as soon as they are done, and what
    is in training is saved every `config.training.save_every` steps.

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
    batches = list[list[Job]]()
    for group in groups:
        sound = _without_holes(study, run, group)
        batches += [sound[start : start + count] for start in range(0, len(sound), count)]
    todo = [jobs for jobs in batches if not all(job.path(run).exists() for job in jobs)]
    total = each * sum(map(len, batches))
    done = total - each * sum(map(len, todo))
    with writers.Progress("classifiers", total, done) as progress:
        for jobs in todo:
            with _Log(study, run, jobs, progress, done) as log:
                _classify(study, run, spectrograms, jobs, log)
            done += each * len(jobs)
        progress(done)
    parts = [writers.read_frame(job.path(run)) for group in groups for job in group]
    if not any(map(len, parts)):
        raise UserError(
            f"{run}: every classifier diverged; begin anew with a lower config.adcrnn.learning_rate"
        )
    curves = [_curve(job.learning(run)) for group in groups for job in group]
    if any(map(len, curves)):
        writers.write_frame(run / "learning.csv", pd.concat(filter(len, curves)))
    writers.write_frame(run / "predictions.csv", pd.concat(parts))


def _curve(path: epath.Path) -> pd.DataFrame:
    """A learning curve, each step of a network once: what came after the last save was trained again."""
    lines = writers.read_lines(path, {"seed": int, "step": int})
    frame = pd.DataFrame(lines, columns=None if lines else ["seed", "step"])
    return frame.drop_duplicates(["seed", "step"], keep="last").sort_values(["seed", "step"])


class _Log:
    """What classifiers that train beside each other say: for the progress bar, TensorBoard, learning.csv."""

    def __init__(
        self, study: Study, run: epath.Path, jobs: list[Job], progress: writers.Progress, done: int
    ) -> None:
        self._study, self._run, self._progress, self._done = study, run, progress, done
        self._jobs = {job.fold: job for job in jobs}
        self._events: dict[str, Events] = {}
        self._steps: dict[str, int] = {}
        self._lock, self._closed = threading.Lock(), False

    def __enter__(self) -> "_Log":
        (self._run / "predictions").mkdir(parents=True, exist_ok=True)
        for job in self._jobs.values():
            writers.drop_cut_line(job.learning(self._run))
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
        line |= {"step": steps} | {key: writers.short(value) for key, value in values.items()}
        with self._lock:
            if self._closed:
                return
            writers.append_lines(job.learning(self._run), [line])
            if name not in self._events:
                self._events[name] = Events(self._run / FOLDER / name, steps)
            self._events[name].scalars(steps, values)
            self._steps[name] = steps
            self._progress(self._done + sum(self._steps.values()), values=values)


def _without_holes(study: Study, run: epath.Path, jobs: list[Job]) -> list[Job]:
    """Those that clips can be made for; keeps a hole for each whose GANs diverged."""
    trained, sound = Generators(study, run), list[Job]()
    for job in jobs:
        fold = study.folds[job.fold]
        fault = trained.fault(job.arm, job.fold, job.seed, study.missing(fold))
        if fault is None:
            sound.append(job)
        elif not job.path(run).exists():
            holes = Holes(NORMALISATION, job.arm)
            holes.add(fold, _amount(study, job), fault)
            holes.write(job.path(run))
            writers.write_frame(job.path(run), pd.DataFrame())
    return sound


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
            if (np.bincount(label_N, minlength=len(study.classes)) != study.missing(fold)).any():
                folder = make.Job(job.arm, job.fold, job.seed).folder(run)
                raise UserError(
                    f"{folder}: other clips than the fold needs; delete it and run the command of its run "
                    "folder again, which makes it anew"
                )
            seen += logmel.extract(made.clips, made.lines["file"].astype(str).tolist())
        places_N = np.arange(len(seen) - len(label_N), len(seen))
        tasks += [_task(study, study.folds[job.fold], places_N, label_N, seed) for seed in _seeds(study, job)]
    settings = study.classifiers[jobs[0].classifier]
    look, save = study.config.adcrnn.look_every, study.config.training.save_every
    beside = adcrnn.Beside(log.told, look, lambda *own: _states(run, jobs[0], *own), save)
    said = adcrnn.fit_predict(settings, logmel.join(seen), tasks, beside=beside)
    for job in jobs:
        holes, lines = Holes(NORMALISATION, job.arm), [pd.DataFrame()]
        for task, answer in zip(tasks, said, strict=True):
            if task.fold != job.fold:
                continue
            if answer.sound:
                lines.append(_lines(study, job, task, answer))
            else:
                reason = f"{job.classifier} diverged with seed {task.seed}; lower config.adcrnn.learning_rate"
                holes.add(study.folds[job.fold], _amount(study, job), ArmError(reason))
        holes.write(job.path(run))
        writers.write_frame(job.path(run), pd.concat(lines))
    jobs[0].states(run).rmtree(missing_ok=True)


def _states(run: epath.Path, job: Job, tasks: list[ClipTask], together: int) -> Checkpoints:
    """Where tasks that train as one program are saved; others find nothing there."""
    whose = repr([together, *((task.fold, task.seed) for task in tasks)])
    return generators.checkpoints(job.states(run) / f"{zlib.crc32(whose.encode()):08x}")


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
