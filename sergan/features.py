"""Rows of recordings, openSMILE functionals or log-Mel: checked first, extracted, cached by content."""

import difflib
import hashlib
import io
import logging
import multiprocessing
import os
import re
import signal
import tempfile
import threading
import tokenize
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache as remember
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from joblib import cpu_count

from sergan.corpora import prepared, tables
from sergan.corpora.audio import RATE, read_audio
from sergan.corpora.decoding import Decoding, refuse
from sergan.corpora.prepared import Clips, Entry
from sergan.corpora.recordings import Recording
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError

Progress = Callable[[int, int], Any]
Item = TypeVar("Item")

STORE = "~/tensorflow_datasets"  # of stock sets, where no other store is named
LOGMEL = "logmel"  # the set whose rows are log-Mel spectrograms, see `logmel.row`; all others are openSMILE's

_log = logging.getLogger(__name__)
_CHUNK = 4  # clips handed to a process at a time
_AHEAD = 256  # clips that are read before their log-Mel spectrograms are made, those of a length together
_BLOCK = 500  # rows of a prepared set in a file of the cache


def groups(names_D: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Places of the features by what they measure: a group for each low-level descriptor with 100 or more
    functionals (in IS10 MFCC, log Mel bands, line spectral pairs), and one for all others (prosody)."""
    kinds = [re.split(r"_sma|\[", name)[0] for name in names_D]
    large = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) >= 100]
    parts = [tuple(i for i, kind in enumerate(kinds) if kind == wanted) for wanted in large]
    parts.append(tuple(i for i, kind in enumerate(kinds) if kind not in large))
    return tuple(part for part in parts if part)


def feature_set(name: str) -> str:
    """A set's own spelling of its name, given in any case: "is10" -> "IS10", "LogMel" -> "logmel".

    Raises:
      UserError: there is no such set; names the known ones and the nearest.
    """
    import opensmile

    known = {spelling.lower(): spelling for spelling in (*opensmile.FeatureSet.__members__, LOGMEL)}
    if name.lower() in known:
        return known[name.lower()]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {known[nearest[0]]}?" if nearest else ""
    raise UserError(f"config.features.set: there is no set {name!r} (only {', '.join(known.values())}){hint}")


@dataclass(frozen=True)
class Extraction:
    """How rows are made of audio: with which set, and where the rows and the audio are kept.

    `set_name` is given in any case. `cache`, `workers` and `progress` are those of `extract`. In the folder
    `store` recordings are kept as prepared sets before anything is extracted; '': they are read from their
    own files, and stock sets are in `STORE`. `found` are all recordings that were asked for so far.

    Raises:
      UserError: there is no such set.
    """

    set_name: str
    cache: str | Path
    store: str | Path = ""
    workers: int = 0
    progress: Progress | None = None
    found: list[Recording] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "set_name", feature_set(self.set_name))

    def recordings(self, name: str, recordings: Sequence[Recording], skip: bool = False) -> FeatureTable:
        """Rows of recordings, kept in the store as the set `name`; raises UserError as `extract` does."""
        self.found.extend(recordings)
        if not self.store:
            return extract(recordings, self.set_name, self.cache, self.workers, self.progress, skip)
        return self._clips(prepared.prepare(name, recordings, self.store, self.progress, skip))

    def stock(self, name: str) -> FeatureTable:
        """Rows of a stock set like "tfds:crema_d"; raises UserError as `prepared.read` does."""
        return self._clips(prepared.read(self.store or STORE, name))

    def labels(self, clips: Sequence[Recording] | Sequence[Entry]) -> FeatureTable:
        """The rows that there would be, with NaN for values."""
        width = len(_extractor(self.set_name).names_D)
        return _table(np.broadcast_to(np.float32(np.nan), (len(clips), width)), clips, self.set_name)

    def _clips(self, clips: Clips) -> FeatureTable:
        return extract_prepared(clips, self.set_name, self.cache, self.workers, self.progress)


@dataclass(frozen=True)
class Outlook(Extraction):
    """Labels without values: what would be extracted. With `files` a table's clips have to be there."""

    files: bool = False

    def recordings(self, name: str, recordings: Sequence[Recording], skip: bool = False) -> FeatureTable:
        """As `Extraction.recordings`, with NaN for values; no audio is read."""
        self.found.extend(recordings)
        return self.labels(recordings)

    def stock(self, name: str) -> FeatureTable:
        """As `Extraction.stock`, with NaN for values."""
        return self.labels(prepared.read(self.store or STORE, name).entries())


def extract(
    recordings: Sequence[Recording],
    set_name: str,
    cache: str | Path,
    workers: int = 0,
    progress: Progress | None = None,
    skip: bool = False,
) -> FeatureTable:
    """Features of every recording, one row each, in the order given.

    Rows are kept in `cache`/<set>-opensmile-<version>/ or `cache`/logmel-<version>/, in a file for each clip
    named by the sha256 of the audio file, or of that and a segment; what is there is not extracted again. All
    other files are checked before the first is extracted. `workers` processes work (0: one for each core; 1:
    none but this one, as always for log-Mel), with the same outcome whatever their number;
    `progress(done, total)` is called after each row. With `skip`
    recordings that `read_audio` refuses are left out, and counted in the log.

    Raises:
      UserError: no recordings; a misspelt set; files that `read_audio` refuses, the first five named (with
        `skip` only where no other is left); a clip without finite values; or a table that `tables.check`
        refuses.
    """
    set_name = feature_set(set_name)
    if not recordings:
        raise UserError("no recordings to extract features from")
    width = len(_extractor(set_name).names_D)
    files = [_file(cache, set_name, digest) for digest in _digests(recordings)]
    count = Counter(files)  # clips with the same content share a file
    rows = {file: _cached(file, (width,)) for file in count}
    pairs = [pair for pair in zip(files, recordings, strict=True) if rows[pair[0]] is None]
    if pairs:
        _try(cache)
    faulty = _check_audio(pairs, len(recordings), skip)
    kept = [i for i, file in enumerate(files) if file not in faulty]
    recordings, files = [recordings[i] for i in kept], [files[i] for i in kept]
    new = {file: recording for file, recording in pairs if file not in faulty}
    done = len(files) - sum(count[file] for file in new)
    _tell(progress, done, len(files))
    with closing(_rows(set_name, _read, list(new.values()), workers)) as fresh:
        for (file, recording), row_D in zip(new.items(), fresh, strict=True):
            _check_row(row_D, set_name, recording.path)
            _keep(file, row_D)
            rows[file] = row_D
            done += count[file]
            _tell(progress, done, len(files))
    x_UxD = np.stack([row_D for row_D in map(rows.get, files) if row_D is not None])
    return _table(x_UxD, recordings, set_name)


def extract_prepared(
    clips: Clips,
    set_name: str,
    cache: str | Path,
    workers: int = 0,
    progress: Progress | None = None,
) -> FeatureTable:
    """Features of every clip of a prepared set, one row each, in its order.

    As `extract`, but rows are kept in files of `_BLOCK` rows, each named by the sha256 of its clips' digests:
    a call that was killed goes on with the first file that is not there, and a set that grew at its end is
    extracted from about there on. Memory holds the table, the labels, and a clip for each process.

    Raises:
      UserError: a misspelt set; a set that cannot be read; a clip without finite values; or a table
        that `tables.check` refuses.
    """
    set_name = feature_set(set_name)
    entries = clips.entries()
    x_UxD = np.empty((len(entries), len(_extractor(set_name).names_D)), np.float32)
    new: dict[Path, range] = {}
    for start in range(0, len(entries), _BLOCK):
        block = range(start, min(start + _BLOCK, len(entries)))
        content = "".join(entries[i].sha256 for i in block)
        file = _file(cache, set_name, hashlib.sha256(content.encode()).hexdigest())
        rows_BxD = _cached(file, x_UxD[block.start : block.stop].shape)
        if rows_BxD is None:
            new[file] = block
        else:
            x_UxD[block.start : block.stop] = rows_BxD
    if new:
        _try(cache)
    done = len(entries) - sum(map(len, new.values()))
    _tell(progress, done, len(entries))
    indices = [i for block in new.values() for i in block]
    with closing(_rows(set_name, partial(_samples, clips), indices, workers)) as fresh:
        for file, block in new.items():
            for i in block:
                x_UxD[i] = next(fresh)
                _check_row(x_UxD[i], set_name, entries[i].id)
                done += 1
                _tell(progress, done, len(entries))
            _keep(file, x_UxD[block.start : block.stop])
    return _table(x_UxD, entries, set_name)


def _file(cache: str | Path, set_name: str, digest: str) -> Path:
    """Where rows of a set are kept."""
    place = Path(cache).expanduser() / _extractor(set_name).name.replace(" ", "-")
    return place / digest[:2] / f"{digest}.npy"


def _try(cache: str | Path) -> None:
    """Raises OSError for a cache that rows cannot be kept in, before hours are spent on them."""
    place = Path(cache).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=place):
        pass


