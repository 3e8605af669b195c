"""Recordings made of recordings: what a shift does to a sine, who gets how many, whose child each is."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from sergan import shifts
from sergan.corpora.audio import read_audio
from sergan.errors import UserError

PATHS = sorted((Path(__file__).parent / "data" / "emodb" / "wav").glob("*.wav"))
IDS = [path.stem for path in PATHS]
CLASSES = ("anger", "fear", "sadness")
LABEL = np.array([0] * 9 + [1] * 2 + [2] * 4)


@pytest.fixture(scope="module")
def clips():
    return [read_audio(path) for path in PATHS]


def sine(hertz, seconds=1.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(16000 * seconds)) / 16000)).astype(np.float32)


def loudest(x_T):
    return np.argmax(np.abs(np.fft.rfft(x_T))) * 16000 / len(x_T)


def test_classes_are_filled_up_to_anger():
    assert shifts.missing(LABEL, CLASSES).tolist() == [0, 7, 5]
    assert shifts.missing(LABEL, CLASSES, reference="sadness").tolist() == [0, 2, 0]


def test_a_factor_makes_that_many_of_each_clip_but_none_of_anger():
    assert shifts.missing(LABEL, CLASSES, factor=1.5).tolist() == [0, 3, 6]
    assert not shifts.missing(LABEL, CLASSES, factor=0).any()


def test_what_cannot_be_balanced_is_refused():
    with pytest.raises(UserError, match="'joy' is none of anger"):
        shifts.missing(LABEL, CLASSES, reference="joy")
    with pytest.raises(UserError, match="0 or more, not -1"):
        shifts.missing(LABEL, CLASSES, factor=-1)
    with pytest.raises(UserError, match="'sadness' has no clip"):
        shifts.missing(LABEL[:11], CLASSES)


def test_parents_are_of_the_class_and_used_equally_often():
    made_C = shifts.missing(LABEL, CLASSES)
    made = shifts.plan(LABEL, made_C, seed=0)
    assert np.bincount(LABEL[made.parent_N], minlength=3).tolist() == made_C.tolist()
    uses = np.bincount(made.parent_N, minlength=len(LABEL))
    for label in (1, 2):
        own = uses[label == LABEL]
        assert own.max() - own.min() <= 1
    pairs = list(zip(made.parent_N.tolist(), made.copy_N.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)


def test_a_plan_is_a_function_of_its_seed():
    first, again, other = (shifts.plan(LABEL, np.array([0, 7, 5]), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.parent_N, again.parent_N)
    assert (first.parent_N != other.parent_N).any()
    assert not len(shifts.plan(LABEL, np.zeros(3, int), 0).parent_N)


def test_a_time_shift_rolls_by_a_hundredth_of_the_rate_both_ways(clips):
    made = shifts.Made(np.repeat(np.arange(6), 2), np.tile([0, 1], 6))
    out = shifts.time_shifted(clips, IDS, made, seed=0)
    ways = []
    for i in range(6):
        forward, backward = np.roll(clips[i], 160), np.roll(clips[i], -160)
        ways.append(np.array_equal(out[2 * i], forward))
        one, other = (forward, backward) if ways[-1] else (backward, forward)
        np.testing.assert_array_equal(out[2 * i], one)
        np.testing.assert_array_equal(out[2 * i + 1], other)
    assert len(set(ways)) == 2
    more = shifts.time_shifted(clips, IDS, shifts.Made(np.zeros(6, int), np.arange(6)), seed=0)
    assert len({y.tobytes() for y in more}) == 6
    np.testing.assert_array_equal(more[2], np.roll(more[0], 160 if ways[0] else -160))


@pytest.mark.parametrize("steps", [-3, -1, 2, 4])
def test_a_sine_is_shifted_by_half_steps(steps):
    x = sine(440)
    y = shifts.pitch_shift(x, steps, fft=1024, hop=256)
    assert len(y) == len(x)
    assert loudest(y) == pytest.approx(440 * 2 ** (steps / 12), abs=2)


def test_a_pitch_shift_is_librosas(clips):
    theirs = librosa.effects.pitch_shift(clips[0], sr=16000, n_steps=2, n_fft=1024, hop_length=256)
    np.testing.assert_array_equal(shifts.pitch_shift(clips[0], 2, 1024, 256), np.clip(theirs, -1, 1))


def test_made_clips_are_as_long_as_their_parents_finite_and_within_full_scale(clips):
    made = shifts.Made(np.array([0, 5, 5]), np.array([0, 0, 1]))
    for keep in (False, True):
        out = shifts.pitch_shifted(clips, IDS, made, seed=0, keep_level=keep)
        for parent, y in zip(made.parent_N, out, strict=True):
            assert y.dtype == np.float32 and len(y) == len(clips[parent])
            assert np.isfinite(y).all() and np.abs(y).max() <= 1
        assert not np.array_equal(out[1], out[2])
    loud = shifts.pitch_shift(sine(440) * 2, 1, keep_level=True)
    assert np.abs(loud).max() <= 1


def test_the_vocoder_loses_level_and_gets_it_back_where_that_is_asked(clips):
    energy = np.linalg.norm(clips[0])
    assert np.linalg.norm(shifts.pitch_shift(clips[0], 2)) < 0.9 * energy
    assert np.linalg.norm(shifts.pitch_shift(clips[0], 2, keep_level=True)) == pytest.approx(energy, rel=0.01)


def test_a_made_clip_depends_on_its_parent_and_the_seed_not_on_the_others(clips):
    made = shifts.Made(np.array([2, 0]), np.array([1, 0]))
    together = shifts.pitch_shifted(clips, IDS, made, seed=3)
    alone = shifts.pitch_shifted(clips[2:3], IDS[2:3], shifts.Made(np.array([0]), np.array([1])), seed=3)
    np.testing.assert_array_equal(together[0], alone[0])
    steps = {
        tuple(
            shifts.pitch_shifted([sine(440)], ["a"], shifts.Made(np.array([0]), np.array([0])), seed)[0][:50]
        )
        for seed in range(6)
    }
    assert len(steps) > 1


def test_a_clip_shorter_than_the_window_is_refused():
    with pytest.raises(UserError, match="1000 samples"):
        shifts.pitch_shift(sine(440)[:1000], 1, fft=2048)
