"""A survey finds everything that is wrong with recordings, without raising."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sergan.corpora import survey
from sergan.corpora.recordings import Recording

WAV = Path(__file__).parent.parent / "data" / "emodb" / "wav"
NOISE = np.random.default_rng(0).normal(0, 0.1, 16000)


@pytest.fixture
def recordings(tmp_path):
    """One good clip, one part of it, and one of each kind of problem."""
    shutil.copy(WAV / "11a01Ab.wav", tmp_path / "good.wav")
    shutil.copy(WAV / "11a01Ab.wav", tmp_path / "copy.wav")
    for name, samples, rate in (
        ("silent", 0 * NOISE, 16000),
        ("short", NOISE[:800], 16000),
        ("stereo", np.stack([NOISE, -NOISE], axis=1), 16000),
        ("fast", NOISE, 48000),
    ):
        soundfile.write(tmp_path / f"{name}.wav", samples, rate)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:9000])
    names = ["good", "copy", "silent", "short", "stereo", "fast", "empty", "cut", "missing"]
    whole = [Recording(name, tmp_path / f"{name}.wav", "s") for name in names]
    part = Recording("part", tmp_path / "good.wav", "s", start=0.5, end=1.0)
    return [*whole, part, Recording("beyond", tmp_path / "good.wav", "s", start=1.0, end=9.0)]


def test_every_problem_has_its_kind_and_first_offender(recordings):
    found = survey.survey(recordings)
    assert {kind: len(messages) for kind, messages in found.problems.items()} == {
        "not mono": 1,
        "too short": 1,
        "resampled to 16000 Hz": 1,
        "unreadable": 2,
        "missing": 1,
        "parts beyond their file": 1,
        "copies": 1,
        "silent": 1,
    }
    assert found.problems["copies"] == ["copy sounds as good"]
    assert found.problems["too short"] == ["short: 50 ms, the minimum is 100"]
    assert "stereo.wav: 2 channels" in found.problems["not mono"][0]
    assert "fast.wav: 48000 Hz" in found.problems["resampled to 16000 Hz"][0]
    assert {m.split(": ")[1] for m in found.problems["unreadable"]} == {"empty, not audio", "truncated"}
    length = soundfile.info(recordings[0].path).duration
    np.testing.assert_allclose(found.seconds_U, [length, length, 1.0, 1.0, 1 / 3, 0.5])


def test_of_much_audio_the_headers_alone_are_read(recordings, monkeypatch):
    monkeypatch.setattr(survey, "MOST", 1.0)
    monkeypatch.setattr(survey, "read_audio", None)
    found = survey.survey(recordings)
    assert not found.decoded and "silent" not in found.problems and "copies" not in found.problems
    assert len(found.seconds_U) == 6


def test_progress_and_no_recordings(recordings):
    calls = []
    survey.survey(recordings, lambda done, total: calls.append((done, total)))
    assert calls == [(i, 6) for i in range(1, 7)]
    assert survey.survey([]).problems == {} and not len(survey.survey([]).seconds_U)
