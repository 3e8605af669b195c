"""Writing a set: audio decoded clip after clip into shards, without TensorFlow."""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sergan.corpora.audio import RATE
from sergan.corpora.decoding import Decoding
from sergan.corpora.prepared import listing
from sergan.corpora.prepared.clips import LABELS, as_pcm, digest
from sergan.corpora.prepared.sets import SPLIT, VERSION
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

SHARD = 128 << 20  # bytes of audio in a shard; one shard is in memory while it is written

_log = logging.getLogger(__name__)


def write(
    name: str,
    recordings: Sequence[Recording],
    sources: Sequence[dict[str, str]],
    staging: Path,
    progress: Callable[[int, int], Any] | None,
    skip: bool = False,
) -> Path:
    """Makes the whole set in `staging` and returns its folder; `sources` are the rows of its list.

    With `skip` a faulty clip is left out; in the list it has no digest.

    Raises:
      UserError: files that `read_audio` refuses, or a folder that cannot be written to.
    """
    import tensorflow_datasets as tfds

    work = _Work(recordings, progress, skip)
    shards = [functools.partial(work.examples, part) for part in _shards(recordings, sources)]
    builder = _builder()(name, staging, shards)
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_config=settings, file_format="array_record")
    except OSError as error:
        raise UserError(f"{staging.parent}: cannot be written to ({error})") from error
    if work.cut:
        what = f"{len(work.cut)} of {len(recordings)} clips are cut off at full scale"
        _log.warning("%s (first %s)", what, work.cut[0])
    folder = Path(builder.data_dir)
    rows = zip(sources, work.digests, strict=True)
    listing.write(folder, [row | {"sha256": sha256} for row, sha256 in rows])
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
    skip: bool
    decoding: Decoding = field(default_factory=Decoding)
    digests: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    done: int = 0

    def examples(self, part: range) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples of a shard with their keys; after a fault that is not skipped files are only tried."""
        for index in part:
            example = self._example(self.recordings[index])
            if example and (self.skip or not self.decoding.faults):
                yield index, example
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, len(self.recordings))
        if self.done == len(self.recordings):
            self.decoding.end(len(self.recordings), self.skip)

    def _example(self, recording: Recording) -> dict[str, Any] | None:
        x_T = self.decoding.read(recording)
        if x_T is None:
            self.digests.append("")
            return None
        if np.abs(x_T).max() > 1:
            self.cut.append(str(recording.path))
        pcm_T = as_pcm(x_T)
        self.digests.append(digest(pcm_T))
        return {key: getattr(recording, key) for key in LABELS} | {"waveform": pcm_T}


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
            features = {key: tfds.features.Text() for key in LABELS}
            wave = tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes")
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"Clips of speech, 16 bit at {RATE} Hz, in the order of the corpus.",
                features=tfds.features.FeaturesDict({"waveform": wave, **features}),
                disable_shuffling=True,
            )

        def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, Sequence[Callable]]:
            return {SPLIT: self._shards}

        def _log_download_bytes(self) -> None:
            """Prints nothing: there is nothing to download."""

        def _log_download_done(self) -> None:
            """Prints nothing."""

    return Builder
