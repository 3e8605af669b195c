"""The list of a set: a row for each clip with its labels, where it came from, and its digest."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from sergan.corpora.decoding import refuse
from sergan.corpora.prepared.clips import LABELS
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

NAME = "clips.csv"
_SOURCE = ("start", "end", "bytes", "mtime_ns")  # what of an audio file tells that it has changed


def sources(recordings: Sequence[Recording]) -> list[dict[str, str]]:
    """A row of the list for each recording, but for the digest.

    Raises:
      UserError: files that are not there, the first five named.
    """
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
    labels = {key: getattr(recording, key) for key in LABELS}
    end = "" if recording.end is None else repr(float(recording.end))
    values = (repr(float(recording.start)), end, str(stat.st_size), str(stat.st_mtime_ns))
    return labels | dict(zip(_SOURCE, values, strict=True))


def read(folder: Path) -> list[dict[str, str]]:
    """The list of the set in `folder`.

    Raises:
      UserError: it cannot be read, or it is no list of a set.
    """
    path = folder / NAME
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove {folder} and prepare it again") from error
    if not rows or any(row.keys() != {*LABELS, *_SOURCE, "sha256"} for row in rows):
        raise UserError(f"{path}: not the list of a set; remove {folder} and prepare it again")
    return rows


def write(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    """Writes the list of the set in `folder`."""
    with (folder / NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def differences(have: list[dict[str, str]], want: list[dict[str, str]]) -> str:
    """How the recordings of a set differ from others, in words; '' if they do not."""
    old, new = ({row["id"]: row for row in rows} for rows in (have, want))
    both = [(old[name], row) for name, row in new.items() if name in old]
    changed = sum(any(a[key] != b[key] for key in _SOURCE) for a, b in both)
    counts = {
        "added": len(new) - len(both),
        "removed": len(old) - len(both),
        "with another file or segment": changed,
        "with other labels": sum(any(a[key] != b[key] for key in LABELS) for a, b in both),
    }
    lines = [f"{count} {what}" for what, count in counts.items() if count]
    if not lines and list(old) != list(new):
        return "in another order"
    return ", ".join(lines)
