"""Settings of every arm, chosen for each fold on its inner folds.

An inner fold leaves out the speakers of two folds, with scalers, CycleGANs and classifiers of its own. What
it says of the one's counts for the choice of the other: no choice has seen the speakers it is made for.
Across corpora the one inner fold tests on the target's development rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from etils import epath

from experiments import hosts
from experiments.arms import Bench, answers, bench, can_make, diverged, in_parts
from experiments.holes import Holes
from experiments.settings import Setting, grid
from experiments.study import Study
from experiments.synthesise import Generators
from sergan import writers
from sergan.classifiers.tasks import Answer, Task
from sergan.errors import ArmError
from sergan.folds import Fold

Choices = dict[tuple[str, str, str, int], Setting]  # by normalisation, arm, classifier and fold
_KEYS = ["classifier", "setting", "fold", "speaker", "truth"]


def choose(study: Study, run: epath.Path) -> Choices:
    """Writes choices.csv and inner.csv, every setting's UAR; returns the choices.

    An arm's trials, of each point of a sweep, are kept as soon as they are done.
    """
    if not study.inner:
        return {}
    generators = Generators(study, run)
    parts = [(n, arm) for n in study.config.normalisations for arm in ("real", *study.arms)]
    mine = hosts.mine([(*part, point) for part in parts for point in study.points_of(part[1])])
    with hosts.progress("choice", len(mine)) as progress:
        for done, (normalisation, arm, point) in enumerate(mine, start=1):
            path = _path(run, normalisation, arm, point)
            if not path.exists():
                holes = Holes(normalisation, arm)
                trials = _Trials(study, generators, normalisation, arm, point, holes)
                frame = trials.all()
                holes.write(path)
                writers.write_frame(path, frame)
            progress(done)
    hosts.meet("tried")
    choices: Choices = {}
    lines, tried = [], []
    for normalisation, arm in parts:
        paths = [_path(run, normalisation, arm, point) for point in study.points_of(arm)]
        found = pd.concat([writers.read_frame(path) for path in paths])
        for classifier, fold, setting, uar in _best(study, arm, found):
            choices[normalisation, arm, classifier, fold.index] = setting
            place = {"fold": fold.index, "held_out": " ".join(fold.held_out)}
            lines.append(_line(study, normalisation, classifier, arm, place, setting, uar))
        tried += [
            _line(study, normalisation, classifier, arm, {}, setting, uar)
            for classifier, setting, uar in _tried(study, arm, found)
        ]
    if hosts.first():
        writers.write_frame(run / "inner.csv", pd.DataFrame(tried))
        writers.write_frame(run / "choices.csv", pd.DataFrame(lines))
    return choices


def _path(run: epath.Path, normalisation: str, arm: str, point: int) -> epath.Path:
    return run / "choice" / f"{normalisation}_{arm}{f'_{point}' if point else ''}.parquet"


def _best(study: Study, arm: str, trials: pd.DataFrame) -> Iterator[tuple[str, Fold, Setting, float]]:
    """Each classifier's and fold's best setting with its inner UAR; none where an arm has no trials.

    Inner folds train on fewer rows: of a setting that they could try the fold itself may need too many of S.
    """
    for classifier in study.config.classifiers:
        settings = grid(study.config, arm, classifier, study.points_of(arm))
        for fold in study.folds:
            can_S = [can_make(study, arm, fold, setting.amount) for setting in settings]
            uar_S = inner_uar(trials[trials.classifier == classifier], fold, study.inner, len(settings))
            uar_S = np.where(can_S, uar_S, np.nan)
            if not np.isnan(uar_S).all():
                best = int(np.nanargmax(uar_S))  # of equals the first, which has the fewest rows
                yield classifier, fold, settings[best], float(uar_S[best])


def inner_uar(trials: pd.DataFrame, fold: Fold, inner: list[Fold], count: int) -> np.ndarray:
    """UAR of each setting, pooled over what the inner folds without this fold's speakers say of the others.

    Args:
      trials: fold, speaker, truth, setting, hits, total.
      fold: the fold that chooses.
      inner: all inner folds.
      count: how many settings there are.
    """
    counts = np.zeros(len(trials), bool)
    for trial in inner:
        if set(fold.held_out) <= set(trial.held_out):
            tests_them = np.isin(fold.test_R, trial.test_R).any()  # not so on a target's development rows
            others = ~trials.speaker.isin(fold.held_out) if tests_them else True
            counts |= (trials.fold == trial.index) & others
    return _uar(trials[counts], count)


def _uar(trials: pd.DataFrame, count: int) -> np.ndarray:
    """UAR of each of `count` settings, on the folds and speakers that all of them have; NaN for one with
    trials of fewer folds and speakers than another."""
    if trials.empty:
        return np.full(count, np.nan)
    places = trials[["setting", "fold", "speaker"]].drop_duplicates()["setting"].value_counts()
    most = places[places == places.max()].index
    trials = trials[trials.setting.isin(most)]
    has_them = trials.groupby(["fold", "speaker"])["setting"].transform("nunique") == len(most)
    trials = trials[has_them]
    counts = trials.groupby(["setting", "truth"])[["hits", "total"]].sum()
    recall = (counts.hits / counts.total).groupby("setting").mean()
    return recall.reindex(range(count)).to_numpy(float)


def _tried(study: Study, arm: str, trials: pd.DataFrame) -> Iterator[tuple[str, Setting, float]]:
    """Each classifier's settings with the UAR over all inner folds."""
    for classifier in study.config.classifiers:
        settings = grid(study.config, arm, classifier, study.points_of(arm))
        uar_S = _uar(trials[trials.classifier == classifier], len(settings))
        yield from ((classifier, setting, float(uar)) for setting, uar in zip(settings, uar_S, strict=True))


