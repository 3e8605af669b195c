"""The figure "extraction": how many clips a second openSMILE takes, and 3-D log-Mel."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile

from experiments import hosts
from experiments.benchmark.sizes import Effort, Size
from sergan import logmel
from sergan.corpora.audio import RATE
from sergan.corpora.recordings import Recording
from sergan.features import extract

_SECONDS = 3.0


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A line for each number of processes, 1 and as many as there are cores; IS10, nothing cached. Then one
    for 3-D log-Mel, a batch at a time in this process.

    `efficiency` is the rate over that of as many single processes; starting the processes counts, and so does
    compiling the program of log-Mel.
    """
    with TemporaryDirectory() as folder:
        recordings = _noise(Path(folder), effort.clips)
        alone = 0.0
        for workers in dict.fromkeys((1, hosts.cores())):
            started = time.perf_counter()
            extract(recordings, "IS10", Path(folder) / f"cache {workers}", workers)
            rate = len(recordings) / (time.perf_counter() - started)
            alone = alone or rate
            yield {
                "figure": "extraction",
                "set": "IS10",
                "workers": workers,
                "clips": len(recordings),
                "clips_per_s": round(rate, 2),
                "efficiency": round(rate / (workers * alone), 3),
                "target": 0.9,
            }
    yield _spectrograms(effort.clips)


def _spectrograms(count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    clips = [_clip(rng) for _ in range(count)]
    started = time.perf_counter()
    logmel.extract(clips, [f"noise {i}" for i in range(count)])
    rate = count / (time.perf_counter() - started)
    return {
        "figure": "extraction",
        "set": "log-Mel",
        "workers": 1,
        "clips": count,
        "clips_per_s": round(rate, 2),
        "target_clips_per_s": 26.8,  # the 535 of EMO-DB in 20 s
    }


def _clip(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(int(_SECONDS * RATE))).astype(np.float32)


def _noise(folder: Path, count: int) -> list[Recording]:
    """Clips of noise, no two alike."""
    rng = np.random.default_rng(0)
    recordings = []
    for i in range(count):
        path = folder / f"{i:04d}.wav"
        soundfile.write(path, _clip(rng), RATE)
        recordings.append(Recording(f"noise/{i:04d}", path, f"speaker {i % 10}", ""))
    return recordings
