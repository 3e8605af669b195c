"""A table of clips: a CSV that says of audio files, or of parts of them, who speaks with which emotion."""

import csv
import io
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from sergan.corpora.audio import frames, header
from sergan.corpora.recordings import Recording
from sergan.corpora.words import naming, word
from sergan.errors import UserError

COLUMNS = ("file", "emotion", "speaker", "session", "start", "end")
_NEEDED = ("file", "emotion", "speaker")
CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_DURATION = re.compile(r"[-+.: \w]*\d *[a-zA-Z:][-+.: \w]*")  # as pandas writes them, with a unit or colons
_LONGEST = 1_000_000  # characters of the first line that are looked at
_MANY = 20  # columns that are none of a clip's; more may be features
_log = logging.getLogger(__name__)

Columns = Mapping[str, str]
Line = tuple[int, list[str]]


def is_one(path: str | Path, columns: Columns) -> bool:
    """Whether a file is a table of clips, and not one of features: a CSV with the column of files.

    `columns` has the file's own names of columns, like {"file": "path"}; one for "id" is a feature table's.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".csv" or "id" in columns or not path.is_file():
        return False
    return "file" in columns or "file" in _head(path)


def _head(path: Path) -> list[str]:
    """The names of the columns, as far as they can be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline(_LONGEST)
        return [cell.strip() for cell in re.split("[,;\t]", first.replace('"', ""))]
    except OSError:
        return []


def read(
    path: str | Path,
    columns: Columns | None = None,
    labelled: bool = True,
    files: bool = True,
    key: str = "corpus",
) -> list[Recording]:
    """Recordings of a CSV (UTF-8, commas) with the columns `COLUMNS`, in its order; others are left alone.

    session, start and end may be missing, without `labelled` emotion, too. `columns` has the file's own names
    of columns. Paths are against the CSV's folder; start and end are seconds, or text like
    "0 days 00:00:01.5", empty for the file's own. Ids are the files as written, with the part if there is
    one. With `files` the audio files have to be there and as long as the parts of them. Messages name columns
    by `config.<key>.columns`, or not by the config where `key` is empty.

    Raises:
      UserError: no such file; not UTF-8; no rows; lines with more or fewer cells than the first; a missing
        column; empty cells; a part that is none; one clip twice; with `files`, audio that is missing.
    """
    path = Path(path).expanduser()
    lines = _lines(path)
    names = [cell.strip() for cell in next(lines)[1]]
    places = _places(names, columns or {}, path, labelled, key)
    others = [name for i, name in enumerate(names) if i not in places.values()]
    if len(others) > _MANY:
        what = f"{len(others)} columns are not looked at (first {others[0]!r})"
        _log.warning("%s: %s; for features of your own give columns={'id': 'file'}", path, what)
    recordings: dict[int, Recording] = {}
    faults: list[str] = []
    for line, cells in lines:
        try:
            if len(cells) != len(names):
                raise UserError(
                    f"{len(cells)} cells, but {len(names)} columns; put text with commas in quotes"
                )
            words = {key: cells[i].strip() for key, i in places.items()}
            recordings[line] = _recording(words, path.parent, labelled)
        except UserError as error:
            faults.append(f"line {line}: {error}")
    _refuse(faults, path)
    if not recordings:
        raise UserError(f"{path}: no rows below the names of the columns")
    _check_twice(recordings, path)
    if files:
        check_files(recordings, path)
    return list(recordings.values())


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.strip():
        raise UserError(f"{path}: the file is empty")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} line {line}: not UTF-8; save the table as CSV in UTF-8") from error


def _lines(path: Path) -> Iterator[Line]:
    """The number of each line that is not empty, and its cells."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    found, line = False, 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found = True
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: cannot be read as CSV ({error})") from error
    if not found:
        raise UserError(f"{path}: the file is empty")


def _places(names: list[str], columns: Columns, path: Path, labelled: bool, where: str) -> dict[str, int]:
    """The place of each of `COLUMNS` that the table has.

    Raises UserError for a column that is needed, or that `columns` names, and is not there, or is twice.
    """
    if len(names) == 1 and any(other in names[0] for other in ";\t"):
        raise UserError(f"{path}: the columns are not separated by commas; save the table with commas")
    there = ", ".join(map(repr, names))
    places = {}
    for key in COLUMNS:
        name = columns.get(key, key)
        if names.count(name) > 1:
            raise UserError(f"{path}: there are {names.count(name)} columns {name!r}; leave one")
        needed = key in _NEEDED and (labelled or key != "emotion")
        if name in names:
            places[key] = names.index(name)
        elif needed or key in columns:
            raise UserError(f"{path}: no column {name!r} ({key}); there are {there}; {naming(where, key)}")
    return places


def _recording(cells: dict[str, str], folder: Path, labelled: bool) -> Recording:
    """The recording of a line."""
    for key, cell in cells.items():
        if not cell and key in _NEEDED and (labelled or key != "emotion"):
            raise UserError(f"{key} is empty")
        if CONTROLS.search(cell):
            raise UserError(f"{key} cannot be {cell!r}: it has control characters")
    file = cells["file"]
    start, end = (seconds(cells.get(key, ""), key) for key in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise UserError(f"start is {start or 0.0:g} s and end {end:g} s; a part ends after its start")
    return Recording(
        id=clip_id(file, start or 0.0, end),
        path=Path(os.path.normpath(folder / file)),
        speaker=word(cells["speaker"]),
        emotion=word(cells.get("emotion", "")),
        session=word(cells.get("session", "")),
        start=start or 0.0,
        end=end,
    )


def clip_id(file: str, start: float, end: float | None) -> str:
    """The id of a clip: its file, and the seconds of it if it is a part."""
    if start == 0 and end is None:
        return file
    return f"{file} {start:.12g}-{'end' if end is None else f'{end:.12g}'}"


def seconds(text: str, what: str) -> float | None:
    """Seconds of a number or of a duration like "0 days 00:00:01.5"; None for ''.

    Raises:
      UserError: naming `what`: neither, or below 0.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = _duration(text)
    if not 0 <= value < math.inf:
        raise UserError(f"{what} is {text!r}, not seconds from 0 on like 1.5")
    return value


def _duration(text: str) -> float:
    """Seconds of a duration; NaN of anything else."""
    try:
        return pd.Timedelta(text).total_seconds() if _DURATION.fullmatch(text[:50]) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _check_twice(recordings: Mapping[int, Recording], path: Path) -> None:
    seen: dict[tuple[Path, float, float | None], int] = {}
    faults = []
    for line, recording in recordings.items():
        first = seen.setdefault((recording.path, recording.start, recording.end), line)
        if first != line:
            faults.append(f"line {line}: {recording.id} is the clip of line {first}; remove one")
    _refuse(faults, path)


def check_files(recordings: Mapping[int, Recording], path: Path) -> None:
    """Raises UserError for lines of `path` whose audio is missing, is none, or ends before the clip does."""
    faults = []
    for line, recording in recordings.items():
        try:
            frames(recording.path, header(recording.path), recording.start, recording.end)
        except UserError as error:
            faults.append(f"line {line}: {error}")
    _refuse(faults, path)


def _refuse(faults: list[str], path: Path) -> None:
    """Raises UserError naming the first three faulty lines, if there are any."""
    if len(faults) == 1:
        raise UserError(f"{path} {faults[0]}")
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise UserError(f"{path}: {len(faults)} faulty lines: {'; '.join(faults[:3])}{more}")
