"""Log-Mel spectrograms against librosa, on real clips; segments, pooling, standardisation."""

from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from sergan import logmel
from sergan.corpora.audio import read_audio
from sergan.errors import UserError

PATHS = sorted((Path(__file__).parent / "data" / "emodb" / "wav").glob("*.wav"))


@pytest.fixture(scope="module")
def clips():
    return [read_audio(path) for path in PATHS]


@pytest.fixture(scope="module")
def spectrograms(clips):
    return logmel.extract(clips, [path.stem for path in PATHS])


def by_librosa(clip):
    """Librosa centres the window of 400 in a frame of 512: 56 samples more at either end."""
    mel = librosa.feature.melspectrogram(
        y=np.pad(clip, 56),
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        window="hamming",
        center=False,
        n_mels=40,
        fmin=300,
        fmax=8000,
        htk=True,
        norm=None,
    )
    static = np.log(np.maximum(mel, 1e-10))
    delta = librosa.feature.delta(static, width=5, mode="nearest")
    return np.stack([static, delta, librosa.feature.delta(delta, width=5, mode="nearest")], -1).swapaxes(0, 1)


def test_every_clip_is_as_librosa_makes_it(clips, spectrograms):
    for clip, ours in zip(clips, spectrograms, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, by_librosa(clip), atol=2e-4)


def test_a_clip_is_the_same_alone_and_beside_longer_ones(clips, spectrograms):
    alone = logmel.extract(clips[:1], ["alone"])[0]
    np.testing.assert_array_equal(alone, spectrograms[0])
    padded = logmel.extract([np.pad(clips[0], (0, 16000))], ["padded"])[0]
    count = len(alone) - 4  # the last slopes see what follows
    np.testing.assert_allclose(padded[:count], alone[:count], atol=1e-5)


def test_a_clip_shorter_than_a_frame_is_refused_by_name(clips):
    assert logmel.extract([clips[0][:400]], ["one frame"])[0].shape == (1, 40, 3)
    with pytest.raises(UserError, match=r"too/short: 24.9 ms"):
        logmel.extract([clips[0], clips[0][:399]], ["fine", "too/short"])


def test_silence_is_finite():
    assert np.isfinite(logmel.extract([np.zeros(4000, np.float32)], ["silence"])[0]).all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [-149]), (200, [-50]), (300, [0]), (301, [0, 1]), (750, [0, 225, 450]), (900, [0, 300, 600])],
)
def test_segments_cover_a_clip_at_equal_distances_or_have_it_in_the_middle(count, expected):
    assert logmel.starts(count).tolist() == expected


def test_a_segment_is_silent_beside_its_clip_and_never_has_anothers_frames():
    """Clips whose every coefficient is 10 u + t."""
    each = [10 * u + np.arange(1, n + 1, dtype=np.float32) for u, n in enumerate((3, 5, 2))]
    clips = logmel.join([own_T[:, None, None] * np.ones((1, 2, 3), np.float32) for own_T in each])
    assert clips.frames_U.tolist() == [3, 5, 2] and clips.x_LxFx3.shape == (10, 2, 3)
    place = jnp.array([0, 1, 1, 2]), jnp.array([0, 1, 0, -2])
    x = np.asarray(logmel.segments(logmel.Spectrograms(*map(jnp.asarray, clips)), *place, 4))
    s = logmel.SILENCE
    assert x[:, :, 1, 0].tolist() == pytest.approx(
        np.array([[1, 2, 3, s], [12, 13, 14, 15], [11, 12, 13, 14], [s, s, 21, 22]])
    )
    assert x[0, 3, :, 1:].tolist() == [[0, 0], [0, 0]] == x[3, 0, :, 1:].tolist()


def test_recordings_end_above_silence(spectrograms):
    ends = np.array([[x[0, :, 0].mean(), x[-1, :, 0].mean()] for x in spectrograms])
    assert ends.min() > logmel.SILENCE and ends.mean() < np.concatenate(spectrograms)[..., 0].mean()


