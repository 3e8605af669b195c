"""What the tables of a report say: frames in, words and numbers out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sergan import comparison, sweep
from sergan.metrics import classifier_name as _name
from sergan.page import Strong, percent


class Cells(NamedTuple):
    """A table in words: its header, its rows, and how many of the first columns hold words."""

    header: list[str]
    rows: list[list[str]]
    words: int


class Measure(NamedTuple):
    """A column of quality.csv: its heading, its decimals, and how to read it."""

    heading: str
    decimals: int
    meaning: str


MEASURES = {
    "target_synthetic": Measure(
        "Target to synthetic ↓",
        4,
        "mean over features of the absolute difference of means between real and synthetic rows, on features "
        "min-max scaled to [0, 1]; lower is better",
    ),
    "target_source": Measure(
        "Target to source", 4, "the same between real rows and the source, where the transfer starts"
    ),
    "frechet": Measure(
        "Fréchet ↓",
        1,
        "squared Fréchet distance of two normal distributions with shrunk covariances, fitted to real and "
        "synthetic rows; lower is better, but only between arms with equally many rows and far from 0: two "
        "sets of other people's rows of one speech corpus give about 700, and each side is shrunk by its own "
        "number of rows, so that copies of the real ones do not have the least",
    ),
    "mmd": Measure("MMD² ↓", 4, "squared maximum mean discrepancy; lower is better, about 0 is none"),
    "mmd_p": Measure("MMD p ↑", 3, "its p value among random relabellings; a small one: the two differ"),
    "precision": Measure(
        "Precision ↑", 3, "share of synthetic rows that lie among real ones; higher is better"
    ),
    "recall": Measure("Recall ↑", 3, "share of real rows that lie among synthetic ones; higher is better"),
    "density": Measure(
        "Density ↑",
        3,
        "how densely synthetic rows lie among real ones, 1 as real rows do; higher is better",
    ),
    "coverage": Measure(
        "Coverage ↑", 3, "share of real rows with a synthetic row in their neighbourhood; higher is better"
    ),
    "two_sample": Measure(
        "Two-sample",
        3,
        "balanced accuracy of a classifier that tells real from synthetic rows; towards 1 they differ; at "
        "0.5 and below they cannot be told apart. Rows with the real ones' means, copies among them, have "
        "about 0.4, since what is held out moves the means of the rest away from it",
    ),
    "agreement": Measure(
        "Agreement",
        3,
        "share of synthetic rows that a classifier of real rows gives their emotion; low ones are of no "
        "clear emotion, but copies and rows that collapsed to the middle of a class have 1",
    ),
    "nearest_synthetic": Measure(
        "Nearest, synthetic",
        2,
        "median distance of synthetic rows to the nearest real training row; near 0 it tells of memorised "
        "rows. Below that of held-out rows, in the next column, it need not: these are another speaker's, "
        "and rows in the middle of a class are near to all",
    ),
    "nearest_held_out": Measure(
        "Nearest, held out", 2, "the same distance for the real rows that were held out"
    ),
    "duplicates": Measure(
        "Copies ↓", 1, "synthetic rows of an emotion and fold that equal a training row; lower is better"
    ),
}
_TOGETHER = "\N{NO-BREAK SPACE}"
_SPEAKERS = 6  # held-out speakers that are named for one reason
TRANSFER = ("target_synthetic", "target_source")


def results(
    rows: pd.DataFrame,
    beside: Mapping[tuple[str, str], tuple[float, float]] | None = None,
    lost: Sequence[tuple[str, str, str]] = (),
    points: pd.DataFrame | None = None,
) -> Cells:
    """The rows of results.csv; sweep points and sets are named only where there are any to tell apart.

    Args:
      rows: those that count, with `gaps` as in `comparison.with_gaps` where folds are missing.
      beside: published (UAR, WA) in per cent by arm and classifier.
      lost: normalisation, classifier and arm of those without rows, which get rows that say so.
      points: the values of the sweep's points, which are then named by them.
    """
    chosen, rows = comparison.has_choice(rows), comparison.with_missing(rows, lost)
    several = rows["point"].nunique() > 1 or points is not None
    if points is not None:
        rows = comparison.in_order(rows.sort_values("point", kind="stable"))
        rows = rows.assign(point=sweep.labels(rows, points))
    whole = {"wa_low", "wa_high"} <= set(rows)  # WA has an interval too
    words = ["normalisation", "classifier", "arm"] + ["point"] * several
    header = [*(name.capitalize() for name in words), *["Sets"] * (not chosen)]
    header += ["UAR %", "[95 %]", "WA %", *["[95 %]"] * whole, "Difference", "p"]
    header += ["Paper: UAR %", "WA %"] * bool(beside)
    lines = []
    for row in rows.to_dict("records"):
        cells = [str(row[name]) for name in words]
        cells[2] += _gaps(row)
        if pd.isna(row["seeds"]):
            lines.append(cells + [""] * (len(header) - len(cells)))
            continue
        cells += [f"{row['amount']:g}"] * (not chosen)
        cells += [percent(row["uar"]), _interval(row, "uar"), percent(row["wa"])]
        cells += [_interval(row, "wa") for _ in range(whole)]
        cells += [_marked(row), _p_value(row)]
        paper = (beside or {}).get((row["arm"], row["classifier"]), (np.nan, np.nan))
        lines.append(cells + [_decimals(value, 2) for value in paper] * bool(beside))
    return Cells(header, lines, len(words))


def firsts(table: Cells, words: int) -> list[int]:
    """The rows of a table whose first `words` cells differ from those above."""
    starts = [row[:words] for row in table.rows]
    return [i for i, start in enumerate(starts) if i == 0 or start != starts[i - 1]]


def lost(holes: Sequence[Mapping[str, Any]], rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Normalisation, classifier and arm of those with holes but no rows; a kind `x` stands for the arms x and
    real+x."""
    there = list(rows[["normalisation", "classifier", "arm"]].itertuples(index=False, name=None))
    normalisations, classifiers, arms = (list(dict.fromkeys(names)) for names in zip(*there, strict=True))
    wanted = [
        (hole["normalisation"], classifier, arm)
        for hole in holes
        if hole["normalisation"] in normalisations
        for arm in sorted({hole["arm"], f"real+{hole['arm']}"} & set(arms)) or [hole["arm"]]
        for classifier in classifiers
    ]
    return [cell for cell in dict.fromkeys(wanted) if cell not in there]


