"""Synthetic rows of a study: every fold's, for the classifiers, and any number later on demand."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath

from experiments.study import Study
from experiments.train import restore_generators
from sergan import folds, synthesis, writers
from sergan.corpora.tables import FeatureTable
from sergan.cyclegan import GanConfig
from sergan.errors import UserError
from sergan.members import Member
from sergan.metrics import mean_abs_difference


def synthesise(study: Study, run: epath.Path) -> None:
    """Writes S through every generator of every member, a Parquet file each, and their quality."""
    transfer = synthesis.make_transfer(study.gan)
    lines = {line["member"]: line for line in writers.read_lines(run / "members.jsonl")}
    with writers.Progress("synthesis", len(study.members)) as progress:
        for done, member in enumerate(study.members, start=1):
            if not synthetic_path(run, member).exists():
                line = lines[member.index]
                _write(study, run, member, transfer, _generators(study, run, line), _step(line, study))
            progress(done)
    parts = [writers.read_frame(quality_path(run, m), ("emotion",)) for m in study.members]
    writers.write_frame(run / "quality.csv", pd.concat(parts))


def _generators(study: Study, run: epath.Path, line: dict[str, Any]) -> Any:
    """One member's generators, from the checkpoint of its group."""
    generators = _restored(study.gan, run, line["group"], line["group_size"])
    return jax.tree.map(lambda leaf: leaf[line["place"]], generators)


@lru_cache(maxsize=1)
def _restored(gan: GanConfig, run: epath.Path, group: int, size: int) -> Any:
    return restore_generators(gan, run, group, size)


def _write(study: Study, run: epath.Path, member: Member, transfer: Any, gen: Any, step: int) -> None:
    view, fold = study.view(member), study.folds[member.fold]
    source = study.source.select(view.source_R)
    folds.check_speakers(fold, source.speakers_U)
    x_UxD, x_SxD = study.tables[member.normalisation]
    x_SxD = x_SxD[view.source_R]
    frame = synthesis.rows(transfer, gen, view.scaler, source, x_SxD, study.classes, _origin(member, step))
    quality = [
        {
            "normalisation": member.normalisation,
            "fold": member.fold,
            "seed": member.seed,
            "emotion": emotion,
            "target_synthetic": mean_abs_difference(target, view.scaler.apply(synthetic)),
            "target_source": mean_abs_difference(target, view.scaler.apply(x_SxD)),
        }
        for emotion, rows_R in zip(study.classes, view.target_KxR, strict=True)
        for target in [view.scaler.apply(x_UxD[rows_R])]
        for synthetic in [features_of(frame[frame.target_emotion == emotion], source.names_D)]
    ]
    writers.write_frame(quality_path(run, member), pd.DataFrame(quality))
    writers.write_frame(synthetic_path(run, member), frame)


def synthetic_path(run: epath.Path, member: Member) -> epath.Path:
    """Where a member's synthetic rows are."""
    name = f"fold_{member.fold:02d}_seed_{member.seed}_point_{member.point}.parquet"
    return run / "synthetic" / member.normalisation / name


def quality_path(run: epath.Path, member: Member) -> epath.Path:
    """Where a member's quality figures are."""
    return synthetic_path(run, member).with_suffix(".quality.csv")


def features_of(frame: pd.DataFrame, names_D: tuple[str, ...]) -> np.ndarray:
    """The feature columns of synthetic rows, float32."""
    return frame[list(names_D)].to_numpy(np.float32)


def _origin(member: Member, step: int) -> dict[str, Any]:
    return {
        "normalisation": member.normalisation,
        "member": member.index,
        "fold": member.fold,
        "seed": member.seed,
        "point": member.point,
        "step": step,
    }


def _step(line: dict[str, Any], study: Study) -> int:
    """At which step a member's generators were left."""
    status = line["status"]
    return study.gan.pretrain_steps + study.gan.steps if status == "done" else int(status.split("@")[1])


def synthesise_more(
    study: Study, run: epath.Path, out: epath.Path, per_class: int, source: FeatureTable
) -> int:
    """Writes exactly `per_class` rows of each emotion to `out`, trains nothing; returns the number of rows.

    The rows are spread evenly over the folds' members of the first normalisation, those that diverged left
    out; within a member they come from different rows of `source`, none of the fold's held-out speaker.

    Raises:
      UserError: an unfinished training, or more rows than members × rows of `source`.
    """
    lines = {line["member"]: line for line in writers.read_lines(run / "members.jsonl")}
    wanted = [m for m in study.members if m.normalisation == study.config.normalisations[0]]
    missing = [m for m in wanted if m.index not in lines]
    if missing:
        raise UserError(
            f"{run}: {len(missing)} members are not trained yet; run the training to its end first"
        )
    sound = [m for m in wanted if lines[m.index]["status"] == "done"]
    count_M = (
        [per_class // len(sound) + (i < per_class % len(sound)) for i in range(len(sound))] if sound else []
    )
    may_M = [folds.source_rows(study.folds[member.fold], source) for member in sound]
    fewest = min((len(rows_R) for rows_R in may_M), default=0)
    if not count_M or per_class < 1 or max(count_M) > fewest:
        raise UserError(
            f"--per_class={per_class}: between 1 and {len(sound) * fewest} rows can be made from "
            f"{len(sound)} members and {fewest} source rows; give more speech with --source=PATH"
        )
    x_SxD = folds.by_speaker(source) if wanted[0].normalisation == "speaker" else source.x_UxD
    transfer = synthesis.make_transfer(study.gan)
    frames = []
    for member, count, rows_R in zip(sound, count_M, may_M, strict=True):
        rng = np.random.default_rng([member.seed, member.fold, member.point])
        picks = np.sort(rng.permutation(rows_R)[:count])
        gen = _generators(study, run, lines[member.index])
        view = study.view(member)
        origin = _origin(member, _step(lines[member.index], study))
        frames.append(
            synthesis.rows(
                transfer, gen, view.scaler, source.select(picks), x_SxD[picks], study.classes, origin
            )
        )
    synthesis.write(out, pd.concat(frames).sort_values("target_emotion", kind="stable"), source.names_D)
    return sum(len(frame) for frame in frames)
