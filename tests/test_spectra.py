"""Spectrograms against librosa's, on real clips, and waveforms made of them."""

from pathlib import Path

import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from sergan import spectra
from sergan.corpora.audio import read_audio
from sergan.errors import UserError

PATHS = sorted((Path(__file__).parent / "data" / "emodb" / "wav").glob("*.wav"))[:6]


@pytest.fixture(scope="module")
def clips():
    return [read_audio(path) for path in PATHS]


@pytest.fixture(scope="module")
def bins(clips):
    return spectra.fit_bins(clips[:4])


def test_a_log_magnitude_is_librosas(clips):
    x = np.stack([x_T[:16384] for x_T in clips[:2]])
    theirs = librosa.stft(np.pad(x, ((0, 0), (0, 128))), n_fft=256, hop_length=128, center=False)
    ours = spectra.log_magnitude(jnp.asarray(x))
    assert ours.shape == (2, 128, 128)
    np.testing.assert_allclose(np.exp(ours), np.abs(theirs[:, :128]).swapaxes(1, 2) + 1e-6, atol=1e-5)
    assert np.abs(theirs).max() > 1


def test_bins_of_the_training_clips_have_mean_0_and_deviation_1(clips, bins):
    frames = [
        np.asarray(spectra.log_magnitude(jnp.asarray(x_T[None, : 128 * (len(x_T) // 128)])))[0, :-1]
        for x_T in clips[:4]
    ]
    z = (np.concatenate(frames) - bins[0]) * bins[1]
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-3)


@pytest.mark.parametrize("samples", [16384, 32768])
def test_a_spectrogram_is_within_1_and_has_a_frame_for_128_samples(clips, bins, samples):
    x = np.stack([np.pad(x_T, (0, 32768))[:samples] for x_T in clips[:2]])
    spec = np.asarray(spectra.spectrogram(jnp.asarray(x), *bins))
    assert spec.shape == (2, samples // 128, 128)
    assert np.abs(spec).max() <= 1
    middle = (np.asarray(spectra.log_magnitude(jnp.asarray(x))) - bins[0]) * bins[1]
    inside = np.abs(middle) < 3
    np.testing.assert_allclose(3 * spec[inside], middle[inside], atol=1e-5)


def test_a_real_clip_survives_the_round_trip(clips, bins):
    x = np.stack([x_T[:16384] for x_T in clips[:3]])
    spec = np.asarray(spectra.spectrogram(jnp.asarray(x), *bins))
    back = spectra.waveforms(spec, *bins, samples=16384)
    assert back.shape == x.shape and back.dtype == np.float32
    assert np.abs(back).max() <= 1
    again = np.asarray(spectra.spectrogram(jnp.asarray(back), *bins))
    for one, other in zip(spec, again, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.96
    loudness = np.sqrt(np.mean(back**2, axis=1) / np.mean(x**2, axis=1))
    np.testing.assert_allclose(loudness, 1, atol=0.15)
    np.testing.assert_array_equal(spectra.waveforms(spec, *bins, samples=16384), back)


def test_waveforms_are_finite_and_within_full_scale_whatever_the_spectrogram(bins):
    spec = np.full((2, 128, 128), 40.0, np.float32)
    spec[1] = np.nan
    x = spectra.waveforms(spec, *bins, samples=16384)
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= 1
    with pytest.raises(UserError, match="16384 samples, not 32768"):
        spectra.waveforms(spec, *bins, samples=32768)


def test_bins_without_a_frame_are_refused_and_a_silent_bin_is_0(clips):
    with pytest.raises(UserError, match="0 clips"):
        spectra.fit_bins([])
    silent = np.zeros((1, 4096), np.float32)
    mean, scale = spectra.fit_bins(list(silent))
    assert not np.asarray(spectra.spectrogram(jnp.asarray(silent), mean, scale)).any()
    assert np.abs(spectra.waveforms(np.zeros((1, 32, 128)), mean, scale, samples=4096)).max() < 1e-3