def holes(lines: Sequence[Mapping[str, Any]]) -> Cells:
    """What could not run, reasons that differ in their numbers only together, the first of them in words."""
    names = ["normalisation", "arm", "emotion", "kind"]
    frame = pd.DataFrame(lines).reindex(columns=[*names, "amount", "held_out", "reason"])
    frame["kind"] = frame["reason"].astype(str).str.replace(r"\d[\d.]*", "#", regex=True)
    rows = []
    frame["emotion"] = frame["emotion"].astype(object).fillna("")
    for values, part in frame.groupby(names, sort=False):
        amounts = ", ".join(f"{amount:g}" for amount in sorted(part["amount"].dropna().unique()))
        speakers, reasons = (list(dict.fromkeys(part[name].dropna())) for name in ("held_out", "reason"))
        more = len(speakers) - _SPEAKERS
        held_out = "; ".join(map(str, speakers[:_SPEAKERS])) + f"; and {more} more" * (more > 0)
        alike = f" (and {len(reasons) - 1} alike)" * (len(reasons) > 1)
        rows.append([*map(str, values[:3]), amounts, held_out, f"{reasons[0]}{alike}"])
    return Cells(["Normalisation", "Arm", "Emotion", "Sets", "Held out", "Reason"], rows, 6)


def optimism(frame: pd.DataFrame, beside: Mapping[tuple[str, str], tuple[float, float]]) -> Cells:
    """The rows of `comparison.optimism`, and the published UAR of the same arm and classifier."""
    header = ["Normalisation", "Classifier", "Arm", "Best at sets", "its UAR %", "its difference"]
    header += ["Chosen: UAR %", "its difference", "Optimism", *["Paper: UAR %"] * bool(beside)]
    rows = []
    for row in frame.to_dict("records"):
        values = [percent(row["claimed"]), _signed(row["claimed_delta"])]
        values += [percent(row["uar"]), _signed(row["delta_uar"]), _signed(row["optimism"])]
        paper = _decimals(beside.get((row["arm"], row["classifier"]), (np.nan,))[0], 2)
        words = [row["normalisation"], row["classifier"], row["arm"]]
        rows.append([*words, f"{row['amount']:g}", *values, *[paper] * bool(beside)])
    return Cells(header, rows, 3)


