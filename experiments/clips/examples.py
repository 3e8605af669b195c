"""One real clip of every class and one of every arm, to be listened to and looked at in the report."""

import numpy as np
import pandas as pd
from etils import epath

from experiments.clips import make
from experiments.clips.study import Study
from sergan import logmel


def write(study: Study, run: epath.Path) -> None:
    """Writes examples/: clips, their lines metadata.csv, and the static log-Mel of each as a Parquet file.

    Of the first fold and seed: a training clip of each class and what the arms made for that class first,
    where they shift clips of that very clip.
    """
    if all((run / "examples" / name).exists() for name in ("metadata.csv", "mel.parquet")):
        return
    fold = study.folds[0]
    made = {arm: make.read(study, run, make.Job(arm, 0, 0)) for arm in study.arms if arm != "duplicate"}
    clips, lines = list[np.ndarray](), list[dict[str, object]]()
    for label, emotion in enumerate(study.classes):
        own_R = fold.train_R[study.label_U[fold.train_R] == label]
        original = _parent(made, emotion) or study.corpus.ids_U[own_R[0]]
        clips.append(study.clips[study.corpus.ids_U.tolist().index(original)])
        lines.append({"file": f"real_{label}.flac", "emotion": emotion, "arm": "real", "parent": original})
        for arm, (own, table) in made.items():
            places = np.flatnonzero((table["emotion"] == emotion).to_numpy())
            if len(places):
                clips.append(own[places[0]])
                parent = table["parent"].iloc[places[0]]
                lines.append(
                    {"file": f"{arm}_{label}.flac", "emotion": emotion, "arm": arm, "parent": parent}
                )
    frame = pd.DataFrame(lines)
    spectra = logmel.extract(clips, frame["file"].tolist())
    (run / "examples").rmtree(missing_ok=True)
    make.write(run / "examples", make.Made(clips, frame), {"mel.parquet": _table(frame, spectra)})


def _parent(made: dict[str, make.Made], emotion: str) -> str:
    """The clip of an emotion that an arm shifted first; empty where none did."""
    for _, table in made.values():
        parents = table[(table["emotion"] == emotion) & table["parent"].notna()]["parent"]
        if len(parents):
            return str(parents.iloc[0])
    return ""


def _table(frame: pd.DataFrame, spectra: list[np.ndarray]) -> pd.DataFrame:
    """Static coefficients of the clips, a row for each frame, with the clip's file."""
    parts = []
    for file, x_TxFx3 in zip(frame["file"], spectra, strict=True):
        names = [f"filter_{f:02d}" for f in range(x_TxFx3.shape[1])]
        parts.append(pd.DataFrame(x_TxFx3[..., 0], columns=names).assign(file=file))
    return pd.concat(parts, ignore_index=True)
