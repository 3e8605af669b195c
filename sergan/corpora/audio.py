"""Audio files: reading one, or a segment of one, with every check."""

import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sergan.errors import UserError

RATE = 16000  # Hz
LOWEST = 4000  # Hz; of a rate like 1 Hz a few seconds at `RATE` would fill the memory
SHORTEST = 0.1  # s; openSMILE's functionals are NaN below 0.05 to 0.07 s, depending on the set
QUIETEST = 1e-4  # range of the samples, full scale being -1 to 1; three steps of 16 bit
LOUDEST = 8.0  # of full scale; numbers of 16 bit as they are, in a file of floats, are thousands
ROUNDING = 0.01  # s; times are often in centiseconds, so that a segment may end that much after its file

_UNKNOWN = 2**62  # frames; libsndfile has 2^63 - 1 where a header leaves them open
_BLOCK = 2**22  # frames that are decoded at once


def read_audio(path: Path, rate: int = RATE, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Samples of a file, resampled to `rate` where the file has another one (`sampling_rate` tells).

    Only the segment from `start` to `end` in seconds is decoded; None is the file's end. The first sample is
    the one nearest to `start`, the last the one before that nearest to `end`.

    Returns:
      x_T, float32, full scale being -1 to 1, at `rate` Hz.

    Raises:
      UserError: the file is missing, not audio, truncated, or its channels differ; the segment is none or
        ends after the file by more than `ROUNDING`; what is read is shorter than `SHORTEST`, silent, louder
        than `LOUDEST`, or it has NaN or infinite samples.
    """
    x_T, file_rate = _decode(path, start, end)
    where = _where(path, start, end)
    if not np.isfinite(x_T).all():
        raise UserError(f"{where}: has NaN or infinite samples")
    if len(x_T) < SHORTEST * file_rate:
        raise UserError(
            f"{where}: {1000 * len(x_T) / file_rate:.0f} ms long; the minimum is {1000 * SHORTEST:.0f} ms"
        )
    if np.ptp(x_T) < QUIETEST:
        raise UserError(f"{where}: silent")
    if np.abs(x_T).max() > LOUDEST:
        raise UserError(f"{where}: samples up to {np.abs(x_T).max():.5g}; scale them to full scale, -1 to 1")
    if file_rate != rate:
        x_T = soxr.resample(x_T, file_rate, rate)
    return np.asarray(x_T, dtype=np.float32)


def sampling_rate(path: Path) -> int:
    """Sampling rate of a file in Hz, from its header.

    Raises:
      UserError: the file is missing or not audio.
    """
    return int(header(path).samplerate)


def seconds(path: Path) -> float:
    """Length of a file in seconds, from its header.

    Raises:
      UserError: the file is missing or not audio.
    """
    found = header(path)
    return float(found.frames / found.samplerate)


def _where(path: Path, start: float, end: float | None) -> str:
    """A file, or a file and a segment of it, as messages name them."""
    if end is None:
        return f"{path}" if start == 0 else f"{path} from {start:g} s"
    return f"{path} from {start:g} to {end:g} s"


def header(path: Path) -> soundfile._SoundFileInfo:
    """What a file's header says: frames, samplerate in Hz, channels.

    Raises:
      UserError: it has none, or one that cannot be worked with.
    """
    try:
        found = soundfile.info(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: {_reason(path)}") from error
    if found.samplerate < LOWEST:
        raise UserError(f"{path}: {found.samplerate} Hz; {LOWEST} Hz is the lowest sampling rate of speech")
    if found.frames >= _UNKNOWN:
        raise UserError(f"{path}: its header does not say how long it is; encode it anew from a file")
    return found


def _decode(path: Path, start: float, end: float | None) -> tuple[np.ndarray, int]:
    """(x_T, sampling rate in Hz) of a segment of a file, whose channels have to be the same."""
    found = header(path)
    if is_cut(path):
        raise UserError(f"{path}: truncated, the file is shorter than its header says")
    first, stop = frames(path, found, start, end)
    try:
        x_T = _samples(path, first, stop)
    except soundfile.SoundFileError as error:
        raise UserError(f"{path}: truncated or damaged, it cannot be decoded to its end") from error
    if len(x_T) < stop - first:
        raise UserError(f"{path}: truncated, {len(x_T)} of {stop - first} samples can be decoded")
    return x_T, found.samplerate


def _samples(path: Path, first: int, stop: int) -> np.ndarray:
    """The samples that are there, in blocks: a header may claim more than the memory holds."""
    blocks = [np.zeros(0, np.float32)]
    with soundfile.SoundFile(path) as file:
        file.seek(first)
        while (left := stop - file.tell()) > 0:
            x_TxA = file.read(min(left, _BLOCK // file.channels), dtype="float32", always_2d=True)
            if not len(x_TxA):
                break
            if file.channels > 1 and not _alike(x_TxA):
                raise UserError(f"{path}: {file.channels} channels that differ; convert it to mono")
            blocks.append(x_TxA[:, 0])
    return np.concatenate(blocks)


def _alike(x_TxA: np.ndarray) -> bool:
    """Whether all channels have the same samples."""
    return np.array_equal(x_TxA, np.broadcast_to(x_TxA[:, :1], x_TxA.shape), equal_nan=True)


def frames(path: Path, found: soundfile._SoundFileInfo, start: float, end: float | None) -> tuple[int, int]:
    """First frame of a segment of a file with the header `found`, and the one after its last.

    Raises:
      UserError: the segment is none, or it ends after the file by more than `ROUNDING`.
    """
    where, length = _where(path, start, end), found.frames / found.samplerate
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise UserError(f"{where}: no segment; it must start at 0 s or later and end after its start")
    first = round(start * found.samplerate)
    stop = found.frames if end is None else round(end * found.samplerate)
    if stop > found.frames + ROUNDING * found.samplerate or first > max(found.frames - 1, 0):
        raise UserError(f"{where}: the segment ends after the file, which is {length:g} s long")
    return first, min(stop, found.frames)


def _reason(path: Path) -> str:
    """Why a file could not be opened as audio."""
    try:
        if not path.exists():
            return "no such file"
        if not path.is_file():
            return "not a file"
        with path.open("rb") as file:
            start = file.read(24)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not audio; fetch the file itself with `git lfs pull`"
    return "not audio (wav, flac or sph)" if start else "empty, not audio"


def is_cut(path: Path) -> bool:
    """Whether a wav is shorter than its RIFF size field says; libsndfile takes no notice of that."""
    with path.open("rb") as file:
        start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return False
    size = int.from_bytes(start[4:8], "little")
    unknown = size >> 16 in (0x7FFF, 0xFFFF)  # written by programs that stream
    return not unknown and size + 8 > path.stat().st_size
