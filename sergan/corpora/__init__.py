"""Corpora as distributed: a new one is a file of its own and one line here."""

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from sergan.corpora import audformat, crema_d, emodb, iemocap, msp_improv, ravdess, tedlium
from sergan.corpora.recordings import Recording
from sergan.errors import UserError


class Corpus(NamedTuple):
    """How a corpus is read, how a copy differs from the published one (lines, none if it does not), and which
    text a clip speaks, by its id; None where that is not known.

    `session` is the session of a speaker and `part` the part that a clip is of, by its id; None where a
    corpus has no such thing. Without emotions it is not `labelled`, and can only be a source.
    """

    read: Callable[[str | Path], list[Recording]]
    differences: Callable[[list[Recording]], list[str]]
    text: Callable[[str], str] | None
    session: Callable[[str], str] | None = None
    part: Callable[[str], str] | None = None
    labelled: bool = True


CORPORA = {
    "emodb": Corpus(emodb.read, emodb.differences, emodb.text),
    "iemocap": Corpus(iemocap.read, iemocap.differences, iemocap.text, iemocap.session, iemocap.part),
    "msp_improv": Corpus(msp_improv.read, msp_improv.differences, msp_improv.text, msp_improv.session),
    "ravdess": Corpus(ravdess.read, ravdess.differences, ravdess.text),
    "crema_d": Corpus(crema_d.read, crema_d.differences, crema_d.text),
    "audformat": Corpus(audformat.read, lambda recordings: [], None),
    "tedlium": Corpus(tedlium.read, tedlium.differences, None, labelled=False),
}


def texts(corpus: str, clips_U: np.ndarray) -> np.ndarray:
    """The text that each clip of a corpus speaks, by its id or the name of its file.

    Raises:
      UserError: a clip that is not called as the corpus calls its own.
    """
    text_of = CORPORA[corpus].text
    assert text_of is not None

    def text(clip: str) -> str:
        try:
            found = text_of(PurePath(clip).stem)
        except IndexError:
            found = ""
        if not found:
            raise UserError(f"{clip!r} is not called as {corpus} calls its clips, so its text is unknown")
        return found

    return np.array([text(clip) for clip in clips_U.tolist()])
