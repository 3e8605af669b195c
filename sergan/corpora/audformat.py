"""A database in audformat: a folder with db.yaml, a CSV or Parquet file for each of its tables, and audio."""

import csv
import math
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sergan.corpora.clip_table import clip_id
from sergan.corpora.recordings import Recording, check_folder, check_ids, log_left_out
from sergan.corpora.words import naming, word
from sergan.errors import UserError, line

COLUMNS = ("emotion", "speaker", "session", "table")
_ENDINGS = (".parquet", ".csv")  # never .pkl: reading one runs what it says
_LEVELS = {"filewise": ["file"], "segmented": ["file", "start", "end"]}  # the first columns of a table
_MOST = 1_000_000  # values in a header

Clip = tuple[str, float, float | None]  # file, start and end in seconds
Values = dict[Clip, str]


def read(root: str | Path, columns: Mapping[str, str] | None = None, key: str = "corpus") -> list[Recording]:
    """Recordings of a database, in the order of its tables.

    The columns emotion and speaker, and session if there is one, are found by their own name or by that of
    their scheme; speaker and session may be in another table that is by file. A scheme that names its labels
    gives the names. `columns` has the database's own names, and with "table" the tables of emotions where
    there are several, separated by commas. Rows without an emotion are left out and counted in the log.
    Caches (.pkl) are never read. Messages name columns by `config.<key>.columns`.

    Raises:
      UserError: no such folder; a header or table that is missing or cannot be read; no column, or several
        tables, with emotions; a clip without speaker; one clip twice.
    """
    root = Path(root).expanduser()
    own = {key: (columns or {}).get(key, key) for key in COLUMNS}
    database = _database(root)
    for misc in database.misc_tables:  # schemes have their labels from these
        _load(database, misc, root)
    emotions: list[tuple[Clip, str]] = []
    for table in _chosen(database, own["emotion"], (columns or {}).get("table", ""), root, key):
        emotions += _values(database, table, own["emotion"], root).items()
    speakers = _everywhere(database, own["speaker"], root)
    if not speakers:
        raise _missing(database, "speaker", own["speaker"], root, key)
    sessions = _everywhere(database, own["session"], root)
    if not sessions and own["session"] != "session":
        raise _missing(database, "session", own["session"], root, key)
    recordings = [
        Recording(
            id=clip_id(*clip),
            path=root / clip[0],
            speaker=_of(clip, speakers),
            emotion=emotion,
            session=_of(clip, sessions),
            start=clip[1],
            end=clip[2],
        )
        for clip, emotion in emotions
    ]
    return _checked(recordings, root)


def _checked(recordings: list[Recording], root: Path) -> list[Recording]:
    """The recordings that have an emotion; raises UserError for those that cannot be used."""
    log_left_out(root, "clips without an emotion", [r.id for r in recordings if not r.emotion])
    labelled = [recording for recording in recordings if recording.emotion]
    if not labelled:
        raise UserError(f"{root}: no clip has an emotion")
    alone = [recording.id for recording in labelled if not recording.speaker]
    if alone:
        raise UserError(f"{root}: {len(alone)} clips have no speaker, the first is {line(alone[0])}")
    check_ids(labelled, root)
    return labelled


def _database(root: Path) -> Any:
    """The database of the header, without any table's rows."""
    import audformat

    check_folder(root)
    file = root / "db.yaml"
    if not file.is_file():
        raise UserError(f"{root}: no db.yaml in this folder; give the folder of a database in audformat")
    try:
        header = yaml.safe_load(file.read_text(encoding="utf-8"))
        values = _count(header, {})
    except Exception as error:  # whatever the library meets, in a value like 2001-99-99, too
        raise UserError(f"{file}: cannot be read as YAML ({line(error)})") from error
    if values > _MOST:
        raise UserError(
            f"{file}: stands for {values:.0e} values by repeating itself; write it without aliases"
        )
    try:
        _check_names(header)
        return audformat.Database.load_header_from_yaml(header)
    except Exception as error:  # whatever the library meets in a header that is none
        raise UserError(f"{file}: not a header in audformat ({line(error)})") from error


def _check_names(header: Any) -> None:
    """Raises ValueError for a name of a scheme, table or column that YAML reads as something else or that is
    not in one line, and for one of a table that leads out of the folder."""
    tables = {**(header.get("tables") or {}), **(header.get("misc_tables") or {})}
    columns = [name for table in tables.values() for name in (table or {}).get("columns") or ()]
    for name in (*(header.get("schemes") or ()), *tables, *columns):
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(
                f"{name!r} is no name of a scheme, table or column; write it in quotes and in one line"
            )
    for name in tables:
        if "/" in name or "\\" in name:
            raise ValueError(f"{name!r} is no name of a table, which is a part of its file's name")


def _count(value: Any, known: dict[int, float]) -> float:
    """How many values a value stands for: aliases can make billions of a few lines, or one without end."""
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # until it is known; so stays what is inside of itself
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(value)]


