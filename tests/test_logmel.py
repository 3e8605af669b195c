"""Log-Mel spectrograms against librosa, on real clips; segments, pooling, standardisation."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from sergan import logmel
from sergan.corpora.recordings import read_audio
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


@pytest.mark.parametrize(("count", "starts"), [(1, [0]), (300, [0]), (301, [0, 1]), (900, [0, 300, 600])])
def test_segments_cover_a_clip_and_the_short_one_is_padded(count, starts):
    clip = np.arange(1, count + 1, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    segments = logmel.cut([clip, clip])
    assert segments.x_NxTxFx3.shape == (2 * len(starts), 300, 2, 3)
    assert segments.clip_N.tolist() == [0] * len(starts) + [1] * len(starts)
    assert (segments.x_NxTxFx3[: len(starts), 0, 0, 0] - 1).tolist() == starts
    assert set(segments.frames_N.tolist()) == {min(count, 300)}
    assert not segments.x_NxTxFx3[:, count:].any()
    assert set(clip.ravel()) == set(segments.x_NxTxFx3[segments.x_NxTxFx3 > 0])


def test_a_posterior_is_pooled_over_the_segments_of_its_clip():
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    clip = np.array([4, 4, 9])
    largest = [[0.9 / 1.7, 0.8 / 1.7], [0.3, 0.7]]
    np.testing.assert_allclose(logmel.pool(posterior, clip), largest)
    np.testing.assert_allclose(logmel.pool(posterior, clip, "mean"), [[0.55, 0.45], [0.3, 0.7]])


def test_standardised_training_frames_have_mean_0_and_deviation_1_and_padding_is_0(spectrograms):
    segments = logmel.cut(spectrograms)
    standard = logmel.fit(segments, np.arange(10))
    z = np.asarray(logmel.standardise(segments.x_NxTxFx3, segments.frames_N, standard))
    frames = np.concatenate([z[n, : segments.frames_N[n]] for n in range(10)])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)
    for n, count in enumerate(segments.frames_N):
        assert not z[n, count:].any()


def test_standardisation_never_sees_other_segments(spectrograms):
    segments = logmel.cut(spectrograms)
    spoilt = segments._replace(x_NxTxFx3=segments.x_NxTxFx3.copy())
    spoilt.x_NxTxFx3[10:] = 1e3
    short = segments.frames_N[:10] < 300
    spoilt.x_NxTxFx3[:10][short, -1] = 1e3  # padding
    for ours, theirs in zip(
        logmel.fit(segments, np.arange(10)), logmel.fit(spoilt, np.arange(10)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_coefficient_that_never_varies_becomes_0():
    segments = logmel.Segments(
        np.full((1, 5, 2, 3), 7.3, np.float32), np.array([5], np.int32), np.array([0], np.int32)
    )
    z = logmel.standardise(segments.x_NxTxFx3, segments.frames_N, logmel.fit(segments, np.array([0])))
    assert not np.asarray(z).any()
