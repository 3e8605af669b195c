"""Trains the classifiers on real rows, synthetic rows and both; writes what they say of held-out clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from etils import epath

from experiments import hosts, predictions
from experiments.arms import Bench, answers, bench, diverged, in_parts
from experiments.choose import Choices
from experiments.holes import Holes
from experiments.settings import Setting, fixed
from experiments.study import Study
from experiments.synthesise import Generators
from sergan import writers
from sergan.classifiers.tasks import Answer, Task
from sergan.errors import ArmError, UserError
from sergan.folds import Fold

CHOSEN = float("nan")  # the amount of rows whose setting was chosen on inner folds


@dataclass(frozen=True)
class Entry:
    """Which line of the tables a task belongs to."""

    arm: str
    amount: float


class Job(NamedTuple):
    """A part of the predictions that is made and kept at once."""

    normalisation: str
    arm: str
    point: int
    seed: int

    @property
    def name(self) -> str:
        """A file's."""
        return f"{self.normalisation}_{self.arm}_{self.seed}" + (f"_{self.point}" if self.point else "")


def classify(study: Study, run: epath.Path, choices: Choices) -> None:
    """Writes predictions.csv; every normalisation, arm, point and GAN seed is kept as soon as it is done.

    Raises:
      UserError: every classifier diverged.
    """
    generators = Generators(study, run)
    jobs = [
        Job(normalisation, arm, point, seed)
        for normalisation in study.config.normalisations
        for arm in ("real", *study.arms)
        for point in study.points_of(arm)
        for seed in range(study.config.gan.seeds)
    ]
    paths = [run / "predictions" / f"{job.name}.parquet" for job in jobs]
    mine = hosts.mine(list(zip(paths, jobs, strict=True)))
    classifiers = study.config.classifiers
    with hosts.progress("classifiers", len(mine) * len(classifiers)) as progress:
        for number, (path, job) in enumerate(mine):
            if not path.exists():
                holes, frames = Holes(job.normalisation, job.arm), []
                part = _Part(study, generators, choices, job, holes)
                for classifier in classifiers:
                    frames.append(part.predictions(classifier))
                    progress(number * len(classifiers) + len(frames))
                holes.write(path)
                writers.write_frame(path, pd.concat(frames))
            progress((number + 1) * len(classifiers))
    hosts.meet("classified")
    if hosts.first():
        parts = pd.concat([writers.read_frame(path) for path in paths])
        if parts.empty:
            raise UserError(f"{run}: nothing could be predicted; its *.holes.jsonl in predictions say why")
        writers.write_frame(run / "predictions.csv", parts)


class _Part:
    """The predictions of one job."""

    def __init__(
        self, study: Study, generators: Generators, choices: Choices, job: Job, holes: Holes
    ) -> None:
        self._study, self._generators, self._choices = study, generators, choices
        self._job, self._holes = job, holes

    def predictions(self, classifier: str) -> pd.DataFrame:
        """Of one classifier; what cannot be made is a hole, and the rest goes on."""
        parts = in_parts(self._study, self._job.arm, self._study.folds, self._most)
        return pd.concat([self._of_folds(classifier, splits) for splits in parts])

    def _of_folds(self, classifier: str, splits: list[Fold]) -> pd.DataFrame:
        """Of some folds, whose rows are in memory at once."""
        config, benches = self._study.config, _Benches(self)
        repeats = 1 if classifier == "svm" else config.seeds  # an SVM has no randomness of its own
        asked: list[tuple[Entry, Setting, Task]] = []
        for fold in splits:
            for entry, setting in self._settings(classifier, fold.index):
                for repeat in range(repeats):
                    try:
                        place, rows = benches.get(fold.index, setting.strength, setting.point)
                        seed = self._job.seed * config.seeds + repeat
                        asked.append((entry, setting, rows.task(place, setting, "real" in entry.arm, seed)))
                    except ArmError as error:
                        self._holes.add(fold, self._study.sets(entry.arm, setting.amount), error)
        if not asked:
            return pd.DataFrame()
        said = answers(classifier, benches.made, [(setting, task) for _, setting, task in asked])
        frames = []
        for (entry, setting, task), answer in zip(asked, said, strict=True):
            if answer.sound:
                frames.append(self._frame(classifier, entry, task, answer))
            else:
                fold = self._study.fold(task.fold)
                self._holes.add(fold, self._study.sets(entry.arm, setting.amount), diverged(classifier, task))
        return pd.concat(frames) if frames else pd.DataFrame()

    def bench(self, fold: int, strength: float, point: int) -> Bench:
        """Rows of a fold for the largest amount that is asked for."""
        study, job = self._study, self._job
        where = study.fold(fold)
        of_fold = (job.arm, job.normalisation, where, job.seed, self._most(where), strength, point)
        return bench(study, self._generators, *of_fold)

    def _most(self, fold: Fold) -> int:
        """Synthetic rows of each class at the largest amount that is asked for."""
        config = self._study.config
        amounts = [config.amount, *config.curve, *config.choice.amounts]
        return max(self._study.per_class(fold, amount) for amount in amounts)

    def _settings(self, classifier: str, fold: int) -> Iterator[tuple[Entry, Setting]]:
        """At the config's own settings, then, beside a sweep's first point, at the chosen one."""
        study, arm, point = self._study, self._job.arm, self._job.point
        both = arm if arm == "real" else f"real+{arm}"
        if arm == "real":
            yield Entry(both, 0.0), fixed(study.config, arm, classifier, 0.0)
        else:
            own = fixed(study.config, arm, classifier, study.config.amount, point, alone=True)
            yield Entry(arm, study.amount), own
            for amount in study.config.curve or (study.config.amount,):
                setting = fixed(study.config, arm, classifier, amount, point)
                yield Entry(both, float(amount or study.amount)), setting
        chosen = self._choices.get((self._job.normalisation, arm, classifier, fold))
        if chosen and point == 0:
            yield Entry(both, CHOSEN), chosen

    def _frame(self, classifier: str, entry: Entry, task: Task, answer: Answer) -> pd.DataFrame:
        study, config = self._study, self._study.config
        cell = {
            "fold": task.fold,
            "seed": task.seed,
            "point": self._job.point,
            "arm": entry.arm,
            "amount": entry.amount,
            "classifier": classifier,
            "normalisation": self._job.normalisation,
        }
        name = (config.target if config.protocol == "across" else config.corpus).name
        return predictions.lines(name, study.corpus, task.test_R, study.classes, answer, cell)


class _Benches:
    """The rows of a part's folds, each made once, in the order in which they are asked for."""

    def __init__(self, part: _Part) -> None:
        self._part = part
        self._places: dict[tuple[int, float, int], int] = {}
        self.made: list[Bench] = []

    def get(self, fold: int, strength: float, point: int) -> tuple[int, Bench]:
        """Place and rows of a fold; raises ArmError as `bench`."""
        key = (fold, strength, point)
        if key not in self._places:
            self.made.append(self._part.bench(*key))
            self._places[key] = len(self.made) - 1
        return self._places[key], self.made[self._places[key]]