def test_a_posterior_is_pooled_over_the_segments_of_its_clip():
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    clip = np.array([4, 4, 9])
    largest = [[0.9 / 1.7, 0.8 / 1.7], [0.3, 0.7]]
    np.testing.assert_allclose(logmel.pool(posterior, clip), largest)


def test_standardised_training_frames_have_mean_0_and_deviation_1(spectrograms):
    clips = logmel.join(spectrograms)
    standard = logmel.fit(clips, np.arange(10))
    frames = np.asarray(logmel.standardise(np.concatenate(spectrograms[:10])[None], standard))[0]
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)


def test_standardisation_never_sees_other_clips(spectrograms):
    clips = logmel.join(spectrograms)
    spoilt = clips._replace(x_LxFx3=clips.x_LxFx3.copy())
    spoilt.x_LxFx3[clips.first_U[10] :] = 1e3
    for ours, theirs in zip(logmel.fit(clips, np.arange(10)), logmel.fit(spoilt, np.arange(10)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_masks_hide_a_band_of_frames_and_of_filters_of_every_width_and_nothing_else():
    ones, own = jnp.ones((3000, 12, 6, 3)), jnp.ones((3000, 12), bool)
    x = np.asarray(logmel.masked(ones, own, 4, 6, jax.random.key(0)))
    assert set(np.unique(x)) == {0, 1} and (x == x[..., :1]).all()
    x = x[..., 0].astype(int)
    frames, filters = x.max(axis=2), x.max(axis=1)
    seen = filters.any(axis=1)  # all filters may be hidden, and no frame is seen then
    np.testing.assert_array_equal(x[seen], frames[seen][:, :, None] * filters[seen][:, None])
    for kept, most in ((frames[seen], 4), (filters, 6)):
        hidden = 1 - np.pad(kept, ((0, 0), (1, 1)), constant_values=1)
        assert (np.maximum(np.diff(hidden, axis=1), 0).sum(axis=1) <= 1).all()  # one band
        share = np.bincount(hidden.sum(axis=1), minlength=most + 1) / len(kept)
        np.testing.assert_allclose(share, 1 / (most + 1), atol=0.03)
        assert hidden[:, 1:-1].any(axis=0).all()
    other = np.asarray(logmel.masked(ones, own, 4, 6, jax.random.key(1)))[..., 0]
    assert (other != x).any()
    np.testing.assert_array_equal(logmel.masked(ones, own, 0, 0, jax.random.key(0)), ones)


def test_masks_lie_inside_of_a_clip_and_leave_the_silence_beside_it():
    """A clip of 5 frames in a segment of 12, from frame 4 on; bands of up to 8 frames."""
    x_BxTxFx3, own_BxT = jnp.ones((2000, 12, 6, 3)), jnp.zeros((2000, 12), bool).at[:, 4:9].set(True)
    x = np.asarray(logmel.masked(x_BxTxFx3, own_BxT, 8, 3, jax.random.key(0)))
    assert x[:, :4].all() and x[:, 9:].all()
    hidden = 5 - x[..., 0].max(axis=2)[:, 4:9].sum(axis=1).astype(int)
    assert set(hidden) == set(range(6))  # all of a short clip at most
    assert (x[:, 4:9] == 0).any(axis=(0, 2, 3)).all()


def test_long_clips_are_extracted_a_few_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=8000 * n).astype(np.float32) for n in (1, 5, 4, 5)]
    names = list("abcd")
    whole = logmel.extract(clips, names)
    monkeypatch.setattr(logmel, "_FRAMES", 300)  # one of 250 frames at once
    for few, many in zip(logmel.extract(clips, names), whole, strict=True):
        np.testing.assert_allclose(few, many, atol=1e-4)


def test_a_coefficient_that_never_varies_becomes_0():
    clips = logmel.join([np.full((5, 2, 3), 7.3, np.float32)])
    z = logmel.standardise(clips.x_LxFx3[None], logmel.fit(clips, np.array([0])))
    assert not np.asarray(z).any()
