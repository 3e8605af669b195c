"""RAVDESS (Livingstone and Russo, PLoS ONE 2018) as distributed: 1440 spoken clips, 24 actors, 8 emotions."""

import re
from pathlib import Path

from sergan.corpora import published
from sergan.corpora.recordings import Recording, log_left_out, named

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
PER_EMOTION = {emotion: 96 if emotion == "neutral" else 192 for emotion in EMOTIONS.values()}
PER_SPEAKER = {f"{actor:02}": 60 for actor in range(1, 25)}

# modality (03: audio only), channel (01: speech, 02: song), emotion, intensity, statement, repetition, actor
_NAME = re.compile(r"03-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)", re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Recordings of the spoken clips of a copy of RAVDESS, sorted by id.

    `root` holds folders like `Actor_01/`, at any depth, or the files themselves; wav or flac, 48 kHz as
    distributed. Songs are left out and counted in the log.

    Raises:
      UserError: no such folder, no audio in it, names that are not RAVDESS's, or a clip that is there twice.
    """
    place = Path(root).expanduser()
    recordings = named(place, _recording, "RAVDESS", "03-01-05-01-02-01-01.wav", recursive=True)
    songs = {recording.id for recording in recordings if _field(recording.id, 1) == "02"}
    log_left_out(place, "songs", sorted(songs))
    return [recording for recording in recordings if recording.id not in songs]


def _recording(path: Path) -> Recording | None:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    return Recording(f"ravdess/{path.stem}", path, f"ravdess/{match[6]}", EMOTIONS[match[2]])


def _field(clip: str, place: int) -> str:
    """One of the seven numbers of a clip's name, as it is written there."""
    return clip.rpartition("/")[2].split("-")[place]


def text(clip: str) -> str:
    """The number of the statement that a clip speaks: "ravdess/03-01-05-01-02-01-01" -> "02"."""
    return _field(clip, 4)


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published corpus, one line for each kind; none if it does not."""
    lines = published.total(len(recordings), sum(PER_EMOTION.values()))
    lines += published.counts("emotion", (recording.emotion for recording in recordings), PER_EMOTION)
    speakers = (recording.speaker.removeprefix("ravdess/") for recording in recordings)
    return lines + published.counts("speaker", speakers, PER_SPEAKER)
