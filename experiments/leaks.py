"""What a leak is worth: noisy copies made before a random split, against splits that hold.

python -m experiments.leaks [--out=experiments/emodb/leaks.csv]
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold

from configs.common import base
from sergan import data, folds, metrics, writers
from sergan.classifiers import svm
from sergan.classifiers.tasks import Task

SEEDS = 5
VARIANTS = ((0, ""), (1, "before"), (3, "before"), (1, "after"), (3, "after"))  # copies, when they are made


def table(
    noise: float = 0.1, seeds: int = SEEDS, variants: Sequence[tuple[int, str]] = VARIANTS
) -> pd.DataFrame:
    """Pooled UAR of a linear SVM on EMO-DB, IS10, by how it is split and when copies are made.

    Copies are rows with normal noise of `noise` deviations of each feature; `variants` are how many there are
    of each row and whether they are made "before" the split or "after" it, of training rows alone.
    """
    config = base()
    rows = data.load("emodb", "IS10")
    kept = np.flatnonzero(np.isin(rows.emotions_U, config.corpus.classes))
    x_UxD, speaker_U = rows.x_UxD[kept], rows.speakers_U[kept]
    label_U = np.array([config.corpus.classes.index(e) for e in rows.emotions_U[kept]])
    lines = []
    for split in ("random 5-fold", "leave one speaker out"):
        for copies, when in variants:
            uar = [
                _uar(split, x_UxD, label_U, speaker_U, copies, when, noise, config.svm.C, seed)
                for seed in range(seeds)
            ]
            lines.append(
                {
                    "split": split,
                    "copies": copies,
                    "made": f"{when} the split" if when else "",
                    "uar": np.mean(uar),
                    "lowest": min(uar),
                    "highest": max(uar),
                }
            )
    return pd.DataFrame(lines)


def _uar(
    split: str,
    x_UxD: np.ndarray,
    label_U: np.ndarray,
    speaker_U: np.ndarray,
    copies: int,
    when: str,
    noise: float,
    C: float,
    seed: int,
) -> float:
    rng = np.random.default_rng(seed)
    if when == "before":
        x_UxD, label_U, speaker_U = _copied(x_UxD, label_U, speaker_U, copies, noise, rng)
    truth, said = [], []
    for train_R, test_R in _split(split, label_U, speaker_U, seed):
        x_RxD, label_R = x_UxD[train_R], label_U[train_R]
        if when == "after":
            x_RxD, label_R, _ = _copied(x_RxD, label_R, label_R, copies, noise, rng)
        x_NxD = folds.z_norm(x_RxD).apply(np.concatenate([x_RxD, x_UxD[test_R]]))
        places = np.arange(len(x_NxD))
        train, test = places[: len(label_R)], places[len(label_R) :]
        weight_R = np.full(len(train), 1 / (1 + copies) if when else 1.0)  # or C would grow with the copies
        task = Task(0, train, label_R, weight_R, test, C, 0, seed)
        truth.append(label_U[test_R])
        answer = svm.fit_predict(svm.SvmSettings(), [x_NxD], [task], int(label_U.max()) + 1)[0]
        said.append(answer.label_R)
    classes = range(label_U.max() + 1)
    return metrics.uar(np.concatenate(truth).tolist(), np.concatenate(said).tolist(), classes)


def _split(
    split: str, label_U: np.ndarray, speaker_U: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if split == "random 5-fold":
        return StratifiedKFold(5, shuffle=True, random_state=seed).split(label_U, label_U)
    return LeaveOneGroupOut().split(label_U, label_U, speaker_U)


def _copied(
    x_RxD: np.ndarray,
    label_R: np.ndarray,
    group_R: np.ndarray,
    copies: int,
    noise: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows and `copies` noisy ones of each."""
    deviation_D = x_RxD.std(axis=0, dtype=np.float64)
    noisy = [x_RxD + noise * deviation_D * rng.normal(size=x_RxD.shape) for _ in range(copies)]
    repeats = copies + 1
    x_NxD = np.concatenate([x_RxD, *noisy]).astype(np.float32)
    return x_NxD, np.tile(label_R, repeats), np.tile(group_R, repeats)


def main() -> None:
    """Prints the table, and writes it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="also write the table to this csv file")
    out = parser.parse_args().out
    found = table()
    print(found.round(4).to_string(index=False))
    if out:
        writers.write_frame(out, found.round(6))


if __name__ == "__main__":
    main()
