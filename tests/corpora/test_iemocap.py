"""IEMOCAP's labels, speakers and sessions come out right of a tree written as it is distributed."""

import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sergan.corpora import CORPORA, iemocap, texts
from sergan.corpora.audio import read_audio
from sergan.corpora.recordings import Recording
from sergan.errors import UserError
from tests.fuzzing import fuzzed

TIME_T = np.arange(2400) / 16000
CLIP = 0.3 * np.sin(2 * np.pi * 220 * TIME_T) + np.random.default_rng(0).normal(0, 0.05, 2400)
TURNS = {  # turn: code, speaker, emotion
    "Ses01F_impro01_F000": ("neu", "Ses01F", "neutral"),
    "Ses01F_impro01_M003": ("ang", "Ses01M", "anger"),  # her markers, his turn
    "Ses01M_script01_1_F000": ("hap", "Ses01F", "happiness"),
    "Ses02M_impro02_MXX0": ("sad", "Ses02M", "sadness"),
    "Ses03M_impro05a_F000": ("exc", "Ses03F", "happiness"),
    "Ses03M_impro05b_M001": ("fea", "Ses03M", "fear"),
    "Ses05F_script01_1b_M012": ("fru", "Ses05M", "frustration"),
    "Ses05M_script01_1b_F004": ("sur", "Ses05F", "surprise"),
    "Ses05M_script03_2_M040": ("dis", "Ses05M", "disgust"),
}
UNUSED = {"Ses01F_impro01_F001": "xxx", "Ses02M_impro02_F000": "oth"}
EXPECTED = [
    (f"iemocap/{turn}", f"iemocap/{speaker}", emotion, f"iemocap/{turn[4]}")
    for turn, (_, speaker, emotion) in sorted(TURNS.items())
]
HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
RATERS = (
    "C-E2:\tNeutral;\t()\nC-F1:\tNeutral;\t(curious)\n"
    "A-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 2; dom  ;\t()\n\n"
)


def line(turn, code):
    return f"[6.2901 - 8.2357]\t{turn}\t{code}\t[2.5000, 2.5000, 2.5000]\n"


def write(root, codes=None):
    """A release with the given codes by turn, of all TURNS and UNUSED if not told."""
    codes = {turn: code for turn, (code, _, _) in TURNS.items()} | UNUSED if codes is None else codes
    texts = {}
    for turn, code in codes.items():
        session, dialog = f"Session{turn[4]}", turn.rpartition("_")[0]
        wav = root / session / "sentences" / "wav" / dialog / f"{turn}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav, CLIP, 16000)
        place = root / session / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
        texts[place] = texts.get(place, HEAD) + line(turn, code) + RATERS
    for place, text in texts.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


def wav(root, turn):
    return root / f"Session{turn[4]}" / "sentences" / "wav" / turn.rpartition("_")[0] / f"{turn}.wav"


def labels(recordings):
    return [(r.id, r.speaker, r.emotion, r.session) for r in recordings]


@pytest.mark.parametrize("given_folder", ["IEMOCAP_full_release", "", "other"])
def test_layouts(tmp_path, given_folder):
    root = write(tmp_path / (given_folder or "IEMOCAP_full_release"))
    recordings = iemocap.read(str(root if given_folder else tmp_path))
    assert labels(recordings) == EXPECTED
    turn = "Ses01F_impro01_F000"
    path = wav(root, turn)
    assert recordings[0] == Recording(f"iemocap/{turn}", path, "iemocap/Ses01F", "neutral", "iemocap/1")
    assert len(read_audio(path)) == 2400


