"""A run folder as one page that opens offline and prints: the answer, tables, figures, how to run it again.

Reads files only and needs no accelerator library; a file that is not there yet makes its section say so.
"""

import base64
import html
import io
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from etils import epath
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sergan import metrics, writers

# Okabe and Ito's palette, safe for colour-blind readers; where it ends, dashes and markers go on.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")
_NOT_A_LOSS = {"step", "seconds", "member", "fold", "seed", "point"}
_UNFINISHED = "unfinished"  # in place of the normalisation of members whose line is not written yet
_SYNTHETIC_PER_CLASS, _REAL_PER_CLASS = 120, 80

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1c2024; --soft: #5c6670; --line: #d5dade; --page: #ffffff; --tint: #eef4f9;
  --mark: #0b5c94; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #a3adb6; --line: #41474d; --page: #1a1a1a; --tint: #22303b;
    --mark: #7fc1ef; }
  img { filter: invert(.898) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .4rem 0; max-width: 62rem; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.answer { background: var(--tint); border-left: 4px solid var(--mark); padding: .75rem 1rem; margin: 1rem 0;
  font-size: 1.1rem; }
.missing { color: var(--soft); font-style: italic; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; margin: .5rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .25rem 1.1rem .25rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
th.word, td.word { text-align: left; }
tr.first td { border-top: 2px solid var(--line); }
td strong { color: var(--mark); }
figure { margin: 1rem 0; }
img { display: block; max-width: 100%; height: auto; }
pre { background: var(--tint); padding: .6rem .8rem; font-size: .8125rem; line-height: 1.45;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0; }
pre.columns { columns: 22rem; column-gap: 2rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3 { break-after: avoid; }
  figure, table, .answer { break-inside: avoid; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
}
</style>
</head>
<body>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class _Run:
    """A run folder; each part is read once, and is None (or empty) where its file is not there."""

    folder: epath.Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """config.json."""
        path = self.folder / "config.json"
        return writers.read_json(path) if path.exists() else {}

    @cached_property
    def members(self) -> list[dict[str, Any]]:
        """members.jsonl."""
        return writers.read_lines(self.folder / "members.jsonl")

    @cached_property
    def results(self) -> pd.DataFrame | None:
        """results.csv."""
        return _read_csv(self.folder / "results.csv", ("arm", "classifier", "normalisation"))

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """predictions.csv."""
        words = ("id", "speaker", "arm", "classifier", "normalisation", "truth", "prediction")
        return _read_csv(self.folder / "predictions.csv", words)

    @cached_property
    def quality(self) -> pd.DataFrame | None:
        """quality.csv."""
        return _read_csv(self.folder / "quality.csv", ("normalisation", "emotion"))

    @cached_property
    def losses(self) -> pd.DataFrame:
        """metrics.jsonl with each member's normalisation, without the members that diverged."""
        frame = pd.DataFrame(writers.read_lines(self.folder / "metrics.jsonl"))
        if frame.empty:
            return frame
        names = {line["member"]: line["normalisation"] for line in self.members}
        frame["normalisation"] = [names.get(member, _UNFINISHED) for member in frame["member"]]
        lost = [line["member"] for line in self.members if _diverged(line)]
        return frame[~frame["member"].isin(lost)]


@dataclass(frozen=True)
class _Picture:
    """A figure of the page: its file's name, what it shows in words, and what is said below it."""

    name: str
    figure: Figure
    alt: str
    caption: str = ""


class _Strong(str):
    """A table cell to be shown in bold."""


class _Missing(Exception):
    """A section cannot be written yet; the message says what is not there."""


def write(run: epath.PathLike) -> epath.Path:
    """Writes `figures/*.png` and `report.html` into a run folder, finished or not; returns the page's path.

    Raises:
      OSError: the folder cannot be written to.
    """
    folder = _Run(epath.Path(run))
    parts = [_head(folder)]
    for title, section in _SECTIONS.items():
        try:
            content = section(folder)
        except _Missing as error:
            content = f'<p class="missing">{html.escape(str(error))}</p>'
        parts.append(f"<section>\n<h2>{title}</h2>\n{content}\n</section>")
    path = folder.folder / "report.html"
    writers.write_text(path, _PAGE.substitute(title=html.escape(_title(folder)), body="\n".join(parts)))
    return path


def table_text(results: pd.DataFrame) -> str:
    """The rows of results.csv as an aligned table for a terminal, in per cent with 95 % intervals."""
    header, cells = _result_cells(results)
    rows = [header, *([f"* {c}" if isinstance(c, _Strong) else c for c in row] for row in cells)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    words = len(header) - _NUMBERS
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:words], widths[:words], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[words:], widths[words:], strict=True)]
        lines.append("  ".join(left + right).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "95 % intervals over speakers; * the interval of the difference excludes 0"])


