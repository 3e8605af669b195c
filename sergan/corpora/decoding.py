"""Decoding many recordings: what cannot be read is told at the end, and what had another sampling rate."""

import logging
from collections.abc import Sequence

import numpy as np

from sergan.corpora.audio import RATE, read_audio, sampling_rate
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

_log = logging.getLogger(__name__)


class Decoding:
    """Reads recordings one after another; `faults` says why each of those that cannot be read cannot."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._count = 0
        self._resampled: list[str] = []

    def read(self, recording: Recording) -> np.ndarray | None:
        """Samples x_T of a recording at `RATE`, float32; None if `read_audio` refuses it."""
        self._count += 1
        try:
            x_T = read_audio(recording.path, start=recording.start, end=recording.end)
            rate = sampling_rate(recording.path)
        except UserError as error:
            self.faults.append(str(error))
            return None
        if rate != RATE:
            self._resampled.append(f"{recording.path}: {rate} Hz")
        return x_T

    def end(self, total: int, skip: bool = False) -> None:
        """Tells of faults and of other sampling rates when all `total` recordings are read.

        Raises:
          UserError: recordings that cannot be read, the first five named; with `skip` they are only counted
            in the log, as long as others remain.
        """
        if skip and 0 < len(self.faults) < total:
            what = f"{len(self.faults)} of {total} clips cannot be used and are left out"
            _log.warning("%s (first %s)", what, "; ".join(self.faults[:3]))
        else:
            refuse(self.faults, total)
        if self._resampled:
            what = f"{len(self._resampled)} of {self._count} clips are resampled to {RATE} Hz"
            _log.warning("%s (first %s)", what, self._resampled[0])


def refuse(faults: Sequence[str], total: int) -> None:
    """Raises UserError naming the first five of `total` audio files that are faulty, if there are any."""
    if not faults:
        return
    head = f"{len(faults)} of {total} audio files cannot be used\n" if len(faults) > 1 else ""
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    raise UserError(head + "; ".join(faults[:5]) + more)
