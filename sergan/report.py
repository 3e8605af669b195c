"""A run folder as one page that opens offline and prints: the answer, tables, figures, how to run it again.

Reads files only and needs no accelerator library; a file that is not there yet makes its section say so.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from sergan import (
    cells,
    clip_findings,
    comparison,
    feature_figures,
    figures,
    findings,
    metrics,
    page,
    runs,
    samples,
    sweep,
    writers,
)
from sergan.run_folder import UNFINISHED, Missing, RowsFile, Run, diverged, last_step

_FOLDS = {  # of a study on features, by its protocol
    "speaker": "one speaker is left out at a time",
    "speaker_groups": "one group of speakers is left out at a time",
    "session": "one session is left out at a time, with its speakers",
    "speaker_text": "clips of one speaker and one text are tested, and neither of the two trains",
    "across": "one corpus trains and another is tested",
}
_COLUMNS = 2  # keys that differ between runs and still have a column each beside the results


def write(run: epath.PathLike) -> epath.Path:
    """Writes `figures/*.png` and `report.html` into a run folder, finished or not; returns the page's path.

    Raises:
      OSError: the folder cannot be written to.
    """
    folder = Run(epath.Path(run))
    parts = [_head(folder)]
    for title, section in _SECTIONS[folder.kind].items():
        try:
            content = section(folder)
        except Missing as error:  # of a run that has ended there is nothing of it
            ended = folder.record.get("ended")
            content = "" if ended else f'<p class="missing">{html.escape(str(error))}</p>'
        if content:
            parts.append(f"<section>\n<h2>{title}</h2>\n{content}\n</section>")
    path = folder.folder / "report.html"
    writers.write_text(path, page.PAGE.substitute(title=html.escape(_title(folder)), body="\n".join(parts)))
    return path


def compare(folders: Sequence[epath.PathLike], out: epath.PathLike) -> epath.Path:
    """Writes `comparison.html` of several runs into a folder, with its figure; returns the page's path.

    Raises:
      UserError: no run is given, or one has no results.csv yet.
      OSError: the folder cannot be written to.
    """
    found, out = runs.read(folders), epath.Path(out)
    path, title = out / "comparison.html", f"{len(found)} runs compared"
    body = f"<h1>{title}</h1>\n{_compared(found, out / 'figures')}"
    writers.write_text(path, page.PAGE.substitute(title=title, body=body))
    return path


def table_text(
    results: pd.DataFrame, points: pd.DataFrame | None = None, what: str = comparison.CHOSEN
) -> str:
    """The rows of results.csv that count as an aligned table for a terminal, in per cent.

    Args:
      points: points.csv of a run with a sweep, whose points are then named by their values.
      what: was chosen on inner folds, where anything was.
    """
    chosen = comparison.has_choice(results)
    rows = comparison.counted(results)
    text = page.text_table(*cells.results(rows, points=None if chosen else points))
    how = f"; {what} chosen on inner folds" if chosen else ""
    return f"{text}\n95 % intervals over speakers; * the interval of the difference excludes 0{how}"


# ---- sections ----


def _head(run: Run) -> str:
    config = run.record.get("config", {})
    about = [f"Run folder {run.folder.name}"]
    if run.record.get("started"):
        about.append(f"started {run.record['started']}")
    about.append(f"ended {run.record['ended']}" if run.record.get("ended") else "not finished yet")
    what = (
        clip_findings.about(run) if run.kind == "recordings" else _about(config.get("source"), run.protocol)
    )
    return (
        f"<h1>{html.escape(_title(run))}</h1>\n"
        f'<p class="soft">{html.escape("; ".join(about))}.</p>\n<p class="soft">{what}</p>'
    )


def _about(source: str | None, protocol: str) -> str:
    """What a study on features does, in a paragraph."""
    what = f"Rows of the source “{source}” are transferred to each emotion by CycleGANs. " if source else ""
    return (
        f"{html.escape(what)}Arms: <b>real</b> trains the classifier on real rows, an arm "
        "<b>real+x</b> on real and synthetic rows, <b>x</b> on synthetic rows alone. Normalisation "
        "<b>train</b> uses the training speakers only; <b>speaker</b> uses all rows of each speaker, "
        "unlabelled, the held-out one included; <b>corpus</b> likewise all rows of each corpus. UAR: "
        f"unweighted average recall, pooled over the folds. Folds: {_FOLDS[protocol]}."
    )


def _speakers(run: Run) -> str:
    predictions, note = _detailed(run)
    parts = metrics.per_speaker(predictions)
    tables = []
    for normalisation, part in parts.groupby("normalisation", sort=False):
        arms = part[["classifier", "arm", "amount", "point"]].drop_duplicates()
        whose = "speaker, who also trains" if run.protocol == "clip" else "held-out speaker"
        caption = f"UAR in % of each {whose}, {normalisation} normalisation, mean over seeds."
        caption += sweep.counting_note(run)
        tables.append(page.table(*cells.speakers(part, arms), caption))
    return note + "".join(tables)


def _confusions(run: Run) -> str:
    predictions, note = _detailed(run)
    classes = metrics.classes_of(predictions)
    groups: dict[tuple[str, str], dict[metrics.Cell, np.ndarray]] = {}
    for cell, counts_CxC in metrics.confusions(predictions).items():
        groups.setdefault((cell.normalisation, cell.classifier), {})[cell] = counts_CxC
    pictures = [
        page.Picture(
            f"confusion_{page.file_name(normalisation)}_{page.file_name(classifier)}.png",
            figures.confusions(counts, classes),
            f"Confusion matrices of {classifier}, {normalisation} normalisation, one for each arm. "
            + " ".join(
                f"{cell.arm}: {_recalls(counts_CxC, classes)}." for cell, counts_CxC in counts.items()
            ),
            f"{clip_findings.protocol(run)}{metrics.classifier_name(classifier)}, {normalisation} "
            "normalisation: % of the rows of each true class, pooled over folds, mean over seeds."
            f"{sweep.counting_note(run)}",
        )
        for (normalisation, classifier), counts in groups.items()
    ]
    return note + page.show(pictures, run.folder / "figures")


def _clusters(run: Run) -> str:
    if not (run.folder / "features.parquet").exists():
        raise Missing("features.parquet is not there yet: the real rows.")
    groups: dict[str, list[RowsFile]] = {}
    for file in run.synthetic():
        groups.setdefault(file.normalisation, []).append(file)
    if not groups:
        raise Missing("No synthetic rows are there yet.")
    shown = [samples.side_by_side(files) for files in groups.values()]
    pictures = [
        _arms_picture(run, files) if len(files) > 1 else _rows_picture(run, files[0]) for files in shown
    ]
    return page.show(pictures, run.folder / "figures")


def _features(run: Run) -> str:
    """Mean and deviation of the features, of one fold's rows of each normalisation and arm."""
    if not all((run.folder / f"{name}.parquet").exists() for name in ("features", "source")):
        raise Missing("features.parquet and source.parquet are not there yet: the real rows.")
    first = {(file.normalisation, file.arm): file for file in reversed(run.synthetic())}
    if not first:
        raise Missing("No synthetic rows are there yet.")
    pictures = []
    for file in reversed(first.values()):
        table = samples.moments(run, file)
        wide = table.pivot(index="feature", columns="rows", values="mean")
        apart = [abs(wide["target"] - wide[rows]).mean() for rows in ("source", "synthetic")]
        kind = f"{file.arm}, {file.normalisation} normalisation".removeprefix(", ")
        pictures.append(
            page.Picture(
                f"features_{page.file_name(f'{file.normalisation}_{file.arm}'.strip('_'))}.png",
                feature_figures.moments(table),
                f"Mean and deviation of {feature_figures.SHOWN} features, and of all, for source, synthetic "
                f"and target rows, {kind}.",
                f"Fold {file.fold}, {kind}: means over the emotions, min-max scaled. The mean of a feature "
                f"differs from the target's by {apart[0]:.3f} in the source and {apart[1]:.3f} in the "
                f"synthetic rows, on average over all features.{sweep.note(run)}",
            )
        )
    return page.show(pictures, run.folder / "figures")


