"""Who may be seen: folds by speaker, scalers fitted on training rows, and checks that nothing leaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold, train_test_split

from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError

_NOISE = 1e-5  # of a feature's range, which generators never hit so exactly; 1e-7 is rounding


class LeakError(AssertionError):
    """Something of the held-out speakers was about to reach training; a defect, never the user's mistake."""


@dataclass(frozen=True)
class Fold:
    """One split of a labelled table into rows that train and rows of the held-out speakers.

    An inner fold leaves out the held-out speakers of two folds at once: what trains in it may choose for
    either fold on the other one's rows. Across corpora it tests on the development rows of the target.
    """

    index: int
    held_out: tuple[str, ...]
    train_R: np.ndarray
    test_R: np.ndarray
    inner: bool = False


class Scaler(NamedTuple):
    """x -> (x - shift_D) * scale_D; a feature that never varies has scale 0."""

    shift_D: np.ndarray
    scale_D: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Scaled rows, float32."""
        y = np.subtract(x, self.shift_D, dtype=np.float32)
        y *= self.scale_D
        return y

    def invert(self, y: np.ndarray) -> np.ndarray:
        """Rows on the original scale, float32; a constant feature gets its constant back."""
        width_D = np.divide(1.0, self.scale_D, out=np.zeros_like(self.scale_D), where=self.scale_D > 0)
        x = np.multiply(y, width_D, dtype=np.float32)
        x += self.shift_D
        return x


def loso(table: FeatureTable, classes: tuple[str, ...]) -> list[Fold]:
    """Leave one speaker out, in the order of the speakers' names; `table` holds rows of `classes` only.

    Raises:
      UserError: fewer than two speakers, or a class with fewer than two training rows in a fold.
    """
    return leave_out(table, table.speakers_U, "speaker", classes)


def leave_out(table: FeatureTable, group_U: np.ndarray, what: str, classes: tuple[str, ...]) -> list[Fold]:
    """Leave one group of speakers out (a session, say), in the order of the groups' names.

    Raises:
      UserError: fewer than two groups, a speaker in two of them, or a class with fewer than two training
        rows in a fold.
    """
    groups = sorted(set(group_U.tolist()))
    if len(groups) < 2:
        raise UserError(f"the corpus has one {what} ({', '.join(groups)}); leaving one out needs two or more")
    _check_groups(table, group_U, what)
    splits = LeaveOneGroupOut().split(table.x_UxD, groups=group_U)
    return [_fold(table, i, train_R, test_R, classes) for i, (train_R, test_R) in enumerate(splits)]


def _check_groups(table: FeatureTable, group_U: np.ndarray, what: str) -> None:
    """Raises UserError for a speaker in two groups, who would be left out with one and train in the other."""
    group: dict[str, str] = {}
    for speaker, own in zip(table.speakers_U.tolist(), group_U.tolist(), strict=True):
        if group.setdefault(speaker, own) != own:
            raise UserError(
                f"speaker {speaker} is in two {what}s ({group[speaker]}, {own}), so that neither can be left "
                "out; give each speaker one, or other names to different speakers"
            )


def speaker_groups(table: FeatureTable, count: int, classes: tuple[str, ...]) -> list[Fold]:
    """Leave one of `count` groups of speakers out, with about the same share of every class.

    Raises:
      UserError: fewer than two groups or more than speakers, or a class with fewer than two training rows in
        a fold.
    """
    speakers = len(set(table.speakers_U.tolist()))
    if not 2 <= count <= speakers:
        raise UserError(
            f"config.groups={count}: {speakers} speakers can be left out in 2 to {speakers} groups"
        )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    splits = splitter.split(table.x_UxD, table.emotions_U, table.speakers_U)
    return [_fold(table, i, train_R, test_R, classes) for i, (train_R, test_R) in enumerate(splits)]


def clips(table: FeatureTable, count: int, classes: tuple[str, ...], first_U: np.ndarray) -> list[Fold]:
    """Random folds of clips with about the same share of every class: speaker-dependent, since the speakers
    of a test clip train, too. Nobody is held out. `first_U` has the place of the first clip that is the same;
    such clips stay together.

    Raises:
      UserError: fewer than two folds or more than the smallest class has rows, or a class with fewer than two
        training rows in a fold.

    Source: Pham et al. 2021, section IV (five folds).
    """
    fewest = min(int(np.sum(table.emotions_U == emotion)) for emotion in classes)
    if not 2 <= count <= fewest:
        raise UserError(
            f"config.groups={count}: random folds are 2 to {max(2, fewest)}, since the smallest class has "
            f"{fewest} clips"
        )
    if len(set(first_U.tolist())) < len(first_U):
        together = StratifiedGroupKFold(count, shuffle=True, random_state=0)
        splits = together.split(table.x_UxD, table.emotions_U, first_U)
    else:
        splits = StratifiedKFold(count, shuffle=True, random_state=0).split(table.x_UxD, table.emotions_U)
    folds = [Fold(i, (), train_R, test_R) for i, (train_R, test_R) in enumerate(splits)]
    for fold in folds:
        _check_classes(table, fold, classes)
        check_rows(fold, table, fold.train_R)
    return folds


def across(
    table: FeatureTable, target_U: np.ndarray, classes: tuple[str, ...], share: float, by: str
) -> tuple[Fold, Fold]:
    """Train on one corpus, test on another: the fold, and the inner one with the target's development rows.

    The rows where `target_U` is True are the target's. `share` of it is for development, with about the same
    share of every class: whole speakers, or clips of all speakers, which the fold's rows then share with it
    (`by` is "speaker" or "clip").

    Raises:
      UserError: the target has one speaker, a class has fewer than two training rows, or one is not in both
        parts of the target.

    Source: Bao et al. 2019, section 4.3 (30 % of the clips).
    """
    train_R, target_R = np.flatnonzero(~target_U), np.flatnonzero(target_U)
    if by == "clip":
        try:
            dev_R, test_R = train_test_split(
                target_R, train_size=share, random_state=0, stratify=table.emotions_U[target_R]
            )
        except ValueError as error:
            raise UserError(f"config.target.dev_share={share}: {error}") from error
    else:
        chosen = np.isin(table.speakers_U[target_R], _development_speakers(table, target_R, share))
        dev_R, test_R = target_R[chosen], target_R[~chosen]
    for part, rows_R in (("development", dev_R), ("test", test_R)):
        missing = sorted(set(classes) - set(table.emotions_U[rows_R].tolist()))
        if missing:
            raise UserError(
                f"config.target.dev_share={share}: the {part} rows of the target have no {missing[0]!r}; "
                "choose another share, or leave it out of config.corpus.classes"
            )
    speakers = tuple(sorted(set(table.speakers_U[target_R].tolist())))
    fold = Fold(0, speakers, train_R, np.sort(test_R))
    inner = Fold(1, speakers, train_R, np.sort(dev_R), inner=True)
    _check_classes(table, fold, classes)
    check_rows(fold, table, train_R)
    return fold, inner


def _development_speakers(table: FeatureTable, rows_R: np.ndarray, share: float) -> list[str]:
    """Of many draws of speakers the one whose part of every class is nearest to `share`."""
    speakers = sorted(set(table.speakers_U[rows_R].tolist()))
    if len(speakers) < 2:
        raise UserError(f"the target has one speaker ({speakers[0]}); one for development needs two or more")
    emotions = sorted(set(table.emotions_U[rows_R].tolist()))
    count_SxC = np.array(
        [
            [
                np.sum((table.speakers_U[rows_R] == speaker) & (table.emotions_U[rows_R] == emotion))
                for emotion in emotions
            ]
            for speaker in speakers
        ]
    )
    size = min(max(1, round(share * len(speakers))), len(speakers) - 1)
    rng = np.random.default_rng(0)
    draws = [rng.permutation(len(speakers))[:size] for _ in range(1000)]
    error = [np.abs(count_SxC[draw].sum(axis=0) / count_SxC.sum(axis=0) - share).sum() for draw in draws]
    return [speakers[i] for i in draws[int(np.argmin(error))]]


def _fold(
    table: FeatureTable, index: int, train_R: np.ndarray, test_R: np.ndarray, classes: tuple[str, ...]
) -> Fold:
    """A fold that leaves the test rows' speakers out, checked."""
    fold = Fold(index, tuple(sorted(set(table.speakers_U[test_R].tolist()))), train_R, test_R)
    _check_classes(table, fold, classes)
    check_rows(fold, table, train_R)
    return fold