def answer(results: pd.DataFrame) -> str:
    """One sentence: does the first augmented arm beat `real`, for each classifier and normalisation?

    A difference is called one only where its paired 95 % interval excludes 0.
    """
    arms = [arm for arm in results["arm"] if arm.startswith("real+")]
    if not arms:
        return "No arm with synthetic rows beside the real ones has been tested yet."
    tested = results[(results["arm"] == arms[0]) & results["delta_low"].notna()]
    rows = tested.drop_duplicates(["classifier", "normalisation"])
    if rows.empty:
        return f"{arms[0]} cannot be compared with real yet."
    found: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for row in rows.to_dict("records"):
        verdict = "better" if row["delta_low"] > 0 else "worse" if row["delta_high"] < 0 else "open"
        where = f"{row['classifier'].upper()}, {row['normalisation']} normalisation"
        found[verdict].append(f"{where}: {_interval_words(row)}")
    verbs = {"better": "beats it in", "worse": "is worse in", "open": "cannot be told apart from it in"}
    parts = [f"{verbs[k]} {len(cases)} ({'; '.join(cases)})" for k, cases in found.items() if cases]
    if not found["better"]:
        parts.insert(0, "beats it in none")
    joined = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    many = f"{len(rows)} comparisons" if len(rows) > 1 else "1 comparison"
    return f"Compared with real by pooled UAR in {many}, {arms[0]} {joined}."


# ---- sections ----


def _head(run: _Run) -> str:
    config = run.record.get("config", {})
    about = [f"Run folder {run.folder.name}"]
    if run.record.get("started"):
        about.append(f"started {run.record['started']}")
    about.append(f"ended {run.record['ended']}" if run.record.get("ended") else "not finished yet")
    source = config.get("source")
    what = f"Rows of the source “{source}” are transferred to each emotion by CycleGANs. " if source else ""
    return (
        f"<h1>{html.escape(_title(run))}</h1>\n"
        f'<p class="soft">{html.escape("; ".join(about))}.</p>\n'
        f'<p class="soft">{html.escape(what)}Arms: <b>real</b> trains the classifier on real rows, an arm '
        "<b>real+x</b> on real and synthetic rows, <b>x</b> on synthetic rows alone. Normalisation "
        "<b>train</b> uses the training speakers only; <b>speaker</b> uses all rows of each speaker, "
        "unlabelled, the held-out one included. UAR: unweighted average recall, pooled over the folds.</p>"
    )


def _answer(run: _Run) -> str:
    return f'<p class="answer">{html.escape(answer(_have(run.results, "results.csv")))}</p>'


def _result(run: _Run) -> str:
    results = _have(run.results, "results.csv")
    seeds, classes = (int(results[name].max()) for name in ("seeds", "classes"))
    header, rows = _result_cells(results)
    caption = (
        f"{classes} classes, mean over {seeds} seed{'s' * (seeds != 1)}. Brackets: 95 % intervals, bootstrap "
        "over speakers. Difference to real in points, in bold where its interval excludes 0; p from swapping "
        "the arms speaker by speaker, Holm-corrected over the table. Sets: synthetic rows in multiples of "
        "the real training set."
    )
    picture = _Picture(
        "uar.png",
        _uar_figure(results),
        "Pooled UAR of each arm with its 95 % interval, per classifier and normalisation; the values are in "
        "the table below.",
    )
    firsts = results.groupby(["normalisation", "classifier"], sort=False).head(1).index
    marks = [i for i, index in enumerate(results.index) if index in firsts]
    return _show(run, [picture]) + _table(header, rows, len(header) - _NUMBERS, caption, marks)


