"""The pictures of a sweep: lines against one swept key, heat maps over two.

Every function has rows as `sweep.rows` gives them, and the sweep's points.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from pandas.api.types import is_numeric_dtype

from sergan import comparison
from sergan.figures import looks_of, make_panels, share_scale
from sergan.metrics import classifier_name as _name
from sergan.sweep import number

_WIDE = 10  # a larger ratio of the largest to the smallest value is not shown on a linear axis


def uar_curves(rows: pd.DataFrame, real: pd.DataFrame, points: pd.DataFrame, key: str) -> Figure:
    """A panel per normalisation and classifier: UAR of each arm against a key, `real` as a line, with bands.

    A hollow marker is a point with members that diverged.
    """
    cells = rows[["normalisation", "classifier"]].drop_duplicates().to_numpy().tolist()
    figure, axes = make_panels(len(cells), min(len(cells), 2), (5.3, 3.1))
    looks = looks_of(list(dict.fromkeys(rows["arm"])))
    for panel, cell in zip(axes, cells, strict=True):
        for low, uar, high in 100 * _of(real, cell)[["uar_low", "uar", "uar_high"]].to_numpy()[:1]:
            panel.axhspan(low, high, color="#777777", alpha=0.15, lw=0)
            panel.axhline(uar, color="#555555", lw=1.2)
        for arm, look in looks.items():
            part = _of(rows, cell)
            x_P, part = _against(part[part["arm"] == arm], points, key)
            low, uar, high = (100 * part[name] for name in ("uar_low", "uar", "uar_high"))
            panel.fill_between(x_P, low, high, color=look.colour, alpha=0.12, lw=0)
            _line(panel, x_P, uar, part, look)
        panel.set_title(f"{_name(cell[1])}, {cell[0]} normalisation", fontsize=10)
        panel.set_ylabel("pooled UAR / %")
        _name_values(panel, points, key)
    share_scale(axes, [kind for kind, _ in cells])
    figure.legend(
        handles=[Line2D([], [], color="#555555", lw=1.2, label="real"), *_handles(looks)],
        loc="outside upper center",
        ncols=len(looks) + 1,
        frameon=False,
    )
    return figure


def measure_curves(rows: pd.DataFrame, points: pd.DataFrame, key: str, measures: Mapping[str, str]) -> Figure:
    """A panel per normalisation and measure (column: its name): means of each kind of CycleGAN."""
    rows = rows.drop_duplicates(["normalisation", "kind", "point"])
    cells = [(kind, name) for kind in dict.fromkeys(rows["normalisation"]) for name in measures]
    figure, axes = make_panels(len(cells), min(len(cells), 2), (5.3, 2.6))
    looks = looks_of(list(dict.fromkeys(rows["kind"])))
    for panel, (normalisation, name) in zip(axes, cells, strict=True):
        for kind, look in looks.items():
            wanted = (rows["normalisation"] == normalisation) & (rows["kind"] == kind)
            x_P, part = _against(rows[wanted], points, key)
            _line(panel, x_P, part[name], part, look)
        panel.set_title(f"{normalisation} normalisation", fontsize=10)
        panel.set_ylabel(measures[name])
        _name_values(panel, points, key)
    figure.legend(handles=_handles(looks), loc="outside upper center", ncols=len(looks), frameon=False)
    return figure


def uar_maps(rows: pd.DataFrame, points: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """A panel per normalisation and classifier of one arm: UAR and its difference to real over two keys.

    One scale of colours for each normalisation.
    """

    def text(row: Mapping[str, Any]) -> str:
        star = "*" * (comparison.verdict(row) != "open")
        return f"{100 * row['uar']:.1f}\n{100 * row['delta_uar']:+.1f}{star}"

    cells = rows[["normalisation", "classifier"]].drop_duplicates().to_numpy().tolist()
    parts = {f"{_name(cell[1])}, {cell[0]} normalisation": _of(rows, cell) for cell in cells}
    return _maps(parts, points, keys, "uar", text)


def inner_maps(rows: pd.DataFrame, points: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """A panel per normalisation and classifier of one arm: UAR on inner folds, and who chose the point."""

    def text(row: Mapping[str, Any]) -> str:
        times = f"\nchosen by {row['chosen']:.0f}" if row["chosen"] else ""
        return f"{100 * row['inner_uar']:.1f}{times}"

    cells = rows[["normalisation", "classifier"]].drop_duplicates().to_numpy().tolist()
    rows = rows.assign(diverged=0)  # members of the outer folds, which say nothing here
    parts = {f"{_name(cell[1])}, {cell[0]} normalisation": _of(rows, cell) for cell in cells}
    return _maps(parts, points, keys, "inner_uar", text)


def measure_maps(
    rows: pd.DataFrame, points: pd.DataFrame, keys: Sequence[str], measure: str, decimals: int
) -> Figure:
    """A panel per normalisation and kind of CycleGAN: the means of a measure over two keys."""
    rows = rows.drop_duplicates(["normalisation", "kind", "point"])
    parts = {
        f"{kind}, {normalisation} normalisation": part
        for (normalisation, kind), part in rows.groupby(["normalisation", "kind"], sort=False)
    }
    return _maps(parts, points, keys, measure, lambda row: f"{row[measure]:.{decimals}f}")


def _maps(
    parts: Mapping[str, pd.DataFrame],
    points: pd.DataFrame,
    keys: Sequence[str],
    value: str,
    text: Callable[[Mapping[str, Any]], str],
) -> Figure:
    """A panel for each part: the first key across, the second upwards, `value` as colour, `text` in it."""
    across, up = (sorted(points[key].unique()) for key in keys)
    figure, axes = make_panels(len(parts), min(len(parts), 2), (5.3, 0.95 + 0.58 * len(up)))
    values = points.set_index("point")[list(keys)]
    for panel, (title, part) in zip(axes, parts.items(), strict=True):
        same = pd.concat(list(parts.values()))
        low, high = _limits(same.loc[same["normalisation"] == part["normalisation"].iloc[0], value])
        shown_YxX = np.full((len(up), len(across)), np.nan)
        for row in part[part[value].notna()].to_dict("records"):
            x, y = (
                list(axis).index(v) for axis, v in zip((across, up), values.loc[row["point"]], strict=True)
            )
            shown_YxX[y, x] = row[value]
            lost = f"\n{row['diverged']:.0f} of {row['members']:.0f} div." if row["diverged"] > 0 else ""
            colour = "white" if row[value] > low + 0.55 * (high - low) else "#222222"
            panel.text(x, y, text(row) + lost, ha="center", va="center", color=colour, fontsize=8)
        panel.imshow(shown_YxX, cmap="Blues", vmin=low, vmax=high, origin="lower", aspect="auto")
        panel.set_xticks(range(len(across)), map(number, across))
        panel.set_yticks(range(len(up)), map(number, up))
        panel.set_xlabel(keys[0])
        panel.set_ylabel(keys[1])
        panel.set_title(title, fontsize=10)
    return figure


def _limits(values: pd.Series) -> tuple[float, float]:
    """The ends of a scale of colours, apart even where all values are the same."""
    low, high = values.min(), values.max()
    return (low, high) if high > low else (low - 1, high + 1)


def _of(rows: pd.DataFrame, cell: Sequence[str]) -> pd.DataFrame:
    """The rows of a normalisation and classifier."""
    return rows[(rows[["normalisation", "classifier"]] == list(cell)).all(axis=1)]


def _line(panel: Axes, x_P: np.ndarray, y_P: pd.Series, part: pd.DataFrame, look: Any) -> None:
    panel.plot(x_P, y_P, look.dash, color=look.colour, marker=look.marker, ms=4.5, lw=1.4)
    lost_P = (part["diverged"] > 0).to_numpy()
    panel.plot(x_P[lost_P], y_P[lost_P], "", color=look.colour, marker=look.marker, ms=4.5, mfc="w", lw=0)


def _against(part: pd.DataFrame, points: pd.DataFrame, key: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Where the rows stand on the axis of a key, and the rows in that order."""
    places = _places(points[key])
    x_P = part["point"].map(points.set_index("point")[key]).map(places).to_numpy(float)
    order = np.argsort(x_P, kind="stable")
    return x_P[order], part.iloc[order]


def _places(values: pd.Series) -> dict[float, float]:
    """Value -> where it stands: itself, or the next whole number where 0 would not fit on a log axis."""
    there = sorted(values.unique())
    return {value: i if _scale(values) == "even" else value for i, value in enumerate(there)}


def _scale(values: pd.Series) -> str:
    """`linear`; for a wide span of positive values `log`; `even` steps with 0 among them, or for words."""
    if not is_numeric_dtype(values):
        return "even"
    positive = values[values > 0]
    if values.min() < 0 or positive.empty or positive.max() <= _WIDE * positive.min():
        return "linear"
    return "log" if len(positive) == len(values) else "even"


def _name_values(panel: Axes, points: pd.DataFrame, key: str) -> None:
    """A key's axis with a tick at each of its values."""
    if _scale(points[key]) == "log":
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    places = _places(points[key])
    panel.set_xticks(list(places.values()), map(number, places), fontsize=9)
    panel.set_xlabel(key)
    panel.grid(color="#e6e6e6")


def _handles(looks: Mapping[str, Any]) -> list[Line2D]:
    return [
        Line2D([], [], color=look.colour, linestyle=look.dash, marker=look.marker, ms=4.5, label=name)
        for name, look in looks.items()
    ]
