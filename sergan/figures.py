"""The pictures of a report: tables and arrays in, matplotlib figures out, nothing read or written."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sergan import metrics

# Okabe and Ito's palette, safe for colour-blind readers; where it ends, dashes and markers go on.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")
_NOT_A_LOSS = {"step", "seconds", "member", "fold", "seed", "point"}


def uar_intervals(results: pd.DataFrame) -> Figure:
    """A panel per normalisation of the rows of results.csv: arms downwards, UAR with its interval across."""
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


def confusions(cells: Mapping[metrics.Cell, np.ndarray], classes: Sequence[str]) -> Figure:
    """A panel per arm from its counts_CxC: true classes downwards, predicted across, per cent of the row."""
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


def loss_curves(losses: pd.DataFrame, names: Sequence[str]) -> Figure:
    """A panel per column in `names`, a line per emotion: the mean over members, their range as a band."""
    figure, axes = _panels(len(names), 3, (3.5, 2.3))
    emotions = sorted(losses["emotion"].dropna().unique()) if "emotion" in losses else []
    looks = _looks(emotions or ["all"])
    change = joint_start(losses)
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


def clusters(x_NxD: np.ndarray, emotion_N: np.ndarray, real_N: np.ndarray) -> Figure:
    """PCA of x_NxD and t-SNE of its first 50 components side by side, colours by emotion_N, real_N filled."""
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


def loss_names(losses: pd.DataFrame) -> list[str]:
    """The columns of metrics.jsonl to draw: numeric ones with a value anywhere."""
    numeric = losses.select_dtypes("number").columns
    return [name for name in numeric if name not in _NOT_A_LOSS and losses[name].notna().any()]


def joint_start(losses: pd.DataFrame) -> float | None:
    """The last step of pre-training, if both phases were logged."""
    if "phase" not in losses or set(losses["phase"]) < {"pretrain"}:
        return None
    early = losses[losses["phase"] == "pretrain"]["step"]
    return float(early.max()) if len(early) else None


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


def _sets(amount: float) -> str:
    return f", {amount:g} sets"
