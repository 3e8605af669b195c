"""Recordings made of recordings: rolled in time, or shifted in pitch; every one knows its parent clip."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sergan.corpora.audio import RATE
from sergan.errors import UserError

REFERENCE = "anger"  # the class that gets none


class Made(NamedTuple):
    """Clips to make: each one's parent, as a place among the given clips, and which copy of it this is."""

    parent_N: np.ndarray
    copy_N: np.ndarray


def missing(
    label_R: np.ndarray, classes: Sequence[str], factor: float | None = None, reference: str = REFERENCE
) -> np.ndarray:
    """How many clips [C] to make of each class; none of the reference.

    Args:
      label_R: classes of the clips that train, as places in `classes`.
      factor: clips to make for each clip of the class; None makes as many as the reference has more.
    Raises:
      UserError: the reference is no class, the factor is negative, or a class has no clip to start from.
    Source: Pham et al. 2021, section IV-B, where anger gets none; it is the largest class of EMO-DB.
    """
    if reference not in classes:
        raise UserError(f"config.balance.reference: {reference!r} is none of {', '.join(classes)}")
    if factor is not None and not 0 <= factor < np.inf:
        raise UserError(f"a factor of made clips is 0 or more, not {factor:g}")
    count_C = np.bincount(label_R, minlength=len(classes))
    place = list(classes).index(reference)
    made_C = (
        np.maximum(0, count_C[place] - count_C) if factor is None else np.rint(factor * count_C).astype(int)
    )
    made_C[place] = 0
    for name, count, wanted in zip(classes, count_C, made_C, strict=True):
        if wanted and not count:
            raise UserError(f"class {name!r} has no clip that {wanted} could be made of")
    return made_C


def plan(label_R: np.ndarray, made_C: np.ndarray, seed: int) -> Made:
    """Parents of the clips to make: of each class a random order of its clips, again and again.

    So any two clips of a class are used equally often, or one of them once more.
    """
    parents, copies = [], []
    for label, wanted in enumerate(made_C):
        rows_R = np.flatnonzero(label_R == label)
        if not wanted:
            continue
        order_R = np.random.default_rng([seed, label]).permutation(rows_R)
        places = np.arange(wanted)
        parents.append(order_R[places % len(order_R)])
        copies.append(places // len(order_R))
    if not parents:
        return Made(np.zeros(0, int), np.zeros(0, int))
    return Made(np.concatenate(parents), np.concatenate(copies))


def time_shifted(
    clips: Sequence[np.ndarray], ids: Sequence[str], made: Made, seed: int, samples: int = RATE // 100
) -> list[np.ndarray]:
    """Clips rolled by `samples`: a parent's first copy forward or backward by lot, the next the other way,
    the two after these by twice as many, and so on.

    Returns clips as long as their parents. What a parent's copies are depends on its id and the seed alone.

    Source: Pham et al. 2021, eq. 1 (a hundredth of the sampling rate, which is 10 ms).
    """
    out = []
    for parent, copy in zip(made.parent_N, made.copy_N, strict=True):
        first = _generator(seed, ids[parent]).choice([-1, 1])
        out.append(time_shift(clips[parent], int(first) * (-1) ** int(copy) * (1 + int(copy) // 2) * samples))
    return out


def pitch_shifted(
    clips: Sequence[np.ndarray],
    ids: Sequence[str],
    made: Made,
    seed: int,
    most: int = 3,
    fft: int = 2048,
    hop: int = 512,
    keep_level: bool = False,
) -> list[np.ndarray]:
    """Clips a drawn number of half-steps higher or lower, up to `most`; a parent's copies differ as long as
    there are other steps.

    Returns clips as long as their parents. What a parent's copies are depends on its id and the seed alone.

    Args:
      fft, hop, keep_level: as in `pitch_shift`.
    """
    steps = np.array([n for n in range(-most, most + 1) if n])
    out = []
    for parent, copy in zip(made.parent_N, made.copy_N, strict=True):
        own = _generator(seed, ids[parent]).permutation(steps)
        out.append(pitch_shift(clips[parent], int(own[copy % len(own)]), fft, hop, keep_level))
    return out


def time_shift(x_T: np.ndarray, samples: int) -> np.ndarray:
    """A clip rolled by `samples`, forward if positive; what leaves at one end comes in at the other."""
    return np.roll(x_T, samples)


def pitch_shift(
    x_T: np.ndarray, half_steps: float, fft: int = 2048, hop: int = 512, keep_level: bool = False
) -> np.ndarray:
    """A clip at 16 kHz with its pitch shifted by half-steps, twelve to an octave, and its length kept.

    Samples beyond full scale are clipped, as in a file.

    Args:
      fft, hop: window and hop of the phase vocoder in samples.
      keep_level: whether the clip gets its own energy back; the vocoder takes about a third of the amplitude
        of speech, whichever the steps.
    Raises:
      UserError: the clip is shorter than the vocoder's window.
    Source: Pham et al. 2021, eqs. 2 and 3, by librosa: a phase vocoder, then resampling.
    """
    import librosa  # a second, for this function alone

    if len(x_T) < fft:
        raise UserError(f"{len(x_T)} samples cannot be shifted in pitch: the window has {fft}")
    y_T = librosa.effects.pitch_shift(x_T, sr=RATE, n_steps=half_steps, n_fft=fft, hop_length=hop)
    if keep_level:
        y_T = y_T * (np.linalg.norm(x_T) / max(float(np.linalg.norm(y_T)), 1e-9))
    return np.clip(y_T, -1, 1).astype(np.float32)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
