"""Unlabelled rows through trained generators: synthetic rows with provenance, scaled as the real ones."""

from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath

from sergan import cyclegan
from sergan.corpora.tables import FeatureTable
from sergan.cyclegan import GanConfig
from sergan.errors import UserError
from sergan.folds import Scaler
from sergan.writers import write_frame

PROVENANCE = (
    "id",
    "source_id",
    "source_speaker",
    "source_emotion",
    "target_emotion",
    "normalisation",
    "member",
    "fold",
    "seed",
    "point",
    "step",
)


def make_transfer(config: GanConfig) -> Any:
    """A compiled function (generators of one member, x_SxD min-max scaled) -> y_KxSxD."""
    return jax.jit(lambda gen, x_SxD: cyclegan.transfer(config, gen, x_SxD))


def rows(
    transfer: Any,
    gen: Any,
    scaler: Scaler,
    source: FeatureTable,
    x_SxD: np.ndarray,
    emotions: tuple[str, ...],
    origin: dict[str, Any],
) -> pd.DataFrame:
    """Every row of `source` transferred to every emotion, as a frame: provenance, then the features.

    Args:
      transfer: from `make_transfer`.
      gen: one member's generators.
      scaler: the min-max scaler that the member was trained with.
      source: whose ids and speakers are kept; x_SxD are its rows, normalised as the member's were.
      origin: normalisation, member, fold, seed, point and step.
    """
    y_KxSxD = np.asarray(transfer(gen, scaler.apply(x_SxD)))
    count, kinds = len(x_SxD), len(emotions)
    target = np.repeat(np.array(emotions), count)
    source_id = np.tile(source.ids_U, kinds)
    name = f"{origin['normalisation']}/f{origin['fold']}s{origin['seed']}p{origin['point']}"
    provenance = {
        "id": [f"{name}/{emotion}/{i}" for emotion, i in zip(target, source_id, strict=True)],
        "source_id": source_id,
        "source_speaker": np.tile(source.speakers_U, kinds),
        "source_emotion": np.tile(source.emotions_U, kinds),
        "target_emotion": target,
    } | {key: np.repeat(value, count * kinds) for key, value in origin.items()}
    features = pd.DataFrame(scaler.invert(y_KxSxD).reshape(kinds * count, -1), columns=list(source.names_D))
    return pd.concat([pd.DataFrame(provenance)[list(PROVENANCE)], features], axis=1)


def check_ending(path: epath.Path) -> None:
    """Raises UserError unless rows can be written to `path`."""
    if path.suffix not in (".csv", ".npz", ".parquet"):
        raise UserError(f"{path}: rows are written as .csv, .npz or .parquet, by the ending")
    if not path.parent.exists():
        raise UserError(f"{path}: the folder {path.parent} does not exist")


def write(path: epath.Path, frame: pd.DataFrame, names_D: tuple[str, ...]) -> None:
    """Writes rows as csv, Parquet or npz (x_NxD, names_D, provenance), whole or not at all."""
    if path.suffix != ".npz":
        write_frame(path, frame)
        return
    columns = {name: frame[name].to_numpy() for name in PROVENANCE}
    strings = {name: x.astype(str) if x.dtype.kind not in "iuf" else x for name, x in columns.items()}
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        x_NxD = frame[list(names_D)].to_numpy(np.float32)
        np.savez_compressed(file, x_NxD=x_NxD, names_D=np.array(names_D), **strings)
    temporary.replace(path)
