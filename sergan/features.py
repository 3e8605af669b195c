"""openSMILE functionals of recordings, checked first, extracted on all cores, cached by content."""

import difflib
import hashlib
import io
import logging
import multiprocessing
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import cache as remember
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from sergan import data
from sergan.corpora import CORPORA, tables
from sergan.corpora.recordings import RATE, Recording, folder, read_audio, sampling_rate
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError

Progress = Callable[[int, int], Any]

_log = logging.getLogger(__name__)
_CHUNK = 4  # clips handed to a process at a time


def groups(names_D: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Places of the features by what they measure: a group for each low-level descriptor with 100 or more
    functionals (in IS10 MFCC, log Mel bands, line spectral pairs), and one for all others (prosody)."""
    kinds = [re.split(r"_sma|\[", name)[0] for name in names_D]
    large = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) >= 100]
    parts = [tuple(i for i, kind in enumerate(kinds) if kind == wanted) for wanted in large]
    parts.append(tuple(i for i, kind in enumerate(kinds) if kind not in large))
    return tuple(part for part in parts if part)


def feature_set(name: str) -> str:
    """openSMILE's own spelling of a feature set's name, given in any case: "is10" -> "IS10".

    Raises:
      UserError: openSMILE has no such set; names the known ones and the nearest.
    """
    import opensmile

    known = {spelling.lower(): spelling for spelling in opensmile.FeatureSet.__members__}
    if name.lower() in known:
        return known[name.lower()]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {known[nearest[0]]}?" if nearest else ""
    raise UserError(
        f"config.features.set: openSMILE has no set {name!r} (only {', '.join(known.values())}){hint}"
    )


def extract(
    recordings: Sequence[Recording],
    set_name: str,
    cache: str | Path,
    workers: int = 0,
    progress: Progress | None = None,
) -> FeatureTable:
    """Functionals of every recording, one row each, in the order given.

    Rows are kept in `cache`/<set>-opensmile-<version>/, in a file for each clip named by the sha256 of the
    audio file; what is there is not extracted again. All other files are checked before the first is
    extracted. `workers` processes work (0: one for each core; 1: none but this one), with the same outcome
    whatever their number; `progress(done, total)` is called after each row.

    Raises:
      UserError: no recordings; a misspelt set; files that `read_audio` refuses, the first five named; a clip
        that openSMILE finds no finite values for; or a table that `tables.check` refuses.
    """
    set_name = feature_set(set_name)
    if not recordings:
        raise UserError("no recordings to extract features from")
    version = metadata.version("opensmile")
    names_D = tuple(_smile(set_name).feature_names)
    place = Path(cache).expanduser() / f"{set_name}-opensmile-{version}"
    files = [place / digest[:2] / f"{digest}.npy" for digest in _digests(recordings)]
    count = Counter(files)  # clips with the same content share a file
    rows = {file: _cached(file, len(names_D)) for file in count}
    paths = {f: recording.path for f, recording in zip(files, recordings, strict=True) if rows[f] is None}
    _check_audio(list(paths.values()))
    done = len(files) - sum(count[file] for file in paths)
    _tell(progress, done, len(files))
    with closing(_rows(list(paths.values()), set_name, workers)) as fresh:
        for (file, path), row_D in zip(paths.items(), fresh, strict=True):
            if not np.isfinite(row_D).all():
                raise UserError(f"{path}: openSMILE's {set_name} gives NaN or infinite values for this clip")
            _keep(file, row_D)
            rows[file] = row_D
            done += count[file]
            _tell(progress, done, len(files))
    table = FeatureTable(
        x_UxD=np.stack([row_D for row_D in map(rows.get, files) if row_D is not None]),
        ids_U=np.array([recording.id for recording in recordings]),
        speakers_U=np.array([recording.speaker for recording in recordings]),
        emotions_U=np.array([recording.emotion for recording in recordings]),
        names_D=names_D,
        extractor=f"{set_name} opensmile {version}",
    )
    tables.check(table, "extracted features")
    return table


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


@remember
def _smile(set_name: str) -> Any:
    """The extractor of a set, one for each process."""
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet[set_name], opensmile.FeatureLevel.Functionals)


def _digests(recordings: Sequence[Recording]) -> list[str]:
    """The sha256 of every file; raises UserError naming the first five that cannot be read."""
    digests, faults = [], []
    for recording in recordings:
        try:
            digests.append(hashlib.sha256(recording.path.read_bytes()).hexdigest())
        except OSError as error:
            faults.append(f"{recording.path}: cannot be read ({error.strerror})")
    _refuse(faults, len(recordings))
    return digests


def _refuse(faults: Sequence[str], total: int) -> None:
    """Raises UserError naming the first five faulty files, if there are any."""
    if not faults:
        return
    head = f"{len(faults)} of {total} audio files cannot be used\n" if len(faults) > 1 else ""
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    raise UserError(head + "; ".join(faults[:5]) + more)


def _cached(file: Path, width: int) -> np.ndarray | None:
    """The kept row; None if there is none or it is damaged."""
    try:
        row_D = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(row_D, np.ndarray) and row_D.shape == (width,) and row_D.dtype == np.float32
    return row_D if whole and np.isfinite(row_D).all() else None


def _keep(file: Path, row_D: np.ndarray) -> None:
    """Writes to a temporary name of this process, then renames."""
    content = io.BytesIO()
    np.save(content, row_D, allow_pickle=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.partial")
    temporary.write_bytes(content.getvalue())
    temporary.replace(file)


def _check_audio(paths: Sequence[Path]) -> None:
    """Reads every file; raises UserError naming the first five faulty ones, warns of other sampling rates."""
    faults: list[str] = []
    others: list[str] = []
    for path in paths:
        try:
            read_audio(path)
            rate = sampling_rate(path)
        except UserError as error:
            faults.append(str(error))
            continue
        if rate != RATE:
            others.append(f"{path}: {rate} Hz")
    _refuse(faults, len(paths))
    if others:
        what = f"{len(others)} of {len(paths)} files are resampled to {RATE} Hz"
        _log.warning("%s (first %s)", what, others[0])


def _rows(paths: Sequence[Path], set_name: str, workers: int) -> Generator[np.ndarray, None, None]:
    """A row for each file, in order; in this process if one is enough."""
    workers = min(workers or os.cpu_count() or 1, -(-len(paths) // _CHUNK))
    if workers <= 1:
        yield from (_row(path, set_name) for path in paths)
        return
    context = multiprocessing.get_context("spawn")  # jax does not survive a fork
    pool = ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        yield from pool.map(_row, paths, [set_name] * len(paths), chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _row(path: Path, set_name: str) -> np.ndarray:
    """Functionals of one file, float32."""
    return _smile(set_name).process_signal(read_audio(path), RATE).to_numpy(np.float32)[0]


def corpus_table(
    name: str,
    root: str,
    table: str,
    set_name: str,
    cache: str | Path,
    workers: int = 0,
    progress: Progress | None = None,
) -> FeatureTable:
    """The labelled corpus: feature table `table`, or the audio in `root`, or the embedded table of `name`.

    Logs how a copy of the corpus differs from the published one.

    Raises:
      UserError: an unknown corpus or set; `root` and `table` both given; no embedded table; faulty input; no
        emotions; fewer than two speakers.
    """
    set_name = feature_set(set_name)
    if root and table:
        raise UserError("config.corpus.root and config.corpus.table are both given; leave one empty")
    if not table and name not in CORPORA:
        raise UserError(f"config.corpus.name: there is no corpus {name!r} (only {', '.join(CORPORA)})")
    if table:
        rows = tables.read(table)
    elif root:
        rows = _from_audio(name, root, set_name, cache, workers, progress)
    else:
        rows = _embedded(name, set_name, "give --config.corpus.root=DIR")
    where = table or root or f"the embedded {name}"
    if not (rows.emotions_U != "").any():
        raise UserError(f"{where}: no row has an emotion; a corpus needs the column emotion")
    speakers = sorted(set(rows.speakers_U.tolist()))
    if len(speakers) < 2:
        raise UserError(
            f"{where}: only one speaker ({speakers[0]}); testing on unseen speakers needs two or more"
        )
    return rows


def _from_audio(
    name: str, root: str, set_name: str, cache: str | Path, workers: int, progress: Progress | None
) -> FeatureTable:
    recordings = CORPORA[name].read(root)
    different = CORPORA[name].differences(recordings)
    if different:
        _log.warning("%s differs from the published %s: %s", root, name, "; ".join(different))
    return extract(recordings, set_name, cache, workers, progress)


def _embedded(name: str, set_name: str, hint: str) -> FeatureTable:
    try:
        return data.load(name, set_name)
    except UserError as error:
        raise UserError(f"{error}; {hint}") from None


def source_table(
    source: str,
    corpus: FeatureTable,
    set_name: str,
    cache: str | Path,
    workers: int = 0,
    progress: Progress | None = None,
) -> FeatureTable:
    """The unlabelled source S: "speech" (embedded), a folder of audio, or a feature table; without emotions.

    A row that is also in `corpus` gets the corpus's speaker, so that folds can leave it out with the speaker.

    Raises:
      UserError: no such source, faulty input, or other features than the corpus's.
    """
    set_name = feature_set(set_name)
    path = Path(source).expanduser()
    if source == "speech":
        rows = _embedded(source, set_name, "give --config.source=DIR, a folder of audio")
    elif path.is_dir():
        rows = extract(folder(path), set_name, cache, workers, progress)
    elif path.suffix.lower() in tables.ENDINGS:
        rows = tables.read(path)
    else:
        raise UserError(
            f"config.source: {source!r} is neither speech nor corpus, nor a folder of audio, nor a feature "
            f"table ({', '.join(tables.ENDINGS)})"
        )
    tables.check_columns(rows, corpus.names_D, f"source {source}")
    if rows.extractor and corpus.extractor and rows.extractor != corpus.extractor:
        _log.warning("source %s is by %s, the corpus by %s", source, rows.extractor, corpus.extractor)
    return _with_corpus_speakers(rows, corpus, source).unlabelled()


def _with_corpus_speakers(rows: FeatureTable, corpus: FeatureTable, source: str) -> FeatureTable:
    speakers = {x_D.tobytes(): str(who) for x_D, who in zip(corpus.x_UxD, corpus.speakers_U, strict=True)}
    known = [speakers.get(x_D.tobytes()) for x_D in rows.x_UxD]
    count = sum(who is not None for who in known)
    if not count:
        return rows
    own_clips = {own for own, who in zip(rows.speakers_U, known, strict=True) if who is not None}
    others = sum(own in own_clips and who is None for own, who in zip(rows.speakers_U, known, strict=True))
    if others:
        raise UserError(
            f"source {source}: {count} of its {len(known)} rows are clips of the corpus, and {others} more "
            "are of the same folders or speakers but cannot be told from the held-out speakers' clips; use "
            "--config.source=corpus for the corpus's own clips, or other speech"
        )
    _log.warning("all clips of %d speakers of source %s are the corpus's own", len(own_clips), source)
    speakers_U = [str(own) if who is None else who for own, who in zip(rows.speakers_U, known, strict=True)]
    return FeatureTable(
        rows.x_UxD, rows.ids_U, np.array(speakers_U), rows.emotions_U, rows.names_D, rows.extractor
    )
