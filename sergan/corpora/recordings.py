"""Audio files: what a recording is, reading one with every check, and any folder as unlabelled speech."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sergan.errors import UserError

ENDINGS = (".wav", ".flac")
RATE = 16000  # Hz
SHORTEST = 0.1  # s; openSMILE's functionals are NaN below 0.05 to 0.07 s, depending on the set
QUIETEST = 1e-4  # range of the samples, full scale being -1 to 1; three steps of 16 bit


@dataclass(frozen=True)
class Recording:
    """One audio file: id like "emodb/03a01Fa", speaker like "emodb/03", emotion a word or '' (unlabelled)."""

    id: str
    path: Path
    speaker: str
    emotion: str = ""


def read_audio(path: Path, rate: int = RATE) -> np.ndarray:
    """Samples of a mono file, resampled to `rate` where the file has another one (`sampling_rate` tells).

    Returns:
      x_T, float32, full scale being -1 to 1, at `rate` Hz.

    Raises:
      UserError: the file is missing, not audio, truncated, stereo, shorter than `SHORTEST`, silent, or it has
        NaN or infinite samples.
    """
    x_T, file_rate = _decode(path)
    if not np.isfinite(x_T).all():
        raise UserError(f"{path}: has NaN or infinite samples")
    if len(x_T) < SHORTEST * file_rate:
        raise UserError(
            f"{path}: {1000 * len(x_T) / file_rate:.0f} ms long; the minimum is {1000 * SHORTEST:.0f} ms"
        )
    if np.ptp(x_T) < QUIETEST:
        raise UserError(f"{path}: silent")
    if file_rate != rate:
        x_T = soxr.resample(x_T, file_rate, rate)
    return np.asarray(x_T, dtype=np.float32)


def sampling_rate(path: Path) -> int:
    """Sampling rate of a file in Hz, from its header.

    Raises:
      UserError: the file is missing or not audio.
    """
    return int(_header(path).samplerate)


def _header(path: Path) -> soundfile._SoundFileInfo:
    try:
        return soundfile.info(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: {_reason(path)}") from error


def _decode(path: Path) -> tuple[np.ndarray, int]:
    """(x_T, sampling rate in Hz) of a whole mono file."""
    header = _header(path)
    if _is_cut(path):
        raise UserError(f"{path}: truncated, the file is shorter than its header says")
    if header.channels != 1:
        raise UserError(f"{path}: {header.channels} channels; convert it to mono")
    try:
        x_T, rate = soundfile.read(path, dtype="float32")
    except soundfile.SoundFileError as error:
        raise UserError(f"{path}: truncated or damaged, it cannot be decoded to its end") from error
    if len(x_T) < header.frames:
        raise UserError(f"{path}: truncated, {len(x_T)} of {header.frames} samples can be decoded")
    return x_T, rate


def _reason(path: Path) -> str:
    """Why a file could not be opened as audio."""
    if not path.exists():
        return "no such file"
    if not path.is_file():
        return "not a file"
    try:
        with path.open("rb") as file:
            start = file.read(24)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not audio; fetch the file itself with `git lfs pull`"
    return "not audio (wav or flac)" if start else "empty, not audio"


def _is_cut(path: Path) -> bool:
    """Whether a wav is shorter than its RIFF size field says; libsndfile takes no notice of that."""
    with path.open("rb") as file:
        start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return False
    size = int.from_bytes(start[4:8], "little")
    unknown = 0xFFFFFFFF  # written by programs that stream
    return size != unknown and size + 8 > path.stat().st_size


def audio_files(folder: Path, recursive: bool = False) -> list[Path]:
    """Sorted wav and flac files of a folder, endings in any case, without hidden ones (`.x`, `._x`).

    Raises:
      UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: " + ("not a folder" if folder.exists() else "no such folder"))
    paths = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(path for path in paths if _is_audio(path, path.relative_to(folder).parts))


def _is_audio(path: Path, parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") for part in parts)
    return path.suffix.lower() in ENDINGS and not hidden and path.is_file()


def folder(root: str | Path) -> list[Recording]:
    """Any folder of wav and flac files, at any depth, as unlabelled speech.

    Ids are "<name of the folder>/<path in it without the ending>". A file's speaker is the folder that it
    lies in, so that files directly in `root` are of one speaker.

    Raises:
      UserError: no such folder, no audio in it, or two files with the same name but for the ending.
    """
    root = Path(root).expanduser().resolve()
    recordings = [_unlabelled(root, path) for path in audio_files(root, recursive=True)]
    if not recordings:
        raise UserError(f"{root}: no wav or flac file in this folder")
    check_ids(recordings, root)
    return recordings


def _unlabelled(root: Path, path: Path) -> Recording:
    inside = path.relative_to(root).with_suffix("")
    speaker = Path(root.name) / inside.parent
    return Recording(id=(root.name / inside).as_posix(), path=path, speaker=speaker.as_posix())


def check_ids(recordings: list[Recording], root: Path) -> None:
    """Raises UserError for two recordings with the same id, naming both files."""
    seen: dict[str, Path] = {}
    for recording in recordings:
        if recording.id in seen:
            raise UserError(
                f"{root}: {seen[recording.id].name} and {recording.path.name} are both {recording.id!r}; "
                "remove one"
            )
        seen[recording.id] = recording.path
