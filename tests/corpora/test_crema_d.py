"""CREMA-D is found in every layout; its silent clip is left out."""

import numpy as np
import pytest
import soundfile

from sergan.corpora import CORPORA, crema_d
from sergan.corpora.audio import read_audio
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

TIME_T = np.arange(2400) / 16000
CLIP = 0.3 * np.sin(2 * np.pi * 220 * TIME_T) + np.random.default_rng(0).normal(0, 0.05, 2400)
SILENT = "1076_MTI_SAD_XX"
NAMES = {
    "1001_DFA_ANG_XX": "anger",
    "1001_IEO_DIS_LO": "disgust",
    "1001_IEO_FEA_MD": "fear",
    "1001_IEO_HAP_HI": "happiness",
    "1040_ITH_SAD_X": "sadness",  # as published, with one X
    "1091_WSI_NEU_XX": "neutral",
}
EXPECTED = [(f"crema_d/{name}", f"crema_d/{name[:4]}", word) for name, word in sorted(NAMES.items())]


def write(folder, names, ending="wav"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        soundfile.write(folder / f"{name}.{ending}", CLIP * (name != SILENT), 16000)


def labels(recordings):
    return [(r.id, r.speaker, r.emotion) for r in recordings]


@pytest.mark.parametrize("folder", ["AudioWAV", "audiowav", ""])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_layouts(tmp_path, folder, ending):
    write(tmp_path / folder, NAMES, ending)
    (tmp_path / "AudioMP3").mkdir()
    (tmp_path / "AudioMP3" / "1001_DFA_ANG_XX.mp3").touch()
    (tmp_path / "VideoDemographics.csv").write_text("ActorID,Age,Sex,Race,Ethnicity\n")
    recordings = crema_d.read(tmp_path)
    assert labels(recordings) == EXPECTED
    path = tmp_path / folder / f"1001_DFA_ANG_XX.{ending}"
    assert recordings[0] == Recording("crema_d/1001_DFA_ANG_XX", path, "crema_d/1001", "anger")


def test_the_silent_clip_is_left_out_and_all_others_can_be_read(tmp_path, caplog):
    write(tmp_path / "AudioWAV", [*NAMES, SILENT])
    recordings = crema_d.read(tmp_path)
    assert labels(recordings) == EXPECTED
    assert "silent clips left out: 1 (crema_d/1076_MTI_SAD_XX)" in caplog.text
    for recording in recordings:
        read_audio(recording.path)
    with pytest.raises(UserError, match="silent"):
        read_audio(tmp_path / "AudioWAV" / f"{SILENT}.wav")


def test_text_is_the_sentence():
    assert CORPORA["crema_d"].text("crema_d/1001_DFA_ANG_XX") == "DFA"


def test_foreign_names_are_named(tmp_path):
    write(tmp_path, ["1001_DFA_ANG_XX", "1001_DFA_JOY_XX", "1001_DFA_ANG_QQ", "03a01Fa"])
    with pytest.raises(
        UserError, match=r"3 of 4 names are not CREMA-D's \(like 1001_DFA_ANG_XX.wav\)"
    ) as caught:
        crema_d.read(tmp_path)
    assert "03a01Fa.wav, 1001_DFA_ANG_QQ.wav, 1001_DFA_JOY_XX.wav" in str(caught.value)


def test_missing_and_empty(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        crema_d.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no wav or flac file .* CREMA-D as distributed"):
        crema_d.read(tmp_path)


def whole():
    """Recordings in the published numbers, after the silent clip."""
    emotions = [word for word, count in crema_d.PER_EMOTION.items() for _ in range(count)]
    return [
        Recording(f"crema_d/{number}", "x", f"crema_d/{1001 + number % 91}", word)
        for number, word in enumerate(emotions)
    ]


def test_differences():
    recordings = whole()
    assert len(recordings) == 7441
    assert CORPORA["crema_d"].differences(recordings) == []
    assert crema_d.differences([r for r in recordings[1:] if r.speaker != "crema_d/1091"])[-1] == (
        "speakers missing: 1091"
    )
    assert crema_d.differences(recordings[1:]) == [
        "7440 files instead of 7441",
        "files per emotion: anger 1270 instead of 1271",
    ]
    more = [*recordings, Recording("crema_d/x", "x", "crema_d/2001", "sadness")]
    assert crema_d.differences(more) == [
        "7442 files instead of 7441",
        "files per emotion: sadness 1271 instead of 1270",
        "speakers not published: 2001",
    ]
