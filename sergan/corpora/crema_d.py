"""CREMA-D (Cao et al., IEEE TAC 2014) as distributed: 7442 clips, 91 actors, 6 emotions."""

import re
from pathlib import Path

from sergan.corpora import published
from sergan.corpora.recordings import Recording, folder_in, log_left_out, named

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
FOLDERS = ("audiowav",)
SILENT = "crema_d/1076_MTI_SAD_XX"
PER_EMOTION = {  # without the silent clip
    "anger": 1271,
    "disgust": 1271,
    "fear": 1271,
    "happiness": 1271,
    "neutral": 1087,
    "sadness": 1270,
}
SPEAKERS = tuple(str(actor) for actor in range(1001, 1092))

# actor, sentence, emotion, level; the published 1040_ITH_SAD_X has one letter too few
_NAME = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_(LO|MD|HI|XX?)", re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Recordings of a copy of CREMA-D, sorted by id.

    `root` holds `AudioWAV/` or the files themselves; wav or flac. The emotion is the one that the actor was
    asked for. The silent clip 1076_MTI_SAD_XX is left out, which the log says.

    Raises:
      UserError: no such folder, no audio in it, names that are not CREMA-D's, or a clip that is there twice.
    """
    place = folder_in(Path(root).expanduser(), FOLDERS)
    recordings = named(place, _recording, "CREMA-D", "1001_DFA_ANG_XX.wav")
    log_left_out(place, "silent clips", [recording.id for recording in recordings if recording.id == SILENT])
    return [recording for recording in recordings if recording.id != SILENT]


def _recording(path: Path) -> Recording | None:
    match = _NAME.fullmatch(path.stem)
    if match is None or match[2] not in EMOTIONS:
        return None
    return Recording(f"crema_d/{path.stem}", path, f"crema_d/{match[1]}", EMOTIONS[match[2]])


def text(clip: str) -> str:
    """The code of the sentence that a clip speaks: "crema_d/1001_DFA_ANG_XX" -> "DFA"."""
    return clip.rpartition("/")[2].split("_")[1]


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published corpus, one line for each kind; none if it does not.

    The silent clip, which `read` leaves out, is not counted.
    """
    lines = published.total(len(recordings), sum(PER_EMOTION.values()))
    lines += published.counts("emotion", (recording.emotion for recording in recordings), PER_EMOTION)
    speakers = (recording.speaker.removeprefix("crema_d/") for recording in recordings)
    return lines + published.names("speakers", speakers, SPEAKERS)
