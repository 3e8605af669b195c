"""Recordings: what one is, and finding them in folders and among the names of a corpus."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sergan.errors import UserError

ENDINGS = (".wav", ".flac")

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
