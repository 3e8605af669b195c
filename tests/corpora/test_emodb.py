"""EMO-DB is found in every layout, and a copy that differs is described."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from sergan.corpora import CORPORA, crema_d, emodb, ravdess
from sergan.corpora.recordings import Recording
from sergan.data import load
from sergan.errors import UserError
from tests.fuzzing import fuzzed

ROOT = Path(__file__).parents[1] / "data" / "emodb"
CLIPS = ROOT / "wav"


def labels(recordings):
    return [(r.id, r.speaker, r.emotion) for r in recordings]


def test_twenty_clips_of_all_speakers_and_emotions():
    recordings = emodb.read(ROOT)
    assert len(recordings) == 20
    assert {r.speaker for r in recordings} == {f"emodb/{s}" for s in emodb.PER_SPEAKER}
    assert {r.emotion for r in recordings} == set(emodb.PER_EMOTION)
    assert recordings[0] == Recording("emodb/03a02Nc", CLIPS / "03a02Nc.wav", "emodb/03", "neutral")
    assert [r.id for r in recordings] == sorted(r.id for r in recordings)


def test_labels_are_those_of_the_embedded_table():
    table = load("emodb", "IS10")
    known = zip(table.ids_U.tolist(), table.speakers_U.tolist(), table.emotions_U.tolist(), strict=True)
    assert set(labels(emodb.read(ROOT))) <= set(known)
    assert Counter(table.emotions_U.tolist()) == emodb.PER_EMOTION
    assert Counter(table.speakers_U.tolist()) == {f"emodb/{s}": n for s, n in emodb.PER_SPEAKER.items()}


@pytest.mark.parametrize("folder", ["wav", "wav_corpus", "WAV", "Wav_Corpus", ""])
def test_layouts(tmp_path, folder):
    shutil.copytree(CLIPS, tmp_path / folder, dirs_exist_ok=True)
    (tmp_path / "erkennung.txt").write_text("Satz\terkannt\n")
    assert labels(emodb.read(tmp_path)) == labels(emodb.read(ROOT))


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_names_in_any_case(tmp_path, change):
    for path in CLIPS.iterdir():
        shutil.copy(path, tmp_path / change(path.name))
    assert labels(emodb.read(tmp_path)) == labels(emodb.read(ROOT))


def test_flac(tmp_path):
    for path in CLIPS.iterdir():
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(tmp_path / f"{path.stem}.flac", samples, rate)
    assert labels(emodb.read(tmp_path)) == labels(emodb.read(ROOT))


def test_foreign_names_are_named(tmp_path):
    for name in ("03a01Fa", "03-01-05-01-02-01-01", "03a01Xa", "hello"):
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "._03a01Fb.wav").touch()
    with pytest.raises(UserError, match="3 of 4 names") as caught:
        emodb.read(tmp_path)
    assert "03-01-05-01-02-01-01.wav, 03a01Xa.wav, hello.wav" in str(caught.value)


def test_one_clip_twice(tmp_path):
    for name in ("03a01Fa.wav", "03A01fa.flac"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="both 'emodb/03a01Fa'"):
        emodb.read(tmp_path)


def test_missing_and_empty(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        emodb.read(tmp_path / "nowhere")
    (tmp_path / "wav").mkdir()
    with pytest.raises(UserError, match="no wav or flac file"):
        emodb.read(tmp_path)


def test_differences_of_a_part():
    lines = emodb.differences(emodb.read(ROOT))
    assert "20 files instead of 535" in lines
    assert any("anger 4 instead of 127" in line and "disgust 2 instead of 46" in line for line in lines)
    assert any("03 2 instead of 49" in line for line in lines)
    assert any(line.startswith("mean length: 1.6") and "instead of 2.78" in line for line in lines)
    assert any(line.startswith("longest file") and "instead of 8.98" in line for line in lines)
    assert any(line.startswith("all files together") and "instead of 24.8" in line for line in lines)
    assert not any("Hz" in line for line in lines)


def test_differences_of_the_sampling_rate_and_of_a_foreign_speaker(tmp_path):
    soundfile.write(tmp_path / "99a01Fa.wav", np.zeros(44100), 44100)
    (tmp_path / "99a01Fb.wav").write_text("not audio, which extraction will say")
    lines = emodb.differences(emodb.read(tmp_path))
    assert "1 files at 44100 Hz instead of 16000" in lines
    assert any("99 2 instead of 0" in line for line in lines)


def test_the_published_corpus_does_not_differ(tmp_path):
    """All names of the corpus, with lengths that have its mean, maximum and sum (8 bit keeps it small)."""
    table = load("emodb", "IS10")
    seconds = [8.98] + [(24.8 * 60 - 8.98) / 534] * 534
    silence = np.zeros(9 * 16000)
    for name, length in zip(table.ids_U.tolist(), seconds, strict=True):
        path = tmp_path / f"{name.removeprefix('emodb/')}.flac"
        soundfile.write(path, silence[: round(length * 16000)], 16000, subtype="PCM_S8")
    assert CORPORA["emodb"].differences(CORPORA["emodb"].read(tmp_path)) == []


PARTS = [
    "03",
    "a01",
    "F",
    "a",
    "1001",
    "_DFA",
    "_ANG",
    "_XX",
    "03-",
    "01-",
    "05-",
    "\u0660\u0663",
    "\u212a",
    "\u017f",
]


@fuzzed(100)
@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=2), max_size=8).map("".join))
@example("\u0660\u0663a01Fa")  # digits, and none of EMO-DB's
@example("03a01F\u017f")  # a letter that is s in capitals
def test_any_name_is_a_clip_in_plain_letters_or_none(name):
    """Of the corpora whose names tell all."""
    for corpus in (emodb, crema_d, ravdess):
        found = corpus._recording(Path(f"{name.replace('/', '')}.wav"))
        assert found is None or (found.id.isascii() and found.emotion.isalpha() and corpus.text(found.id))
