"""How the GANs trained: loss curves, and the members that diverged."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sergan import figures, page, sweep
from sergan.run_folder import UNFINISHED, Missing, Run, diverged, last_step


def losses(run: Run) -> str:
    """Loss curves of each kind of GAN, as pictures."""
    if run.losses.empty:
        raise Missing("metrics.jsonl is not there yet, or every member in it diverged.")
    curves, several = sweep.first(run, run.losses), run.losses["arm"].nunique() > 1
    if curves.empty:
        raise Missing(f"Every member diverged.{sweep.note(run)}")
    inner = " Members of inner folds are left out." * any(line.get("inner") for line in run.members)
    pictures = []
    for (normalisation, arm), part in curves.groupby(["normalisation", "arm"], sort=False):
        names = figures.loss_names(part)
        if not names:
            continue
        whose = "Not finished yet" if normalisation == UNFINISHED else f"Normalisation {normalisation}"
        whose += f", arm {arm}" * (several and bool(arm))
        name = page.file_name(f"{normalisation}_{arm}" if several and arm else str(normalisation))
        pictures.append(
            page.Picture(
                f"losses_{name}.png",
                figures.loss_curves(part, names),
                f"Curves over the training steps of {', '.join(names)}, a line for each emotion.",
                f"{whose}: mean over {part['member'].nunique()} members (line) and their range (band); "
                f"losses and gradient norms have no unit.{_pretraining(part)}{inner}{sweep.note(run)}",
            )
        )
    return page.show(pictures, run.folder / "figures")


def divergence(run: Run) -> str:
    """Which members diverged, and when."""
    if not run.members:
        raise Missing("members.jsonl is not there yet: no member has finished.")
    lost = [line for line in run.members if diverged(line)]
    if not lost:
        return f"<p>None of {len(run.members)} members diverged.</p>"
    names = "".join(f"<li>{html.escape(name)}</li>" for name in _lost_names(run, lost))
    return (
        f"<p>{len(lost)} of {len(run.members)} members diverged; each was frozen at the step named, and its "
        f"loss curves are left out above:</p>\n<ul>{names}</ul>"
    )


def _pretraining(losses: pd.DataFrame) -> str:
    start = figures.joint_start(losses)
    return "" if start is None else " Left of the dotted line: pre-training of the generators."


def _member_name(line: Mapping[str, Any]) -> str:
    arm = f"{line['arm']}, " if line.get("arm") else ""
    names = line["held_out"]
    without = names if isinstance(names, str) else ", ".join(names)
    place = f"{arm}{line['normalisation']} normalisation, fold {line['fold']}"
    place += f" without {without}" if without else ""  # random folds leave out no speaker
    step = last_step(line, 0)
    return f"member {line['member']} ({place}, seed {line['seed']}, point {line['point']}): at step {step}"


def _lost_names(run: Run, lost: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each member that diverged, or in a sweep how many of each arm, normalisation and point."""
    if run.points is None:
        return [_member_name(line) for line in lost]
    names, groups = sweep.words(run.points), dict[str, list[int]]()
    for line in lost:
        arm = f"{line['arm']}, " if line.get("arm") else ""
        where = f"{arm}{line['normalisation']} normalisation, {names.get(line['point'], line['point'])}"
        groups.setdefault(where, []).append(last_step(line, 0))
    return [f"{where}: {len(steps)}, the first at step {min(steps)}" for where, steps in groups.items()]
