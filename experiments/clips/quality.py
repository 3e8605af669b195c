"""How near made clips are to real ones, by emotion and fold, in the statistics of their Mel spectrograms."""

import numpy as np
from etils import epath

from experiments.clips import make
from experiments.clips.classify import NORMALISATION
from experiments.clips.study import Study
from experiments.quality import joined, part
from sergan import distances, folds, logmel, writers


def measure(study: Study, run: epath.Path) -> None:
    """Writes quality.csv; every arm and GAN seed is kept as soon as it is done.

    A clip counts as a row of the mean and the deviation over its frames of each filter's logarithm.
    """
    spectrograms = logmel.extract(study.clips, study.corpus.ids_U.tolist())
    x_UxD = statistics(spectrograms)
    jobs = [(arm, seed) for arm in study.arms for seed in range(study.config.sound.seeds)]
    paths = [run / "quality" / f"{arm}_{seed}.csv" for arm, seed in jobs]
    with writers.Progress("quality", len(jobs)) as progress:
        for number, (path, (arm, seed)) in enumerate(zip(paths, jobs, strict=True)):
            if not path.exists():
                each = [_fold(study, run, x_UxD, fold, arm, seed) for fold in study.folds]
                writers.write_frame(path, part([line for lines in each for line in lines]))
            progress(number + 1)
    writers.write_frame(run / "quality.csv", joined(paths))


def statistics(spectrograms: list[np.ndarray]) -> np.ndarray:
    """Rows [N, 2 F] of spectrograms x_TxFx3: mean and deviation over time of the static coefficients."""
    static = [x_TxFx3[..., 0].astype(np.float64) for x_TxFx3 in spectrograms]
    return np.stack([np.concatenate([x_TxF.mean(axis=0), x_TxF.std(axis=0)]) for x_TxF in static])


def _fold(
    study: Study, run: epath.Path, x_UxD: np.ndarray, fold: folds.Fold, arm: str, seed: int
) -> list[dict[str, object]]:
    made = make.read(study, run, make.Job(arm, fold.index, seed))
    if not made.clips:
        return []
    y_NxD = statistics(logmel.extract(made.clips, made.lines["file"].astype(str).tolist()))
    z_norm, unit = folds.z_norm(x_UxD[fold.train_R]), folds.min_max(x_UxD[fold.train_R])
    lines = []
    for k, emotion in enumerate(study.classes):
        train_R, test_R = (rows_R[study.label_U[rows_R] == k] for rows_R in (fold.train_R, fold.test_R))
        made_NxD = y_NxD[(made.lines["emotion"] == emotion).to_numpy()]
        if not len(made_NxD):
            continue
        rng = np.random.default_rng([seed, fold.index, k])
        line = {
            "normalisation": NORMALISATION,
            "arm": arm,
            "fold": fold.index,
            "seed": seed,
            "point": 0,
            "emotion": emotion,
            "target_synthetic": distances.mean_abs_difference(
                unit.apply(x_UxD[train_R]), unit.apply(made_NxD)
            ),
        }
        real, held_out, synthetic = (z_norm.apply(x) for x in (x_UxD[train_R], x_UxD[test_R], made_NxD))
        lines.append(line | distances.compare(real, held_out, synthetic, rng))
    return lines