def _line(
    study: Study,
    normalisation: str,
    classifier: str,
    arm: str,
    place: dict[str, object],
    setting: Setting,
    uar: float,
) -> dict[str, object]:
    return {
        "normalisation": normalisation,
        "classifier": classifier,
        "arm": arm if arm == "real" else f"real+{arm}",
        **place,
        **setting.words(),
        "amount": study.sets(arm, setting.amount),
        "inner_uar": round(uar, 6),
    }


@dataclass(frozen=True)
class _Trials:
    """All settings of one arm at one point of a sweep in all inner folds."""

    study: Study
    generators: Generators
    normalisation: str
    arm: str
    point: int
    holes: Holes

    def all(self) -> pd.DataFrame:
        """Hits and totals of each classifier, setting, inner fold, left-out speaker and class."""
        kinds = [kind for kind in self._grids[self.study.config.classifiers[0]] if kind[1] == self.point]
        frames = []
        for folds in in_parts(self.study, self.arm, self.study.inner, self._most):
            for kind in kinds:
                benches = list(self._benches(folds, *kind))
                for classifier in self.study.config.classifiers:
                    frames += self._counts(classifier, benches, *kind)
        return pd.concat(frames) if frames else pd.DataFrame(columns=[*_KEYS, "hits", "total"])

    @cached_property
    def _grids(self) -> dict[str, dict[tuple[float, int], list[tuple[int, Setting]]]]:
        """Of each classifier, by strength and point: settings with their numbers in its grid."""
        found: dict[str, dict[tuple[float, int], list[tuple[int, Setting]]]] = {}
        for classifier in self.study.config.classifiers:
            kinds = found.setdefault(classifier, {})
            settings = grid(self.study.config, self.arm, classifier, self.study.points_of(self.arm))
            for number, setting in enumerate(settings):
                kinds.setdefault((setting.strength, setting.point), []).append((number, setting))
        return found

    def _benches(self, inner: list[Fold], strength: float, point: int) -> Iterator[Bench]:
        study, amounts = self.study, self.study.config.choice.amounts
        for fold in inner:
            rows = self._most(fold)
            try:
                yield bench(
                    study, self.generators, self.arm, self.normalisation, fold, 0, rows, strength, point
                )
            except ArmError as error:
                self.holes.add(fold, max(amounts, default=study.amount), error)

    def _most(self, fold: Fold) -> int:
        """Synthetic rows of each class at the largest amount that is tried."""
        config = self.study.config
        return self.study.per_class(fold, max(config.choice.amounts or (config.amount,)))

    def _counts(
        self, classifier: str, benches: list[Bench], strength: float, point: int
    ) -> list[pd.DataFrame]:
        asked: list[tuple[Setting, Task]] = []
        numbers = []
        for place, rows in enumerate(benches):
            for number, setting in self._grids[classifier][strength, point]:
                try:
                    asked.append((setting, rows.task(place, setting, real=True, seed=0)))
                    numbers.append(number)
                except ArmError as error:
                    self.holes.add(rows.fold, self.study.sets(self.arm, setting.amount), error)
        said = answers(classifier, benches, asked) if asked else []
        frames = []
        for number, (setting, task), answer in zip(numbers, asked, said, strict=True):
            if answer.sound:
                frames.append(_counted(self.study, classifier, number, task, answer))
            else:
                fold = self.study.fold(task.fold)
                sets = self.study.sets(self.arm, setting.amount)
                self.holes.add(fold, sets, diverged(classifier, task))
        return frames


def _counted(study: Study, classifier: str, number: int, task: Task, answer: Answer) -> pd.DataFrame:
    label_R = study.label_U[task.test_R]
    rows = pd.DataFrame(
        {
            "classifier": classifier,
            "setting": number,
            "fold": task.fold,
            "speaker": study.corpus.speakers_U[task.test_R],
            "truth": label_R,
            "hits": answer.label_R == label_R,
            "total": 1,
        }
    )
    return rows.groupby(_KEYS, as_index=False)[["hits", "total"]].sum()
