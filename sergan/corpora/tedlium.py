"""TED-LIUM (Rousseau et al., LREC 2014) as distributed: unlabelled segments of talks."""

import math
import re
from dataclasses import replace
from pathlib import Path

from sergan.corpora import published
from sergan.corpora.audio import ROUNDING, seconds
from sergan.corpora.recordings import Recording, check_folder, log_left_out, read_text
from sergan.errors import UserError

SPLITS = ("train", "dev", "test")
FOLDERS = "TEDLIUM_release*"  # TEDLIUM_release1, TEDLIUM_release2, TEDLIUM_release-3
SEGMENTS = {"train": 92973, "dev": 507}  # of release 2; of test, both 1155 and 1157 are reported
TALKS = {"train": 1495, "dev": 8, "test": 11}  # of release 2
IGNORED = "ignore_time_segment_in_scoring"

_TIME = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Segments of the talks of a copy of TED-LIUM (release 1, 2 or 3), unlabelled, sorted by id.

    `root` holds `train/`, `dev/` and `test/`, or some of them, with `stm/` and `sph/` in each; or it is the
    parent of one release; release 3 has them in `legacy/`. A speaker is a talk. Ids have the times in
    centiseconds: "tedlium/train/AlGore_2009/000800-001250". Segments that end after their file are left out,
    as are files without an stm; the log counts both.

    Raises:
      UserError: no talks, several releases, a line that cannot be read, or talks whose audio is missing or
        cannot be read.
    """
    place = _place(Path(root).expanduser())
    found: list[Recording] = []
    late: list[str] = []
    faults: list[str] = []
    stms = [(split, stm) for split in SPLITS for stm in _files(place / split, "stm")]
    for split, stm in stms:
        segments = parse(read_text(stm), stm)
        path = stm.parents[1] / "sph" / f"{stm.stem}.sph"
        try:
            length = seconds(path)
        except UserError as error:
            faults.append(str(error))
            continue
        for start, end in segments:
            recording = _recording(split, path, start, end)
            if end > length + ROUNDING:
                late.append(recording.id)
            else:
                found.append(replace(recording, end=min(end, length)))
    if faults:
        raise UserError(
            f"{place}: the audio of {len(faults)} of {len(stms)} talks cannot be used; unpack it, or remove "
            f"their stm files\n{'; '.join(faults[:5])}"
        )
    log_left_out(place, "segments that end after their file", late)
    log_left_out(place, "audio files without an stm", _without_stm(place, stms))
    return sorted(found, key=lambda recording: recording.id)


def _place(root: Path) -> Path:
    """The folder of the splits."""
    check_folder(root)
    releases = [root, *sorted(root.glob(FOLDERS))]
    places = [place for release in releases for place in (release, release / "legacy")]
    found = [place for place in places if any(_files(place / split, "stm") for split in SPLITS)]
    if not found:
        raise UserError(
            f"{root}: no stm files in train/stm, dev/stm or test/stm, neither here nor in {FOLDERS}; give "
            "the folder of TED-LIUM as distributed"
        )
    if len(found) > 1:
        names = ", ".join(place.relative_to(root).as_posix() for place in found)
        raise UserError(f"{root}: {len(found)} releases ({names}); give the folder of one")
    return found[0]


def _files(split: Path, kind: str) -> list[Path]:
    """The files of a split's talks, of the kind "stm" or "sph"."""
    paths = sorted((split / kind).glob(f"*.{kind}"))
    return [path for path in paths if not path.name.startswith(".")]


def _without_stm(place: Path, stms: list[tuple[str, Path]]) -> list[str]:
    known = {(split, stm.stem) for split, stm in stms}
    return [
        f"{split}/{path.stem}"
        for split in SPLITS
        for path in _files(place / split, "sph")
        if (split, path.stem) not in known
    ]


def parse(text: str, where: object) -> list[tuple[float, float]]:
    """(start, end) in seconds of every segment of a talk, in the order of its stm file; without gaps.

    Raises:
      UserError: a line that is no segment, bad times, or a segment that is there twice; names `where` and the
        line.
    """
    segments: list[tuple[float, float]] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith(";;"):
            continue
        place = f"{where}, line {number}"
        fields = line.split(None, 6)  # file, channel, speaker, start, end, label, text
        if len(fields) < 6:
            raise UserError(f"{place}: {len(fields)} fields instead of 6 and a text: {line[:80]!r}")
        if IGNORED in line:
            continue
        start, end = _seconds(fields[3]), _seconds(fields[4])
        if not 0 <= start < end < math.inf:
            raise UserError(
                f"{place}: bad times {fields[3][:20]!r} to {fields[4][:20]!r}; a segment starts at 0 s or "
                "later and ends after its start"
            )
        if lines.setdefault(_span(start, end), number) != number:
            raise UserError(f"{place}: the segment of line {lines[_span(start, end)]} again; remove one line")
        segments.append((start, end))
    return segments


def _seconds(field: str) -> float:
    """The number in a field; NaN if there is none."""
    return float(field) if _TIME.fullmatch(field) else math.nan


def _span(start: float, end: float) -> str:
    """Times in centiseconds, so that sorting by name sorts by time."""
    return f"{100 * start:06.0f}-{100 * end:06.0f}"


def _recording(split: str, path: Path, start: float, end: float) -> Recording:
    return Recording(
        id=f"tedlium/{split}/{path.stem}/{_span(start, end)}",
        path=path,
        speaker=f"tedlium/{path.stem}",
        start=start,
        end=end,
    )


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published release 2, one line for each kind; none if it does not.

    The segments of `test` are not compared.
    """
    splits = [recording.id.split("/")[1] for recording in recordings]
    lines = published.counts("split", (split for split in splits if split in SEGMENTS), SEGMENTS, "segments")
    talks = {(split, recording.speaker) for split, recording in zip(splits, recordings, strict=True)}
    return lines + published.counts("split", (split for split, _ in talks), TALKS, "talks")