def speaker_and_text(table: FeatureTable, texts_U: np.ndarray, classes: tuple[str, ...]) -> list[Fold]:
    """Leave one speaker and one text out: neither who speaks a test clip nor what is said was trained on.

    The rows of a held-out speaker are tested in as many folds as there are texts, each in one.

    Raises:
      UserError: fewer than two speakers or texts, or a class with fewer than two training rows in a fold.
    """
    texts = sorted(set(texts_U.tolist()))
    if len(texts) < 2:
        raise UserError(f"the corpus has one text ({', '.join(texts)}); leaving one out needs two or more")
    made: list[Fold] = []
    for whole in loso(table, classes):
        for text in texts:
            train_R = whole.train_R[texts_U[whole.train_R] != text]
            test_R = whole.test_R[texts_U[whole.test_R] == text]
            if len(test_R):
                fold = Fold(len(made), whole.held_out, train_R, test_R)
                _check_classes(table, fold, classes)
                check_rows(fold, table, train_R)
                made.append(fold)
    return made


def pairs(table: FeatureTable, outer: list[Fold], classes: tuple[str, ...], others: int = 0) -> list[Fold]:
    """The inner folds of `outer`: one for every two of its folds, numbered on from them.

    With `others` each fold is paired with that many of its neighbours in a ring (with one more where an odd
    number of folds asks for it) instead of with all of them.

    Raises:
      UserError: fewer than three folds, or a class with fewer than two training rows in an inner fold.
    """
    if len(outer) < 3:
        raise UserError(f"choosing on inner folds needs three or more held-out speakers, not {len(outer)}")
    inner: list[Fold] = []
    for a, b in combinations(outer, 2):
        if others and not _neighbours(a.index, b.index, len(outer), others):
            continue
        train_R, test_R = np.intersect1d(a.train_R, b.train_R), np.union1d(a.test_R, b.test_R)
        fold = Fold(len(outer) + len(inner), (*a.held_out, *b.held_out), train_R, test_R, inner=True)
        _check_classes(table, fold, classes)
        check_rows(fold, table, train_R)
        inner.append(fold)
    return inner