def _rows_picture(run: Run, file: RowsFile) -> page.Picture:
    """Real and synthetic rows of one file."""
    sample, kind = samples.draw(run, [file]), file.normalisation
    return page.Picture(
        f"rows_{page.file_name(kind)}.png",
        figures.clusters(sample.x_NxD, sample.emotion_N, sample.real_N),
        f"Real and synthetic rows of fold {file.fold} in two dimensions by PCA and by t-SNE, coloured by "
        f"emotion, {kind} normalisation.",
        f"Fold {file.fold}, {kind} normalisation: {int(sample.real_N.sum())} real training rows "
        f"(filled) and {int((~sample.real_N).sum())} synthetic ones (crosses), equally many of each "
        "emotion as far as there are, z-normed on the real training rows. The synthetic rows come "
        "from the source speech or from noise, the target emotion gives the colour. t-SNE keeps "
        f"neighbourhoods, not distances.{sweep.note(run)}",
    )


def _arms_picture(run: Run, files: Sequence[RowsFile]) -> page.Picture:
    """Real rows and the synthetic rows of several arms in one embedding, a panel for each arm and emotion."""
    sample = samples.draw(run, files, samples.REAL_PER_CLASS)
    at_Nx2, method = figures.embed(sample.x_NxD)
    quality = None if run.quality is None else sweep.first(run, run.quality)
    titles = {
        (file.arm, emotion): f"{emotion}{_coverage(quality, file, emotion)}"
        for file in files
        for emotion in sorted(set(sample.emotion_N.tolist()))
    }
    file, arms = files[0], " and ".join(file.arm for file in files)
    return page.Picture(
        f"rows_{page.file_name(file.normalisation)}.png",
        figures.arm_clusters(at_Nx2, sample.emotion_N, sample.kind_N, titles),
        f"Real and synthetic rows of {arms}, fold {file.fold}, {file.normalisation} normalisation, in one "
        f"{method} of all of them; a row of panels for each arm, a panel for each emotion.",
        f"Fold {file.fold}, {file.normalisation} normalisation: one {method} of {int(sample.real_N.sum())} "
        f"real training rows and {int((~sample.real_N).sum())} synthetic ones of {arms}, z-normed on the "
        "real ones. Coloured: real rows of the emotion; grey: of the others; crosses: synthetic rows of the "
        "emotion. Coverage: share of real rows with a synthetic row in their neighbourhood, in all features. "
        f"Such a picture keeps neighbourhoods, not distances.{sweep.note(run)}",
    )


