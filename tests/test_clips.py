"""Recordings in memory: samples as in the files, levels, clipping, and random folds of clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sergan import clips, folds
from sergan.corpora import emodb, tables
from sergan.corpora.audio import RATE
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

FOLDER = Path(__file__).parent / "data" / "emodb"


def recording(path, x_T, rate=RATE):
    soundfile.write(path, x_T, rate)
    return Recording(f"toy/{path.stem}", path, "toy/s", "anger")


def test_samples_and_labels_are_those_of_the_files():
    found = emodb.read(FOLDER)
    samples, table = clips.read(found)
    for one, x_T, seconds in zip(found, samples, table.x_UxD[:, 0], strict=True):
        np.testing.assert_array_equal(x_T, soundfile.read(one.path, dtype="float32")[0])
        assert seconds == pytest.approx(len(x_T) / RATE)
    assert table.names_D == ("seconds",) and len(set(table.ids_U.tolist())) == 20
    assert table.emotions_U.tolist() == [one.emotion for one in found]


@settings(max_examples=50, deadline=None)
@given(level=st.floats(1e-4, 1.0), seed=st.integers(0, 9))
def test_a_levelled_clip_has_the_level_unless_full_scale_forbids_it(level, seed):
    x_T = (level * np.random.default_rng(seed).uniform(-1, 1, 1000)).astype(np.float32)
    y_T = clips.levelled(x_T)
    assert np.sqrt(np.mean(np.square(y_T))) == pytest.approx(clips.LEVEL, rel=1e-4)
    np.testing.assert_allclose(y_T / y_T[0], x_T / x_T[0], rtol=1e-4)
    spike_T = np.zeros(1000, np.float32)
    spike_T[0] = level
    assert np.abs(clips.levelled(spike_T)).max() == pytest.approx(1.0)
    assert not clips.levelled(np.zeros(5, np.float32)).any()


def test_clipping_is_three_samples_at_full_scale_not_two(tmp_path, caplog):
    x_T = 0.5 * np.sin(np.arange(4000) / 5).astype(np.float32)
    x_T[100:102] = 1.0
    assert not clips.is_clipped(x_T)
    x_T[102] = -1.0
    assert clips.is_clipped(x_T)
    clips.read([recording(tmp_path / "a.wav", x_T)])
    assert "1 of 1 clips are clipped" in caplog.text and "toy/a" in caplog.text


def test_other_sampling_rates_are_resampled_and_levels_are_normalised(tmp_path):
    x_T = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
    (y_T,), table = clips.read([recording(tmp_path / "a.wav", x_T, 44100)], "normalised")
    assert len(y_T) == RATE and table.x_UxD[0, 0] == pytest.approx(1.0)
    assert np.sqrt(np.mean(np.square(y_T))) == pytest.approx(clips.LEVEL, rel=1e-3)
    spectrum = np.abs(np.fft.rfft(y_T))
    assert np.argmax(spectrum) == 440


def test_faulty_files_are_named(tmp_path):
    silent = recording(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    short = recording(tmp_path / "short.wav", np.ones(100, np.float32))
    with pytest.raises(UserError, match=r"2 of 2 audio files cannot be used\n.*silent.wav: silent.*short"):
        clips.read([silent, short])


def test_random_folds_test_every_clip_once_with_all_classes_and_hold_nobody_out():
    _, table = clips.read(emodb.read(FOLDER))
    kept = table.select(np.flatnonzero(~np.isin(table.emotions_U, ["disgust", "boredom"])))
    classes = tuple(sorted(set(kept.emotions_U.tolist())))
    different_U = np.arange(len(kept.ids_U))
    made = folds.clips(kept, 3, classes, different_U)
    assert sorted(np.concatenate([fold.test_R for fold in made]).tolist()) == list(range(16))
    for fold in made:
        assert fold.held_out == () and not set(fold.train_R) & set(fold.test_R)
        assert set(kept.emotions_U[fold.test_R]) == set(classes)
    with pytest.raises(UserError, match=r"config.groups=4: random folds are 2 to 3, since the smallest"):
        folds.clips(kept, 4, classes, different_U)


def test_equal_clips_stay_together_in_random_folds():
    samples, table = clips.read(emodb.read(FOLDER))
    twice = table.select(np.tile(np.arange(len(samples)), 2))
    first_U = tables.first_equal(samples + samples)
    np.testing.assert_array_equal(first_U, np.tile(np.arange(len(samples)), 2))
    for fold in folds.clips(twice, 3, tuple(sorted(set(table.emotions_U.tolist()))), first_U):
        assert not set(first_U[fold.train_R]) & set(first_U[fold.test_R])