def _neighbours(a: int, b: int, count: int, others: int) -> bool:
    """Whether two places of a ring belong to each other's `others` nearest; an odd one lies opposite."""
    apart = min((a - b) % count, (b - a) % count)
    opposite = others % 2 == 1 and count % 2 == 0 and apart == count // 2
    return opposite or apart <= (others if count % 2 == 0 else others + 1) // 2


def source_rows(fold: Fold, source: FeatureTable) -> np.ndarray:
    """Rows R of the unlabelled source that the fold may see: all that its held-out speakers did not say."""
    rows = np.flatnonzero(~np.isin(source.speakers_U, fold.held_out))
    check_speakers(fold, source.speakers_U[rows])
    return rows


def _check_classes(table: FeatureTable, fold: Fold, classes: tuple[str, ...]) -> None:
    for emotion in classes:
        count = int(np.sum(table.emotions_U[fold.train_R] == emotion))
        if count < 2:
            without = ", ".join(fold.held_out) or f"fold {fold.index}"
            raise UserError(
                f"class {emotion!r} has {count} training rows when {without} is held out; "
                "a class needs 2 or more: leave it out of config.corpus.classes or add recordings"
            )


def min_max(*parts_NxD: np.ndarray) -> Scaler:
    """Maps every feature of the given rows, all parts of them together, to [0, 1]."""
    low_D, high_D = _range(parts_NxD)
    return Scaler(low_D, _inverse(high_D - low_D))


