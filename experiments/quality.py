"""How near every arm's synthetic rows are to real ones, by emotion and fold."""

from dataclasses import replace

import numpy as np
import pandas as pd
from etils import epath

from experiments import hosts
from experiments.arms import Bench, answers, bench
from experiments.classify import Job
from experiments.settings import fixed
from experiments.study import Study
from experiments.synthesise import Generators
from sergan import distances, folds, writers
from sergan.errors import ArmError
from sergan.methods import METHODS

_WORDS = ("normalisation", "arm", "emotion")
_COLUMNS = (*_WORDS, "fold", "seed", "point")


def measure(study: Study, run: epath.Path) -> None:
    """Writes quality.csv; every normalisation, arm, point and GAN seed is kept as soon as it is done.

    CycleGANs have their difference of means for all GAN seeds; all else (`config.distances` asks for more
    measures) has the first one. What an arm cannot make is left out: it is among the holes already.
    """
    generators = Generators(study, run)
    jobs = [
        Job(normalisation, arm, point, seed)
        for normalisation in study.config.normalisations
        for arm in study.arms
        for point in study.points_of(arm)
        for seed in range(study.config.gan.seeds if arm in METHODS else 1)
    ]
    paths = [run / "quality" / f"{job.name}.csv" for job in jobs]
    mine = hosts.mine(list(zip(paths, jobs, strict=True)))
    with hosts.progress("quality", len(mine)) as progress:
        for number, (path, job) in enumerate(mine):
            if not path.exists():
                lines = [line for fold in study.folds for line in _fold(study, generators, job, fold)]
                writers.write_frame(path, part(lines))
            progress(number + 1)
    hosts.meet("measured")
    if hosts.first() and paths:
        writers.write_frame(run / "quality.csv", joined(paths))


def part(lines: list[dict[str, object]]) -> pd.DataFrame:
    """Lines of quality.csv as a frame, which has its first columns even without lines."""
    return pd.DataFrame(lines, columns=None if lines else list(_COLUMNS))


def joined(paths: list[epath.Path]) -> pd.DataFrame:
    """The parts of quality.csv as one; those without lines would make fractions of whole numbers."""
    frames = [writers.read_frame(path, _WORDS) for path in paths]
    return pd.concat([frame for frame in frames if len(frame)] or [part([])])


def _fold(study: Study, generators: Generators, job: Job, fold: folds.Fold) -> list[dict[str, object]]:
    normalisation, arm, point, seed = job
    rows = study.per_class(fold, study.config.amount)
    strength = fixed(study.config, arm, "svm", 0.0).strength
    try:
        made = bench(study, generators, arm, normalisation, fold, seed, rows, strength, point)
    except ArmError:
        return []
    assert made.synthetic is not None
    x_UxD, x_SxD = study.tables[normalisation]
    source_R = folds.source_rows(fold, study.source)
    unit = folds.min_max(x_SxD[source_R], x_UxD[fold.train_R])
    z_norm = folds.z_norm(x_UxD[fold.train_R], x_SxD[source_R])
    agreement = _agreement(study, made) if study.config.distances and seed == 0 else {}
    lines = []
    for k, emotion in enumerate(study.classes):
        train_R, test_R = (rows_R[study.label_U[rows_R] == k] for rows_R in (fold.train_R, fold.test_R))
        synthetic_NxD, target = made.synthetic.x_KxNxD[k], unit.apply(x_UxD[train_R])
        line: dict[str, object] = {
            "normalisation": normalisation,
            "arm": arm,
            "fold": fold.index,
            "seed": seed,
            "point": point,
            "emotion": emotion,
            "target_synthetic": distances.mean_abs_difference(
                target, unit.apply(z_norm.invert(synthetic_NxD))
            ),
            "target_source": distances.mean_abs_difference(target, unit.apply(x_SxD[source_R])),
        }
        if agreement:
            rng = np.random.default_rng([seed, fold.index, k])
            real_UxD = made.x_NxD
            line |= distances.compare(real_UxD[train_R], real_UxD[test_R], synthetic_NxD, rng)
            line["agreement"] = agreement[k]
        lines.append(line)
    return lines


def _agreement(study: Study, made: Bench) -> dict[int, float]:
    """Share of each emotion's synthetic rows that an SVM trained on the real rows gives that emotion."""
    assert made.synthetic is not None
    setting = fixed(study.config, "real", "svm", 0.0)
    kinds, count = made.synthetic.x_KxNxD.shape[:2]
    asked = Bench(study, made.fold, made.x_NxD, None).task(0, setting, real=True, seed=0)
    synthetic_R = np.arange(len(made.x_NxD) - kinds * count, len(made.x_NxD))
    task = replace(asked, test_R=synthetic_R)
    said = answers("svm", [made], [(setting, task)])[0]
    label_KxN = said.label_R.reshape(kinds, count)
    return {k: distances.agreement(np.full(count, k), label_KxN[k]) for k in range(kinds)}
