"""Clips on demand from a run folder's GANs."""

from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from experiments.clips import make, study
from experiments.clips.train import Generators
from sergan.errors import UserError
from sergan.nets.sound import KINDS


def synthesize(config: Any, run: epath.Path, out: epath.Path, per_class: int) -> str:
    """Writes `per_class` wav files of each class by each kind of GAN into the new folder `out`.

    They come from the GANs of all folds and seeds in equal parts, but for those that diverged; metadata.csv
    says from which, and which fold's test clips they may be used with.

    Raises:
      UserError: the folder is there already, or the run has no GAN, or one that is not trained yet, or all of
        a kind diverged.
    """
    if out.exists():
        raise UserError(f"{out}: clips are written into a new folder; name one that is not there yet")
    if out.suffix:
        raise UserError(f"{out}: clips are written into a folder; name one without an ending")
    if not out.parent.exists():
        raise UserError(f"{out}: the folder {out.parent} does not exist")
    if per_class < 1:
        raise UserError(f"--per_class={per_class}: 1 or more")
    resolved = study.prepare(config)
    study.keep_clips(run, resolved)
    kinds = [arm for arm in resolved.arms if arm in KINDS]
    if not kinds:
        raise UserError(f"{run}: no GAN was trained in this run; its arms are {', '.join(resolved.arms)}")
    generators = Generators(resolved, run)
    generators.check_trained()
    parts = [part for kind in kinds for part in _of_kind(resolved, generators, kind, per_class)]
    lines = pd.concat([part.lines for part in parts], ignore_index=True)
    make.write(out, make.Made([x_T for part in parts for x_T in part.clips], lines))
    return f"{out}: {len(lines)} clips, {per_class} of each class by {' and '.join(kinds)}, with metadata.csv"


def _of_kind(resolved: study.Study, generators: Generators, kind: str, per_class: int) -> list[make.Made]:
    """Clips of one kind of GAN, from its folds and seeds in turn."""
    seeds = range(resolved.config.sound.seeds)
    jobs = [make.Job(kind, fold.index, seed) for seed in seeds for fold in resolved.folds]
    all_C = np.ones(len(resolved.classes), int)
    jobs = [job for job in jobs if not generators.fault(*job, all_C)]
    if not jobs:
        raise UserError(f"all GANs of {kind} diverged; begin anew with a lower config.sound.learning_rate")
    parts = []
    for share, job in zip(np.array_split(np.arange(per_class), len(jobs)), jobs, strict=True):
        if len(share):
            count_C = np.full(len(resolved.classes), len(share))
            part = make.of_noise(resolved, generators, job, count_C, "synthesize", "wav")
            names = [f"{kind}_fold_{job.fold}_seed_{job.seed}_{name}" for name in part.lines["file"]]
            parts.append(make.Made(part.clips, part.lines.assign(file=names)))
    return parts
