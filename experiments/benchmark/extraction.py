"""The figure "extraction": how many clips a second openSMILE takes on one core and on all of them."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile

from experiments import hosts
from experiments.benchmark.sizes import Effort, Size
from sergan.corpora.recordings import RATE, Recording
from sergan.features import extract

_SECONDS = 3.0


def figure(sizes: list[Size], effort: Effort) -> Iterator[dict[str, Any]]:
    """A line for each number of processes, 1 and as many as there are cores; IS10, nothing cached.

    `efficiency` is the rate over that of as many single processes; starting the processes counts.
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
                "workers": workers,
                "clips": len(recordings),
                "clips_per_s": round(rate, 2),
                "efficiency": round(rate / (workers * alone), 3),
                "target": 0.9,
            }


def _noise(folder: Path, count: int) -> list[Recording]:
    """Clips of noise, no two alike."""
    rng = np.random.default_rng(0)
    recordings = []
    for i in range(count):
        path = folder / f"{i:04d}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(int(_SECONDS * RATE)), RATE)
        recordings.append(Recording(f"noise/{i:04d}", path, f"speaker {i % 10}", ""))
    return recordings
