"""Corpora as tensorflow-datasets sets: audio decoded once and read by index, without TensorFlow."""

import csv
import functools
import hashlib
import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
import soxr

from sergan.corpora.recordings import RATE, Recording, check_ids, read_audio, sampling_rate
from sergan.errors import UserError

VERSION = "1.0.0"  # of what an example holds
STOCK = "tfds:"  # starts the name of a set of tensorflow-datasets' own
SHARD = 128 << 20  # bytes of audio in a shard; one shard is in memory while it is written

_log = logging.getLogger(__name__)
_SPLIT = "train"
_LIST = "clips.csv"
_LABELS = ("id", "speaker", "session", "emotion")
_SOURCE = ("start", "end", "bytes", "mtime_ns")  # what of an audio file tells that it has changed
_FULL_SCALE = 32768
_TF_HINT = "pip install -r requirements-tf.txt"


@dataclass(frozen=True)
class Clip:
    """One clip of a set: its labels as in `Recording`, and pcm_T, int16 samples at `RATE`."""

    id: str
    speaker: str
    session: str
    emotion: str
    pcm_T: np.ndarray

    @property
    def x_T(self) -> np.ndarray:
        """Samples as `read_audio` gives them: float32, full scale being -1 to 1."""
        return self.pcm_T.astype(np.float32) / _FULL_SCALE


class Entry(NamedTuple):
    """What is known of a clip without its samples; `sha256` is that of its int16 samples, as hex digits."""

    id: str
    speaker: str
    session: str
    emotion: str
    sha256: str


class Clips(Sequence[Clip]):
    """Clips of a set by index, read when asked for. Small when pickled: each process opens the set itself."""

    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order."""
        raise NotImplementedError

    def _clip(self, index: int) -> Clip:
        raise NotImplementedError

    def __getitem__(self, key: SupportsIndex) -> Clip:  # type: ignore[override]  # no slices: they hold audio
        index, count = key.__index__(), len(self)
        if not -count <= index < count:
            raise IndexError(f"clip {index} of {count}")
        return self._clip(index % count)


def prepare(
    name: str,
    recordings: Sequence[Recording],
    store: str | Path,
    progress: Callable[[int, int], Any] | None = None,
) -> "Prepared":
    """Keeps recordings as the set `name` ("sergan_emodb") in the folder `store`, in the order given.

    Samples are kept as 16 bit at `RATE`: those of 16 bit files at that rate are unchanged, others are
    resampled, rounded, and cut off at full scale. At most a shard (`SHARD`) is in memory at a time.

    A set that is there is left as it is if it was made from the same recordings: the same ids, labels and
    segments in the same order, of files with the same sizes and times of change. Contents are not compared,
    since that would read the whole corpus at each start, nor folders, so that a corpus may be moved. From
    other recordings the set is made anew, and a warning says what differs; the old set stays until the new
    one is whole.

    The set appears by renaming a finished folder. A killed call leaves no set, or the old one, and a hidden
    folder that the next call removes; decoding then starts from the first clip. Two calls for one set wait
    for one another. `progress(done, total)` is called after each recording.

    Raises:
      UserError: no recordings, two with one id, a faulty name, or files that `read_audio` refuses: all are
        tried, the first five named, and no set is made.
    """
    store = Path(store).expanduser()
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise UserError(f"{store}: a set is called like sergan_emodb, in small letters, not {name!r}")
    if not recordings:
        raise UserError(f"{store}: no recordings for the set {name}")
    check_ids(list(recordings), store / name)
    sources = _sources(recordings)
    folder, staging = store / name / VERSION, store / f".{name}.partial"
    if _is_same(folder, sources):
        return _prepared(folder)
    with _alone(store / f".{name}.lock"):
        if _is_same(folder, sources):  # by now: another process has made it
            return _prepared(folder)
        if folder.exists():
            different = _differences(_rows(folder), sources)
            _log.warning("%s was made from other recordings (%s): it is made anew", folder, different)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _replace(folder, _write(name, recordings, sources, staging, progress), staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return _prepared(folder)


def read(store: str | Path, name: str) -> Clips:
    """The set `name` in `store`, opened when its first clip is asked for; "tfds:NAME" is a stock set.

    Raises:
      UserError: no such set, or it is damaged; for a stock set, no TensorFlow or no such set.
    """
    store = Path(store).expanduser()
    if name.startswith(STOCK):
        return stock(name.removeprefix(STOCK), store)
    folder = store / name / VERSION
    if not folder.exists():
        others = ", ".join(sorted(path.parent.parent.name for path in store.glob(f"*/{VERSION}/{_LIST}")))
        raise UserError(f"{store}: no set {name!r} of version {VERSION} (only {others or 'an empty store'})")
    return _prepared(folder)


@dataclass(frozen=True)
class Prepared(Clips):
    """A set that `prepare` made, as it was at `made`, in ns."""

    folder: Path
    made: int

    def __len__(self) -> int:
        return len(_source(self))

    def _clip(self, index: int) -> Clip:
        try:
            example = _source(self)[index]
        except (RuntimeError, ValueError, OSError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{self.folder}: damaged, remove it and prepare it again ({error})") from error
        name, speaker, session, emotion = (example[key].decode() for key in _LABELS)
        return Clip(name, speaker, session, emotion, example["waveform"])

    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order, from a list beside the shards."""
        return [Entry(*(row[key] for key in Entry._fields)) for row in _rows(self.folder)]