def _check_row(row_D: np.ndarray, set_name: str, where: object) -> None:
    if not np.isfinite(row_D).all():
        name = _extractor(set_name).name
        raise UserError(f"{where}: {name} gives NaN or infinite values for this clip")


def _table(x_UxD: np.ndarray, clips: Sequence[Recording] | Sequence[Entry], set_name: str) -> FeatureTable:
    table = FeatureTable(
        x_UxD=x_UxD,
        ids_U=np.array([clip.id for clip in clips]),
        speakers_U=np.array([clip.speaker for clip in clips]),
        emotions_U=np.array([clip.emotion for clip in clips]),
        names_D=_extractor(set_name).names_D,
        extractor=_extractor(set_name).name,
        sessions_U=np.array([clip.session for clip in clips])
        if any(clip.session for clip in clips)
        else None,
    )
    tables.check_labels(table, "extracted features")
    return table


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


class _Extractor(NamedTuple):
    """What makes the rows of a set: its name and version, and the columns."""

    name: str
    names_D: tuple[str, ...]


@remember
def _extractor(set_name: str) -> _Extractor:
    if set_name == LOGMEL:
        from sergan import logmel  # and JAX, which processes for openSMILE need not load

        return _Extractor(f"{LOGMEL} {logmel.VERSION}", logmel.names())
    name = f"{set_name} opensmile {metadata.version('opensmile')}"
    return _Extractor(name, tuple(_smile(set_name).feature_names))


