"""Feature tables: rows of features with id, speaker and emotion, and what is wrong with them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sergan.errors import UserError

COLUMNS = ("id", "speaker", "emotion", "session")  # the labels of a row
_SAME = 1e-5  # of a feature's range or size: rounding on another processor is less
_BLOCK = 1024  # rows whose copies are in memory at once


@dataclass(frozen=True)
class FeatureTable:
    """Utterances and their features: x_UxD float32; ids, speakers, emotions ('' = unlabelled) as str arrays.

    `names_D` names the features, `extractor` what computed them ("IS10 opensmile 2.6.0", '' = unknown).
    `sessions_U` are the rows' sessions as str ('' = unknown), None where there are none.
    """

    x_UxD: np.ndarray
    ids_U: np.ndarray
    speakers_U: np.ndarray
    emotions_U: np.ndarray
    names_D: tuple[str, ...]
    extractor: str = ""
    sessions_U: np.ndarray | None = None

    @property
    def extracted(self) -> bool:
        """Whether the rows have values: without them all are NaN, and only the labels are known."""
        return not np.isnan(self.x_UxD[:1, :1]).any()

    def select(self, rows: np.ndarray | Sequence[int] | slice) -> "FeatureTable":
        """The given rows, by index or mask."""
        return replace(
            self,
            x_UxD=self.x_UxD[rows],
            ids_U=self.ids_U[rows],
            speakers_U=self.speakers_U[rows],
            emotions_U=self.emotions_U[rows],
            sessions_U=None if self.sessions_U is None else self.sessions_U[rows],
        )

    def unlabelled(self) -> "FeatureTable":
        """The same rows without their emotions."""
        return replace(self, emotions_U=np.full(len(self.ids_U), "", dtype="U1"))


def named(table: FeatureTable, corpus: str) -> FeatureTable:
    """The same rows, every id and speaker beginning with "corpus/"."""

    def prefixed(names_U: np.ndarray) -> np.ndarray:
        start = f"{corpus}/"
        return np.array([name if name.startswith(start) else start + name for name in names_U.tolist()])

    return replace(table, ids_U=prefixed(table.ids_U), speakers_U=prefixed(table.speakers_U))


def join(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    """The rows of both tables, without their sessions.

    Raises:
      UserError: other features, or a speaker, an id or a recording (the same features) that is in both.
    """
    check_columns(second, first.names_D, "the second corpus")
    both = set(first.speakers_U.tolist()) & set(second.speakers_U.tolist())
    if both:
        raise UserError(f"{len(both)} speakers are in both corpora ({listed(sorted(both))})")
    same = []
    if first.extracted and second.extracted:
        same = second.ids_U[same_rows(second.x_UxD, first.x_UxD) >= 0].tolist()
    if same:
        raise UserError(f"{len(same)} recordings are in both corpora ({listed(same)})")
    joined = stacked(first, second)
    check_labels(joined, "both corpora")
    return joined


def same_rows(x_NxD: np.ndarray, known_UxD: np.ndarray) -> np.ndarray:
    """For each row the place of a known row that is the same but for another processor's rounding; -1 where
    there is none. Sorts the rows by one number, and compares those of about the same."""
    low_D = known_UxD.min(axis=0)
    scale_D = np.maximum(known_UxD.max(axis=0) - low_D, np.abs(low_D))
    scale_D[scale_D == 0] = 1.0

    def numbers(x_MxD: np.ndarray) -> np.ndarray:
        number_M = np.empty(len(x_MxD))
        for start in range(0, len(x_MxD), _BLOCK):
            block = slice(start, start + _BLOCK)
            number_M[block] = ((x_MxD[block] - low_D) / scale_D).mean(axis=1, dtype=np.float64)
        return number_M

    number_U, number_N = numbers(known_UxD), numbers(x_NxD)
    order_U = np.argsort(number_U)
    ends = (np.searchsorted(number_U[order_U], number_N + reach) for reach in (-_SAME, _SAME))
    place_N = np.full(len(x_NxD), -1)
    for n, (first, end) in enumerate(zip(*ends, strict=True)):
        for u in order_U[first:end]:
            if (np.abs(x_NxD[n] - known_UxD[u]) <= _SAME * scale_D).all():
                place_N[n] = u
                break
    return place_N


def first_equal(rows: Iterable[np.ndarray]) -> np.ndarray:
    """For each row, or clip, the place of the first one with the same values, which may be itself."""
    seen: dict[bytes, int] = {}
    digests = (hashlib.sha256(x.tobytes()).digest() for x in rows)
    return np.array([seen.setdefault(digest, place) for place, digest in enumerate(digests)], int)


def stacked(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    """The rows of both tables, of which nothing is checked, without their sessions."""
    return replace(
        first,
        x_UxD=np.concatenate([first.x_UxD, second.x_UxD]),
        ids_U=np.concatenate([first.ids_U, second.ids_U]),
        speakers_U=np.concatenate([first.speakers_U, second.speakers_U]),
        emotions_U=np.concatenate([first.emotions_U, second.emotions_U]),
        sessions_U=None,
    )


def check(table: FeatureTable, where: object) -> None:
    """Raises UserError, naming `where` and the first offenders, if a table cannot be worked with.

    That is: what `check_labels` refuses, or a value that is NaN or infinite.
    """
    check_labels(table, where)
    faulty = np.argwhere(~np.isfinite(table.x_UxD))
    if len(faulty):
        row, column = faulty[0]
        raise UserError(
            f"{where}: NaN or infinite values in {len(set(faulty[:, 0].tolist()))} rows, first in row "
            f"{str(table.ids_U[row])!r}, feature {table.names_D[column]!r}"
        )


def check_labels(table: FeatureTable, where: object) -> None:
    """Raises UserError, naming `where` and the first offenders, for faults other than in the values.

    That is: no rows or features, parts of different lengths, duplicated ids or feature names, a row without
    id or speaker.
    """
    shape = (len(table.ids_U), len(table.names_D))
    if table.x_UxD.shape != shape:
        raise UserError(
            f"{where}: {shape[0]} ids and {shape[1]} feature names, but the values are {table.x_UxD.shape}"
        )
    sessions_U = table.speakers_U if table.sessions_U is None else table.sessions_U
    others = {"speakers": table.speakers_U, "emotions": table.emotions_U, "sessions": sessions_U}
    for name, labels in others.items():
        if len(labels) != shape[0]:
            raise UserError(f"{where}: {shape[0]} ids, but {len(labels)} {name}")
    if 0 in shape:
        raise UserError(f"{where}: no {'features' if shape[0] else 'rows'} in this table")
    for name, labels in (("id", table.ids_U), ("speaker", table.speakers_U)):
        if "" in labels:
            raise UserError(f"{where}: row {labels.tolist().index('') + 1} has no {name}")
    check_unique(table.ids_U.tolist(), "ids", where)
    check_unique(table.names_D, "feature names", where)


def check_unique(names: Sequence[str], what: str, where: object) -> None:
    """Raises UserError, naming the first offenders, for a name that is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{where}: duplicated {what}: {listed(twice)}")


def listed(names: Sequence[str], count: int = 3) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def check_columns(table: FeatureTable, names_D: Sequence[str], where: object) -> None:
    """Raises UserError if the features of `table` are not exactly `names_D`, in this order."""
    if tuple(table.names_D) == tuple(names_D):
        return
    have, want = set(table.names_D), set(names_D)
    missing = [name for name in names_D if name not in have]
    extra = [name for name in table.names_D if name not in want]
    faults = [
        f"{len(names)} {what} ({listed(names)})"
        for what, names in (("missing", missing), ("extra", extra))
        if names
    ]
    raise UserError(
        f"{where}: other feature columns than the {len(want)} of the corpus: "
        f"{'; '.join(faults) or 'the same ones in another order'}"
    )
