"""Feature tables as files: npz, csv or Parquet, checked when they are written and when they are read."""

import csv
import io
import warnings
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar

import numpy as np
import pandas as pd
from etils import epath

from sergan import parquet
from sergan.corpora.tables import COLUMNS, FeatureTable, check, check_unique, listed
from sergan.corpora.words import naming, word
from sergan.errors import UserError, line

ENDINGS = (".npz", ".csv", ".parquet")
_LABELS = (*COLUMNS, "extractor")  # columns that are no features
_NPZ = ("x_UxD", "ids_U", "speakers_U", "emotions_U", "names_D", "extractor")  # and perhaps sessions_U


def write(table: FeatureTable, path: epath.PathLike) -> None:
    """Writes a table as npz, csv or Parquet by the ending: to a temporary name, then renamed.

    csv and Parquet have the columns id, speaker, emotion, extractor, session if there are any, and one for
    each feature.

    Raises:
      UserError: an unknown ending, or a table that `check` refuses.
    """
    path = epath.Path(path)
    writer = _by_ending(path, {".npz": _write_npz, ".csv": _write_csv, ".parquet": _write_parquet})
    check(table, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            writer(table, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: epath.PathLike, columns: Mapping[str, str] | None = None, key: str = "corpus") -> FeatureTable:
    """Reads what `write` wrote, or any csv or Parquet with id, speaker, perhaps emotion and session, and
    numeric columns. `columns` has the file's own names of columns, like {"id": "clip"}; npz has none.
    Messages name them by `config.<key>.columns`, or not by the config where `key` is empty.

    Raises:
      UserError: an unknown ending, a missing, empty or damaged file, missing columns, columns that are not
        numbers, or a table that `check` refuses.
    """
    path = epath.Path(path).expanduser()
    own = {key: (columns or {}).get(key, key) for key in _LABELS}
    readers: dict[str, Callable[[epath.Path], FeatureTable]] = {
        ".npz": _read_npz,
        ".csv": lambda file: _read_csv(file, own, key),
        ".parquet": lambda file: _read_parquet(file, own, key),
    }
    reader = _by_ending(path, readers)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.stat().length == 0:
        raise UserError(f"{path}: the file is empty")
    table = reader(path)
    check(table, path)
    return table


Function = TypeVar("Function", bound=Callable)


def _by_ending(path: epath.Path, functions: dict[str, Function]) -> Function:
    function = functions.get(path.suffix.lower())
    if function is None:
        raise UserError(f"{path}: a feature table ends in {', '.join(functions)}")
    return function


def _write_npz(table: FeatureTable, file: IO[bytes]) -> None:
    values = (
        table.x_UxD.astype(np.float32),
        *(np.asarray(labels, dtype=str) for labels in (table.ids_U, table.speakers_U, table.emotions_U)),
        np.array(table.names_D, dtype=str),
        np.array(table.extractor, dtype=str),
    )
    arrays: dict[str, Any] = dict(zip(_NPZ, values, strict=True))
    if table.sessions_U is not None:
        arrays["sessions_U"] = np.asarray(table.sessions_U, dtype=str)
    np.savez_compressed(file, **arrays)


def _read_npz(path: epath.Path) -> FeatureTable:
    words: dict[str, np.ndarray] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as values:
            missing = [name for name in _NPZ if name not in values]
            if not missing:
                x_UxD = np.asarray(values["x_UxD"])
                words = {n: _words(values[n]) for n in (*_NPZ[1:], "sessions_U") if n in values}
    except Exception as error:  # whatever the library meets in a file that is damaged
        raise UserError(f"{path}: damaged, or not an npz file without pickles ({line(error)})") from error
    if missing:
        raise UserError(f"{path}: not a feature table, it has no {listed(missing)}")
    if x_UxD.dtype.kind not in "fiu":
        raise UserError(f"{path}: x_UxD holds no numbers but {x_UxD.dtype}")
    if x_UxD.ndim != 2 or any(words[name].ndim != (name != "extractor") for name in words):
        raise UserError(f"{path}: not a feature table, its arrays have other dimensions")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused
        x_UxD = x_UxD.astype(np.float32)
    spelt = {n: _spelt(words[n]) for n in ("speakers_U", "emotions_U", "sessions_U") if n in words}
    names_D, extractor = tuple(words["names_D"].tolist()), str(words["extractor"])
    return FeatureTable(x_UxD, words["ids_U"], names_D=names_D, extractor=extractor, **spelt)


def _words(array: np.ndarray) -> np.ndarray:
    """An array as words; raises ValueError for one that holds none."""
    if array.dtype.kind not in "USfiu":
        raise ValueError(f"{array.dtype} instead of words")
    words = array.astype(str)
    "".join(words.ravel().tolist()).encode().decode()  # NumPy lets pass what is no character
    return words


def _spelt(words_U: np.ndarray) -> np.ndarray:
    """Speakers, emotions or sessions, each in one spelling."""
    return np.array([word(text) for text in words_U.tolist()], dtype=str)


def _frame(table: FeatureTable) -> pd.DataFrame:
    reserved = [name for name in table.names_D if name in _LABELS]
    if reserved:
        raise UserError(f"a feature must not be called {listed(reserved)}: that is a column of its own")
    labels = {
        "id": table.ids_U,
        "speaker": table.speakers_U,
        "emotion": table.emotions_U,
        "extractor": np.full(len(table.ids_U), table.extractor),
    }
    if table.sessions_U is not None:
        labels["session"] = table.sessions_U
    values = pd.DataFrame(table.x_UxD.astype(np.float32), columns=list(table.names_D))
    return pd.concat([pd.DataFrame(labels), values], axis=1)


def _write_csv(table: FeatureTable, file: IO[bytes]) -> None:
    _frame(table).to_csv(file, index=False)


def _write_parquet(table: FeatureTable, file: IO[bytes]) -> None:
    _frame(table).to_parquet(file, index=False)


def _read_csv(path: epath.Path, own: Mapping[str, str], key: str) -> FeatureTable:
    try:
        with path.open("rb") as file:
            header = next(csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline="")), [])
        _check_header(header, path, own, key)
        missing = {name: ["", "nan", "NaN", "NA"] for name in header if name not in own.values()}
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # that it leaves cells away
            frame = pd.read_csv(
                file,
                encoding="utf-8-sig",
                dtype={name: str for name in header if name in own.values()},
                keep_default_na=False,
                na_values=missing,
                low_memory=False,
                index_col=False,
            )
    except pd.errors.ParserWarning as error:
        raise UserError(f"{path}: rows have more cells than there are columns; name every column") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as csv ({str(error).strip()})") from error
    return _from_frame(frame, path, own)


