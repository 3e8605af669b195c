"""Synthetic rows of a study: every fold's, for the classifiers, and any number later on demand."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath

from experiments import hosts, member_log
from experiments.study import Study, check_rows_of_speakers
from experiments.train import restore_generators
from sergan import folds, methods, rngs, synthesis, writers
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.gan import LOSSES, GanConfig
from sergan.members import Member
from sergan.run_folder import diverged, last_step


class Generators:
    """The trained generators of a run folder."""

    def __init__(self, study: Study, run: epath.Path) -> None:
        self._study, self._run = study, run
        self._lines = {line["member"]: line for line in member_log.read(run)}
        self._members = {(m.loss, m.normalisation, m.fold, m.seed, m.point): m for m in study.members}

    def member(self, loss: str, normalisation: str, fold: int, seed: int, point: int) -> Member:
        """The member that trained with a loss on a fold; inner folds have the first seed only."""
        return self._members[loss, normalisation, fold, seed, point]

    def trained(self, member: Member) -> bool:
        """Whether the member's training has come to its end, or to its divergence."""
        return member.index in self._lines

    def sound(self, member: Member) -> bool:
        """Whether the member was trained and did not diverge."""
        return self.trained(member) and not diverged(self._lines[member.index])

    def step(self, member: Member) -> int:
        """The step at which the member's generators were left."""
        return last_step(self._lines[member.index], member.steps)

    def transfer(self, member: Member, x_SxD: np.ndarray, rows_N: np.ndarray) -> np.ndarray:
        """Rows of x_SxD, normalised as the member's source was, transferred to each emotion: y_KxNxD."""
        line = self._lines[member.index]
        generators = _restored(member.gan, self._run, line["group"], line["group_size"])
        gen = jax.tree.map(lambda leaf: leaf[line["place"]], generators)
        scaler = self._study.view(member).scaler
        key = rngs.member_key(member.seed, member.fold)
        return scaler.invert(
            synthesis.in_blocks(_compiled(member.gan), gen, key, scaler.apply(x_SxD[rows_N]))
        )

    def origin(self, member: Member) -> dict[str, Any]:
        """Where rows of the member come from, as columns of a table."""
        return {
            "arm": member.loss,
            "normalisation": member.normalisation,
            "member": member.index,
            "fold": member.fold,
            "seed": member.seed,
            "point": member.point,
            "step": self.step(member),
        }


@lru_cache(maxsize=1)
def _restored(gan: GanConfig, run: epath.Path, group: int, size: int) -> Any:
    return restore_generators(gan, run, group, size)


@lru_cache
def _compiled(gan: GanConfig) -> Any:
    return synthesis.make_transfer(gan)


def synthesise(study: Study, run: epath.Path) -> None:
    """Writes S through the generators of every outer member of the first point, a Parquet file each.

    Those that diverged have none.
    """
    generators = Generators(study, run)
    seeds = study.config.synthetic_seeds or study.config.gan.seeds
    wanted = [m for m in study.members if not study.fold(m.fold).inner and m.seed < seeds and m.point == 0]
    mine = hosts.mine([member for member in wanted if generators.sound(member)])
    with hosts.progress("synthesis", len(mine)) as progress:
        for done, member in enumerate(mine, start=1):
            path = synthetic_path(run, member)
            if not path.exists():
                source_R = study.view(member).source_R
                source = study.source.select(source_R)
                folds.check_speakers(study.fold(member.fold), source.speakers_U)
                _, x_SxD = study.tables[member.normalisation]
                y_KxNxD = generators.transfer(member, x_SxD, source_R)
                frame = synthesis.frame(y_KxNxD, source, study.classes, generators.origin(member))
                writers.write_frame(path, frame)
            progress(done)
    hosts.meet("synthesised")


def synthetic_path(run: epath.Path, member: Member) -> epath.Path:
    """Where a member's synthetic rows are."""
    name = f"{member.loss}_fold_{member.fold:02d}_seed_{member.seed}_point_{member.point}.parquet"
    return run / "synthetic" / member.normalisation / name


def synthesise_more(study: Study, run: epath.Path, per_class: int, source: FeatureTable) -> pd.DataFrame:
    """Exactly `per_class` rows of each emotion, as of `synthesis.frame`; trains nothing.

    The rows are spread evenly over the folds' members of one arm ("wdiv", else "gan", else the last trained)
    and the first normalisation and point, those that diverged left out; within a member they come from
    different rows of `source`, none of the fold's held-out speaker, or of an arm that needs none from noise.

    Raises:
      UserError: an unfinished training, or more rows than members × rows of `source`.
    """
    generators = Generators(study, run)
    outer = [m for m in study.members if not study.fold(m.fold).inner and m.point == 0]
    arms = [m.loss for m in sorted(outer, key=lambda member: member.loss in LOSSES)]
    wanted = [m for m in outer if (m.normalisation, m.loss) == (outer[0].normalisation, arms[-1])]
    missing = [m for m in wanted if not generators.trained(m)]
    if missing or not wanted:
        raise UserError(
            f"{run}: {len(missing)} of {len(wanted)} members are not trained yet; run the training of a "
            "config with CycleGANs to its end first"
        )
    sound = [m for m in wanted if generators.sound(m)]
    if not sound:
        raise UserError(f"{run}: all {len(wanted)} members diverged; begin anew with a lower hypers.lr_g")
    count_M = [per_class // len(sound) + (i < per_class % len(sound)) for i in range(len(sound))]
    may_M = [folds.source_rows(study.fold(member.fold), source) for member in sound]
    if methods.from_noise(wanted[0].loss):  # rows from noise, as many as are wanted
        may_M = [np.resize(np.arange(len(source.ids_U)), max(1, per_class))] * len(sound)
    fewest = min(map(len, may_M))
    if per_class < 1 or max(count_M) > fewest:
        raise UserError(
            f"--per_class={per_class}: between 1 and {len(sound) * fewest} rows can be made from "
            f"{len(sound)} members and {fewest} source rows; give more speech with --source=PATH"
        )
    if wanted[0].normalisation == "speaker":
        check_rows_of_speakers("source", source)
    x_SxD = study.normalised_source(source, wanted[0].normalisation)
    frames = []
    for member, count, rows_R in zip(sound, count_M, may_M, strict=True):
        if not count:
            continue
        rng = np.random.default_rng([member.seed, member.fold])
        picks_R = np.sort(rng.permutation(rows_R)[:count])
        y_KxNxD = generators.transfer(member, x_SxD, picks_R)
        frames.append(
            synthesis.frame(y_KxNxD, source.select(picks_R), study.classes, generators.origin(member))
        )
    return pd.concat(frames).sort_values("target_emotion", kind="stable")
