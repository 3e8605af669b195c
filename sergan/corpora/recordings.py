"""Audio files: what a recording is, reading one with every check, and finding them in folders."""

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sergan.errors import UserError

ENDINGS = (".wav", ".flac")
RATE = 16000  # Hz
LOWEST = 4000  # Hz; of a rate like 1 Hz a few seconds at `RATE` would fill the memory
SHORTEST = 0.1  # s; openSMILE's functionals are NaN below 0.05 to 0.07 s, depending on the set
QUIETEST = 1e-4  # range of the samples, full scale being -1 to 1; three steps of 16 bit

_UNKNOWN = 2**62  # frames; libsndfile has 2^63 - 1 where a header leaves them open
_BLOCK = 2**22  # frames that are decoded at once

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One audio file or a segment of one: id like "emodb/03a01Fa", speaker like "emodb/03".

    `emotion` is a word or '' (unlabelled), `session` like "iemocap/1" or '' (there are none). The clip is the
    part of the file from `start` to `end` in seconds; None is the file's end.
    """

    id: str
    path: Path
    speaker: str
    emotion: str = ""
    session: str = ""
    start: float = 0.0
    end: float | None = None


def read_audio(path: Path, rate: int = RATE, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Samples of a mono file, resampled to `rate` where the file has another one (`sampling_rate` tells).

    Only the segment from `start` to `end` in seconds is decoded; None is the file's end. The first sample is
    the one nearest to `start`, the last the one before that nearest to `end`.

    Returns:
      x_T, float32, full scale being -1 to 1, at `rate` Hz.

    Raises:
      UserError: the file is missing, not audio, truncated or stereo; the segment is none or ends after the
        file; what is read is shorter than `SHORTEST`, silent, or it has NaN or infinite samples.
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
    """(x_T, sampling rate in Hz) of a segment of a mono file."""
    found = header(path)
    if is_cut(path):
        raise UserError(f"{path}: truncated, the file is shorter than its header says")
    if found.channels != 1:
        raise UserError(f"{path}: {found.channels} channels; convert it to mono")
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
            blocks.append(file.read(min(left, _BLOCK), dtype="float32"))
            if not len(blocks[-1]):
                break
    return np.concatenate(blocks)


def frames(path: Path, found: soundfile._SoundFileInfo, start: float, end: float | None) -> tuple[int, int]:
    """First frame of a segment of a file with the header `found`, and the one after its last.

    Raises:
      UserError: the segment is none or ends after the file.
    """
    where, length = _where(path, start, end), found.frames / found.samplerate
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise UserError(f"{where}: no segment; it must start at 0 s or later and end after its start")
    first = round(start * found.samplerate)
    stop = found.frames if end is None else round(end * found.samplerate)
    if max(first, stop) > found.frames or first == found.frames > 0:
        raise UserError(f"{where}: the segment ends after the file, which is {length:g} s long")
    return first, stop


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
    unknown = 0xFFFFFFFF  # written by programs that stream
    return size != unknown and size + 8 > path.stat().st_size


def refuse(faults: Sequence[str], total: int) -> None:
    """Raises UserError naming the first five faulty files, if there are any."""
    if not faults:
        return
    head = f"{len(faults)} of {total} audio files cannot be used\n" if len(faults) > 1 else ""
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    raise UserError(head + "; ".join(faults[:5]) + more)


def refuse_or_skip(faults: Sequence[str], total: int, skip: bool) -> None:
    """As `refuse`, but with `skip` only says how many are left out, as long as others of `total` remain."""
    if skip and 0 < len(faults) < total:
        first = "; ".join(faults[:3])
        _log.warning("%d of %d clips cannot be used and are left out (first %s)", len(faults), total, first)
    else:
        refuse(faults, total)


def audio_files(folder: Path, recursive: bool = False) -> list[Path]:
    """Sorted wav and flac files of a folder, endings in any case, without hidden ones (`.x`, `._x`).

    Raises:
      UserError: there is no such folder, it or one in it cannot be read, or a name is not UTF-8.
    """
    check_folder(folder)
    paths = _walk(folder) if recursive else folder.iterdir()
    found = sorted(path for path in paths if _is_audio(path, path.relative_to(folder).parts))
    foreign = [path.name for path in found if not _is_text(str(path.relative_to(folder)))]
    if foreign:
        raise UserError(
            f"{folder}: {len(foreign)} names of files or folders are not UTF-8 (first {foreign[0]!a}); "
            "rename them"
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, each folder once, though a link leads to it.

    Raises:
      UserError: a folder in it cannot be read.
    """

    def refuse_folder(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse_folder):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place) / name for name in names)


