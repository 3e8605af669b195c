"""Recordings in memory: the samples of every clip, and who said it with which emotion."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import soundfile
from etils import epath

from sergan.corpora.audio import RATE
from sergan.corpora.decoding import Decoding
from sergan.corpora.recordings import Recording
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError, line

LEVEL = 0.1  # root mean square of a normalised clip, full scale being 1; 20 dB below it
LOUDNESS = ("kept", "normalised")

_FULL = 0.999  # of the scale
_log = logging.getLogger(__name__)


def read(
    recordings: Sequence[Recording],
    loudness: str = "kept",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[np.ndarray], FeatureTable]:
    """Samples x_T of every recording at 16 kHz, float32, and their labels.

    The table's one feature is the length in seconds. Clips that are clipped or resampled are counted in the
    log.

    Raises:
      UserError: files that `read_audio` refuses, the first five named.
    """
    clips, decoding = [], Decoding()
    for done, one in enumerate(recordings, start=1):
        x_T = decoding.read(one)
        if x_T is not None:
            clips.append(x_T)
        if progress:
            progress(done, len(recordings))
    decoding.end(len(recordings))
    cut = [one.id for one, x_T in zip(recordings, clips, strict=True) if is_clipped(x_T)]
    if cut:
        _log.warning(
            "%d of %d clips are clipped, and are used as they are (first %s)", len(cut), len(clips), cut[0]
        )
    if loudness == "normalised":
        clips = [levelled(x_T) for x_T in clips]
    return clips, labels(recordings, np.array([len(x_T) / RATE for x_T in clips], np.float32))


def labels(recordings: Sequence[Recording], seconds_U: np.ndarray) -> FeatureTable:
    """Who says what in recordings, with their lengths as the one feature."""
    return FeatureTable(
        x_UxD=seconds_U[:, None],
        ids_U=np.array([one.id for one in recordings]),
        speakers_U=np.array([one.speaker for one in recordings]),
        emotions_U=np.array([one.emotion for one in recordings]),
        names_D=("seconds",),
        extractor="length",
    )


def is_clipped(x_T: np.ndarray) -> bool:
    """Whether a clip stays at full scale for three samples; one or two come of a level set by the peak."""
    full_T = np.abs(x_T) >= _FULL
    return bool((full_T[:-2] & full_T[1:-1] & full_T[2:]).any())


def levelled(x_T: np.ndarray) -> np.ndarray:
    """A clip at the level `LEVEL`, or as near to it as full scale lets it."""
    level, peak = float(np.sqrt(np.mean(np.square(x_T)))), float(np.abs(x_T).max())
    return np.asarray(x_T * (min(LEVEL / level, 1 / peak) if peak > 0 else 1.0), np.float32)


def samples(path: epath.Path) -> np.ndarray:
    """Samples x_T of a clip that sergan wrote, float32.

    Raises:
      UserError: it is damaged.
    """
    try:
        with path.open("rb") as file:
            return np.asarray(soundfile.read(file, dtype="float32")[0])
    except (soundfile.LibsndfileError, FileNotFoundError) as error:
        raise UserError(
            f"{path}: damaged ({line(error)}); delete the folder {path.parent} and run the command of its "
            "run folder again, which makes it anew"
        ) from error