def _range(parts_NxD: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of every feature."""
    low_D = np.min([x_NxD.min(axis=0) for x_NxD in parts_NxD], axis=0)
    return low_D, np.max([x_NxD.max(axis=0) for x_NxD in parts_NxD], axis=0)


def z_norm(x_NxD: np.ndarray, source_SxD: np.ndarray | None = None) -> Scaler:
    """Maps every feature of the given rows to mean 0 and deviation 1 (float64 sums).

    One that varies by less than `_NOISE` of its range over these rows and the source's is rounding noise and
    taken as constant: the mean slope of F0 is so where all clips but the source's begin and end in silence.
    """
    mean_D = x_NxD.mean(axis=0, dtype=np.float64)
    deviation_D = x_NxD.std(axis=0, dtype=np.float64)
    noise_D = 1e-7 * np.abs(mean_D)
    if source_SxD is not None:
        low_D, high_D = _range((x_NxD, source_SxD))
        noise_D = np.maximum(noise_D, _NOISE * (high_D - low_D))
    deviation_D[deviation_D < noise_D] = 0.0
    return Scaler(mean_D.astype(np.float32), _inverse(deviation_D))


def _inverse(width_D: np.ndarray) -> np.ndarray:
    """1 / width, and 0 where a feature does not vary."""
    wide_D = width_D > np.finfo(np.float32).tiny
    return np.divide(1.0, width_D.astype(np.float64), out=np.zeros(len(width_D)), where=wide_D).astype(
        np.float32
    )


def normalised(table: FeatureTable, normalisation: str) -> np.ndarray:
    """x_UxD of a labelled table before any fold: "speaker" and "corpus" rows z-normed by their own speaker's
    or corpus's mean and deviation, others as they are. Speakers are named "corpus/speaker"."""
    groups = {
        "speaker": lambda: table.speakers_U,
        "corpus": lambda: np.array([who.partition("/")[0] for who in table.speakers_U.tolist()]),
    }
    return within(table.x_UxD, groups[normalisation]()) if normalisation in groups else table.x_UxD


def normalised_source(source: FeatureTable, normalisation: str, train_RxD: np.ndarray) -> np.ndarray:
    """x_SxD of the source before any fold; "corpus" z-norms it as the rows of the training corpus, whose
    features it has to take on."""
    if normalisation == "corpus":
        return z_norm(train_RxD).apply(source.x_UxD)
    return normalised(source, normalisation)


def within(x_UxD: np.ndarray, group_U: np.ndarray) -> np.ndarray:
    """Rows z-normed by their own group's mean and deviation: those of a speaker, or of a corpus.

    Uses no label, but all rows of the group: transductive for a held-out one.
    """
    out_UxD = np.empty_like(x_UxD)
    for group in set(group_U.tolist()):
        rows = np.flatnonzero(group_U == group)
        out_UxD[rows] = z_norm(x_UxD[rows]).apply(x_UxD[rows])
    return out_UxD


def check_rows(fold: Fold, table: FeatureTable, rows: np.ndarray) -> None:
    """Raises LeakError if a row of `table` that is to train is a test row or a held-out speaker's."""
    if np.isin(rows, fold.test_R).any():
        raise LeakError(f"fold {fold.index}: test rows among the training rows")
    check_speakers(fold, table.speakers_U[rows])


def check_speakers(fold: Fold, speakers: Iterable[str]) -> None:
    """Raises LeakError if a speaker of training rows, or of the rows they were derived from, is held out."""
    leaked = set(fold.held_out) & set(np.asarray(speakers).tolist())
    if leaked:
        raise LeakError(f"fold {fold.index}: held-out speaker {', '.join(sorted(leaked))} reached training")
