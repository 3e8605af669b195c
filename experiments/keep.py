"""Keeps what finished studies found: small tables, figures, and the rows of a README's table.

python -m experiments.keep experiments/emodb/results runs/emodb_study runs/emodb_study-speaker
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from sergan import comparison, metrics, pham, writers
from sergan.run_folder import Run

TABLES = ("results.csv", "contrasts.csv", "choices.csv", "inner.csv", "points.csv")
FIGURES = (
    "uar.png",
    "difference.png",
    "curve_all_beside.png",
    "rows_*.png",
    "sweep_*.png",
    "features_*_wdiv.png",
)
OF_RECORDINGS = ("confusion_*.png", "clips.png")
RECORD = ("overrides", "commit", "continued_at", "machine", "versions", "started", "ended", "stages")


def keep(run: Path, out: Path) -> str:
    """Copies a run folder's tables and figures into `out`; returns the README's rows of it.

    Of recordings of EMO-DB beside.csv has the papers' tables with ours.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = [run / name for name in TABLES if (run / name).exists()]
    found = Run(run)
    figures = (*FIGURES, *(OF_RECORDINGS if found.kind == "recordings" else ()))
    names += [path for pattern in figures for path in sorted((run / "figures").glob(pattern))]
    for path in names:
        (out / path.name).write_bytes(path.read_bytes())
    record = writers.read_json(run / "config.json")
    kept = {name: record.get(name) for name in RECORD} | {"protocol": found.protocol}
    kept["overrides"] = {key: _placeless(value) for key, value in (kept["overrides"] or {}).items()}
    writers.write_json(out / "run.json", kept)
    if (run / "quality.csv").exists():
        quality = pd.read_csv(run / "quality.csv").drop(columns=["fold", "seed"])
        means = quality.groupby(["normalisation", "arm", "point"], sort=False).mean(numeric_only=True)
        means.round(5).reset_index().to_csv(out / "quality.csv", index=False)
    if len(papers := pham.beside(found)):
        papers.round(2).to_csv(out / "beside.csv", index=False)
    return rows(pd.read_csv(run / "results.csv"))


def _placeless(value: Any) -> Any:
    """A path by its last part: where it lies on a machine says nothing to others."""
    return Path(value).name if isinstance(value, str) and value.startswith(("/", "~")) else value


def rows(results: pd.DataFrame) -> str:
    """The rows that count, as Markdown: a line for an arm or its point, its classifiers side by side."""
    keys = ["normalisation", "arm", "amount", "point"]
    counted = comparison.counted(results).astype({"amount": str})  # nan where it was chosen
    cells = counted.set_index([*keys, "classifier"])
    names = counted["classifier"].drop_duplicates().tolist()
    header = [
        *keys,
        *(words for name in names for words in (f"{metrics.classifier_name(name)} UAR", "difference")),
    ]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for place in counted[keys].drop_duplicates().itertuples(index=False, name=None):
        parts = [text for name in names for text in _pair(cells.loc[(*place, name)])]
        lines.append(f"| {' | '.join(map(str, [*place, *parts]))} |")
    return "\n".join(lines)


def _pair(row: pd.Series) -> tuple[str, str]:
    uar, low, high = (100 * row[name] for name in ("uar", "uar_low", "uar_high"))
    value = f"{uar:.1f} [{low:.1f}, {high:.1f}]"
    if pd.isna(row["delta_low"]):
        return value, ""
    delta, low, high = (100 * row[name] for name in ("delta_uar", "delta_low", "delta_high"))
    bold = "**" if low > 0 or high < 0 else ""
    return value, f"{bold}{delta:+.1f} [{low:+.1f}, {high:+.1f}]{bold}"


if __name__ == "__main__":
    for folder in sys.argv[2:]:
        print(f"\n{folder}\n\n{keep(Path(folder), Path(sys.argv[1]) / Path(folder).name)}")