def _prepared(folder: Path) -> Prepared:
    try:
        return Prepared(folder, (folder / _LIST).stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{folder}: damaged, it has no {_LIST}; remove it and prepare it again") from error


def _source(clips: Prepared) -> Any:
    """The open data source of a set that is still the same."""
    if _prepared(clips.folder) != clips:
        raise UserError(f"{clips.folder} was made anew while it was in use; start again")
    return _open(clips)


@functools.lru_cache(maxsize=4)
def _open(clips: Prepared) -> Any:
    """The data source of a set, one for each process; it opens a shard when a clip of it is asked for."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(clips.folder).as_data_source(_SPLIT)


def refuse(faults: Sequence[str], total: int) -> None:
    """Raises UserError naming the first five faulty files, if there are any."""
    if not faults:
        return
    head = f"{len(faults)} of {total} audio files cannot be used\n" if len(faults) > 1 else ""
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    raise UserError(head + "; ".join(faults[:5]) + more)


def _sources(recordings: Sequence[Recording]) -> list[dict[str, str]]:
    """A row of the list for each recording, but for the digest."""
    stats: dict[Path, os.stat_result] = {}
    faults = []
    for path in dict.fromkeys(recording.path for recording in recordings):
        try:
            stats[path] = path.stat()
        except OSError as error:
            faults.append(f"{path}: cannot be read ({error.strerror})")
    refuse(faults, len(recordings))
    return [_source_row(recording, stats[recording.path]) for recording in recordings]


def _source_row(recording: Recording, stat: os.stat_result) -> dict[str, str]:
    labels = {key: getattr(recording, key) for key in _LABELS}
    end = "" if recording.end is None else repr(float(recording.end))
    values = (repr(float(recording.start)), end, str(stat.st_size), str(stat.st_mtime_ns))
    return labels | dict(zip(_SOURCE, values, strict=True))


def _rows(folder: Path) -> list[dict[str, str]]:
    """The list of a set."""
    path = folder / _LIST
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove {folder} and prepare it again") from error
    if not rows or any(row.keys() != {*_LABELS, *_SOURCE, "sha256"} for row in rows):
        raise UserError(f"{path}: not the list of a set; remove {folder} and prepare it again")
    return rows


def _write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _is_same(folder: Path, sources: list[dict[str, str]]) -> bool:
    return folder.exists() and not _differences(_rows(folder), sources)


def _differences(have: list[dict[str, str]], want: list[dict[str, str]]) -> str:
    """How the recordings of a set differ from others, in words; '' if they do not."""
    old, new = ({row["id"]: row for row in rows} for rows in (have, want))
    both = [(old[name], row) for name, row in new.items() if name in old]
    changed = sum(any(a[key] != b[key] for key in _SOURCE) for a, b in both)
    counts = {
        "added": len(new) - len(both),
        "removed": len(old) - len(both),
        "with another file or segment": changed,
        "with other labels": sum(any(a[key] != b[key] for key in _LABELS) for a, b in both),
    }
    lines = [f"{count} {what}" for what, count in counts.items() if count]
    if not lines and list(old) != list(new):
        return "in another order"
    return ", ".join(lines)


@contextmanager
def _alone(path: Path) -> Generator[None, None, None]:
    """Waits until no other process is in here; one that is killed leaves by itself."""
    import fcntl  # not on Windows, where features are extracted without a store

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written to ({error.strerror})") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(folder: Path, made: Path, staging: Path) -> None:
    """Renames a finished set to its place; the one that is there goes to `staging`, to be removed."""
    folder.parent.mkdir(exist_ok=True)
    if folder.exists():
        folder.rename(staging / "old")
    made.rename(folder)


def _write(
    name: str,
    recordings: Sequence[Recording],
    sources: Sequence[dict[str, str]],
    staging: Path,
    progress: Callable[[int, int], Any] | None,
) -> Path:
    """Makes the whole set in `staging`; returns its folder."""
    import tensorflow_datasets as tfds

    work = _Work(recordings, progress)
    shards = [functools.partial(work.examples, part) for part in _shards(recordings, sources)]
    builder = _builder()(name, staging, shards)
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_config=settings, file_format="array_record")
    except OSError as error:
        raise UserError(f"{staging.parent}: cannot be written to ({error})") from error
    for what, names in (("resampled to 16000 Hz", work.resampled), ("cut off at full scale", work.cut)):
        if names:
            _log.warning("%d of %d clips are %s (first %s)", len(names), len(recordings), what, names[0])
    folder = Path(builder.data_dir)
    digests = zip(sources, work.digests, strict=True)
    _write_rows(folder / _LIST, [row | {"sha256": digest} for row, digest in digests])
    return folder


def _shards(recordings: Sequence[Recording], sources: Sequence[dict[str, str]]) -> list[range]:
    """Indices of the clips of each shard; a clip's size is its file's, or its segment's."""
    starts, size = [0], 0
    for index, (recording, row) in enumerate(zip(recordings, sources, strict=True)):
        own = int(row["bytes"])
        if recording.end is not None:
            own = int(2 * RATE * (recording.end - recording.start))
        if size and size + own > SHARD:
            starts.append(index)
            size = 0
        size += own
    return [range(*ends) for ends in zip(starts, [*starts[1:], len(recordings)], strict=True)]


@dataclass
class _Work:
    """The decoding of recordings, clip after clip, and what was met on the way."""

    recordings: Sequence[Recording]
    progress: Callable[[int, int], Any] | None
    digests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    resampled: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    done: int = 0

    def examples(self, part: range) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples of a shard with their keys; after the first fault files are only tried."""
        for index in part:
            example = self._example(self.recordings[index])
            if example and not self.faults:
                yield index, example
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, len(self.recordings))
        if self.done == len(self.recordings):
            refuse(self.faults, len(self.recordings))

    def _example(self, recording: Recording) -> dict[str, Any] | None:
        try:
            x_T = read_audio(recording.path, start=recording.start, end=recording.end)
            rate = sampling_rate(recording.path)
        except UserError as error:
            self.faults.append(str(error))
            return None
        if rate != RATE:
            self.resampled.append(f"{recording.path}: {rate} Hz")
        if np.abs(x_T).max() > 1:
            self.cut.append(str(recording.path))
        pcm_T = _pcm(x_T)
        self.digests.append(_digest(pcm_T))
        return {key: getattr(recording, key) for key in _LABELS} | {"waveform": pcm_T}


def _pcm(x_T: np.ndarray) -> np.ndarray:
    """Samples as int16; those beyond full scale are cut off."""
    return np.clip(np.rint(x_T * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _digest(pcm_T: np.ndarray) -> str:
    return hashlib.sha256(pcm_T.astype("<i2").tobytes()).hexdigest()


@functools.cache
def _builder() -> Any:
    """The class that writes a set of any name: `_builder()(name, folder, shards)`.

    The usual GeneratorBasedBuilder holds up to 1 GB in memory and then asks TensorFlow for files; this one
    writes shard after shard, in order.
    """
    import tensorflow_datasets as tfds

    class Builder(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        """Clips of speech: samples as bytes, which are read seven times as fast as lists of numbers."""

        VERSION = tfds.core.Version(VERSION)

        def __init__(self, name: str, folder: Path, shards: Sequence[Callable[[], Iterator]]):
            self.name = name
            self._shards = shards
            super().__init__(data_dir=folder)

        def _info(self) -> Any:
            features = {key: tfds.features.Text() for key in _LABELS}
            wave = tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes")
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"Clips of speech, 16 bit at {RATE} Hz, in the order of the corpus.",
                features=tfds.features.FeaturesDict({"waveform": wave, **features}),
                disable_shuffling=True,
            )

        def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, Sequence[Callable]]:
            return {_SPLIT: self._shards}

        def _log_download_bytes(self) -> None:
            """Prints nothing: there is nothing to download."""

        def _log_download_done(self) -> None:
            """Prints nothing."""

    return Builder


def stock(name: str, store: str | Path) -> "Stock":
    """A set of tensorflow-datasets' own ("crema_d", "tedlium/release2"), downloaded and prepared in `store`
    if it is not there; this needs TensorFlow.

    Raises:
      UserError: TensorFlow or another package is missing (says what to install); no such set; a set without
        mono audio of 16 bit at a stated rate; one that is in `store` in another format.
    """
    clips = Stock(name, Path(store).expanduser())
    _opened(clips)
    return clips


@dataclass(frozen=True)
class Stock(Clips):
    """Clips of a stock set, all its splits one after the other.

    Ids are "<set>/<id>", or "<set>/<split>-000000" in a set without ids; speakers "<set>/<speaker>" from
    `speaker_id` or `speaker`, emotions the names of `label`, whatever it is of; '' where a set has none, so
    that rows without a speaker cannot become a feature table. Sessions are ''. Nothing tests for silence.
    """

    name: str
    store: Path

    def __len__(self) -> int:
        return sum(len(source) for _, source in _opened(self).splits)

    def _clip(self, index: int) -> Clip:
        opened = _opened(self)
        for split, source in opened.splits:
            if index < len(source):
                return _stock_clip(self.name, f"{split}-{index:06d}", opened.features, source[index])
            index -= len(source)
        raise IndexError(index)

    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order; this reads the whole set."""
        return [Entry(c.id, c.speaker, c.session, c.emotion, _digest(c.pcm_T)) for c in self]


class _Opened(NamedTuple):
    """A stock set as tensorflow-datasets gives it: its features, and a data source for each split."""

    features: Any
    splits: list[tuple[str, Any]]


@functools.lru_cache(maxsize=4)
def _opened(clips: Stock) -> _Opened:
    """A stock set, prepared if it is not; one for each process."""
    name = f"{STOCK}{clips.name}"
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(f"{name}: the stock sets need TensorFlow; {_TF_HINT}")
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(clips.name, data_dir=clips.store)
        builder.download_and_prepare(file_format="array_record")
        sources = builder.as_data_source()
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(f"{name}: tensorflow-datasets has no such set") from error
    except ImportError as error:
        raise UserError(f"{name}: needs the package {error.name}; {_TF_HINT} (read the file)") from error
    except NotImplementedError as error:
        raise UserError(
            f"{name}: prepared in {clips.store} in another format than array_record; give another store"
        ) from error
    return _Opened(builder.info.features, list(sources.items()))


def _stock_clip(name: str, place: str, features: Any, example: dict[str, Any]) -> Clip:
    base = re.split("[/:]", name)[0]
    speaker = _word(("speaker_id", "speaker"), features, example)
    return Clip(
        id=f"{base}/{_word(('id',), features, example) or place}",
        speaker=f"{base}/{speaker}" if speaker else "",
        session="",
        emotion=_word(("label",), features, example),
        pcm_T=_stock_audio(f"{STOCK}{name}", features, example),
    )


def _word(keys: Sequence[str], features: Any, example: dict[str, Any]) -> str:
    """The value of the first of the keys that is there, as text; '' if none is."""
    key = next((key for key in keys if key in example), None)
    if key is None:
        return ""
    value = example[key]
    if hasattr(features[key], "int2str"):
        return str(features[key].int2str(int(value)))
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def _stock_audio(name: str, features: Any, example: dict[str, Any]) -> np.ndarray:
    """int16 samples at `RATE` of the first audio feature."""
    key = next((key for key in example if hasattr(features[key], "sample_rate")), None)
    if key is None:
        raise UserError(f"{name}: has no audio (only {', '.join(example)})")
    rate, values = features[key].sample_rate, np.asarray(example[key])
    if not rate:
        raise UserError(f"{name}: does not say at what rate its audio is")
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise UserError(f"{name}: {key} is {values.dtype} of shape {values.shape}, not mono audio of 16 bit")
    if not np.array_equal(values, values.astype(np.int16)):
        raise UserError(f"{name}: {key} has values up to {values.max()}, which is no audio of 16 bit")
    if rate == RATE:
        return values.astype(np.int16)
    return _pcm(soxr.resample(values.astype(np.float32) / _FULL_SCALE, rate, RATE))
