"""3-D log-Mel spectrograms of clips, and segments of equal length: what convolutional networks see."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sergan import rngs
from sergan.corpora.audio import RATE
from sergan.errors import UserError

WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
FFT = 512
FILTERS = 40
LOW, HIGH = 300.0, 8000.0  # Hz
SEGMENT = 300  # frames, 3 s
ROW = 128  # frames of a row of features, 1.3 s
VERSION = 1  # of rows; another one where `extract` or `row` gives other values
QUIET = 1e-10  # power below which a filter counts as silent
# Beside its clip a segment has the zeros that Chen et al. 2018 pad with, whose coefficients are of samples
# up to 32768 and of power divided by FFT. Recordings end well above it; a mean frame is as loud as speech.
SILENCE = math.log(FFT / 32768**2)

_BATCH = 32  # clips in a call of the compiled program, at most,
_FRAMES = 32_000  # and frames, whose windows and spectra take half a gigabyte
_LENGTH = 100  # frames; clips are padded to a multiple of it


class Spectrograms(NamedTuple):
    """Spectrograms of clips U, one after another: clip u has `frames_U[u]` frames, from `first_U[u]` on."""

    x_LxFx3: Any
    first_U: Any
    frames_U: Any


class Standard(NamedTuple):
    """Mean and inverse deviation of each filter's static, delta and delta-delta coefficient."""

    mean_Fx3: Any
    scale_Fx3: Any


