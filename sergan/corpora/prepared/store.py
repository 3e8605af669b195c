"""The store: a folder of sets by name, each made once, whole or not at all."""

import logging
import re
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sergan.corpora.prepared import listing, stock
from sergan.corpora.prepared.builder import write
from sergan.corpora.prepared.clips import Clips
from sergan.corpora.prepared.sets import VERSION, Prepared, prepared
from sergan.corpora.recordings import Recording, check_ids
from sergan.errors import UserError

_log = logging.getLogger(__name__)


def prepare(
    name: str,
    recordings: Sequence[Recording],
    store: str | Path,
    progress: Callable[[int, int], Any] | None = None,
    skip: bool = False,
) -> Prepared:
    """Keeps recordings as the set `name` ("sergan_emodb") in the folder `store`, in the order given.

    Samples are kept as 16 bit at `RATE`: those of 16 bit files at that rate are unchanged, others are
    resampled, rounded, and cut off at full scale. At most a shard (`builder.SHARD`) is in memory at a time.

    A set that is there is left as it is if it was made from the same recordings: the same ids, labels and
    segments in the same order, of files with the same sizes and times of change. Contents are not compared,
    since that would read the whole corpus at each start, nor folders, so that a corpus may be moved. From
    other recordings the set is made anew, and a warning says what differs; the old set stays until the new
    one is whole.

    The set appears by renaming a finished folder. A killed call leaves no set, or the old one, and a hidden
    folder that the next call removes; decoding then starts from the first clip. Two calls for one set wait
    for one another. `progress(done, total)` is called after each recording. With `skip` recordings that
    `read_audio` refuses are left out of the set, which its list remembers.

    Raises:
      UserError: no recordings, two with one id, a faulty name, or files that `read_audio` refuses (with
        `skip`, where no other is left): all are tried, the first five named, and no set is made.
    """
    store = Path(store).expanduser()
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise UserError(f"{store}: a set is called like sergan_emodb, in small letters, not {name!r}")
    if not recordings:
        raise UserError(f"{store}: no recordings for the set {name}")
    check_ids(list(recordings), store / name)
    sources = listing.sources(recordings)
    folder, staging = store / name / VERSION, store / f".{name}.partial"
    if _is_same(folder, sources):
        return _there(folder)
    with _alone(store / f".{name}.lock"):
        if _is_same(folder, sources):  # by now: another process has made it
            return _there(folder)
        if folder.exists():
            different = listing.differences(listing.read(folder), sources)
            _log.warning("%s was made from other recordings (%s): it is made anew", folder, different)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _replace(folder, write(name, recordings, sources, staging, progress, skip), staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return prepared(folder)


def read(store: str | Path, name: str) -> Clips:
    """The set `name` in `store`, opened when its first clip is asked for; "tfds:NAME" is a stock set.

    Raises:
      UserError: no such set, or it is damaged; for a stock set, no TensorFlow or no such set.
    """
    store = Path(store).expanduser()
    if name.startswith(stock.PREFIX):
        return stock.opened(name, store)
    folder = store / name / VERSION
    if not folder.exists():
        others = ", ".join(
            sorted(path.parent.parent.name for path in store.glob(f"*/{VERSION}/{listing.NAME}"))
        )
        raise UserError(f"{store}: no set {name!r} of version {VERSION} (only {others or 'an empty store'})")
    return prepared(folder)


def _there(folder: Path) -> Prepared:
    """A set that was made before; logs how many clips it had to leave out then."""
    lost = [row["id"] for row in listing.read(folder) if not row["sha256"]]
    if lost:
        what = f"{len(lost)} clips could not be used when it was made"
        _log.warning(
            "%s: %s, and are left out (first %s); remove it to try them again", folder, what, lost[0]
        )
    return prepared(folder)


def _is_same(folder: Path, sources: list[dict[str, str]]) -> bool:
    return folder.exists() and not listing.differences(listing.read(folder), sources)


@contextmanager
def _alone(path: Path) -> Generator[None, None, None]:
    """Waits until no other process is in here; one that is killed leaves by itself."""
    import fcntl  # not on Windows, where features are extracted without a store

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written to or locked ({error.strerror})") from error
    with file:
        yield


def _replace(folder: Path, made: Path, staging: Path) -> None:
    """Renames a finished set to its place; the one that is there goes to `staging`, to be removed."""
    folder.parent.mkdir(exist_ok=True)
    if folder.exists():
        folder.rename(staging / "old")
    made.rename(folder)
