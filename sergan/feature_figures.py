"""Pictures of the features themselves: source, synthetic and target rows by mean and deviation."""

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SHOWN = 12  # features by name, as in Bao et al. 2019, Figure 2
_LOOKS = {"source": ("#777777", "o"), "synthetic": ("#0072B2", "s"), "target": ("#D55E00", "^")}


def moments(table: pd.DataFrame) -> Figure:
    """Some features by name with their deviation as a bar, then all of them: mean and deviation against the
    target's. `table` is that of `samples.moments`."""
    figure = Figure((10.5, 6.2), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1))
    _named(figure.add_subplot(grid[0, :]), table)
    for column, value in enumerate(("mean", "deviation")):
        _against(figure.add_subplot(grid[1, column]), table, value)
    return figure


def _named(panel: Axes, table: pd.DataFrame) -> None:
    names = shown(table["feature"].drop_duplicates().tolist())
    for place, (rows, (colour, marker)) in enumerate(_LOOKS.items()):
        part = table[table["rows"] == rows].set_index("feature").loc[names]
        at = np.arange(len(names)) + 0.2 * (place - 1)
        panel.errorbar(
            at, part["mean"], part["deviation"], fmt=marker, color=colour, ms=4, capsize=2, lw=1, label=rows
        )
    panel.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
    panel.set_ylabel("min-max scaled")
    panel.grid(axis="y", color="#dddddd")
    panel.legend(ncols=3, frameon=False)


def _against(panel: Axes, table: pd.DataFrame, value: str) -> None:
    wide = table.pivot(index="feature", columns="rows", values=value)
    most = float(np.nanmax(wide.to_numpy()))
    panel.plot([0, most], [0, most], color="#555555", lw=0.8, zorder=1)
    for rows in ("source", "synthetic"):
        colour, marker = _LOOKS[rows]
        panel.plot(
            wide["target"], wide[rows], marker, color=colour, ms=2, alpha=0.5, label=rows, rasterized=True
        )
    panel.set_xlabel(f"{value} of the target")
    panel.set_ylabel(f"{value} of the rows")
    panel.set_title(f"{value} of all {len(wide)} features")
    panel.legend(frameon=False, markerscale=3)


def shown(names: list[str]) -> list[str]:
    """Up to `SHOWN` features: the mean, if there is one, of each low-level descriptor in turn."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(re.split(r"_sma|\[", name)[0], []).append(name)
    ordered = [sorted(group, key=lambda name: "amean" not in name) for group in kinds.values()]
    turns = max((len(group) for group in ordered), default=0)
    by_turn = [group[turn] for turn in range(min(turns, SHOWN)) for group in ordered if turn < len(group)]
    return by_turn[:SHOWN]
