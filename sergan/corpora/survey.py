"""What recordings are before anything is made of them: how long, and what is wrong with them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sergan.corpora.audio import RATE, SHORTEST, frames, header, is_cut, read_audio
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

MOST = 2 * 3600.0  # seconds of audio that are decoded in a survey


@dataclass
class Survey:
    """seconds_U of the recordings that have a length, and what is wrong: kind -> messages, one for each.

    `decoded` says whether samples were looked at, too: only so are silence, damage, channels that
    differ and copies found.
    """

    seconds_U: np.ndarray
    decoded: bool
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, message: str) -> None:
        """One more problem of a kind."""
        self.problems.setdefault(kind, []).append(message)


def survey(recordings: Sequence[Recording], progress: Callable[[int, int], Any] | None = None) -> Survey:
    """Reads the headers of all files, and the samples of all clips if they last `MOST` seconds at most.

    Raises nothing: what cannot be read is a problem. `progress(done, total)` is called after each clip.
    """
    found = Survey(np.zeros(0), decoded=False)
    headers: dict[Path, Any] = {}
    lengths = [_length(recording, headers, found) for recording in recordings]
    sound = [recording for recording, length in zip(recordings, lengths, strict=True) if length]
    found.seconds_U = np.array([length for length in lengths if length])
    found.decoded = bool(found.seconds_U.sum() <= MOST)
    if found.decoded:
        _decode(sound, found, progress)
    return found


def _length(recording: Recording, headers: dict[Path, Any], found: Survey) -> float | None:
    """Seconds of a recording by its file's header; None, and a problem, where it cannot be used."""
    path = recording.path
    if path not in headers:
        headers[path] = _header(path, found)
    info = headers[path]
    if info is None:
        return None
    try:
        start, stop = frames(path, info, recording.start, recording.end)
    except UserError as error:
        found.add("parts beyond their file", str(error))
        return None
    length = float(stop - start) / info.samplerate
    if length < SHORTEST:
        found.add(
            "too short", f"{recording.id}: {1000 * length:.0f} ms, the minimum is {1000 * SHORTEST:.0f}"
        )
        return None
    return length


def _header(path: Path, found: Survey) -> Any:
    """The header of a file; None, and a problem, where it cannot be used."""
    try:
        info = header(path)
    except UserError as error:
        found.add("missing" if str(error).endswith("no such file") else "unreadable", str(error))
        return None
    if is_cut(path):
        found.add("unreadable", f"{path}: truncated")
        return None
    if info.samplerate != RATE:
        found.add(f"resampled to {RATE} Hz", f"{path}: {info.samplerate} Hz")
    return info


def _decode(sound: Sequence[Recording], found: Survey, progress: Callable[[int, int], Any] | None) -> None:
    """Adds the problems of samples: silence, damage, channels that differ, and copies of another clip."""
    copies: dict[str, str] = {}
    for done, recording in enumerate(sound, start=1):
        try:
            x_T = read_audio(recording.path, start=recording.start, end=recording.end)
        except UserError as error:
            kinds = {"silent": "silent", "mono": "not mono"}
            found.add(kinds.get(str(error).split()[-1], "unreadable"), str(error))
        else:
            first = copies.setdefault(hashlib.sha256(x_T.tobytes()).hexdigest(), recording.id)
            if first != recording.id:
                found.add("copies", f"{recording.id} sounds as {first}")
        if progress is not None:
            progress(done, len(sound))
