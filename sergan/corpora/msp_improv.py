"""MSP-IMPROV (Busso et al., IEEE TAC 2017) as distributed: 7798 clips of 4 emotions, 12 speakers."""

import re
from pathlib import Path

from sergan.corpora import published
from sergan.corpora.recordings import Recording, add_label, audio_files, by_stem, labelled, read_text
from sergan.errors import UserError

EMOTIONS = {"A": "anger", "H": "happiness", "S": "sadness", "N": "neutral"}
LEFT_OUT = ("O", "X")  # another emotion; the raters do not agree
LABEL_FILES = ("evalution.txt", "evaluation.txt")  # the first is how the release spells it
PER_EMOTION = {"anger": 792, "happiness": 2644, "neutral": 3477, "sadness": 885}
SPEAKERS = tuple(f"{letter}0{number}" for letter in "FM" for number in range(1, 7))

# sentence, emotion aimed at, speaker, scene (read, target, other, natural), listener and turn
_NAME = re.compile(r"(?:UTD|MSP)(-IMPROV-S\d\d[AHSN]-[FM]0[1-6]-[PRST]-[FM]{2}\d+)\.(?:avi|wav)", re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Recordings of the clips of a copy of MSP-IMPROV that have one of the four emotions, sorted by id.

    Anywhere in `root` lie the label file, `Evalution.txt` or `Evaluation.txt`, and the audio files. Clips on
    which the raters do not agree or that have another emotion are left out, as are labels without audio and
    audio without a label; the log counts each kind.

    Raises:
      UserError: no such folder, no label file or several, a line that cannot be read, an audio file that is
        there twice, or no clip left.
    """
    root = Path(root).expanduser()
    paths = audio_files(root, recursive=True)
    file = _label_file(root)
    labels = parse(read_text(file), file)
    return [
        _recording(clip, path, emotion)
        for clip, path, emotion in labelled(root, labels, by_stem(paths, root), EMOTIONS)
    ]


def _label_file(root: Path) -> Path:
    files = sorted(path for path in root.rglob("*") if path.name.lower() in LABEL_FILES)
    if not files:
        raise UserError(
            f"{root}: no Evalution.txt or Evaluation.txt here or below; give the folder of MSP-IMPROV as "
            "distributed"
        )
    if len(files) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in files[:5])
        raise UserError(f"{root}: {len(files)} label files ({names}); keep one")
    return files[0]


def parse(text: str, where: object) -> dict[str, str]:
    """Codes like "N" of the clips, by names like MSP-IMPROV-S01A-F01-P-FM01, from the text of the label file.

    Lines of single raters are not read.

    Raises:
      UserError: a line of a clip that cannot be read, or two labels for a clip; names `where` and the line.
    """
    labels: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith(("UTD-", "MSP-")):
            continue
        name, _, rest = line.partition(";")
        match, place = _NAME.fullmatch(name.strip()), f"{where}, line {number}"
        if match is None:
            raise UserError(f"{place}: not a clip like UTD-IMPROV-S01A-F01-P-FM01.avi; {line[:80]!r}")
        code = rest.partition(";")[0].strip()
        if code not in (*EMOTIONS, *LEFT_OUT):
            known = ", ".join((*EMOTIONS, *LEFT_OUT))
            raise UserError(f"{place}: there is no emotion {code!r} (only {known})")
        add_label(labels, f"MSP{match[1]}", code, place)
    return labels


def _recording(clip: str, path: Path, emotion: str) -> Recording:
    speaker = f"msp_improv/{clip.split('-')[3]}"
    return Recording(f"msp_improv/{clip}", path, speaker, emotion, session(speaker))


def session(speaker: str) -> str:
    """The session of a speaker: "msp_improv/F01" -> "msp_improv/1".

    Raises:
      UserError: a name that is not of a speaker of MSP-IMPROV.
    """
    name = speaker.rpartition("/")[2]
    if name not in SPEAKERS:
        raise UserError(
            f"{speaker!r} is no speaker of MSP-IMPROV like msp_improv/F01, so its session is unknown"
        )
    return f"msp_improv/{int(name[1:])}"


def text(clip: str) -> str:
    """The number of the sentence that the scene of a clip is made for, with its letter:
    "msp_improv/MSP-IMPROV-S01A-F01-P-FM01" -> "S01"."""
    return clip.rpartition("/")[2].split("-")[2][:3]


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published corpus, one line for each kind; none if it does not."""
    lines = published.total(len(recordings), sum(PER_EMOTION.values()))
    lines += published.counts("emotion", (recording.emotion for recording in recordings), PER_EMOTION)
    speakers = (recording.speaker.removeprefix("msp_improv/") for recording in recordings)
    return lines + published.names("speakers", speakers, SPEAKERS)
