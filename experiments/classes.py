"""Which emotions a study tells apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sergan.corpora import tables
from sergan.corpora.tables import FeatureTable
from sergan.corpora.words import word
from sergan.errors import UserError

COUNTS = (2, 16)  # fewest and most


def chosen_classes(asked: Sequence[str], present: Sequence[str], none: str) -> tuple[str, ...]:
    """`asked`, or all that are `present` where nothing is.

    Raises:
      UserError: an emotion that is not there (`none` are the words for it, like "no row has the emotion"),
        one twice, or too few or too many.
    """
    classes = tuple(map(word, asked)) or tuple(present)
    for emotion in classes:
        if emotion not in present:
            raise UserError(
                f"config.corpus.classes: {none} {emotion!r}; there are {tables.listed(present, 20)}; "
                "() takes all"
            )
    fewest, most = COUNTS
    if len(set(classes)) < len(classes) or not fewest <= len(classes) <= most:
        raise UserError(
            f"config.corpus.classes: {fewest} to {most} different emotions, not {len(classes)} "
            f"({tables.listed(classes, most)}); choose some, or merge them with config.corpus.labels"
        )
    return classes


def labelled(config: Any, table: FeatureTable) -> FeatureTable:
    """The rows of the classes of `config`."""
    return table.select(np.flatnonzero(np.isin(table.emotions_U, of_study(config, table))))


def of_study(config: Any, table: FeatureTable) -> tuple[str, ...]:
    """The emotions that `config` asks for, of those in the table; raises UserError as `chosen_classes`."""
    present = sorted(set(table.emotions_U.tolist()) - {""})
    if config.protocol == "across":  # what both corpora have
        target_U = is_target(config, table)
        present = sorted({*table.emotions_U[target_U]} & {*table.emotions_U[~target_U]} - {""})
    both = " of each corpus" if config.protocol == "across" else ""
    return chosen_classes(config.corpus.classes, present, f"no row{both} has the emotion")


def is_target(config: Any, table: FeatureTable) -> np.ndarray:
    """Which rows of a table of two corpora are of `config.target`."""
    return np.array([who.startswith(f"{config.target.name}/") for who in table.speakers_U.tolist()])
