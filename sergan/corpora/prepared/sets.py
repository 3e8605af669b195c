"""A set that was prepared: its folder, opened in each process when the first clip is asked for."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sergan.corpora.prepared import listing
from sergan.corpora.prepared.clips import LABELS, Clip, Clips, Entry
from sergan.errors import UserError

VERSION = "1.0.0"  # of what an example holds
SPLIT = "train"


@dataclass(frozen=True)
class Prepared(Clips):
    """A set that `store.prepare` made, as it was at `made`, in ns."""

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
        name, speaker, session, emotion = (example[key].decode() for key in LABELS)
        return Clip(name, speaker, session, emotion, example["waveform"])

    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order, from a list beside the shards."""
        rows = (row for row in listing.read(self.folder) if row["sha256"])
        return [Entry(*(row[key] for key in Entry._fields)) for row in rows]


def prepared(folder: Path) -> Prepared:
    """The set in `folder`; raises UserError if it has no list."""
    try:
        return Prepared(folder, (folder / listing.NAME).stat().st_mtime_ns)
    except OSError as error:
        raise UserError(
            f"{folder}: damaged, it has no {listing.NAME}; remove it and prepare it again"
        ) from error


def _source(clips: Prepared) -> Any:
    """The open data source of a set that is still the same."""
    if prepared(clips.folder) != clips:
        raise UserError(f"{clips.folder} was made anew while it was in use; start again")
    return _open(clips)


@functools.lru_cache(maxsize=4)
def _open(clips: Prepared) -> Any:
    """The data source of a set, one for each process; it opens a shard when a clip of it is asked for."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(clips.folder).as_data_source(SPLIT)
