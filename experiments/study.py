"""A config with everything that follows from it before any work: rows, folds, networks, members."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from etils import epath

from experiments import points, speech, splits
from experiments.classes import of_study
from experiments.points import Point
from experiments.programs import arms, gan_config
from experiments.speech import Rows
from sergan import augment, folds, inputs, members, synthesis
from sergan.corpora import tables
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.features import Extraction
from sergan.folds import Fold
from sergan.gan import LOSSES
from sergan.members import Member, View
from sergan.methods import METHODS, reads
from sergan.state import Hypers

_ENOUGH = 20  # rows, of which a feature is not the same in every row of each emotion by chance


@dataclass(frozen=True)
class Study:
    """The resolved study.

    `corpus` holds the rows of `classes` only, `source` the unlabelled rows S; `inner` are the folds on which
    settings are chosen, none where nothing is; `points` are the sweep's, one empty point without a sweep;
    `members` are all CycleGANs that are to be trained; `unused` are the corpora's other rows, as those of
    other emotions.
    """

    config: Any
    classes: tuple[str, ...]
    corpus: FeatureTable
    source: FeatureTable
    folds: list[Fold]
    inner: list[Fold]
    points: list[Point]
    members: list[Member]
    unused: FeatureTable

    @property
    def rows(self) -> Rows:
        """All rows, as `assemble` takes them."""
        return Rows(self.corpus, self.source, self.unused)

    @property
    def arms(self) -> tuple[str, ...]:
        """The kinds of synthetic rows that are compared with none."""
        return arms(self.config)

    def points_of(self, arm: str) -> list[int]:
        """The sweep's points that differ for an arm; the first for one that is not trained."""
        return sorted({member.point for member in self.members if member.loss == arm}) or [0]

    def fold(self, index: int) -> Fold:
        """A fold or inner fold by its number."""
        return [*self.folds, *self.inner][index]

    @cached_property
    def label_U(self) -> np.ndarray:
        """The corpus's emotions as places in `classes`."""
        return np.array([self.classes.index(emotion) for emotion in self.corpus.emotions_U])

    @cached_property
    def tables(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Normalisation -> (corpus rows x_UxD, source rows x_SxD).

        "train" leaves rows as they are; "speaker" z-norms each table over its own rows of a speaker, so that
        a clip that is in both, as with source "corpus", may differ a little; "corpus" z-norms each corpus by
        its own rows, and S as the training corpus, whose features it has to take on.
        """
        return {
            name: (folds.normalised(self.corpus, name), self.normalised_source(self.source, name))
            for name in self.config.normalisations
        }

    def other_speech(self, name: str, settings: Extraction) -> FeatureTable:
        """Unlabelled rows in the place of S, of which those of the corpora's speakers are known as such."""
        rows = tables.stacked(self.corpus, self.unused)
        return speech.other(self.config, name, rows, settings, speech.recordings(self.config))

    def normalised_source(self, source: FeatureTable, normalisation: str) -> np.ndarray:
        """Rows of the source as a normalisation has them, or of other speech in its place."""
        train_RxD = self.corpus.x_UxD[self.folds[0].train_R]  # the same in all folds where it is looked at
        return folds.normalised_source(source, normalisation, train_RxD)

    @cached_property
    def amount(self) -> float:
        """`config.amount`, or where it is 0 the sets that the rows of S make (mean over the folds)."""
        if self.config.amount:
            return float(self.config.amount)
        sets = [len(self.classes) * self.per_class(fold, 0) / len(fold.train_R) for fold in self.folds]
        return round(float(np.mean(sets)), 1)

    def sets(self, arm: str, amount: float) -> float:
        """An amount of an arm's synthetic rows as tables and holes name it; 0 of `real`."""
        return 0.0 if arm == "real" else amount or self.amount

    def per_class(self, fold: Fold, amount: float) -> int:
        """Rows of each class in `amount` sets of the fold; amount 0: one for each row of S."""
        if amount == 0:
            return len(folds.source_rows(fold, self.source))
        return round(amount * len(fold.train_R) / len(self.classes))

    def view(self, member: Member) -> View:
        """What the member's fold lets it see, with the min-max scaler fitted on exactly that."""
        key = member.normalisation, member.fold
        if key not in self._views:
            self._views[key] = self._view(*key)
        return self._views[key]

    @cached_property
    def _views(self) -> dict[tuple[str, int], View]:
        """Those that were asked for: each measures all of S."""
        return {}

    def _view(self, normalisation: str, number: int) -> View:
        fold = self.fold(number)
        x_UxD, x_SxD = self.tables[normalisation]
        source_R = folds.source_rows(fold, self.source)
        emotion_R = self.corpus.emotions_U[fold.train_R]
        target_KxR = tuple(fold.train_R[emotion_R == emotion] for emotion in self.classes)
        seen_R = np.concatenate(target_KxR)
        folds.check_rows(fold, self.corpus, seen_R)
        scaler = folds.min_max(x_SxD[source_R], x_UxD[seen_R])
        return View(source_R, target_KxR, scaler)


def prepare(config: Any, progress: Any = None) -> Study:
    """Everything before work: reads or extracts the rows, makes folds and members, and checks all of it.

    What can be told from labels alone is told before anything is extracted.

    Raises:
      UserError: whatever the user can mend, before anything is trained or written.
    """
    speech.check_config(config)
    if speech.is_audio(config):
        with _quiet():
            assemble(config, speech.read(config, speech.outlook(config, files=True)))
    made = assemble(config, speech.read(config, speech.extraction(config, progress)))
    inputs.tell_copies(made.corpus, made.corpus.x_UxD)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings, of what is to be read once more."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def restore(config: Any, run: epath.Path) -> Study:
    """The study of a run folder, from the rows that it keeps: no audio is needed any more.

    Raises:
      UserError: the rows are damaged.
    """
    return assemble(config, speech.restore(run))


def assemble(config: Any, given: Rows) -> Study:
    """Folds, network sizes and members for given rows."""
    corpus, source, unused = given
    classes = of_study(config, corpus)
    _check_features(corpus)
    outer = splits.outer(config, corpus, source, classes)
    swept = points.resolve(config)
    inner = splits.inner(config, corpus, outer, classes) if splits.chooses(config, swept) else []
    at_points = [points.at(config, point) for point in swept]
    identity = any(each.hypers.lambda_id > 0 for each in at_points)
    compiled = [gan_config(each, corpus.names_D, outer, classes, identity) for each in at_points]
    hypers = [{name: float(value) for name, value in each.hypers.items()} for each in at_points]
    plan = members.plan(
        tuple(arm for arm in METHODS if arm in arms(config)),
        tuple(config.normalisations),
        outer + inner,
        config.gan.seeds,
        list(zip(compiled, hypers, strict=True)),
    )
    _check_differences(swept, plan)
    unused = corpus.select(np.arange(0)) if unused is None else unused
    study = Study(config, classes, corpus, source, outer, inner, swept, plan, unused)
    _check_source(study)
    _check_amounts(study)
    if "speaker" in config.normalisations:
        check_rows_of_speakers("corpus", corpus)
        check_rows_of_speakers(f"source {config.source}", source)
    return study


def _check_features(corpus: FeatureTable) -> None:
    """Raises UserError for features that a study cannot work with, or that are none."""
    names_D = np.array(corpus.names_D)
    if len(names_D) < 2:
        raise UserError(f"config.corpus: its one feature is {names_D[0]}; a study needs 2 or more")
    taken = [name for name in corpus.names_D if name in synthesis.PROVENANCE]
    if taken:
        raise UserError(
            f"config.corpus: features cannot be called {tables.listed(taken)}, which are columns of the "
            "synthetic rows; rename them, or leave them out if they are none"
        )
    if corpus.extracted and len(corpus.ids_U) >= _ENOUGH:
        fixed_D = np.full(len(names_D), True)
        for emotion in set(corpus.emotions_U.tolist()):
            fixed_D &= np.ptp(corpus.x_UxD[corpus.emotions_U == emotion], axis=0) == 0
        telling = names_D[fixed_D & (np.ptp(corpus.x_UxD, axis=0) > 0)].tolist()
        if telling:
            raise UserError(
                f"config.corpus: {tables.listed(telling)} has one value for each emotion, so that it is a "
                "label and no feature; leave it out of the table"
            )


def _check_source(study: Study) -> None:
    """Raises UserError for a source that a fold may see nothing of."""
    for fold in [*study.folds, *study.inner]:
        if not len(folds.source_rows(fold, study.source)):
            raise UserError(
                f"config.source={study.config.source}: all of its speakers are held out with "
                f"{' '.join(fold.held_out[:3])}; name speech that has others, too"
            )


def _check_amounts(study: Study) -> None:
    """Raises UserError for amounts that are no row of a class, or more than the source has for every arm."""
    config = study.config
    of_source = all(arm in augment.OF_SOURCE or arm in LOSSES for arm in study.arms)  # others go on
    for fold in study.folds:
        have, want = len(folds.source_rows(fold, study.source)), study.per_class(fold, config.amount)
        if want < 1 or (want > have and of_source):
            raise UserError(
                f"config.amount={config.amount} needs {want} synthetic rows per class when "
                f"{' '.join(fold.held_out)} is held out, the source has {have}; it takes 1 or more"
            )
        for key, amounts in {"curve": config.curve, "choice.amounts": config.choice.amounts}.items():
            few = [amount for amount in amounts if study.per_class(fold, amount) < 1]
            if few:
                raise UserError(f"config.{key}: {few[0]:g} sets of the fold are no row of a class; take more")


def _check_differences(swept: list[Point], plan: list[Member]) -> None:
    """Raises UserError for swept keys that no trained arm looks at."""
    losses = list(dict.fromkeys(member.loss for member in plan))
    if len(swept) > 1 and not losses:
        raise UserError(f"config.sweep: none of config.arms is trained; have one of {', '.join(METHODS)}")
    for key in swept[0] if losses else ():
        if key in Hypers._fields and not any(key in reads(loss) for loss in losses):
            raise UserError(
                f"config.sweep: {key} makes no difference to {', '.join(losses)}; sweep other keys"
            )
    if losses and len(swept) > 1 and not any(member.point for member in plan):
        keys = ", ".join(key for key in swept[0] if any(point[key] != swept[0][key] for point in swept))
        raise UserError(
            f"config.sweep: its points ({keys}) make no difference to {', '.join(losses)}; sweep other keys"
        )


def check_rows_of_speakers(where: str, table: FeatureTable) -> None:
    """Raises UserError for speakers with one row, which normalisation by speaker would make zeros."""
    speakers, counts = np.unique(table.speakers_U, return_counts=True)
    alone = speakers[counts < 2].tolist()
    if alone:
        raise UserError(
            f"{where}: {len(alone)} speakers have one row ({', '.join(alone[:3])}), which has no "
            "deviation of its own; leave them out, or leave 'speaker' out of config.normalisations"
        )