def _quality(run: _Run) -> str:
    quality = _have(run.quality, "quality.csv")
    names = ["target_synthetic", "target_source"]
    kinds = list(dict.fromkeys(quality["normalisation"]))
    header = [
        "Emotion",
        *(f"{n}: {word}" for n in kinds for word in ("target to synthetic", "target to source")),
    ]
    rows = []
    for emotion in [*dict.fromkeys(quality["emotion"]), None]:
        part = quality if emotion is None else quality[quality["emotion"] == emotion]
        means = part.groupby("normalisation")[names].mean().reindex(kinds).to_numpy().ravel()
        cells = [f"{value:.4f}" if np.isfinite(value) else "" for value in means]
        rows.append([emotion or "all", *(cells if emotion else map(_Strong, cells))])
    caption = (
        "Mean over features of the absolute difference of means, on features min-max scaled to [0, 1]; mean "
        f"over {quality['fold'].nunique()} folds. The nearer target to synthetic is to 0, the nearer the "
        "synthetic rows are to the real ones of that emotion; target to source is where the transfer starts."
    )
    return _table(header, rows, 1, caption, [len(rows) - 1])


def _speakers(run: _Run) -> str:
    parts = metrics.per_speaker(_have(run.predictions, "predictions.csv"))
    tables = []
    for normalisation, part in parts.groupby("normalisation", sort=False):
        cells = part[["classifier", "arm", "amount", "point"]].drop_duplicates()
        header = [
            "Speaker",
            "rows",
            *(f"{c.upper()} {arm}" for c, arm in cells[["classifier", "arm"]].to_numpy()),
        ]
        wide = part.pivot_table(index="speaker", columns=list(cells.columns), values="uar")
        wide = wide.reindex(columns=pd.MultiIndex.from_frame(cells))
        count = part.groupby("speaker")["rows"].max()
        rows = [
            [str(speaker), str(count[speaker]), *map(_percent, values)]
            for speaker, values in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        caption = f"UAR in % of each held-out speaker, {normalisation} normalisation, mean over seeds."
        tables.append(_table(header, rows, 1, caption))
    return "".join(tables)


def _confusions(run: _Run) -> str:
    predictions = _have(run.predictions, "predictions.csv")
    classes = metrics.classes_of(predictions)
    groups: dict[tuple[str, str], dict[metrics.Cell, np.ndarray]] = {}
    for cell, counts_CxC in metrics.confusions(predictions).items():
        groups.setdefault((cell.normalisation, cell.classifier), {})[cell] = counts_CxC
    pictures = [
        _Picture(
            f"confusion_{_file_name(normalisation)}_{_file_name(classifier)}.png",
            _confusion_figure(cells, classes),
            f"Confusion matrices of {classifier}, {normalisation} normalisation, one for each arm. "
            + " ".join(f"{c.arm}: {_recalls(counts, classes)}." for c, counts in cells.items()),
            f"{classifier.upper()}, {normalisation} normalisation: % of the rows of each true class, pooled "
            "over folds, mean over seeds.",
        )
        for (normalisation, classifier), cells in groups.items()
    ]
    return _show(run, pictures)


def _clusters(run: _Run) -> str:
    if not (run.folder / "features.parquet").exists():
        raise _Missing("features.parquet is not there yet: the real rows.")
    pictures = []
    for normalisation, path in _first_synthetic(run).items():
        x_NxD, emotion_N, real_N, fold = _sample(run, path, normalisation)
        pictures.append(
            _Picture(
                f"rows_{_file_name(normalisation)}.png",
                _cluster_figure(x_NxD, emotion_N, real_N),
                f"Real and synthetic rows of fold {fold} in two dimensions by PCA and by t-SNE, coloured by "
                f"emotion, {normalisation} normalisation.",
                f"Fold {fold}, {normalisation} normalisation: {int(real_N.sum())} real training rows "
                f"(filled) and {int((~real_N).sum())} synthetic ones (crosses), equally many of each "
                "emotion as far as there are, z-normed on the real training rows. The synthetic rows come "
                "from the source speech, the target emotion gives the colour. t-SNE keeps neighbourhoods, "
                "not distances.",
            )
        )
    if not pictures:
        raise _Missing("No synthetic rows are there yet.")
    return _show(run, pictures)


def _curves(run: _Run) -> str:
    if run.losses.empty:
        raise _Missing("metrics.jsonl is not there yet, or every member in it diverged.")
    pictures = []
    for normalisation, part in run.losses.groupby("normalisation", sort=False):
        names = _loss_names(part)
        if not names:
            continue
        whose = "Not finished yet" if normalisation == _UNFINISHED else f"Normalisation {normalisation}"
        pictures.append(
            _Picture(
                f"losses_{_file_name(str(normalisation))}.png",
                _loss_figure(part, names),
                f"Curves over the training steps of {', '.join(names)}, a line for each emotion.",
                f"{whose}: mean over {part['member'].nunique()} members (line) and their range (band); "
                f"losses and gradient norms have no unit.{_pretraining(part)}",
            )
        )
    return _show(run, pictures)


def _divergence(run: _Run) -> str:
    if not run.members:
        raise _Missing("members.jsonl is not there yet: no member has finished.")
    lost = [line for line in run.members if _diverged(line)]
    if not lost:
        return f"<p>None of {len(run.members)} members diverged.</p>"
    names = "".join(f"<li>{html.escape(_member_name(line))}</li>" for line in lost)
    return (
        f"<p>{len(lost)} of {len(run.members)} members diverged; each was frozen at the step named, and its "
        f"loss curves are left out above:</p>\n<ul>{names}</ul>"
    )


def _settings(run: _Run) -> str:
    record = run.record
    if not record:
        raise _Missing("config.json is not there.")
    devices = ", ".join(map(str, record.get("devices", []))) or "not known yet"
    overrides = ", ".join(f"{key} = {_value(v)}" for key, v in record.get("overrides", {}).items()) or "none"
    facts = {
        "Commit": record.get("commit", "unknown"),
        "Machine": record.get("machine", "unknown"),
        "Devices": devices,
        "Overrides": overrides,
        "Versions": ", ".join(f"{name} {v}" for name, v in record.get("versions", {}).items()),
    }
    lines = "".join(f"<p><b>{key}:</b> {html.escape(str(value))}</p>\n" for key, value in facts.items())
    stages = [[stage, _clock(seconds)] for stage, seconds in record.get("stages", {}).items()]
    config = "\n".join(f"{key} = {_value(value)}" for key, value in _flat(record.get("config", {})))
    again = record.get("command", "")
    report = f"python launch.py --mode=report --workdir={shlex.quote(str(run.folder))}"
    return (
        "<h3>To run it again</h3>\n"
        f"<pre>{html.escape(again)}</pre>\n<p>This page alone, from the same run folder:</p>\n"
        f"<pre>{html.escape(report)}</pre>\n<h3>On what</h3>\n{lines}"
        f"<h3>Time per stage</h3>\n{_table(['Stage', 'min:s'], stages, 1)}"
        f'<h3>Config</h3>\n<pre class="columns">{html.escape(config)}</pre>'
    )


_SECTIONS: dict[str, Callable[[_Run], str]] = {
    "The answer": _answer,
    "Results": _result,
    "Quality of the synthetic rows": _quality,
    "Speakers": _speakers,
    "Confusions": _confusions,
    "Real and synthetic rows": _clusters,
    "Training of the CycleGANs": _curves,
    "Members that diverged": _divergence,
    "What was run": _settings,
}


# ---- the result table, for page and terminal ----

_NUMBERS = 6  # columns of the result table that hold numbers


def _result_cells(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells; sweep points are named only where there are several."""
    several = results["point"].nunique() > 1
    words = ["normalisation", "classifier", "arm"] + ["point"] * several
    header = [*(name.capitalize() for name in words)]
    header += ["Sets", "UAR %", "[95 %]", "WA %", "Difference", "p"]
    rows = []
    for row in results.to_dict("records"):
        interval = f"[{_percent(row['uar_low'])}, {_percent(row['uar_high'])}]"
        clear = row["delta_low"] > 0 or row["delta_high"] < 0
        difference = "" if pd.isna(row["delta_uar"]) else _points(row)
        p_value = "" if pd.isna(row["p_value"]) else f"{max(row['p_value'], 0.001):.3f}"
        cells = [str(row[name]) for name in words]
        cells += [f"{row['amount']:g}", _percent(row["uar"]), interval, _percent(row["wa"])]
        rows.append([*cells, _Strong(difference) if clear else difference, p_value])
    return header, rows


def _points(row: Mapping[str, Any]) -> str:
    """A difference in points of per cent with its interval."""
    value, low, high = (100 * row[name] for name in ("delta_uar", "delta_low", "delta_high"))
    return f"{value:+.1f}" + ("" if np.isnan(low) else f" [{low:+.1f}, {high:+.1f}]")


def _interval_words(row: Mapping[str, Any]) -> str:
    value, low, high = (100 * row[name] for name in ("delta_uar", "delta_low", "delta_high"))
    return f"{value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"


def _sets(amount: float) -> str:
    return f", {amount:g} sets"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if np.isfinite(value) else "-"


# ---- figures ----


def _uar_figure(results: pd.DataFrame) -> Figure:
    """A panel per normalisation: arms downwards, UAR with its interval to the right."""
    kinds = list(dict.fromkeys(results["normalisation"]))
    classifiers = list(dict.fromkeys(results["classifier"]))
    several = results.groupby(["arm", "classifier", "normalisation"]).size().max() > 1
    names = results["arm"] + (results["amount"].map(_sets) if several else "")
    arms = list(dict.fromkeys(names))
    figure, axes = _panels(len(kinds), len(kinds), (10.0 / len(kinds), 0.9 + 0.5 * len(arms)))
    for panel, kind in zip(axes, kinds, strict=True):
        for i, classifier in enumerate(classifiers):
            rows = results[(results["normalisation"] == kind) & (results["classifier"] == classifier)]
            height = [arms.index(name) for name in names[rows.index]]
            offset = 0.3 * ((i + 0.5) / len(classifiers) - 0.5) * (len(classifiers) > 1) * 2
            uar = 100 * rows["uar"].to_numpy()
            spread = [uar - 100 * rows["uar_low"].to_numpy(), 100 * rows["uar_high"].to_numpy() - uar]
            panel.errorbar(
                uar,
                np.array(height) + offset,
                xerr=np.nan_to_num(spread).clip(0),
                fmt=_MARKERS[i % len(_MARKERS)],
                color=_COLOURS[i % len(_COLOURS)],
                capsize=3,
                label=classifier.upper(),
            )
        panel.set_yticks(range(len(arms)), arms)
        panel.set_ylim(len(arms) - 0.4, -0.6)
        panel.set_title(f"{kind} normalisation")
        panel.set_xlabel("pooled UAR / %")
        panel.grid(axis="x", color="#dddddd")
    handles = axes[-1].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def _confusion_figure(cells: Mapping[metrics.Cell, np.ndarray], classes: Sequence[str]) -> Figure:
    """A panel per arm: true classes downwards, predicted ones to the right, per cent of the row."""
    columns = min(len(cells), 3 if len(classes) < 9 else 2)
    width = 10.5 / (3 if len(classes) < 9 else 2)
    figure, axes = _panels(len(cells), columns, (width, width))
    several = len({cell.arm for cell in cells}) < len(cells)
    for panel, (cell, counts_CxC) in zip(axes, cells.items(), strict=True):
        total_Cx1 = counts_CxC.sum(axis=1, keepdims=True)
        share_CxC = 100 * np.divide(counts_CxC, total_Cx1, out=np.zeros_like(counts_CxC), where=total_Cx1 > 0)
        panel.imshow(share_CxC, cmap="Blues", vmin=0, vmax=100)
        for (row, column), value in np.ndenumerate(share_CxC):
            colour = "white" if value > 55 else "#222222"
            panel.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=9)
        panel.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
        panel.set_yticks([])
        panel.set_title(cell.arm + (_sets(cell.amount) if several else ""))
        panel.set_xlabel("predicted")
    for panel in axes[::columns]:
        panel.set_yticks(range(len(classes)), classes)
        panel.set_ylabel("true")
    return figure


def _loss_figure(losses: pd.DataFrame, names: Sequence[str]) -> Figure:
    """A panel per loss, a line per emotion: the mean over members, and their range as a band."""
    figure, axes = _panels(len(names), 3, (3.5, 2.3))
    emotions = sorted(losses["emotion"].dropna().unique()) if "emotion" in losses else []
    looks = _looks(emotions or ["all"])
    change = _joint_start(losses)
    for panel, name in zip(axes, names, strict=True):
        for emotion, look in looks.items():
            rows = losses[losses["emotion"] == emotion] if emotions else losses
            values = rows.dropna(subset=[name]).groupby("step")[name].agg(["mean", "min", "max"])
            mark = "o" if len(values) == 1 else ""
            panel.plot(values.index, values["mean"], look.dash, color=look.colour, lw=1.4, marker=mark)
            panel.fill_between(
                values.index, values["min"], values["max"], color=look.colour, alpha=0.15, lw=0
            )
        if change is not None:
            panel.axvline(change, color="#777777", linewidth=1, linestyle=":")
        panel.set_title(name.replace("_", " "))
        panel.set_xlim(0, losses["step"].max() * 1.02)
        panel.grid(color="#e6e6e6")
    for panel in axes[-3:]:
        panel.set_xlabel("training step")
    handles = [Line2D([], [], color=k.colour, linestyle=k.dash, label=name) for name, k in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 8), frameon=False)
    return figure


def _cluster_figure(x_NxD: np.ndarray, emotion_N: np.ndarray, real_N: np.ndarray) -> Figure:
    """PCA and t-SNE side by side, fitted on all rows given; t-SNE on the first 50 components."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    pca = PCA(min(50, *x_NxD.shape), svd_solver="randomized", random_state=0)
    z_NxP = pca.fit_transform(x_NxD)
    neighbours = min(30.0, (len(x_NxD) - 1) / 3)
    tsne = TSNE(2, perplexity=neighbours, init="pca", max_iter=500, random_state=0)
    with threadpool_limits(1):  # on busy cores many threads are slower than one
        around_Nx2 = tsne.fit_transform(z_NxP)
    share = [
        f"principal component {i + 1} ({ratio:.0%} of the variance)"
        for i, ratio in enumerate(pca.explained_variance_ratio_[:2])
    ]
    views = {
        "PCA": (z_NxP[:, :2], share),
        "t-SNE": (around_Nx2, ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"]),
    }
    figure, axes = _panels(2, 2, (5.4, 5.0))
    looks = _looks(sorted(set(emotion_N.tolist())))
    for panel, (title, (at_Nx2, labels)) in zip(axes, views.items(), strict=True):
        for emotion, look in looks.items():
            fake, real = (at_Nx2[(emotion_N == emotion) & mask].T for mask in (~real_N, real_N))
            panel.scatter(fake[0], fake[1], 16, look.colour, marker="x", linewidths=0.9, alpha=0.55)
            panel.scatter(real[0], real[1], 22, look.colour, marker=look.marker, edgecolors="w", lw=0.5)
        panel.set_title(title)
        panel.set_xlabel(labels[0])
        panel.set_ylabel(labels[1])
        panel.set_xticks([])
        panel.set_yticks([])
    kinds = {"real": _Look("#555555", "", "o"), "synthetic": _Look("#555555", "", "x")}
    handles = [
        Line2D([], [], color=look.colour, linestyle="", marker=look.marker, label=name)
        for name, look in (looks | kinds).items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 9), frameon=False)
    return figure


def _panels(count: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of `size` inches in rows of `columns`."""
    rows = -(-count // columns)
    figure = Figure((columns * size[0], rows * size[1] + 0.3), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, axes


class _Look(NamedTuple):
    """How one emotion is drawn."""

    colour: str
    dash: Any
    marker: str


def _looks(names: Sequence[str]) -> dict[str, _Look]:
    """A look for each name, all different for up to 21."""
    count = len(_COLOURS)
    return {
        name: _Look(_COLOURS[i % count], _DASHES[i // count % 3], _MARKERS[i // count % 3])
        for i, name in enumerate(names)
    }


# ---- what the figures show ----


def _first_synthetic(run: _Run) -> dict[str, epath.Path]:
    """Normalisation -> the first file of synthetic rows of a member that did not diverge."""
    lost = {(line["normalisation"], line["fold"], line["seed"]) for line in run.members if _diverged(line)}
    found: dict[str, epath.Path] = {}
    for path in sorted((run.folder / "synthetic").glob("*/*.parquet")):
        fold, seed = map(int, re.findall(r"fold_(\d+)_seed_(\d+)", path.name)[0])
        if (path.parent.name, fold, seed) not in lost:
            found.setdefault(path.parent.name, path)
    order = [line["normalisation"] for line in run.members]
    return {name: found[name] for name in dict.fromkeys([*order, *found]) if name in found}


def _sample(
    run: _Run, path: epath.Path, normalisation: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Some real training rows and synthetic rows of one file, z-normed on the former.

    Returns x_NxD, the emotions, which rows are real, and the fold.
    """
    from sergan import folds
    from sergan.corpora import tables

    with path.open("rb") as file:
        synthetic = pd.read_parquet(file)
    table = tables.read(run.folder / "features.parquet")
    member, fold = (int(synthetic[name].iloc[0]) for name in ("member", "fold"))
    held_out = {line["held_out"] for line in run.members if line["member"] == member}
    left_out = held_out | {speaker for names in held_out for speaker in names.split()}
    x_UxD = folds.by_speaker(table) if normalisation == "speaker" else table.x_UxD
    train_R = np.flatnonzero(~np.isin(table.speakers_U, list(left_out)))
    scaler = folds.z_norm(x_UxD[train_R])
    fake_NxD = synthetic[list(table.names_D)].to_numpy(np.float32)
    fake_R = np.flatnonzero(np.isfinite(fake_NxD).all(axis=1))
    target_N = synthetic["target_emotion"].to_numpy(str)
    real_R = _balanced(table.emotions_U, train_R, _REAL_PER_CLASS)
    fake_R = _balanced(target_N, fake_R, _SYNTHETIC_PER_CLASS)
    x_NxD = scaler.apply(np.concatenate([x_UxD[real_R], fake_NxD[fake_R]]))
    emotion_N = np.concatenate([table.emotions_U[real_R], target_N[fake_R]])
    return x_NxD, emotion_N, np.arange(len(x_NxD)) < len(real_R), fold


def _balanced(label_N: np.ndarray, rows: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the given rows of each label, at random but always the same ones."""
    mixed = np.random.default_rng(0).permutation(rows)
    return np.concatenate([mixed[label_N[mixed] == label][:most] for label in np.unique(label_N[rows])])


def _loss_names(losses: pd.DataFrame) -> list[str]:
    """Numeric columns with a value anywhere."""
    numeric = losses.select_dtypes("number").columns
    return [name for name in numeric if name not in _NOT_A_LOSS and losses[name].notna().any()]


def _joint_start(losses: pd.DataFrame) -> float | None:
    """The last step of pre-training, if both phases were logged."""
    if "phase" not in losses or set(losses["phase"]) < {"pretrain"}:
        return None
    early = losses[losses["phase"] == "pretrain"]["step"]
    return float(early.max()) if len(early) else None


def _pretraining(losses: pd.DataFrame) -> str:
    return "" if _joint_start(losses) is None else " Left of the dotted line: pre-training of the generators."


def _diverged(line: Mapping[str, Any]) -> bool:
    return str(line["status"]).startswith("diverged")


def _member_name(line: Mapping[str, Any]) -> str:
    place = f"{line['normalisation']} normalisation, fold {line['fold']} without {line['held_out']}"
    step = str(line["status"]).partition("@")[2]
    return f"member {line['member']} ({place}, seed {line['seed']}, point {line['point']}): at step {step}"


def _recalls(counts_CxC: np.ndarray, classes: Sequence[str]) -> str:
    """Per cent recalled of each class, in words."""
    right_C, total_C = np.diagonal(counts_CxC), counts_CxC.sum(axis=1)
    shares = [
        f"{name} {100 * r / n:.0f} %" for name, r, n in zip(classes, right_C, total_C, strict=True) if n
    ]
    return "recognised are " + ", ".join(shares)


# ---- files and HTML ----


def _read_csv(path: epath.Path, words: Iterable[str]) -> pd.DataFrame | None:
    """A csv file, the columns `words` as they stand (an emotion may be called "NA"); None if not there."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return pd.read_csv(
            file, dtype=dict.fromkeys(words, str), keep_default_na=False, na_values=["", "nan"]
        )


def _have(frame: pd.DataFrame | None, name: str) -> pd.DataFrame:
    if frame is None or frame.empty:
        raise _Missing(f"{name} is not there yet.")
    return frame


def _title(run: _Run) -> str:
    name = run.record.get("config", {}).get("corpus", {}).get("name", "")
    return f"Emotion recognition with synthetic speech features{': ' + str(name) if name else ''}"


def _show(run: _Run, pictures: Iterable[_Picture]) -> str:
    """Saves pictures in the run folder and puts them on the page, each inlined."""
    parts = []
    for picture in pictures:
        buffer = io.BytesIO()
        picture.figure.savefig(buffer, format="png", dpi=120, facecolor="white", metadata={"Software": None})
        _save(run.folder / "figures" / picture.name, buffer.getvalue())
        data = base64.b64encode(buffer.getvalue()).decode()
        caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>" if picture.caption else ""
        alt = html.escape(picture.alt, quote=True)
        parts.append(f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">{caption}</figure>\n')
    return "".join(parts)


def _save(path: epath.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(content)
    temporary.replace(path)


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: int,
    caption: str = "",
    marks: Sequence[int] = (),
) -> str:
    """An HTML table: the first `words` columns left, the others right, a line above rows `marks`."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [' class="word"' if i < words else "" for i in range(len(row))]
        texts = [
            f"<strong>{html.escape(c)}</strong>" if isinstance(c, _Strong) else html.escape(c) for c in row
        ]
        return "".join(f"<{tag}{k}>{text}</{tag}>" for k, text in zip(kinds, texts, strict=True))

    lines = [' class="first"' if i in marks and i else "" for i in range(len(rows))]
    body = "\n".join(f"<tr{line}>{cells('td', row)}</tr>" for line, row in zip(lines, rows, strict=True))
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = f"<thead><tr>{cells('th', header)}</tr></thead>"
    return f'<div class="wide"><table>{title}{head}<tbody>\n{body}\n</tbody></table></div>\n'


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested keys as dotted ones, in order."""
    lines: list[tuple[str, Any]] = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        lines += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w+-]+", "_", text)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
