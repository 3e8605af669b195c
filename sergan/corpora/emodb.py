"""EMO-DB (Burkhardt et al., Interspeech 2005) as distributed: 535 files, 10 speakers, 7 emotions."""

import re
from collections import Counter
from pathlib import Path

import soundfile

from sergan.corpora import published
from sergan.corpora.audio import RATE
from sergan.corpora.recordings import Recording, folder_in, named

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
FOLDERS = ("wav", "wav_corpus")
PER_EMOTION = {
    "anger": 127,
    "boredom": 81,
    "neutral": 79,
    "happiness": 71,
    "fear": 69,
    "sadness": 62,
    "disgust": 46,
}
PER_SPEAKER = {
    "03": 49,
    "08": 58,
    "09": 43,
    "10": 38,
    "11": 55,
    "12": 35,
    "13": 61,
    "14": 69,
    "15": 56,
    "16": 71,
}
MEAN_SECONDS, LONGEST_SECONDS, TOTAL_MINUTES = 2.78, 8.98, 24.8

# speaker, sentence, emotion, version
_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])", re.IGNORECASE | re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Recordings of a copy of EMO-DB, sorted by id.

    `root` holds `wav/` or `wav_corpus/`, or the files themselves; wav or flac; names in any case.

    Raises:
      UserError: no such folder, no audio in it, names that are not EMO-DB's, or a clip that is there twice.
    """
    place = folder_in(Path(root).expanduser(), FOLDERS)
    return named(place, _recording, "EMO-DB", "03a01Fa.wav")


def _recording(path: Path) -> Recording | None:
    match = _NAME.fullmatch(path.stem)
    if match is None or match[3].upper() not in EMOTIONS:
        return None
    speaker, sentence, letter, version = match.groups()
    letter = letter.upper()
    name = f"{speaker}{sentence.lower()}{letter}{version.lower()}"
    return Recording(f"emodb/{name}", path, f"emodb/{speaker}", EMOTIONS[letter])


def text(clip: str) -> str:
    """The code of the sentence that a clip speaks, "a01" to "b10": "emodb/03a01Fa" -> "a01"."""
    return clip.rpartition("/")[2][2:5]


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published corpus, one line for each kind; none if it does not.

    Reads the headers only; files that are not audio are left out of the lengths.
    """
    lines = published.total(len(recordings), sum(PER_EMOTION.values()))
    lines += published.counts("emotion", (recording.emotion for recording in recordings), PER_EMOTION)
    speakers = (recording.speaker.removeprefix("emodb/") for recording in recordings)
    lines += published.counts("speaker", speakers, PER_SPEAKER)
    return lines + _lengths(recordings)


def _lengths(recordings: list[Recording]) -> list[str]:
    headers = []
    for recording in recordings:
        try:
            headers.append(soundfile.info(recording.path))
        except soundfile.SoundFileError:
            continue
    if not headers:
        return []
    rates = Counter(header.samplerate for header in headers if header.samplerate != RATE)
    lines = [f"{count} files at {rate} Hz instead of {RATE}" for rate, count in sorted(rates.items())]
    seconds = [header.frames / header.samplerate for header in headers]
    figures = [
        ("mean length", sum(seconds) / len(seconds), MEAN_SECONDS, "s", 2),
        ("longest file", max(seconds), LONGEST_SECONDS, "s", 2),
        ("all files together", sum(seconds) / 60, TOTAL_MINUTES, "min", 1),
    ]
    return lines + [
        f"{name}: {value:.{digits}f} {unit} instead of {expected}"
        for name, value, expected, unit, digits in figures
        if round(value, digits) != expected
    ]
