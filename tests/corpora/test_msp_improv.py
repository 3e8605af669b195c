"""MSP-IMPROV's label file is read with all its irregularities, and audio is found wherever it lies."""

import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sergan.corpora import CORPORA, msp_improv
from sergan.corpora.audio import read_audio
from sergan.corpora.recordings import Recording
from sergan.errors import UserError
from tests.fuzzing import fuzzed

TIME_T = np.arange(2400) / 16000
CLIP = 0.3 * np.sin(2 * np.pi * 220 * TIME_T) + np.random.default_rng(0).normal(0, 0.05, 2400)
LABELS = """\
UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.800000; V:3.000000; D:3.200000 ; N:4.666667;
WORKER1; Neutral; Neutral; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
WORKER1; Neutral; Neutral; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
WORKER2; Angry; Angry,Frustrated; A:NaN; V:NaN; D:NaN; N:NaN;

UTD-IMPROV-S01A-F01-P-MF02.avi; A; A:NaN; V:1.000000; D:NaN ; N:NaN;
WORKER1; Angry; Angry; A:4.000000; V:1.000000;

UTD-IMPROV-S02H-M01-S-FM01.avi ;H ; A:4.000000; V:4.500000;
WORKER3; Happy; Happy; A:4.000000; V:4.500000; D:3.000000; N:5.000000;

UTD-IMPROV-S20S-M06-T-FM12.avi; S;
UTD-IMPROV-S05N-F06-R-MF03.avi; X; A:2.000000; V:2.000000; D:2.000000 ; N:4.000000;

UTD-IMPROV-S05N-F06-R-MF04.avi; O; A:2.000000; V:2.000000; D:2.000000 ; N:4.000000;
"""
CLIPS = {
    "MSP-IMPROV-S01A-F01-P-FM01": ("F01", "neutral", "1"),
    "MSP-IMPROV-S01A-F01-P-MF02": ("F01", "anger", "1"),
    "MSP-IMPROV-S02H-M01-S-FM01": ("M01", "happiness", "1"),
    "MSP-IMPROV-S20S-M06-T-FM12": ("M06", "sadness", "6"),
}
UNUSED = ("MSP-IMPROV-S05N-F06-R-MF03", "MSP-IMPROV-S05N-F06-R-MF04")
EXPECTED = [
    (f"msp_improv/{clip}", f"msp_improv/{speaker}", emotion, f"msp_improv/{session}")
    for clip, (speaker, emotion, session) in CLIPS.items()
]


def wav(root, clip, top=""):
    """As in the release: session1/S01A/P/<clip>.wav."""
    _, _, sentence, speaker, scene, _ = clip.split("-")
    return root / top / f"session{int(speaker[1:])}" / sentence / scene / f"{clip}.wav"


def write(root, labels="Evalution.txt", top=""):
    for clip in (*CLIPS, *UNUSED):
        path = wav(root, clip, top)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, CLIP, 16000)
    (root / labels).parent.mkdir(parents=True, exist_ok=True)
    (root / labels).write_text(LABELS)
    return root


def labels(recordings):
    return [(r.id, r.speaker, r.emotion, r.session) for r in recordings]


@pytest.mark.parametrize(
    "name", ["Evalution.txt", "Evaluation.txt", "evaluation.txt", "labels/Evalution.txt"]
)
@pytest.mark.parametrize("top", ["", "Audio"])
def test_layouts(tmp_path, name, top):
    write(tmp_path, name, top)
    recordings = msp_improv.read(str(tmp_path))
    assert labels(recordings) == EXPECTED
    clip = "MSP-IMPROV-S01A-F01-P-FM01"
    path = wav(tmp_path, clip, top)
    assert recordings[0] == Recording(f"msp_improv/{clip}", path, "msp_improv/F01", "neutral", "msp_improv/1")
    assert len(read_audio(path)) == 2400


def test_windows_line_ends(tmp_path):
    write(tmp_path)
    (tmp_path / "Evalution.txt").write_bytes(LABELS.replace("\n", "\r\n").encode())
    assert labels(msp_improv.read(tmp_path)) == EXPECTED


def test_clips_without_one_emotion_are_counted_in_one_line(tmp_path, caplog):
    msp_improv.read(write(tmp_path))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: clips without one emotion (labelled O, X) left out: 2 (MSP-IMPROV-S05N-F06-R-MF03, "
        "MSP-IMPROV-S05N-F06-R-MF04)"
    ]


def test_labels_without_audio_and_audio_without_a_label_are_named(tmp_path, caplog):
    write(tmp_path)
    clip, more = "MSP-IMPROV-S01A-F01-P-MF02", "MSP-IMPROV-S01A-F01-P-MF99"
    wav(tmp_path, clip).rename(wav(tmp_path, more))
    assert labels(msp_improv.read(tmp_path)) == [row for row in EXPECTED if clip not in row[0]]
    assert f"labels without audio left out: 1 ({clip})" in caplog.text
    assert f"audio files without a label left out: 1 ({more})" in caplog.text


