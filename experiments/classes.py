"""Which emotions a study tells apart."""

from collections.abc import Sequence

from sergan.corpora import tables
from sergan.errors import UserError

COUNTS = (2, 16)  # fewest and most


def chosen_classes(asked: Sequence[str], present: Sequence[str], none: str) -> tuple[str, ...]:
    """`asked`, or all that are `present` where nothing is.

    Raises:
      UserError: an emotion that is not there (`none` are the words for it, like "no row has the emotion"),
        one twice, or too few or too many.
    """
    classes = tuple(asked) or tuple(present)
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
