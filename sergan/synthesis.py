"""Unlabelled rows through trained generators: synthetic rows with provenance, scaled as the real ones."""

import os
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath

from sergan import methods
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.gan import GanConfig
from sergan.writers import replacing, write_frame, write_text

BLOCK = 256  # rows
PROVENANCE = (
    "id",
    "source_id",
    "source_speaker",
    "source_emotion",
    "target_emotion",
    "arm",
    "normalisation",
    "member",
    "fold",
    "seed",
    "point",
    "step",
)


def make_transfer(config: GanConfig) -> Any:
    """A compiled function (generators of one member, key, x_SxD min-max scaled) -> y_KxSxD."""
    return jax.jit(lambda gen, key, x_SxD: methods.of(config).transfer(config, gen, key, x_SxD))


def in_blocks(transfer: Any, gen: Any, key: jax.Array, x_NxD: np.ndarray) -> np.ndarray:
    """Rows, min-max scaled, through a function of `make_transfer`: y_KxNxD.

    They go through `BLOCK` at a time: one program serves any number of them, and the work grows with it.
    """
    blocks = []
    for start in range(0, max(1, len(x_NxD)), BLOCK):
        x_BxD = x_NxD[start : start + BLOCK]
        padded_BxD = np.pad(x_BxD, ((0, BLOCK - len(x_BxD)), (0, 0)))
        y_KxBxD = np.asarray(transfer(gen, jax.random.fold_in(key, start), padded_BxD))
        blocks.append(y_KxBxD[:, : len(x_BxD)])
    return np.concatenate(blocks, axis=1)


def frame(
    y_KxNxD: np.ndarray, source: FeatureTable, emotions: tuple[str, ...], origin: dict[str, Any]
) -> pd.DataFrame:
    """Transferred rows as a frame: provenance, then the features.

    Args:
      y_KxNxD: the N rows of `source` transferred to each emotion, on the original scale.
      source: whose ids, speakers and emotions are kept, unless the arm makes rows from noise.
      emotions: the K emotions.
      origin: arm, normalisation, member, fold, seed, point and step.
    """
    kinds, count = y_KxNxD.shape[:2]
    target = np.repeat(np.array(emotions), count)
    if methods.from_noise(origin["arm"]):
        source = _noise(source)
    source_id = np.tile(source.ids_U, kinds)
    name = f"{origin['arm']}/{origin['normalisation']}/f{origin['fold']}s{origin['seed']}p{origin['point']}"
    provenance = {
        "id": [f"{name}/{emotion}/{i}" for emotion, i in zip(target, source_id, strict=True)],
        "source_id": source_id,
        "source_speaker": np.tile(source.speakers_U, kinds),
        "source_emotion": np.tile(source.emotions_U, kinds),
        "target_emotion": target,
    } | {key: np.repeat(value, count * kinds) for key, value in origin.items()}
    features = pd.DataFrame(y_KxNxD.reshape(kinds * count, -1), columns=list(source.names_D))
    return pd.concat([pd.DataFrame(provenance)[list(PROVENANCE)], features], axis=1)


def _noise(source: FeatureTable) -> FeatureTable:
    """As many rows of nobody's."""
    ids_U = np.array([f"noise/{i:06d}" for i in range(len(source.ids_U))])
    return replace(source, ids_U=ids_U, speakers_U=np.full(len(ids_U), "")).unlabelled()


def check_ending(path: epath.Path) -> None:
    """Raises UserError unless rows can be written to `path`."""
    if path.suffix not in ("", ".csv", ".npz", ".parquet"):
        raise UserError(
            f"{path}: rows are written as .csv, .npz or .parquet, by the ending, or in audformat to a folder"
        )
    if not path.parent.exists():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if path.suffix and path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if path.suffix == "" and path.exists():
        raise UserError(f"{path}: is there already; name a new folder, which is written in audformat")


def write(path: epath.Path, frame: pd.DataFrame, names_D: tuple[str, ...], card: str) -> None:
    """Writes rows as csv, Parquet, npz (x_NxD, names_D, provenance) or, without an ending, in audformat, each
    whole or not at all, and then their data card: beside the file, or in the folder."""
    if path.suffix == "":
        folder = path.with_name(f"{path.name}.partial")
        folder.rmtree(missing_ok=True)  # of a command that was killed
        write_text(folder / "card.md", card)
        _write_database(folder, frame, names_D)
        folder.rename(path)
        return
    if path.suffix == ".npz":
        _write_npz(path, frame, names_D)
    else:
        write_frame(path, frame)
    write_text(path.with_name(f"{path.name}.card.md"), card)


def _write_npz(path: epath.Path, frame: pd.DataFrame, names_D: tuple[str, ...]) -> None:
    columns = {name: frame[name].to_numpy() for name in PROVENANCE}
    strings = {name: x.astype(str) if x.dtype.kind not in "iuf" else x for name, x in columns.items()}
    with replacing(path) as file:
        x_NxD = frame[list(names_D)].to_numpy(np.float32)
        np.savez_compressed(file, x_NxD=x_NxD, names_D=np.array(names_D), **strings)


def _write_database(folder: epath.Path, frame: pd.DataFrame, names_D: tuple[str, ...]) -> None:
    """An audformat database: the table `rows` by id with the provenance, the features in an attachment."""
    import audformat

    database = audformat.Database("synthetic", source="sergan", usage=audformat.define.Usage.RESEARCH)
    database.description = "Synthetic rows of features; the attachment has the features by the table's id."
    database.schemes["emotion"] = audformat.Scheme(labels=sorted(set(frame["target_emotion"])))
    table = audformat.MiscTable(pd.Index(frame["id"], name="id", dtype="string"))
    database["rows"] = table
    for name in PROVENANCE[1:]:
        table[name] = audformat.Column(scheme_id="emotion" if name == "target_emotion" else None)
        table[name].set(frame[name].to_numpy())
    database.attachments["features"] = audformat.Attachment("features.parquet")
    write_frame(folder / "features.parquet", frame[["id", *names_D]])
    database.save(os.fspath(folder), storage_format="csv")
