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
        source = _source(self)
        try:
            example = source[index]
        except (RuntimeError, ValueError, OSError) as error:
            raise _damaged(self.folder, str(error)) from error
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
        raise _damaged(folder, f"it has no {listing.NAME}") from error


def _source(clips: Prepared) -> Any:
    """The open data source of a set that is still the same."""
    if prepared(clips.folder) != clips:
        raise UserError(f"{clips.folder} was made anew while it was in use; start again")
    return _open(clips)


@functools.lru_cache(maxsize=4)
def _open(clips: Prepared) -> Any:
    """The data source of a set, one for each process; it opens a shard when a clip of it is asked for."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(clips.folder).as_data_source(SPLIT)
    except Exception as error:  # of protobuf, json, tfds: whatever a damaged description leads to
        raise _damaged(clips.folder, str(error)) from error


def _damaged(folder: Path, why: str) -> UserError:
    """What to raise for a set that is not as it was made."""
    return UserError(f"{folder}: damaged, remove it and prepare it again ({why})")
