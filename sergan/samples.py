"""Real and synthetic rows to look at: some of each emotion, on the scale of the real training rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from sergan import parquet
from sergan.run_folder import Missing, RowsFile, Run

if TYPE_CHECKING:
    from sergan.corpora.tables import FeatureTable

REAL = "real"
REAL_PER_CLASS, _SYNTHETIC_PER_CLASS = 80, 120
_LARGEST = 1e15  # value whose squares float32 can add up


class Sample(NamedTuple):
    """Rows of one fold; `kind_N` is `REAL`, or which of the files a synthetic row comes from (its arm)."""

    x_NxD: np.ndarray
    emotion_N: np.ndarray
    kind_N: np.ndarray

    @property
    def real_N(self) -> np.ndarray:
        """Which rows are real."""
        return self.kind_N == REAL


def draw(run: Run, files: Sequence[RowsFile], per_class: int = _SYNTHETIC_PER_CLASS) -> Sample:
    """Some real training rows, and synthetic rows of each of one fold's files, z-normed on the former.

    Files have rows of other source rows: those of the same one would lie side by side in an embedding, and
    arms would look alike that are not.
    """
    from sergan import folds
    from sergan.corpora import table_files

    table = table_files.read(run.folder / "features.parquet")
    frames = [_read(file) for file in files]
    x_UxD = folds.normalised(table, files[0].normalisation)
    train_R = _training(run, table, frames[0])
    real_R = _balanced(table.emotions_U, train_R, REAL_PER_CLASS)
    parts = [(x_UxD[real_R], table.emotions_U[real_R], REAL)]
    for turn, (file, frame) in enumerate(zip(files, frames, strict=True)):
        fake_NxD, target_N = _usable(file, frame, table.names_D)
        fake_R = _balanced(target_N, np.arange(len(fake_NxD)), per_class, turn)
        parts.append((fake_NxD[fake_R], target_N[fake_R], file.arm))
    kind_N = np.concatenate([np.full(len(x_NxD), kind) for x_NxD, _, kind in parts])
    x_NxD = np.concatenate([x_NxD for x_NxD, _, _ in parts])
    x_NxD = folds.z_norm(x_UxD[train_R], x_NxD).apply(x_NxD)
    return Sample(x_NxD, np.concatenate([emotion_N for _, emotion_N, _ in parts]), kind_N)


def moments(run: Run, file: RowsFile) -> pd.DataFrame:
    """Mean and deviation of every feature of the source, of a file's synthetic rows and of the target.

    Features are min-max scaled to the source and the real training rows of the file's fold. Synthetic and
    target rows are those of an emotion, the figures means over the emotions (Bao et al. 2019, Figure 2).

    Returns:
      feature, rows ("source", "synthetic", "target"), mean, deviation.
    """
    from sergan import folds
    from sergan.corpora import table_files

    table, source = (table_files.read(run.folder / f"{name}.parquet") for name in ("features", "source"))
    frame = _read(file)
    train_R = _training(run, table, frame)
    x_RxD = folds.normalised(table, file.normalisation)[train_R]
    x_SxD = folds.normalised_source(source, file.normalisation, table.x_UxD[train_R])
    x_SxD = x_SxD[~np.isin(source.speakers_U, list(run.held_out(_member(frame))))]
    fake_NxD, target_N = _usable(file, frame, table.names_D)
    scaler = folds.min_max(x_SxD, x_RxD)
    kinds = {
        "source": (x_SxD, np.zeros(len(x_SxD))),
        "synthetic": (fake_NxD, target_N),
        "target": (x_RxD, table.emotions_U[train_R]),
    }
    parts = []
    for rows, (x_NxD, group_N) in kinds.items():
        scaled = [scaler.apply(x_NxD[group_N == group]) for group in np.unique(group_N)]
        mean_D = np.mean([x.mean(axis=0) for x in scaled], axis=0)
        deviation_D = np.mean([x.std(axis=0) for x in scaled], axis=0)
        parts.append(
            pd.DataFrame({"feature": table.names_D, "rows": rows, "mean": mean_D, "deviation": deviation_D})
        )
    return pd.concat(parts, ignore_index=True)


def side_by_side(files: Sequence[RowsFile], wanted: Sequence[str] = ("gan", "wdiv")) -> list[RowsFile]:
    """The first files of the wanted arms (else of up to three) with one fold and seed, or a single file."""
    there = list(dict.fromkeys(file.arm for file in files))
    arms = [arm for arm in wanted if arm in there]
    arms = arms if len(arms) > 1 else there[:3]
    for first in files:
        shared = {file.arm: file for file in files if (file.fold, file.seed) == (first.fold, first.seed)}
        if set(arms) <= set(shared):
            return [shared[arm] for arm in arms]
    return [files[0]]


def _training(run: Run, table: "FeatureTable", frame: pd.DataFrame) -> np.ndarray:
    """Rows that the member behind a frame of synthetic rows trained on."""
    from sergan import folds
    from sergan.corpora import texts

    if run.protocol == "speaker_text":
        texts_U, classes = texts(run.corpus["name"], table.ids_U), set(table.emotions_U)
        return folds.speaker_and_text(table, texts_U, tuple(classes))[int(frame["fold"].iloc[0])].train_R
    return np.flatnonzero(~np.isin(table.speakers_U, list(run.held_out(_member(frame)))))


def _member(frame: pd.DataFrame) -> int:
    return int(frame["member"].iloc[0])


def _read(file: RowsFile) -> pd.DataFrame:
    with file.path.open("rb") as stream:
        return parquet.read(stream)


def _usable(file: RowsFile, frame: pd.DataFrame, names_D: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and emotions of a file's synthetic rows, without those too large for a picture; raises Missing
    where none is left."""
    x_NxD, emotion_N = frame[list(names_D)].to_numpy(np.float32), frame["target_emotion"].to_numpy(str)
    usable_N = np.abs(x_NxD).max(axis=1) < _LARGEST  # NaN is not
    if not usable_N.any():
        raise Missing(f"{file.path.name} has no row that could be drawn: their values are too large.")
    return x_NxD[usable_N], emotion_N[usable_N]


def _balanced(label_N: np.ndarray, rows: np.ndarray, most: int, turn: int = 0) -> np.ndarray:
    """Up to `most` of the given rows of each label, at random but always the same ones; in another turn
    others, as far as there are any."""
    mixed = np.random.default_rng(0).permutation(rows)
    groups = [mixed[label_N[mixed] == label] for label in np.unique(label_N[rows])]
    return np.concatenate([np.roll(group, -turn * most)[:most] for group in groups])
