"""IEMOCAP (Busso et al., LREC 2008) as distributed: 10039 clips of dialogs, 10 speakers in 5 sessions."""

import re
from pathlib import Path, PurePath

from sergan.corpora import published
from sergan.corpora.recordings import (
    Recording,
    add_label,
    audio_files,
    by_stem,
    check_folder,
    labelled,
    read_text,
)
from sergan.errors import UserError

EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "happiness",  # happiness and excitement are one class, as is the convention
    "neu": "neutral",
    "sad": "sadness",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
}
LEFT_OUT = ("oth", "xxx")  # another emotion; the raters do not agree
FOLDER = "IEMOCAP_full_release"
SESSIONS = ("1", "2", "3", "4", "5")
PER_EMOTION = {
    "anger": 1103,
    "happiness": 1636,
    "neutral": 1708,
    "sadness": 1084,
    "frustration": 1849,
    "fear": 40,
    "surprise": 107,
    "disgust": 2,
}
FOUR = ("anger", "happiness", "neutral", "sadness")
PER_SPEAKER = {  # of FOUR, in its order
    "Ses01F": (147, 132, 171, 78),
    "Ses01M": (82, 146, 213, 116),
    "Ses02F": (67, 166, 135, 113),
    "Ses02M": (70, 161, 227, 84),
    "Ses03F": (92, 128, 130, 172),
    "Ses03M": (148, 158, 190, 133),
    "Ses04F": (205, 185, 76, 62),
    "Ses04M": (122, 118, 182, 81),
    "Ses05F": (78, 159, 221, 132),
    "Ses05M": (92, 283, 163, 113),
}
IMPROVISED = 2943  # of FOUR

_LABEL = re.compile(r"\[[^]]*\]\s+(\S+)\s+(\S+)(\s.*)?")  # times, turn, code, valence and the like
_SPEAKER = re.compile(r"Ses0([1-5])[FM]", re.ASCII)
# session, actor with the markers, dialog, take or half of the dialog, speaker, number of the turn
_TURN = re.compile(r"Ses0([1-5])[FM]_(impro\d\d|script\d\d_\d)([a-z]?)_([FM])(\d{3}|XX\d)", re.ASCII)


def read(root: str | Path) -> list[Recording]:
    """Recordings of the clips of a copy of IEMOCAP that have one emotion, sorted by id.

    `root` is `IEMOCAP_full_release/`, its parent, or another folder of `Session1/` to `Session5/`; not all of
    them need be there. Happiness and excitement are both "happiness". Clips on which the raters do not agree
    or that have another emotion are left out, as are labels without audio and audio without a label; the log
    counts each kind. The speaker is the one who speaks, not the one with the markers.

    Raises:
      UserError: no session, a session without labels or audio, a line that cannot be read, or no clip left.
    """
    root = Path(root).expanduser()
    labels: dict[str, str] = {}
    paths: list[Path] = []
    for place in _sessions(root):
        for file in _label_files(place):
            for turn, code in parse(read_text(file), file).items():
                add_label(labels, turn, code, str(file))
        paths += audio_files(place / "sentences" / "wav", recursive=True)
    return [
        _recording(turn, path, emotion)
        for turn, path, emotion in labelled(root, labels, by_stem(paths, root), EMOTIONS)
    ]


def _sessions(root: Path) -> list[Path]:
    """The folders of the sessions."""
    check_folder(root)
    for place in (root, root / FOLDER):
        found = [place / f"Session{number}" for number in SESSIONS]
        if any(folder.is_dir() for folder in found):
            return [folder for folder in found if folder.is_dir()]
    raise UserError(
        f"{root}: no folder Session1 to Session5, neither here nor in {FOLDER}; give the folder of IEMOCAP "
        "as distributed"
    )