def _coverage(quality: pd.DataFrame | None, file: RowsFile, emotion: str) -> str:
    """Coverage of an emotion by the synthetic rows of a file, in words; none where it was not measured."""
    if quality is None or "coverage" not in quality:
        return ""
    key = {"normalisation": file.normalisation, "arm": file.arm, "fold": file.fold, "seed": file.seed}
    names = [*key, "emotion"]
    rows = quality[(quality[names] == [*key.values(), emotion]).all(axis=1)]
    value = rows["coverage"].mean()
    return "" if pd.isna(value) else f"\ncoverage {value:.2f}"


def _training(run: Run) -> str:
    if run.losses.empty:
        raise Missing("metrics.jsonl is not there yet, or every member in it diverged.")
    losses, several = sweep.first(run, run.losses), run.losses["arm"].nunique() > 1
    if losses.empty:
        raise Missing(f"Every member diverged.{sweep.note(run)}")
    inner = " Members of inner folds are left out." * any(line.get("inner") for line in run.members)
    pictures = []
    for (normalisation, arm), part in losses.groupby(["normalisation", "arm"], sort=False):
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


def _divergence(run: Run) -> str:
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


def _settings(run: Run) -> str:
    if not run.record:
        raise Missing("config.json is not there.")
    return page.settings(run.record, run.folder)