def extract(clips: Sequence[np.ndarray], ids: Sequence[str]) -> list[np.ndarray]:
    """3-D log-Mel of clips: Hamming windows of 25 ms every 10 ms, 40 Mel filters of 300 Hz to 8 kHz.

    The logarithm is natural; the filters are triangles of height 1 at equal distances on the HTK Mel scale.
    Frame t sees the 400 samples from 160 t on: there is no padding, and what is left at the end is dropped.

    Args:
      clips: samples of each clip at 16 kHz, float32.
      ids: their names, for messages.
    Returns:
      For each clip x_TxFx3, float32: static, delta and delta-delta coefficients of T frames and F filters.
    Raises:
      UserError: a clip is shorter than one frame, which is 25 ms.
    Source: Pham et al. 2021, section III-B; delta window N = 2 as Chen et al. 2018.
    """
    for clip_T, name in zip(clips, ids, strict=True):
        if len(clip_T) < WINDOW:
            raise UserError(
                f"{name}: {1000 * len(clip_T) / RATE:.1f} ms long; a frame is {1000 * WINDOW // RATE} ms"
            )
    lengths = [-(-frames(len(clip_T)) // _LENGTH) * _LENGTH for clip_T in clips]
    out: list[np.ndarray] = [np.empty(0)] * len(clips)
    for length in sorted(set(lengths)):
        same = [i for i, own in enumerate(lengths) if own == length]
        together = max(1, min(_BATCH, _FRAMES // length))
        for start in range(0, len(same), together):
            batch = same[start : start + together]
            made = _extract_batch([clips[i] for i in batch], length, together)
            for i, x_TxFx3 in zip(batch, made, strict=True):
                out[i] = x_TxFx3
    return out


def frames(samples: int) -> int:
    """Whole frames in that many samples."""
    return 1 + (samples - WINDOW) // HOP


def join(spectrograms: Sequence[np.ndarray]) -> Spectrograms:
    """Spectrograms x_TxFx3 of clips as one array."""
    frames_U = np.array([len(x_TxFx3) for x_TxFx3 in spectrograms], np.int32)
    first_U = (np.cumsum(frames_U) - frames_U).astype(np.int32)
    return Spectrograms(np.concatenate(spectrograms), first_U, frames_U)


def starts(count: int, length: int = SEGMENT) -> np.ndarray:
    """First frames of the segments of `length` frames that cover a clip of `count`: as few as can, at equal
    distances. They overlap, and none of them is mostly padding; a shorter clip is in the middle of its only
    one, whose start is then below 0.

    Source: Chen et al. 2018 (3 s).
    """
    if count <= length:
        return np.array([-((length - count) // 2)], np.int32)
    return np.linspace(0, count - length, -(-count // length)).round().astype(np.int32)


def segments(clips: Spectrograms, clip_B: jax.Array, start_B: jax.Array, length: int = SEGMENT) -> jax.Array:
    """Segments x_BxTxFx3 of `length` frames of the clips `clip_B`, from their frames `start_B` on.

    Before a clip's first frame (a start below 0) and after its last one it is silent: static coefficients
    are `SILENCE` and do not change.
    """
    own_BxT, time_BxT = own_frames(clips, clip_B, start_B, length), _times(start_B, length)
    place_BxT = jnp.where(own_BxT, clips.first_U[clip_B][:, None] + time_BxT, 0)
    silence_3 = jnp.array([SILENCE, 0, 0], jnp.float32)
    return jnp.where(own_BxT[..., None, None], clips.x_LxFx3[place_BxT], silence_3[None, None, None])


def own_frames(
    clips: Spectrograms, clip_B: jax.Array, start_B: jax.Array, length: int = SEGMENT
) -> jax.Array:
    """Which frames [B, T] of `segments` are the clips' own, and no silence beside them."""
    time_BxT = _times(start_B, length)
    return (time_BxT >= 0) & (time_BxT < clips.frames_U[clip_B][:, None])


def _times(start_B: jax.Array, length: int) -> jax.Array:
    """Frames [B, T] of a clip that a segment from `start_B` on covers."""
    return start_B[:, None] + jnp.arange(length)[None]


def row(x_TxFx3: np.ndarray) -> np.ndarray:
    """The static coefficients of a spectrogram's middle `ROW` frames, frame after frame: x_D, D = ROW · F.

    A shorter clip stays in the middle, between frames of each filter's lowest value in it: what is as quiet
    as the recording ever is. Zeros would be loud, `QUIET` a cliff, and its last frame speech that goes on.
    """
    static_TxF = x_TxFx3[..., 0]
    missing = max(0, ROW - len(static_TxF))
    start = max(0, len(static_TxF) - ROW) // 2
    out_TxF = np.tile(static_TxF.min(axis=0), (ROW, 1))
    own_TxF = static_TxF[start : start + ROW]
    out_TxF[missing // 2 : missing // 2 + len(own_TxF)] = own_TxF
    return out_TxF.ravel()


def names() -> tuple[str, ...]:
    """Of the places of a `row`: "logmel_t003_f12" is frame 3, filter 12."""
    return tuple(f"logmel_t{t:03d}_f{f:02d}" for t in range(ROW) for f in range(FILTERS))


def pool(posterior_NxC: np.ndarray, clip_N: np.ndarray) -> np.ndarray:
    """Posteriors [U, C] of the clips in ascending order of their places, from those of their segments: each
    class's largest, divided by their sum.

    Source: Chen et al. 2018.
    """
    pooled_UxC = np.stack([posterior_NxC[clip_N == clip].max(axis=0) for clip in np.unique(clip_N)])
    return pooled_UxC / pooled_UxC.sum(axis=1, keepdims=True)


def fit(clips: Spectrograms, which_U: np.ndarray) -> Standard:
    """Mean and deviation over the frames of the clips `which_U`.

    A coefficient that never varies is scaled to 0.
    """
    total_Fx3, square_Fx3, count = 0.0, 0.0, 0
    for first, frames in zip(clips.first_U[which_U].tolist(), clips.frames_U[which_U].tolist(), strict=True):
        own_TxFx3 = clips.x_LxFx3[first : first + frames].astype(np.float64)
        total_Fx3 = total_Fx3 + own_TxFx3.sum(axis=0)
        square_Fx3 = square_Fx3 + np.square(own_TxFx3).sum(axis=0)
        count += frames
    return Standard(*mean_and_scale(np.asarray(total_Fx3), np.asarray(square_Fx3), count))


def mean_and_scale(total: np.ndarray, square: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation, float32, of `count` values each, whose sums and sums of squares are given.

    What never varies is scaled to 0.
    """
    mean = total / count
    variance = square / count - mean**2
    varies = variance > 1e-10 * (1 + mean**2)
    scale = np.divide(1, np.sqrt(np.abs(variance)), where=varies, out=np.zeros_like(mean))
    return mean.astype(np.float32), scale.astype(np.float32)


def standardise(x_BxTxFx3: jax.Array, standard: Standard) -> jax.Array:
    """Segments z-normed per filter and channel."""
    return (x_BxTxFx3 - standard.mean_Fx3[None, None]) * standard.scale_Fx3[None, None]


def masked(x_BxTxFx3: jax.Array, own_BxT: jax.Array, frames: int, filters: int, key: jax.Array) -> jax.Array:
    """Standardised segments of which each has lost a band of frames and one of filters: 0, which is the mean.

    The widths are drawn from 0 to `frames` and to `filters`, the places so that all of a band lies inside of
    the clip's own frames: the silence beside them stays silent.

    Args:
      own_BxT: frames that are the clip's, one after another.
    Source: Park et al., "SpecAugment", Interspeech 2019, section 2 (one mask of each kind).
    """

    def hidden(first_B: jax.Array, count_B: jax.Array, length: int, most: int, key: jax.Array) -> jax.Array:
        width_B = jax.random.randint(rngs.stream(key, "width"), first_B.shape, 0, most + 1)
        width_B = jnp.minimum(width_B, count_B)
        left_B = jax.random.randint(rngs.stream(key, "start"), first_B.shape, 0, count_B - width_B + 1)
        place_BxL = jnp.arange(length)[None] - (first_B + left_B)[:, None]
        return (place_BxL >= 0) & (place_BxL < width_B[:, None])

    rows, length, bins = x_BxTxFx3.shape[:3]
    own = own_BxT.argmax(axis=1), own_BxT.sum(axis=1)
    all_bins = jnp.zeros(rows, int), jnp.full(rows, bins)
    frames_BxT = hidden(*own, length, frames, rngs.stream(key, "frames"))
    filters_BxF = hidden(*all_bins, bins, min(filters, bins), rngs.stream(key, "filters"))
    lost_BxTxF = own_BxT[:, :, None] & (frames_BxT[:, :, None] | filters_BxF[:, None, :])
    return jnp.where(lost_BxTxF[..., None], 0, x_BxTxFx3)


def _extract_batch(clips: list[np.ndarray], length: int, together: int) -> list[np.ndarray]:
    """Spectrograms of up to `together` clips of at most `length` frames, by the program for that many."""
    samples = (length - 1) * HOP + WINDOW
    x_BxT = np.zeros((together, samples), np.float32)
    count_B = np.ones(together, np.int32)
    for b, clip_T in enumerate(clips):
        count_B[b] = frames(len(clip_T))
        x_BxT[b, : min(len(clip_T), samples)] = clip_T[:samples]
    out_BxTxFx3 = np.asarray(_program()(x_BxT, count_B))
    return [out_BxTxFx3[b, : count_B[b]] for b in range(len(clips))]


@lru_cache
def _program() -> Any:
    """Padded samples [B, T] and true counts of frames -> padded spectrograms [B, T, F, 3]."""
    bank_FxF = jnp.asarray(mel_filters().T)
    window_T = jnp.asarray(np.hamming(WINDOW + 1)[:-1], jnp.float32)  # periodic

    def program(x_BxT: jax.Array, count_B: jax.Array) -> jax.Array:
        length = frames(x_BxT.shape[1])
        place = HOP * np.arange(length)[:, None] + np.arange(WINDOW)
        spectrum = jnp.fft.rfft(x_BxT[:, place] * window_T[None, None], FFT)
        power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
        static_BxTxF = jnp.log(jnp.maximum(jnp.matmul(power, bank_FxF, precision="float32"), QUIET))
        delta_BxTxF = _slope(static_BxTxF, count_B)
        return jnp.stack([static_BxTxF, delta_BxTxF, _slope(delta_BxTxF, count_B)], axis=-1)

    return jax.jit(program)


def _slope(x_BxTxF: jax.Array, count_B: jax.Array) -> jax.Array:
    """Least-squares slope over five frames; before the first and after the last frame they stand still."""
    times_T = jnp.arange(x_BxTxF.shape[1])

    def moved(by: int) -> jax.Array:
        place_BxT = jnp.clip(times_T[None] + by, 0, count_B[:, None] - 1)
        return jnp.take_along_axis(x_BxTxF, place_BxT[..., None], axis=1)

    return (moved(1) - moved(-1) + 2 * (moved(2) - moved(-2))) / 10


def mel_filters() -> np.ndarray:
    """Triangles [F, FFT / 2 + 1] of height 1 over the bins, at equal distances on the HTK Mel scale."""
    mel = np.linspace(2595 * np.log10(1 + LOW / 700), 2595 * np.log10(1 + HIGH / 700), FILTERS + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.arange(FFT // 2 + 1) * RATE / FFT
    rising = (hertz - edge[:-2, None]) / np.diff(edge)[:-1, None]
    falling = (edge[2:, None] - hertz) / np.diff(edge)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