def _label_files(session: Path) -> list[Path]:
    """The files of the labels that the raters agreed on; the folders beside them hold those of each rater."""
    place = session / "dialog" / "EmoEvaluation"
    files = sorted(path for path in place.glob("*.txt") if not path.name.startswith("."))
    if not files:
        raise UserError(f"{place}: no label files (*.txt); unpack the whole session, or remove its folder")
    return files


def parse(text: str, where: object) -> dict[str, str]:
    """Codes like "neu" of the turns of a dialog, from the text of a file in `EmoEvaluation/`.

    Raises:
      UserError: a line of a label that cannot be read, or two labels for a turn; names `where` and the line.
    """
    labels: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("["):
            continue
        match, place = _LABEL.fullmatch(line.strip()), f"{where}, line {number}"
        if match is None or not _TURN.fullmatch(match[1]):
            raise UserError(
                f"{place}: not a label like '[0.00 - 1.00] Ses01F_impro01_F000 neu': {line[:80]!r}"
            )
        if match[2] not in (*EMOTIONS, *LEFT_OUT):
            known = ", ".join((*EMOTIONS, *LEFT_OUT))
            raise UserError(f"{place}: there is no emotion {match[2]!r} (only {known})")
        add_label(labels, match[1], match[2], place)
    return labels


def _recording(turn: str, path: Path, emotion: str) -> Recording:
    match = _TURN.fullmatch(turn)
    assert match is not None
    speaker = f"iemocap/Ses0{match[1]}{match[4]}"
    return Recording(f"iemocap/{turn}", path, speaker, emotion, session(speaker))


def session(speaker: str) -> str:
    """The session of a speaker: "iemocap/Ses01F" -> "iemocap/1".

    Raises:
      UserError: a name that is not of a speaker of IEMOCAP.
    """
    match = _SPEAKER.fullmatch(speaker.rpartition("/")[2])
    if match is None:
        raise UserError(
            f"{speaker!r} is no speaker of IEMOCAP like iemocap/Ses01F, so its session is unknown"
        )
    return f"iemocap/{match[1]}"


def text(clip: str) -> str:
    """The scene that a clip belongs to, the same for all its takes: "iemocap/Ses05F_script01_1b_F000" ->
    "script01_1"."""
    match = _TURN.fullmatch(clip.rpartition("/")[2])
    return match[2] if match else ""


def part(clip: str) -> str:
    """Whether the scene of a clip is "improvised" or "scripted": "iemocap/Ses01F_impro01_F000" ->
    "improvised".

    Raises:
      UserError: a name that is not of a clip of IEMOCAP.
    """
    scene = text(PurePath(clip).stem)
    if not scene:
        raise UserError(
            f"{clip!r} is no clip of IEMOCAP like iemocap/Ses01F_impro01_F000, so its part is unknown"
        )
    return "improvised" if scene.startswith("impro") else "scripted"


def differences(recordings: list[Recording]) -> list[str]:
    """How a copy differs from the published corpus, one line for each kind; none if it does not.

    Clips per speaker and the number of improvised clips are compared for `FOUR` emotions.
    """
    lines = published.total(len(recordings), sum(PER_EMOTION.values()))
    sessions = (recording.session.removeprefix("iemocap/") for recording in recordings)
    lines += published.names("sessions", sessions, SESSIONS)
    lines += published.counts("emotion", (recording.emotion for recording in recordings), PER_EMOTION)
    four = [recording for recording in recordings if recording.emotion in FOUR]
    pairs = (f"{recording.speaker.removeprefix('iemocap/')} {recording.emotion}" for recording in four)
    expected = {
        f"{speaker} {emotion}": count
        for speaker, numbers in PER_SPEAKER.items()
        for emotion, count in zip(FOUR, numbers, strict=True)
    }
    lines += published.counts("speaker and emotion", pairs, expected)
    improvised = sum(part(recording.id) == "improvised" for recording in four)
    if improvised != IMPROVISED:
        lines.append(f"{improvised} improvised files of {', '.join(FOUR)} instead of {IMPROVISED}")
    return lines
