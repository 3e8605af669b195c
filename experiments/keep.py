"""Keeps what finished studies found: small tables, figures, and the rows of a README's table.

python -m experiments.keep experiments/emodb/results runs/emodb_study runs/emodb_study-speaker
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from sergan import comparison, metrics, pham, writers
from sergan.run_folder import Run

TABLES = ("results.csv", "contrasts.csv", "choices.csv", "inner.csv", "points.csv", "learning.csv")
FIGURES = (
    "uar.png",
    "difference.png",
    "curve_all_beside.png",
    "rows_*.png",
    "sweep_*.png",
    "features_*_wdiv.png",
)
OF_RECORDINGS = ("confusion_*.png", "clips.png", "learning.png")
RECORD = ("overrides", "commit", "continued_at", "machine", "versions", "started", "ended", "stages")


def keep(run: Path, out: Path) -> str:
    """Copies a run folder's tables and figures to `out`, in place of an earlier run's; returns the README's
    rows of it.

    Of recordings of EMO-DB beside.csv has the papers' tables with ours.
    """
    table = rows(writers.read_frame(run / "results.csv", ("arm", "classifier", "normalisation")))
    made = out.with_name(f".{out.name}.partial")
    if (made / "earlier").exists() and not out.exists():  # a call was killed between the two renames
        (made / "earlier").rename(out)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    names = [run / name for name in TABLES if (run / name).exists() and _has_lines(run / name)]
    found = Run(run)
    figures = (*FIGURES, *(OF_RECORDINGS if found.kind == "recordings" else ()))
    names += [path for pattern in figures for path in sorted((run / "figures").glob(pattern))]
    for path in names:
        (made / path.name).write_bytes(path.read_bytes())
    record = writers.read_json(run / "config.json")
    kept = {name: record.get(name) for name in RECORD} | {"protocol": found.protocol}
    kept["overrides"] = {key: _placeless(value) for key, value in (kept["overrides"] or {}).items()}
    writers.write_json(made / "run.json", kept)
    if (run / "quality.csv").exists():
        quality = pd.read_csv(run / "quality.csv").drop(columns=["fold", "seed"])
        means = quality.groupby(["normalisation", "arm", "point"], sort=False).mean(numeric_only=True)
        means.round(5).reset_index().to_csv(made / "quality.csv", index=False)
    if len(papers := pham.beside(found)):
        papers.round(2).to_csv(made / "beside.csv", index=False)
    if out.exists():
        out.rename(made / "earlier")
    made.rename(out)
    shutil.rmtree(out / "earlier", ignore_errors=True)
    return table


def _has_lines(table: Path) -> bool:
    """Whether there is more than the header: a run with one arm has contrasts.csv without lines."""
    with table.open() as file:
        return sum(1 for _ in zip(range(2), file, strict=False)) > 1


def _placeless(value: Any) -> Any:
    """A path, or that of NAME:PATH, by its last part: where it lies on a machine says nothing to others."""
    if not isinstance(value, str):
        return value
    name, colon, path = value.rpartition(":")
    return f"{name}{colon}{Path(path).name}" if path.startswith(("/", "~")) else value


def rows(results: pd.DataFrame) -> str:
    """The rows that count, as Markdown: a line for an arm or its point, its classifiers side by side."""
    keys = ["normalisation", "arm", "amount", "point"]
    counted = comparison.counted(results).astype({"amount": str})  # nan where it was chosen
    cells = counted.set_index([*keys, "classifier"])
    names = counted["classifier"].drop_duplicates().tolist()
    header = list(keys)
    for name in names:
        header += [f"{metrics.classifier_name(name)} UAR", "WA", "difference of UAR", "p"]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for place in counted[keys].drop_duplicates().itertuples(index=False, name=None):
        wanted = [(*place, name) for name in names]
        parts = [
            text for cell in wanted for text in (_texts(cells.loc[cell]) if cell in cells.index else [""] * 4)
        ]
        lines.append(f"| {' | '.join(map(str, [*place, *parts]))} |")
    return "\n".join(lines)


def _texts(row: pd.Series) -> list[str]:
    """UAR and WA, the difference to `real`, in bold where its interval excludes 0, and its p value."""
    values = [_interval(row, name, f"{name}_low", f"{name}_high", ".1f") for name in ("uar", "wa")]
    if pd.isna(row["delta_low"]):
        return [*values, "", ""]
    bold = "**" if row["delta_low"] > 0 or row["delta_high"] < 0 else ""
    delta = _interval(row, "delta_uar", "delta_low", "delta_high", "+.1f")
    return [*values, f"{bold}{delta}{bold}", f"{row['p_value']:.2f}"]


def _interval(row: pd.Series, name: str, low: str, high: str, form: str) -> str:
    """A share and its interval in per cent."""
    value, low, high = (format(100 * row[key], form) for key in (name, low, high))
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m experiments.keep", description=__doc__)
    parser.add_argument("out", type=Path, help="the folder of what is kept")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    given = parser.parse_args()
    for folder in given.runs:
        print(f"\n{folder}\n\n{keep(folder, given.out / folder.name)}")