@remember
def _smile(set_name: str) -> Any:
    """The extractor of a set, one for each process."""
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet[set_name], opensmile.FeatureLevel.Functionals)


def _digests(recordings: Sequence[Recording]) -> list[str]:
    """The sha256 of every recording's content; raises UserError naming the first five unreadable files."""
    digests: dict[Path, str] = {}  # a file with many segments is read once
    faults = []
    for path in dict.fromkeys(recording.path for recording in recordings):
        try:
            digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            faults.append(f"{path}: cannot be read ({error.strerror})")
    refuse(faults, len(recordings))
    return [_digest(recording, digests[recording.path]) for recording in recordings]


def _digest(recording: Recording, digest: str) -> str:
    """That of the file, or of a segment of it."""
    if recording.start == 0 and recording.end is None:
        return digest
    return hashlib.sha256(f"{digest} {recording.start!r} {recording.end!r}".encode()).hexdigest()


def _cached(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The kept rows; None if there are none or they are damaged."""
    try:
        rows = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError):  # a header is Python text
        return None
    whole = isinstance(rows, np.ndarray) and rows.shape == shape and rows.dtype == np.float32
    return rows if whole and np.isfinite(rows).all() else None


def _keep(file: Path, rows: np.ndarray) -> None:
    """Writes to a temporary name of this process, then renames."""
    content = io.BytesIO()
    np.save(content, rows, allow_pickle=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.partial")
    temporary.write_bytes(content.getvalue())
    temporary.replace(file)


def _check_audio(new: Sequence[tuple[Path, Recording]], total: int, skip: bool) -> set[Path]:
    """Reads every clip once; those of faulty ones, if they may be left out.

    A clip goes by the file that its row is kept in. Raises UserError naming the first five faulty ones
    otherwise.
    """
    decoding = Decoding()
    whole: dict[Path, bool] = {}
    for file, recording in new:
        if not whole.get(file):
            whole[file] = decoding.read(recording) is not None
    decoding.end(total, skip)
    return {file for file, usable in whole.items() if not usable}


def _rows(
    set_name: str, read: Callable[[Item], np.ndarray], items: Sequence[Item], workers: int
) -> Generator[np.ndarray, None, None]:
    """A row for each item, in order; in this process if one is enough, or if the set is log-Mel."""
    if set_name == LOGMEL:
        for start in range(0, len(items), _AHEAD):
            yield from _spectrograms([read(item) for item in items[start : start + _AHEAD]])
        return
    row = partial(_row, set_name, read)
    workers = min(workers or cpu_count(), -(-len(items) // _CHUNK))
    if workers <= 1:
        yield from map(row, items)
        return
    context = multiprocessing.get_context("spawn")  # jax does not survive a fork
    pool = ProcessPoolExecutor(workers, context, _begin)
    try:
        yield from pool.map(row, items, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Makes a worker deaf to Ctrl-C, and end with its parent even when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _row(set_name: str, read: Callable[[Item], np.ndarray], item: Item) -> np.ndarray:
    """Functionals of the samples that `read` gives for an item."""
    return _functionals(set_name, read(item))


def _functionals(set_name: str, x_T: np.ndarray) -> np.ndarray:
    """Functionals of samples at `RATE`, float32."""
    return _smile(set_name).process_signal(x_T, RATE).to_numpy(np.float32)[0]


def _spectrograms(clips: list[np.ndarray]) -> list[np.ndarray]:
    """Log-Mel rows of clips."""
    from sergan import logmel

    names = [f"clip {i}" for i in range(len(clips))]
    return [logmel.row(x_TxFx3) for x_TxFx3 in logmel.extract(clips, names)]


def _read(recording: Recording) -> np.ndarray:
    return read_audio(recording.path, start=recording.start, end=recording.end)


def _samples(clips: Clips, index: int) -> np.ndarray:
    return clips[index].x_T