def _is_text(name: str) -> bool:
    """Whether a name can be written in UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_folder(folder: Path) -> None:
    """Raises UserError if there is no such folder or it cannot be read."""
    if not folder.is_dir():
        raise UserError(f"{folder}: " + ("not a folder" if folder.exists() else "no such folder"))
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error


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


def folder_in(root: Path, names: Sequence[str]) -> Path:
    """The folder in `root` that has one of the names, in any case, and audio in it; if none has, `root`."""
    if not root.is_dir():
        return root
    for folder in sorted(root.iterdir()):
        if folder.name.lower() in names and folder.is_dir() and audio_files(folder):
            return folder
    return root


def named(
    place: Path,
    parse: Callable[[Path], Recording | None],
    corpus: str,
    example: str,
    recursive: bool = False,
) -> list[Recording]:
    """Recordings of a folder of a corpus whose names tell all, sorted by id.

    `parse` makes the recording of a file; None if its name is not the corpus's. Messages say `corpus`, and
    `example` is a name of it.

    Raises:
      UserError: no such folder, no audio in it, names that are not the corpus's, or one clip twice.
    """
    paths = audio_files(place, recursive)
    if not paths:
        raise UserError(
            f"{place}: no wav or flac file in this folder; give the folder of {corpus} as distributed"
        )
    parsed = [(path, parse(path)) for path in paths]
    strangers = [path.name for path, recording in parsed if recording is None]
    if strangers:
        raise UserError(
            f"{place}: {len(strangers)} of {len(paths)} names are not {corpus}'s (like {example}): "
            f"{', '.join(strangers[:5])}"
        )
    recordings = [recording for _, recording in parsed if recording is not None]
    check_ids(recordings, place)
    return sorted(recordings, key=lambda recording: recording.id)


def by_stem(paths: Iterable[Path], root: Path) -> dict[str, Path]:
    """Files by their names without the ending.

    Raises:
      UserError: two files have the same name, in different folders or but for the ending.
    """
    files: dict[str, Path] = {}
    for path in paths:
        if path.stem in files:
            raise UserError(
                f"{root}: {_inside(files[path.stem], root)} and {_inside(path, root)} are the same clip; "
                "remove one"
            )
        files[path.stem] = path
    return files


def read_text(path: Path) -> str:
    """A text file; what is not UTF-8 in it becomes a question mark.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def add_label(labels: dict[str, str], clip: str, label: str, where: str) -> None:
    """Sets the label of a clip; raises UserError, naming the line `where`, if it has another one."""
    if labels.setdefault(clip, label) != label:
        raise UserError(f"{where}: {clip} is {label!r} here and {labels[clip]!r} before; remove one line")


def labelled(
    root: Path, labels: Mapping[str, str], files: Mapping[str, Path], words: Mapping[str, str]
) -> list[tuple[str, Path, str]]:
    """(clip, file, emotion) of the clips that have both a label and a file, sorted by clip.

    `labels` are codes by clip, `files` audio files by clip, and `words` the emotions by code. Codes without a
    word, labels without audio and audio without a label are left out, each kind counted in a line of the log.

    Raises:
      UserError: no clip is left.
    """
    wordless = sorted(clip for clip, code in labels.items() if code not in words)
    codes = ", ".join(sorted({labels[clip] for clip in wordless}))
    with_word = sorted(set(labels).difference(wordless))
    log_left_out(root, f"clips without one emotion (labelled {codes})", wordless)
    log_left_out(root, "labels without audio", [clip for clip in with_word if clip not in files])
    log_left_out(root, "audio files without a label", sorted(set(files) - set(labels)))
    found = [(clip, files[clip], words[labels[clip]]) for clip in with_word if clip in files]
    if not found:
        raise UserError(
            f"{root}: {len(labels)} labels and {len(files)} audio files, but no clip with an emotion has "
            "both; give the whole corpus as distributed"
        )
    return found


def log_left_out(root: Path, what: str, clips: Sequence[str]) -> None:
    """A line of the log with the number of clips that are left out and the first five; none for none."""
    if clips:
        _log.warning("%s: %s left out: %d (%s)", root, what, len(clips), _first(clips))


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _inside(path: Path, root: Path) -> str:
    """The path as messages name it: that in the folder, or the whole one of a file elsewhere."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def check_ids(recordings: list[Recording], root: Path) -> None:
    """Raises UserError for two recordings with the same id, naming both files."""
    seen: dict[str, Path] = {}
    for recording in recordings:
        if recording.id in seen:
            raise UserError(
                f"{root}: {_inside(seen[recording.id], root)} and {_inside(recording.path, root)} are both "
                f"{recording.id!r}; remove one"
            )
        seen[recording.id] = recording.path