def contrasts(frame: pd.DataFrame) -> Cells:
    """The rows of contrasts.csv."""
    rows = []
    for row in frame.to_dict("records"):
        difference = _difference(row | {"delta_uar": row["delta"]})
        words = [row["normalisation"], row["classifier"], f"{row['a']} minus {row['b']}"]
        clear = comparison.verdict(row) != "open"
        rows.append([*words, Strong(difference) if clear else difference, _p_value(row)])
    return Cells(["Normalisation", "Classifier", "Arms", "Difference of UAR", "p"], rows, 3)


def choices(frame: pd.DataFrame) -> Cells:
    """The rows of `comparison.choices_made`."""
    names = {
        "point": "Sweep point",
        "amount": "Sets",
        "regularisation": "C or L2",
        "real_share": "Real share",
    }
    header = [names.get(name, str(name).capitalize()) for name in frame.columns]
    lines = frame.fillna("").astype(str).replace(" ", _TOGETHER, regex=True)
    if "setting" in lines:
        lines["setting"] = lines["setting"].str.replace(f";{_TOGETHER}", "; ")
    return Cells(header, lines.to_numpy().tolist(), len(header))


def published(frame: pd.DataFrame) -> Cells:
    """Published numbers that are not like for like, each with its number of classes."""
    rows = [
        [row["arm"], row["classifier"], f"{row['classes']} classes", row["source"]]
        + [_decimals(row[name], 2) for name in ("wa", "uar")]
        for row in frame.to_dict("records")
    ]
    return Cells(["Quoted", "Classifier", "On", "From", "WA %", "UAR %"], rows, 4)


def bao(frame: pd.DataFrame) -> Cells:
    """The rows of `bao.beside`: the paper's, ours beside them, UAR and differences of means as they are."""
    header = ["What", "λ_cls", "From", "Paper", "Normalisation", "Our loss", "Ours", "[95 %]"]
    rows = []
    for row in frame.fillna({"loss": "", "normalisation": ""}).to_dict("records"):
        uar = row["measure"] == "uar"
        what = f"UAR %, {row['arm']}" if uar else MEASURES[row["measure"]].heading.rstrip(" ↓")
        theirs, ours = (
            _decimals(row[value], 2 if uar else 3) + (f" ± {row[sd]:.2f}" if np.isfinite(row[sd]) else "")
            for value, sd in (("value", "sd"), ("our_value", "our_sd"))
        )
        interval = f"[{row['low']:.1f}, {row['high']:.1f}]" if np.isfinite(row["low"]) else ""
        words = [what, _decimals(row["lambda_cls"], 0), row["source"], theirs]
        rows.append([*words, row["normalisation"], row["loss"], ours, interval])
    return Cells(header, rows, 3)


def measures(quality: pd.DataFrame) -> list[str]:
    """The measures that quality.csv holds values of."""
    return [name for name in MEASURES if name in quality and quality[name].notna().any()]