_Sections = dict[str, Callable[[Run], str]]
_FEATURES: _Sections = {
    "The answer": findings.answer,
    "Results": findings.results,
    "Beside Bao et al. 2019": findings.repeats,
    "The sweep": findings.points,
    "UAR against augmented sets": findings.amounts,
    "What choosing on the test folds would have claimed": findings.optimism,
    "What the inner folds chose": findings.choices,
    "What could not run": findings.holes,
    "Quality of the synthetic rows": findings.quality,
    "Speakers": _speakers,
    "Confusions": _confusions,
    "Real and synthetic rows": _clusters,
    "Features": _features,
    "Training of the CycleGANs": _training,
    "Members that diverged": _divergence,
    "What was run": _settings,
}
_RECORDINGS: _Sections = {
    "The answer": findings.answer,
    "Results": findings.results,
    "Beside Pham et al. 2021": clip_findings.beside,
    "What could not run": findings.holes,
    "Clips": clip_findings.clips,
    "Quality of the made clips": findings.quality,
    "Speakers": _speakers,
    "Confusions": _confusions,
    "Training of the GANs": _training,
    "Members that diverged": _divergence,
    "What was run": _settings,
}
_SECTIONS = {"features": _FEATURES, "recordings": _RECORDINGS}


def _compared(found: Mapping[str, Run], folder: epath.Path) -> str:
    """What differs between runs, the UAR of their arms as a figure, and the rest beside it as a table."""
    rows, differing = runs.rows(found), runs.differing(found)
    names = list(found)
    places = [[name, str(run.folder), sweep.beside_note(run).strip()] for name, run in found.items()]
    swept = any(run.points is not None for run in found.values())
    header = ["Run", "Folder", "Of a sweep"][: 2 + swept]
    parts = [page.table(header, [place[: len(header)] for place in places], len(header), style="wrap")]
    if differing:
        settings = [[key, *values] for key, values in differing.items()]
        caption = "Keys of the config that differ."
        parts.append(page.table(["Key", *names], settings, 1 + len(names), caption, style="wrap"))
    else:
        parts.append("<p>The configs are the same.</p>\n")
    labels = rows["arm"].where(rows["run"] == runs.SHARED, rows["arm"] + ", " + rows["run"])
    picture = page.Picture(
        "comparison.png",
        figures.uar_intervals(rows.assign(arm=labels)),
        "Pooled UAR of each run's arms with its 95 % interval, per classifier and normalisation; the values "
        "are in the table below.",
    )
    columns = {key: dict(zip(names, said, strict=True)) for key, said in differing.items()}
    table = cells.runs(rows, columns if len(columns) <= _COLUMNS else {})
    caption = (
        "Differences are to real of the same run, in points, in bold where the paired interval over speakers "
        "excludes 0; runs are not tested against each other. Sets: synthetic rows in multiples of the real "
        "training set; chosen: what a run varies, amounts, settings or a sweep's points, was chosen on inner "
        "folds. Diverged: members of the outer folds that were frozen. "
        "Training: of all GANs of the run."
    )
    parts += [page.show([picture], folder), page.table(*table, caption, cells.firsts(table, 3), "dense")]
    for name, run in found.items():
        if papers := clip_findings.beside(run):
            parts.append(f"<h2>{html.escape(name)} beside the papers</h2>\n{papers}")
    return "".join(parts)


# ---- words ----


def _detailed(run: Run) -> tuple[pd.DataFrame, str]:
    """The predictions shown in detail, and a note of what they are: all, or the chosen ones of a few arms."""
    predictions = sweep.first(run, run.need("predictions"))
    if not comparison.has_choice(predictions):
        return predictions, ""
    chosen = predictions[predictions["amount"].isna()]
    arms = comparison.main_arms(list(dict.fromkeys(chosen["arm"])))
    note = f"{sweep.chosen(run).capitalize()} chosen on inner folds; other arms are in predictions.csv."
    note = f'<p class="soft">{note}</p>\n'
    return comparison.in_order(chosen[chosen["arm"].isin(arms)]), note


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


def _recalls(counts_CxC: np.ndarray, classes: Sequence[str]) -> str:
    """Per cent recalled of each class, in words."""
    right_C, total_C = np.diagonal(counts_CxC), counts_CxC.sum(axis=1)
    shares = [
        f"{name} {100 * r / n:.0f} %" for name, r, n in zip(classes, right_C, total_C, strict=True) if n
    ]
    return "recognised are " + ", ".join(shares)


def _title(run: Run) -> str:
    name = " to ".join(str(name) for name in (run.corpus.get("name", ""), run.target) if name)
    what = "made clips" if run.kind == "recordings" else "synthetic speech features"
    return f"Emotion recognition with {what}{': ' + name if name else ''}"