def _read_parquet(path: epath.Path, own: Mapping[str, str], key: str) -> FeatureTable:
    try:
        with path.open("rb") as file:
            frame = parquet.read(file)
        labels = [name for name in frame.index.names if name in own.values() and name not in frame]
        frame = frame.reset_index(labels) if labels else frame
    except Exception as error:  # whatever the library meets in a file that is damaged
        raise UserError(f"{path}: damaged, or not a Parquet file ({line(error)})") from error
    _check_header([str(name) for name in frame.columns], path, own, key)
    return _from_frame(frame, path, own)


def _check_header(header: list[str], path: epath.Path, own: Mapping[str, str], key: str) -> None:
    check_unique(header, "columns", path)
    labels = {own[label]: label for label in COLUMNS if label in ("id", "speaker") or own[label] != label}
    missing = [name for name in labels if name not in header]
    if missing:
        raise UserError(
            f"{path}: no column {' and no column '.join(missing)}; there are {listed(header, 10)}. A "
            f"table of features has id and speaker, one of clips, as CSV, has file; "
            f"{naming(key, labels[missing[0]])}"
        )
    if "" in header:
        raise UserError(
            f"{path}: column {header.index('') + 1} has no name; write the table without an index"
        )


def _from_frame(frame: pd.DataFrame, path: epath.Path, own: Mapping[str, str]) -> FeatureTable:
    """The table of a frame with columns of the names `own`."""
    if not len(frame):
        raise UserError(f"{path}: no rows in this table")
    names = [name for name in frame.columns if name not in own.values()]
    words = [str(name) for name in names if frame[name].dtype.kind not in "fiu"]
    if words:
        _check_cells(frame, words, path, own)
        raise UserError(
            f"{path}: columns that are not numbers: {listed(words)}; "
            "every column but id, speaker, emotion, session and extractor is a feature"
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused
        x_UxD = frame[names].to_numpy(dtype=np.float32)
    ids, speakers, emotions, sessions, extractors = (_strings(frame, own[key]) for key in _LABELS)
    speakers, emotions, sessions = map(_spelt, (speakers, emotions, sessions))
    extractor = str(extractors[0]) if len(set(extractors.tolist())) == 1 else ""
    sessions_U = sessions if own["session"] in frame else None
    return FeatureTable(x_UxD, ids, speakers, emotions, tuple(map(str, names)), extractor, sessions_U)


def _check_cells(frame: pd.DataFrame, names: list[str], path: epath.Path, own: Mapping[str, str]) -> None:
    """Raises UserError for a column of which most cells are numbers, naming the first that is none."""
    for name in names:
        wrong_U = pd.to_numeric(frame[name], errors="coerce").isna().to_numpy()
        if 0 < wrong_U.mean() < 0.5:
            row = int(np.argmax(wrong_U))
            raise UserError(
                f"{path}: {int(wrong_U.sum())} cells of column {name!r} are no numbers, first "
                f"{str(frame[name].iloc[row])!r} in row {str(frame[own['id']].iloc[row])!r}"
            )


def _strings(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as str array; '' where it is missing."""
    if name not in frame:
        return np.full(len(frame), "", dtype="U1")
    return np.array(["" if pd.isna(value) else str(value) for value in frame[name]], dtype=str)