def test_clips_without_one_emotion_are_counted_in_one_line(tmp_path, caplog):
    write(tmp_path)
    iemocap.read(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: clips without one emotion (labelled oth, xxx) left out: 2 (Ses01F_impro01_F001, "
        "Ses02M_impro02_F000)"
    ]


def test_raters_files_and_hidden_files_are_not_read(tmp_path):
    write(tmp_path)
    place = tmp_path / "Session1" / "dialog" / "EmoEvaluation"
    for folder in ("Categorical", "Attribute", "Self-evaluation"):
        (place / folder).mkdir()
        (place / folder / "Ses01F_impro01_e1_cat.txt").write_text(line("Ses01F_impro01_F000", "ang"))
    (place / "._Ses01F_impro01.txt").write_bytes(b"[\x00\x05\x16\x07\xff")
    shutil.copy(wav(tmp_path, "Ses01F_impro01_F000"), wav(tmp_path, "Ses01F_impro01_F000").parent / "._x.wav")
    assert labels(iemocap.read(tmp_path)) == EXPECTED


def test_windows_line_ends_and_other_encodings(tmp_path):
    write(tmp_path)
    for file in tmp_path.rglob("*.txt"):
        text = "\ufeff" + file.read_text().replace("(curious)", "(curieux; d\xe9\xe7u)")
        file.write_bytes(text.replace("\n", "\r\n").encode("utf-8").replace(b"\xc3\xa9", b"\xe9"))
    assert labels(iemocap.read(tmp_path)) == EXPECTED


def test_labels_without_audio_and_audio_without_a_label_are_named(tmp_path, caplog):
    write(tmp_path)
    wav(tmp_path, "Ses01F_impro01_M003").unlink()
    shutil.copy(wav(tmp_path, "Ses02M_impro02_MXX0"), wav(tmp_path, "Ses02M_impro02_M077"))
    found = labels(iemocap.read(tmp_path))
    assert found == [row for row in EXPECTED if row[0] != "iemocap/Ses01F_impro01_M003"]
    assert "labels without audio left out: 1 (Ses01F_impro01_M003)" in caplog.text
    assert "audio files without a label left out: 1 (Ses02M_impro02_M077)" in caplog.text


def test_the_first_five_are_named(tmp_path, caplog):
    write(tmp_path)
    for turn in list(TURNS)[:7]:
        wav(tmp_path, turn).unlink()
    iemocap.read(tmp_path)
    assert "Ses03M_impro05a_F000 and 2 more)" in caplog.text


def test_a_missing_session_is_a_difference(tmp_path):
    write(tmp_path)
    shutil.rmtree(tmp_path / "Session2")
    recordings = iemocap.read(tmp_path)
    assert labels(recordings) == [row for row in EXPECTED if row[3] != "iemocap/2"]
    assert "sessions missing: 2, 4" in iemocap.differences(recordings)


@pytest.mark.parametrize(
    "folder, message",
    [
        ("dialog/EmoEvaluation", r"Session3/dialog/EmoEvaluation: no label files .* remove its folder"),
        ("sentences/wav", r"Session3/sentences/wav: no such folder"),
    ],
)
def test_a_session_that_is_not_whole(tmp_path, folder, message):
    write(tmp_path)
    shutil.rmtree(tmp_path / "Session3" / folder)
    with pytest.raises(UserError, match=message):
        iemocap.read(tmp_path)


def test_roots_that_are_none(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        iemocap.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no folder Session1 to Session5.*give the folder of IEMOCAP"):
        iemocap.read(tmp_path)


def test_nothing_left(tmp_path):
    write(tmp_path, UNUSED)
    with pytest.raises(UserError, match="2 labels and 2 audio files, but no clip with an emotion has both"):
        iemocap.read(tmp_path)


def test_a_label_file_that_is_a_folder(tmp_path):
    write(tmp_path)
    (tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "x.txt").mkdir()
    with pytest.raises(UserError, match=r"x\.txt: cannot be read"):
        iemocap.read(tmp_path)


@pytest.mark.parametrize(
    "bad, message",
    [
        (
            line("Ses01F_impro01_F000", "joy"),
            r"f\.txt, line 2: there is no emotion 'joy' \(only ang, hap, exc",
        ),
        (line("Ses01F_impro01", "neu"), "line 2: not a label like"),
        (line("Ses06F_impro01_F000", "neu"), "line 2: not a label like"),
        ("[6.29 - 8.23]\n", r"line 2: not a label like .*: '\[6.29 - 8.23\]'"),
        ("[6.29 - ", "line 2: not a label like"),
        (line("Ses01F_impro01_F001", "ang"), "line 2: Ses01F_impro01_F001 is 'ang' here and 'neu' before"),
    ],
)
def test_bad_lines_are_named(bad, message):
    with pytest.raises(UserError, match=message):
        iemocap.parse(line("Ses01F_impro01_F001", "neu") + bad, "f.txt")


def test_the_same_label_twice_is_one(tmp_path):
    assert iemocap.parse(2 * line("Ses01F_impro01_F001", "neu"), "f") == {"Ses01F_impro01_F001": "neu"}


def test_other_labels_in_two_files_are_refused(tmp_path):
    write(tmp_path)
    place = tmp_path / "Session1" / "dialog" / "EmoEvaluation"
    (place / "copy.txt").write_text(line("Ses01F_impro01_F000", "sad"))
    with pytest.raises(UserError, match=r"copy\.txt|Ses01F_impro01\.txt"):
        iemocap.read(tmp_path)


PIECES = st.sampled_from(
    [
        "[",
        "]",
        "\t",
        "\n",
        " ",
        "[6.2901 - 8.2357]\t",
        "Ses01F_impro01_F000",
        "Ses03M_impro05a_M001",
        "\tneu\t",
        "\texc",
        "\txxx\n",
        "[2.5, 2.5, 2.5]\n",
        "C-E2:\tNeutral;\t()\n",
        "\r",
        "\x85",
        "\u0661",
        "%",
    ]
)


@fuzzed(100)
@given(st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join))
def test_any_text_gives_labels_or_a_user_error(text):
    try:
        found = iemocap.parse(text, "f")
    except UserError as error:
        assert str(error).startswith("f, line ")
        return
    for turn, code in found.items():
        assert code in (*iemocap.EMOTIONS, *iemocap.LEFT_OUT)
        assert iemocap.text(turn)


@pytest.mark.parametrize(
    "turn, text, part",
    [
        ("Ses01F_impro01_F000", "impro01", "improvised"),
        ("Ses03M_impro05a_F000", "impro05", "improvised"),
        ("Ses01M_script01_1_F000", "script01_1", "scripted"),
        ("Ses05F_script01_1b_M012", "script01_1", "scripted"),
        ("Ses02M_script03_2_FXX0", "script03_2", "scripted"),
    ],
)
def test_text_and_part(turn, text, part):
    assert CORPORA["iemocap"].text(f"iemocap/{turn}") == text
    assert iemocap.part(f"iemocap/{turn}") == iemocap.part(f"clips/{turn}.wav") == part


def test_a_clip_of_another_name_has_no_part_and_no_text():
    with pytest.raises(UserError, match=r"'clips/one\.wav' is no clip of IEMOCAP like"):
        iemocap.part("clips/one.wav")
    for corpus in ("iemocap", "crema_d", "ravdess", "msp_improv", "emodb"):
        with pytest.raises(UserError, match=rf"'x/1\.wav' is not called as {corpus} calls its clips"):
            texts(corpus, np.array(["x/1.wav"]))
    assert texts("ravdess", np.array(["my/03-01-05-01-02-01-12.wav"])).tolist() == ["02"]


def test_session():
    session = CORPORA["iemocap"].session
    assert session("iemocap/Ses03M") == "iemocap/3"
    for wrong in ("iemocap/Ses06M", "s1", "iemocap/Ses03M/x"):
        with pytest.raises(UserError, match=f"'{wrong}' is no speaker of IEMOCAP"):
            session(wrong)


def whole():
    """Recordings in the published numbers: first improvised ones, then scripted."""
    rows = [
        (speaker, emotion)
        for speaker, numbers in iemocap.PER_SPEAKER.items()
        for emotion, count in zip(iemocap.FOUR, numbers, strict=True)
        for _ in range(count)
    ]
    rows += [
        ("Ses01F", emotion)
        for emotion, count in iemocap.PER_EMOTION.items()
        if emotion not in iemocap.FOUR
        for _ in range(count)
    ]
    return [
        Recording(
            f"iemocap/{who}_{'impro01' if i < iemocap.IMPROVISED else 'script01_1'}_{who[-1]}000",
            "x",
            f"iemocap/{who}",
            emotion,
            f"iemocap/{who[4]}",
        )
        for i, (who, emotion) in enumerate(rows)
    ]


def test_differences():
    recordings = whole()
    assert len(recordings) == 10039 - 2507 - 3  # without xxx and oth
    assert CORPORA["iemocap"].differences(recordings) == []
    assert iemocap.differences(recordings[1:]) == [
        "7528 files instead of 7529",
        "files per emotion: anger 1102 instead of 1103",
        "files per speaker and emotion: Ses01F anger 146 instead of 147",
        "2942 improvised files of anger, happiness, neutral, sadness instead of 2943",
    ]
    assert iemocap.differences(recordings[:-1])[1:] == ["files per emotion: disgust 1 instead of 2"]