def _load(database: Any, table: str, root: Path) -> Any:
    """The table with its rows, which are read from a copy of its CSV or Parquet alone."""
    files = [root / f"db.{table}{ending}" for ending in _ENDINGS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        cache = (root / f"db.{table}.pkl").is_file()
        hint = "; there is only a .pkl, which is never read: save the database as csv" if cache else ""
        raise UserError(f"{root}: no {files[1].name} or {files[0].name} for the table {table!r}{hint}")
    with tempfile.TemporaryDirectory() as alone:
        copy = Path(alone) / "table"
        try:
            shutil.copyfile(file, copy.with_suffix(file.suffix))
            _check_order(database[table], file)
            with warnings.catch_warnings(action="ignore"):  # of pandas, about the library
                database[table].load(str(copy))
        except Exception as error:  # whatever the library meets in a table that is damaged
            raise UserError(f"{file}: cannot be read as a table in audformat ({line(error)})") from error
    return database[table]


def _check_order(table: Any, file: Path) -> None:
    """Raises ValueError for a CSV whose columns are not in the header's order, by which the library goes."""
    levels = _LEVELS.get(getattr(table, "type", ""), []) or list(getattr(table, "levels", None) or ())
    if file.suffix != ".csv" or not levels:
        return
    with file.open(encoding="utf-8", newline="") as text:
        there = next(csv.reader(text), [])
    wanted = [*levels, *table.columns]
    if there != wanted:
        raise ValueError(f"its columns are {', '.join(there)}, those of db.yaml {', '.join(wanted)}")


def _column(database: Any, table: str, name: str) -> str | None:
    """The column of a table with this name, or with a scheme of this name."""
    columns = database[table].columns
    if name in columns:
        return name
    return next((column for column in columns if columns[column].scheme_id == name), None)


def _chosen(database: Any, name: str, asked: str, root: Path, key: str) -> list[str]:
    """The tables that the emotions are taken from."""
    tables = [table for table in database.tables if _column(database, table, name)]
    if not tables:
        raise _missing(database, "emotion", name, root, key)
    wanted = [table.strip() for table in asked.split(",")] if asked else []
    strangers = [table for table in wanted if table not in tables]
    if strangers:
        raise UserError(
            f"{root}: no table {strangers[0]!r} with the column {name!r}; there are {', '.join(tables)}"
        )
    if not wanted and len(tables) > 1 and name not in tables:
        with_key = f"choose with --config.{key}.columns=\"{{'table': '{tables[0]}'}}\", several with commas"
        raise UserError(
            f"{root}: {len(tables)} tables have the column {name!r}: {', '.join(tables)}; "
            f"{with_key if key else 'a source has one'}"
        )
    return wanted or ([name] if name in tables else tables)


def _missing(database: Any, column: str, name: str, root: Path, key: str) -> UserError:
    there = [f"{table}: {', '.join(database[table].columns) or 'none'}" for table in database]
    return UserError(
        f"{root}: no table of files has the column {name!r} ({column}); the columns of the tables are "
        f"{'; '.join(there)}; {naming(key, column)}"
    )


def _everywhere(database: Any, name: str, root: Path) -> Values:
    """The column's values in all tables that are by file, by clip."""
    values: Values = {}
    for table in database:
        levels = list(getattr(database[table], "levels", None) or ["file"])
        if "file" in levels and _column(database, table, name):
            for clip, value in _values(database, table, name, root).items():
                if value and values.setdefault(clip, value) != value:
                    raise UserError(
                        f"{root}: {line(clip_id(*clip))} has the {name} {value!r} in the table {table!r} and "
                        f"{values[clip]!r} in another"
                    )
    return values


def _of(clip: Clip, values: Values) -> str:
    """The value of a clip, or of the file that it is a part of; '' if there is none."""
    return values.get(clip) or values.get((clip[0], 0.0, None), "")


def _values(database: Any, table: str, name: str, root: Path) -> Values:
    """The values of a column by clip, as the scheme's labels name them; '' where there is none."""
    column = _column(database, table, name)
    frame = _load(database, table, root).get()
    scheme = database[table].columns[column].scheme_id
    labels = database.schemes[scheme].labels if scheme else None
    names = {str(old): new for old, new in labels.items()} if isinstance(labels, dict) else {}
    cells = ["" if pd.isna(cell) else str(cell) for cell in frame[column]]
    clips = frame.index.to_frame()
    starts, ends = (clips[key] if key in clips else [None] * len(clips) for key in ("start", "end"))
    values: Values = {}
    for cell, file, start, end in zip(cells, clips["file"], starts, ends, strict=True):
        new = names.get(cell)
        clip = (str(file), _seconds(start) or 0.0, _seconds(end))
        if clip in values:
            raise UserError(
                f"{root}: {line(clip_id(*clip))} is there twice in the table {table!r}; leave one"
            )
        values[clip] = word(new if isinstance(new, str) else cell)
    return values


def _seconds(time: Any) -> float | None:
    """Seconds of a duration; None where there is none."""
    return None if pd.isna(time) else float(time.total_seconds())
