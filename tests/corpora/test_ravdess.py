"""RAVDESS's speech is found with or without the actors' folders; songs are left out."""

import numpy as np
import pytest
import soundfile

from sergan.corpora import CORPORA, ravdess
from sergan.corpora.audio import read_audio, sampling_rate
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

TIME_T = np.arange(7200) / 48000
CLIP = 0.3 * np.sin(2 * np.pi * 220 * TIME_T) + np.random.default_rng(0).normal(0, 0.05, 7200)
NAMES = {  # the eight emotions
    "03-01-01-01-01-01-01": "neutral",
    "03-01-02-01-02-01-01": "calm",
    "03-01-03-02-01-02-12": "happiness",
    "03-01-04-01-01-01-12": "sadness",
    "03-01-05-02-02-02-12": "anger",
    "03-01-06-01-01-01-24": "fear",
    "03-01-07-01-01-01-24": "disgust",
    "03-01-08-01-02-01-24": "surprise",
}


def write(root, names=NAMES, ending="wav", flat=False):
    for name in names:
        path = (root if flat else root / f"Actor_{name[-2:]}") / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, CLIP, 48000)


def labels(recordings):
    return [(r.id, r.speaker, r.emotion) for r in recordings]


EXPECTED = sorted((f"ravdess/{name}", f"ravdess/{name[-2:]}", word) for name, word in NAMES.items())


@pytest.mark.parametrize("ending", ["wav", "flac"])
@pytest.mark.parametrize("flat", [True, False])
def test_layouts(tmp_path, flat, ending):
    write(tmp_path, ending=ending, flat=flat)
    assert labels(ravdess.read(tmp_path)) == EXPECTED


def test_the_folder_of_the_archive(tmp_path):
    write(tmp_path / "Audio_Speech_Actors_01-24")
    recordings = ravdess.read(str(tmp_path))
    assert labels(recordings) == EXPECTED
    path = tmp_path / "Audio_Speech_Actors_01-24" / "Actor_01" / "03-01-01-01-01-01-01.wav"
    assert recordings[0] == Recording("ravdess/03-01-01-01-01-01-01", path, "ravdess/01", "neutral")
    assert sampling_rate(path) == 48000
    assert len(read_audio(path)) == 2400


def test_songs_are_left_out_and_counted(tmp_path, caplog):
    write(tmp_path, [*NAMES, "03-02-05-01-01-01-01", "03-02-01-01-01-01-24"])
    assert labels(ravdess.read(tmp_path)) == EXPECTED
    assert (
        f"{tmp_path}: songs left out: 2 (ravdess/03-02-01-01-01-01-24, ravdess/03-02-05-01-01-01-01)"
    ) in caplog.text
    assert len(caplog.records) == 1


def test_speech_alone_logs_nothing(tmp_path, caplog):
    write(tmp_path)
    ravdess.read(tmp_path)
    assert caplog.text == ""


def test_text_is_the_statement():
    assert CORPORA["ravdess"].text("ravdess/03-01-05-01-02-01-12") == "02"


def test_foreign_names_are_named(tmp_path):
    foreign = ["03a01Fa", "01-01-05-01-01-01-01", "03-01-09-01-01-01-01", "03-01-05-03-01-01-01"]
    write(tmp_path, ["03-01-05-01-01-01-01", *foreign], flat=True)
    with pytest.raises(UserError, match=r"4 of 5 names are not RAVDESS's \(like 03-01-05-01-02-01-01.wav\)"):
        ravdess.read(tmp_path)


def test_a_copy_in_the_copy(tmp_path):
    for part in (tmp_path, tmp_path / "speech"):
        write(part)
    with pytest.raises(UserError, match=r"Actor_01/(.*)\.wav and speech/Actor_01/\1\.wav are both"):
        ravdess.read(tmp_path)


def test_missing_and_empty(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        ravdess.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no wav or flac file .* RAVDESS as distributed"):
        ravdess.read(tmp_path)


def whole(root):
    """Every published clip, without audio."""
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in (1,) if emotion == 1 else (1, 2):
                for statement, repetition in ((1, 1), (1, 2), (2, 1), (2, 2)):
                    name = f"03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
                    (root / f"{name}.wav").touch()


def test_differences(tmp_path):
    whole(tmp_path)
    recordings = ravdess.read(tmp_path)
    assert len(recordings) == 1440
    assert CORPORA["ravdess"].differences(recordings) == []
    assert ravdess.differences([r for r in recordings if r.speaker != "ravdess/07"][1:]) == [
        "1379 files instead of 1440",
        "files per emotion: neutral 91 instead of 96, calm 184 instead of 192, happiness 184 instead of 192, "
        "sadness 184 instead of 192, anger 184 instead of 192, fear 184 instead of 192, disgust 184 instead "
        "of 192, surprise 184 instead of 192",
        "files per speaker: 01 59 instead of 60, 07 0 instead of 60",
    ]
