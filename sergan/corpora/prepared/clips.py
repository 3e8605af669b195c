"""Clips of a prepared set: their labels, their samples as 16 bit, and reading them by index."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, SupportsIndex

import numpy as np

LABELS = ("id", "speaker", "session", "emotion")
FULL_SCALE = 32768


@dataclass(frozen=True)
class Clip:
    """One clip of a set: its labels as in `Recording`, and pcm_T, int16 samples at `RATE`."""

    id: str
    speaker: str
    session: str
    emotion: str
    pcm_T: np.ndarray

    @property
    def x_T(self) -> np.ndarray:
        """Samples as `read_audio` gives them: float32, full scale being -1 to 1."""
        return self.pcm_T.astype(np.float32) / FULL_SCALE


class Entry(NamedTuple):
    """What is known of a clip without its samples; `sha256` is that of its int16 samples, as hex digits."""

    id: str
    speaker: str
    session: str
    emotion: str
    sha256: str


class Clips(Sequence[Clip]):
    """Clips of a set by index, read when asked for. Small when pickled: each process opens the set itself."""

    @abstractmethod
    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order."""

    @abstractmethod
    def _clip(self, index: int) -> Clip:
        """The clip at an index from 0 on."""

    def __getitem__(self, key: SupportsIndex) -> Clip:  # type: ignore[override]  # no slices: they hold audio
        index, count = key.__index__(), len(self)
        if not -count <= index < count:
            raise IndexError(f"clip {index} of {count}")
        return self._clip(index % count)


def as_pcm(x_T: np.ndarray) -> np.ndarray:
    """Samples as int16; those beyond full scale are cut off."""
    return np.clip(np.rint(x_T * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def digest(pcm_T: np.ndarray) -> str:
    """The sha256 of int16 samples, as hex digits."""
    return hashlib.sha256(pcm_T.astype("<i2").tobytes()).hexdigest()