def quality(frame: pd.DataFrame, points: pd.DataFrame | None = None) -> Cells:
    """Means of every measure over emotions, folds and the seeds that have it, for each arm and point."""
    names, words = measures(frame), ["normalisation", "arm"]
    if points is not None and "point" in frame:
        frame, words = frame.assign(point=sweep.labels(frame, points)), [*words, "point"]
    rows = [
        [*map(str, cell), *(_decimals(part[name].mean(), MEASURES[name].decimals) for name in names)]
        for cell, part in frame.groupby(words, sort=False)
    ]
    header = [name.capitalize() for name in words]
    return Cells([*header, *(MEASURES[name].heading for name in names)], rows, len(words))


def swept(rows: pd.DataFrame, real: pd.DataFrame, points: pd.DataFrame) -> Cells:
    """Rows of `sweep.rows` of one normalisation by arm and point, after `real`; classifiers side by side."""
    classifiers, names = list(dict.fromkeys(rows["classifier"])), [n for n in sweep.MEASURES if n in rows]
    keys = [str(key) for key in points.columns.drop("point")]
    header, shown = ["Arm", *keys], f"UAR{_TOGETHER}% [95{_TOGETHER}%]"
    header += [f"{_name(name)}: {what}" for name in classifiers for what in (shown, "difference")]
    header += [*(MEASURES[name].heading for name in names), "Diverged"]
    judged = [name for name in classifiers if "chosen" in rows]
    header += [f"{_name(name)}: inner{_TOGETHER}UAR{_TOGETHER}%, chosen" for name in judged]
    values = points.set_index("point")[keys]
    lines = [["real", *[""] * len(keys), *_beside(real, classifiers), *[""] * (len(names) + 1 + len(judged))]]
    for (arm, point), part in rows.groupby(["arm", "point"], sort=False):
        row = part.iloc[0]
        place = [sweep.number(value) for value in values.loc[point]]
        found = [_decimals(row[name], MEASURES[name].decimals) for name in names]
        inner = [_judged(part[part["classifier"] == name]) for name in judged]
        lines.append([arm, *place, *_beside(part, classifiers), *found, _lost(row), *inner])
    return Cells(header, lines, 1)


def _judged(rows: pd.DataFrame) -> str:
    """UAR on inner folds, and how many outer ones chose the point; empty where nothing was chosen."""
    if rows.empty or pd.isna(rows["inner_uar"].iloc[0]):
        return ""
    return f"{percent(rows['inner_uar'].iloc[0])}, by {rows['chosen'].iloc[0]:.0f}"


def runs(rows: pd.DataFrame, settings: Mapping[str, Mapping[str, str]]) -> Cells:
    """The rows of `runs.rows`, with the columns `settings`: key -> run -> value."""
    names = [name for name in sweep.MEASURES if name in rows and rows[name].notna().any()]
    header = ["Normalisation", "Classifier", "Arm", "Run", *settings, "Sets", "UAR %", "[95 %]", "Difference"]
    header += [*(MEASURES[name].heading for name in names), "Diverged", "Training s"]
    lines = []
    for row in rows.to_dict("records"):
        words = [row["normalisation"], row["classifier"], row["arm"], row["run"]]
        words += [values.get(row["run"], "") for values in settings.values()]
        sets = "chosen" if pd.isna(row["amount"]) else f"{row['amount']:g}"
        found = [_decimals(row[name], MEASURES[name].decimals) for name in names]
        seconds = _decimals(row["seconds"], 0)
        lines.append([*words, sets, percent(row["uar"]), _interval(row, "uar"), _marked(row), *found])
        lines[-1] += [_lost(row), seconds]
    return Cells(header, lines, 4 + len(settings))