def test_two_label_files_are_refused(tmp_path):
    write(tmp_path)
    shutil.copy(tmp_path / "Evalution.txt", tmp_path / "session1" / "Evaluation.txt")
    with pytest.raises(
        UserError, match=r"2 label files \(Evalution.txt, session1/Evaluation.txt\); keep one"
    ):
        msp_improv.read(tmp_path)


def test_one_clip_twice(tmp_path):
    write(tmp_path)
    write(tmp_path, top="Audio")
    with pytest.raises(UserError, match=r"Audio/session1/(.*)\.wav and session1/\1\.wav are the same clip"):
        msp_improv.read(tmp_path)


def test_roots_that_are_none(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        msp_improv.read(tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=r"no Evalution\.txt or Evaluation\.txt.*give the folder of MSP-IMPROV"
    ):
        msp_improv.read(tmp_path)
    (tmp_path / "Evalution.txt").write_text(LABELS)
    with pytest.raises(UserError, match="6 labels and 0 audio files, but no clip with an emotion has both"):
        msp_improv.read(tmp_path)


HEAD = "UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.8;\n"


@pytest.mark.parametrize(
    "bad, message",
    [
        (
            "UTD-IMPROV-S01A-F01-P-FM02.avi; Q;\n",
            r"f\.txt, line 2: there is no emotion 'Q' \(only A, H, S, N, O, X",
        ),
        ("UTD-IMPROV-S01A-F01-P-FM02.avi\n", "line 2: there is no emotion ''"),
        ("UTD-IMPROV-S01A-F07-P-FM02.avi; N;\n", "line 2: not a clip like UTD-IMPROV-S01A-F01-P-FM01.avi"),
        ("UTD-IMPROV-S01A-F01-P.avi; N;\n", "line 2: not a clip"),
        (
            "UTD-IMPROV-S01A-F01-P-FM01.avi; A;\n",
            "line 2: MSP-IMPROV-S01A-F01-P-FM01 is 'A' here and 'N' before",
        ),
    ],
)
def test_bad_lines_are_named(bad, message):
    with pytest.raises(UserError, match=message):
        msp_improv.parse(HEAD + bad, "f.txt")


def test_the_same_label_twice_is_one():
    assert msp_improv.parse(2 * HEAD, "f") == {"MSP-IMPROV-S01A-F01-P-FM01": "N"}


PIECES = st.sampled_from(
    [
        "UTD-",
        "MSP-",
        "UTD-IMPROV-S01A-F01-P-FM01.avi",
        "MSP-IMPROV-S02H-M01-S-FM01.wav",
        ";",
        " ; ",
        "N",
        "X",
        "O",
        "A:NaN;",
        " D:3.2 ;",
        "\n",
        "\r\n",
        "WORKER1; Neutral;\n",
        "\u0661",
        "\x85",
    ]
)


@fuzzed(100)
@given(st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join))
def test_any_text_gives_labels_or_a_user_error(text):
    try:
        found = msp_improv.parse(text, "f")
    except UserError as error:
        assert str(error).startswith("f, line ")
        return
    for clip, code in found.items():
        assert code in (*msp_improv.EMOTIONS, *msp_improv.LEFT_OUT)
        assert clip.startswith("MSP-IMPROV-S")


def test_text_is_the_sentence():
    assert CORPORA["msp_improv"].text("msp_improv/MSP-IMPROV-S20S-M06-T-FM12") == "S20"


def test_session():
    session = CORPORA["msp_improv"].session
    assert session("msp_improv/F01") == session("msp_improv/M01") == "msp_improv/1"
    with pytest.raises(UserError, match="'msp_improv/F07' is no speaker of MSP-IMPROV"):
        session("msp_improv/F07")


def whole():
    """Recordings in the published numbers."""
    emotions = [word for word, count in msp_improv.PER_EMOTION.items() for _ in range(count)]
    return [
        Recording(f"msp_improv/{number}", "x", f"msp_improv/{'FM'[number % 2]}0{number // 2 % 6 + 1}", word)
        for number, word in enumerate(emotions)
    ]


def test_differences():
    recordings = whole()
    assert len(recordings) == 7798
    assert CORPORA["msp_improv"].differences(recordings) == []
    assert msp_improv.differences(recordings[:-1]) == [
        "7797 files instead of 7798",
        "files per emotion: sadness 884 instead of 885",
    ]
    few = [r for r in recordings if r.speaker not in ("msp_improv/F02", "msp_improv/M06")]
    assert msp_improv.differences(few)[-1] == "speakers missing: F02, M06"
