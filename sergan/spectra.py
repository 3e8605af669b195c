"""What SpecGAN sees of waveforms: log-magnitude spectrograms in [-1, 1], and waveforms made of such."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sergan.errors import UserError
from sergan.logmel import mean_and_scale

WINDOW = 256  # samples, 16 ms; the FFT's size, too
HOP = 128  # samples
BINS = 128  # the one at half the sampling rate is dropped
QUIET = 1e-6  # added to a magnitude
REACH = 3  # deviations that [-1, 1] holds
ITERATIONS = 16  # of Griffin-Lim
_LENGTH = 512 * HOP  # samples, 4 s; clips of about the same length share a program


def spectrogram(x_BxT: jax.Array, mean_F: jax.Array, scale_F: jax.Array) -> jax.Array:
    """Spectrograms [B, T / `HOP`, F] of waveforms whose length is a multiple of `HOP`, in [-1, 1].

    Log magnitudes, z-normed per bin by `fit_bins`, clipped to 3 deviations and divided by 3. Frame t sees
    the 256 samples from 128 t on, with zeros after the last; the window is Hann's, periodic.

    Source: Donahue et al. 2019, section 3.2; Pham et al. 2021, section III-A.
    """
    z_BxTxF = (log_magnitude(x_BxT) - mean_F[None, None]) * scale_F[None, None]
    return jnp.clip(z_BxTxF, -REACH, REACH) / REACH


def log_magnitude(x_BxT: jax.Array) -> jax.Array:
    """Natural logarithms of magnitudes [B, T / `HOP`, F], as `spectrogram` has them before it norms them."""
    padded = jnp.pad(x_BxT, ((0, 0), (0, WINDOW - HOP)))
    blocks_BxNxH = padded.reshape(len(x_BxT), -1, HOP)
    frames = jnp.concatenate([blocks_BxNxH[:, :-1], blocks_BxNxH[:, 1:]], axis=-1)
    window = jnp.asarray(_window(), x_BxT.dtype)[None, None]
    return jnp.log(jnp.abs(jnp.fft.rfft(frames * window))[..., :BINS] + QUIET)


def fit_bins(clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation, mean_F and scale_F, over the frames of clips x_T; float32.

    Raises:
      UserError: no clip, or none as long as a frame.
    """
    total_F, square_F, count = np.zeros(BINS), np.zeros(BINS), 0
    for x_T in clips:
        frames = max(0, 1 + (len(x_T) - WINDOW) // HOP)
        padded_T = np.pad(np.asarray(x_T, np.float32), (0, -len(x_T) % _LENGTH))
        own_TxF = np.asarray(_program()(padded_T[None]))[0, :frames].astype(np.float64)
        total_F += own_TxF.sum(axis=0)
        square_F += np.square(own_TxF).sum(axis=0)
        count += frames
    if not count:
        raise UserError(f"{len(clips)} clips have no frame of {WINDOW} samples to norm spectrograms by")
    return mean_and_scale(total_F, square_F, count)


def waveforms(
    spec_NxTxF: np.ndarray, mean_F: np.ndarray, scale_F: np.ndarray, samples: int, seed: int = 0
) -> np.ndarray:
    """Waveforms x_NxT of that many samples, in [-1, 1], whose spectrograms are about the given ones.

    Phases are Griffin and Lim's, in 16 iterations from random ones; the same for the same seed.

    Raises:
      UserError: the spectrograms have another length than waveforms of `samples` have.
    Source: Pham et al. 2021, section III-A; the algorithm is librosa's, without momentum.
    """
    import librosa  # a second, for this function alone

    if spec_NxTxF.shape[1] * HOP != samples:
        raise UserError(
            f"{spec_NxTxF.shape[1]} frames make {spec_NxTxF.shape[1] * HOP} samples, not {samples}"
        )
    deviation_F = np.divide(1, scale_F, where=scale_F > 0, out=np.zeros_like(scale_F))
    log_NxTxF = np.clip(np.nan_to_num(spec_NxTxF), -1, 1) * REACH * deviation_F + mean_F
    magnitude_NxTxF = np.maximum(np.exp(log_NxTxF) - QUIET, 0)
    early_NxTxF = np.pad(
        magnitude_NxTxF, ((0, 0), (1, 0), (0, 0)), mode="edge"
    )  # a frame half before the first
    whole_NxFxT = np.pad(early_NxTxF, ((0, 0), (0, 0), (0, 1))).swapaxes(1, 2)
    x_NxT = librosa.griffinlim(
        whole_NxFxT,
        n_iter=ITERATIONS,
        hop_length=HOP,
        win_length=WINDOW,
        n_fft=WINDOW,
        length=samples,
        momentum=0,
        random_state=seed,
    )
    return np.clip(np.nan_to_num(x_NxT), -1, 1).astype(np.float32)


def _window() -> np.ndarray:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@lru_cache
def _program() -> Any:
    return jax.jit(log_magnitude)