def transfer(frame: pd.DataFrame, by: str) -> Cells:
    """How near the means of target and synthetic rows are, by emotion downwards and `by` across.

    Across normalisations each has its own column for the source; across arms there is one, at the end.
    """
    kinds = list(dict.fromkeys(frame[by]))
    if by == "normalisation":
        columns = [(kind, name) for kind in kinds for name in TRANSFER if name in frame]
        words = {"target_synthetic": "target to synthetic", "target_source": "target to source"}
        header = [f"{kind}: {words[name]}" for kind, name in columns]
    else:
        columns = [(kind, "target_synthetic") for kind in kinds]
        columns += [("", "target_source")] * ("target_source" in frame)
        header = [str(kind) if kind else "source" for kind, _ in columns]
    rows = []
    for emotion in [*dict.fromkeys(frame["emotion"]), None]:
        part = frame if emotion is None else frame[frame["emotion"] == emotion]
        values = [(part if kind == "" else part[part[by] == kind])[name].mean() for kind, name in columns]
        cells = [_decimals(value, 4) for value in values]
        rows.append([emotion or "all", *(cells if emotion else map(Strong, cells))])
    return Cells(["Emotion", *header], rows, 1)


def speakers(frame: pd.DataFrame, arms: pd.DataFrame) -> Cells:
    """UAR of each speaker from `metrics.per_speaker`, a column for each row of `arms` (columns of a cell)."""
    names, several = list(arms.columns), arms.duplicated(["classifier", "arm"], keep=False)
    header = ["Speaker", "rows"]
    for row, repeated in zip(arms.itertuples(), several, strict=True):
        sets = f", {comparison.sets_words(row.amount)}" if repeated else ""
        header.append(f"{_name(row.classifier)} {row.arm}{sets}")
    rows = []
    for speaker, part in frame.groupby("speaker"):
        found = arms.merge(part[[*names, "uar"]], on=names, how="left")
        rows.append([str(speaker), str(part["rows"].max()), *map(percent, found["uar"])])
    return Cells(header, rows, 1)


def _gaps(row: Mapping[str, Any]) -> str:
    """How much of a row is missing, in brackets; empty where nothing is."""
    if pd.isna(row["seeds"]):
        return " (could not run)"
    gaps = row.get("gaps", 0)
    return f" (could not run in {gaps:.0f} fold{'s' * (gaps != 1)})" if gaps > 0 else ""


def _beside(rows: pd.DataFrame, classifiers: Sequence[str]) -> list[str]:
    """UAR with its interval and the difference to real of the first row of each classifier."""
    found = rows.drop_duplicates("classifier").set_index("classifier").to_dict("index")
    pairs = [
        [f"{percent(row['uar'])} {_interval(row, 'uar')}", _marked(row)] if row else ["", ""]
        for row in (found.get(name) for name in classifiers)
    ]
    return [cell for pair in pairs for cell in pair]


def _marked(row: Mapping[str, Any]) -> str:
    """A difference to real with its interval, bold where that excludes 0; empty where there is none."""
    text = "" if pd.isna(row["delta_uar"]) else _difference(row)
    return Strong(text) if comparison.verdict(row) != "open" else text


def _lost(row: Mapping[str, Any]) -> str:
    """How many members of how many diverged."""
    return "" if pd.isna(row["members"]) else f"{row['diverged']:.0f} of {row['members']:.0f}"


def _difference(row: Mapping[str, Any]) -> str:
    """A difference in points of per cent with its interval."""
    low, high = (100 * row[name] for name in ("delta_low", "delta_high"))
    return _signed(row["delta_uar"]) + ("" if np.isnan(low) else f" [{low:+.1f}, {high:+.1f}]")


def _interval(row: Mapping[str, Any], name: str) -> str:
    return f"[{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]"


def _p_value(row: Mapping[str, Any]) -> str:
    """A p value, empty where nothing was tested."""
    value = row["p_value"]
    return "" if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _signed(share: float) -> str:
    return "" if pd.isna(share) else f"{100 * share:+.1f}"


def _decimals(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else ""
