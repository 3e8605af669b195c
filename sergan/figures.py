"""The pictures of a report: tables and arrays in, matplotlib figures out, nothing read or written."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sergan import comparison, metrics

# Okabe and Ito's palette, safe for colour-blind readers; where it ends, dashes and markers go on.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")
_CHOSEN = "chosen on inner folds, at the mean amount chosen"
_NOT_A_LOSS = {"step", "seconds", "member", "fold", "seed", "point"}


def uar_intervals(results: pd.DataFrame, value: str = "uar") -> Figure:
    """A panel per normalisation of the rows of results.csv: arms downwards, UAR with its interval across.

    `value` is "uar", or "delta" for the differences to real with a line at 0.
    """
    results = results[results[f"{value}_low"].notna() | (value == "uar")]
    kinds = list(dict.fromkeys(results["normalisation"]))
    classifiers = list(dict.fromkeys(results["classifier"]))
    several = results.groupby(["arm", "classifier", "normalisation"]).size().max() > 1
    names = results["arm"] + (results["amount"].map(_sets) if several else "")
    arms = list(dict.fromkeys(names))
    height = 0.5 if len(arms) < 7 else 0.36
    figure, axes = make_panels(len(kinds), len(kinds), (10.0 / len(kinds), 0.9 + height * len(arms)))
    for panel, kind in zip(axes, kinds, strict=True):
        for i, classifier in enumerate(classifiers):
            rows = results[(results["normalisation"] == kind) & (results["classifier"] == classifier)]
            place = [arms.index(name) for name in names[rows.index]]
            offset = 0.3 * ((i + 0.5) / len(classifiers) - 0.5) * (len(classifiers) > 1) * 2
            middle = 100 * rows["uar" if value == "uar" else "delta_uar"].to_numpy()
            low, high = (100 * rows[f"{value}_{end}"].to_numpy() for end in ("low", "high"))
            panel.errorbar(
                middle,
                np.array(place) + offset,
                xerr=np.nan_to_num([middle - low, high - middle]).clip(0),
                fmt=_MARKERS[i % len(_MARKERS)],
                color=_COLOURS[i % len(_COLOURS)],
                capsize=3,
                label=metrics.classifier_name(classifier),
            )
        panel.set_yticks(range(len(arms)), arms)
        panel.set_ylim(len(arms) - 0.4, -0.6)
        panel.set_title(f"{kind} normalisation")
        panel.set_xlabel("pooled UAR / %" if value == "uar" else "difference to real / points of UAR")
        panel.grid(axis="x", color="#dddddd")
        if value != "uar":
            panel.axvline(0, color="#555555", lw=1, zorder=1)
    handles = axes[-1].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def amount_curves(
    curve: pd.DataFrame, arms: Sequence[str], chosen: pd.DataFrame, amounts: Mapping[tuple, float]
) -> Figure:
    """A panel per normalisation and classifier: UAR of `arms` against augmented sets, `real` as a line.

    One arm alone has its interval as a band, and a diamond for its row of `chosen` at the mean amount that
    was chosen, found in `amounts` by normalisation, classifier and arm.
    """
    cells = curve[["normalisation", "classifier"]].drop_duplicates().to_numpy().tolist()
    alone, columns = len(arms) == 1, len(cells) if len(arms) == 1 else min(2, len(cells))
    width = 10.6 / max(columns, 2)
    figure, axes = make_panels(len(cells), columns, (width, 2.5 if alone else 0.72 * width))
    looks = looks_of([arm for arm in dict.fromkeys(curve["arm"]) if arm != "real"][::-1])
    for panel, (kind, classifier) in zip(axes, cells, strict=True):
        rows = curve[(curve["normalisation"] == kind) & (curve["classifier"] == classifier)]
        real = rows[rows["arm"] == "real"][:1]
        for low, middle, high in 100 * real[["uar_low", "uar", "uar_high"]].to_numpy():
            panel.axhspan(low, high, color="#777777", alpha=0.15, lw=0)
            panel.axhline(middle, color="#555555", lw=1.2)
        for arm in arms:
            start = real if arm.startswith("real+") else real[:0]  # no sets added: real itself
            points = pd.concat([start, rows[(rows["arm"] == arm) & (rows["amount"] > 0)]])
            look, sets = looks[arm], points["amount"]
            panel.plot(
                sets, 100 * points["uar"], look.dash, color=look.colour, marker=look.marker, ms=3.5, lw=1.3
            )
            if alone:
                low, high = (100 * points[f"uar_{end}"] for end in ("low", "high"))
                panel.fill_between(sets, low, high, color=look.colour, alpha=0.18, lw=0)
                _mark_choice(panel, chosen, (kind, classifier, arm), amounts)
        panel.set_title(f"{metrics.classifier_name(classifier)}, {kind} normalisation", fontsize=10)
        panel.set_xlabel("augmented sets")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(color="#e6e6e6")
    for panel in axes[::columns]:
        panel.set_ylabel("pooled UAR / %")
    share_scale(axes, [kind for kind, _ in cells])
    handles = [Line2D([], [], color="#555555", lw=1.2, label="real")]
    handles += [
        Line2D([], [], color=looks[a].colour, linestyle=looks[a].dash, marker=looks[a].marker, ms=4, label=a)
        for a in arms
    ]
    if alone and any(key[2] == arms[0] for key in amounts):
        handles.append(Line2D([], [], color="k", linestyle="", marker="D", mfc="w", label=_CHOSEN))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), frameon=False)
    return figure


def _mark_choice(
    panel: Axes, chosen: pd.DataFrame, cell: tuple[str, str, str], amounts: Mapping[tuple, float]
) -> None:
    """The row of `chosen` of a normalisation, classifier and arm, at the mean amount chosen."""
    names = chosen[["normalisation", "classifier", "arm"]]
    rows = chosen[(names == list(cell)).all(axis=1)]
    if cell in amounts and len(rows):
        low, uar, high = 100 * rows[["uar_low", "uar", "uar_high"]].to_numpy()[0]
        spread = np.nan_to_num([[uar - low], [high - uar]]).clip(0)
        panel.axvline(amounts[cell], color="k", lw=0.8, ls=":")
        panel.errorbar(amounts[cell], uar, yerr=spread, fmt="D", color="k", mfc="w", ms=6, capsize=3, lw=1)


def confusions(cells: Mapping[metrics.Cell, np.ndarray], classes: Sequence[str]) -> Figure:
    """A panel per arm from its counts_CxC: true classes downwards, predicted across, per cent of the row."""
    columns = min(len(cells), 3 if len(classes) < 9 else 2)
    width = 10.5 / (3 if len(classes) < 9 else 2)
    figure, axes = make_panels(len(cells), columns, (width, width))
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
    figure, axes = make_panels(len(names), 3, (3.5, 2.3))
    emotions = sorted(losses["emotion"].dropna().unique()) if "emotion" in losses else []
    looks = looks_of(emotions or ["all"])
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


def learning_curves(learning: pd.DataFrame) -> Figure:
    """A panel per classifier, a colour per arm: right answers on training segments and held-out clips."""
    classifiers = list(dict.fromkeys(learning["classifier"]))
    figure, axes = make_panels(len(classifiers), min(len(classifiers), 2), (5.2, 3.2))
    looks = looks_of(list(dict.fromkeys(learning["arm"])))
    for panel, classifier in zip(axes, classifiers, strict=True):
        own = learning[learning["classifier"] == classifier]
        for arm, look in looks.items():
            means = own[own["arm"] == arm].groupby("step")[["accuracy", "held_out"]].mean()
            held_out = means["held_out"].dropna()
            panel.plot(means.index, 100 * means["accuracy"], "--", color=look.colour, lw=1)
            panel.plot(held_out.index, 100 * held_out, "-o", color=look.colour, lw=1.6, markersize=4)
        panel.set_title(classifier)
        panel.set_xlabel("training step")
        panel.set_ylabel("right / %")
        panel.set_xlim(0, learning["step"].max() * 1.02)
        panel.grid(color="#e6e6e6")
    handles = [Line2D([], [], color=k.colour, label=name) for name, k in looks.items()]
    kinds = (("-", "o", "held-out clips"), ("--", "", "training segments"))
    handles += [Line2D([], [], color="#555555", ls=ls, marker=m, label=label) for ls, m, label in kinds]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), frameon=False)
    return figure


def clusters(x_NxD: np.ndarray, emotion_N: np.ndarray, real_N: np.ndarray) -> Figure:
    """PCA of x_NxD and t-SNE of its first 50 components side by side, colours by emotion_N, real_N filled."""
    z_NxP, variance_P = _pca(x_NxD)
    around_Nx2 = _tsne(z_NxP)
    share = [
        f"principal component {i + 1} ({ratio:.0%} of the variance)" for i, ratio in enumerate(variance_P[:2])
    ]
    views = {
        "PCA": (z_NxP[:, :2], share),
        "t-SNE": (around_Nx2, ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"]),
    }
    figure, axes = make_panels(2, 2, (5.4, 5.0))
    looks = looks_of(sorted(set(emotion_N.tolist())))
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


def embed(x_NxD: np.ndarray) -> tuple[np.ndarray, str]:
    """Rows in two dimensions by UMAP where it is installed, else by t-SNE, and which of them it was."""
    z_NxP, _ = _pca(x_NxD)
    try:
        from umap import UMAP
    except ImportError:
        return _tsne(z_NxP), "t-SNE"
    return np.asarray(UMAP(random_state=0, n_jobs=1).fit_transform(z_NxP)), "UMAP"


def arm_clusters(
    at_Nx2: np.ndarray, emotion_N: np.ndarray, kind_N: np.ndarray, titles: Mapping[tuple[str, str], str]
) -> Figure:
    """Panels of arms downwards and emotions across; `kind_N` is "real" or an arm, `titles` of each panel.

    Every panel has all real rows in grey, those of its emotion filled, and its arm's rows as crosses.
    """
    arms = [kind for kind in dict.fromkeys(kind_N.tolist()) if kind != "real"]
    looks = looks_of(sorted(set(emotion_N.tolist())))
    width = 10.8 / max(len(looks), 2)
    figure, axes = make_panels(len(arms) * len(looks), len(looks), (width, width + 0.25))
    cells = [(arm, emotion) for arm in arms for emotion in looks]
    real_N = kind_N == "real"
    for panel, (arm, emotion) in zip(axes, cells, strict=True):
        of_N, colour = emotion_N == emotion, looks[emotion].colour
        others, real, fake = (at_Nx2[m].T for m in (real_N & ~of_N, real_N & of_N, (kind_N == arm) & of_N))
        panel.scatter(others[0], others[1], 5, "#cccccc", lw=0)
        panel.scatter(real[0], real[1], 18, colour, marker="o", edgecolors="w", lw=0.4)
        panel.scatter(fake[0], fake[1], 13, "#222222", marker="x", linewidths=0.7, alpha=0.7)
        panel.set_title(titles[arm, emotion], fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
    for panel, arm in zip(axes[:: len(looks)], arms, strict=True):
        panel.set_ylabel(arm, fontsize=11)
    return figure


def loss_names(losses: pd.DataFrame) -> list[str]:
    """The columns of metrics.jsonl to draw: numeric ones with a value anywhere."""
    numeric = losses.select_dtypes("number").columns
    return [name for name in numeric if name not in _NOT_A_LOSS and losses[name].notna().any()]


def joint_start(losses: pd.DataFrame) -> float | None:
    """The last step of pre-training, if both phases were logged."""
    if "phase" not in losses or not {"pretrain", "train"} <= set(losses["phase"]):
        return None
    return float(losses[losses["phase"] == "pretrain"]["step"].max())


def share_scale(axes: Sequence[Axes], kinds: Sequence[str]) -> None:
    """Gives the panels of each kind one vertical scale."""
    for kind in set(kinds):
        same = [panel for panel, of in zip(axes, kinds, strict=True) if of == kind]
        limits = np.array([panel.get_ylim() for panel in same])
        for panel in same:
            panel.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def make_panels(count: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of `size` inches in rows of `columns`."""
    rows = -(-count // columns)
    figure = Figure((columns * size[0], rows * size[1] + 0.3), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, axes


def _pca(x_NxD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first 50 principal components z_NxP and each one's share of the variance."""
    from sklearn.decomposition import PCA

    pca = PCA(min(50, *x_NxD.shape), svd_solver="randomized", random_state=0)
    return pca.fit_transform(x_NxD), pca.explained_variance_ratio_


def _tsne(z_NxP: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    neighbours = min(30.0, (len(z_NxP) - 1) / 3)
    tsne = TSNE(2, perplexity=neighbours, init="pca", max_iter=500, random_state=0)
    with threadpool_limits(1):  # on busy cores many threads are slower than one
        return tsne.fit_transform(z_NxP)


class _Look(NamedTuple):
    """How one emotion is drawn."""

    colour: str
    dash: Any
    marker: str


def looks_of(names: Sequence[str]) -> dict[str, _Look]:
    """A look for each name, all different for up to 21."""
    count = len(_COLOURS)
    return {
        name: _Look(_COLOURS[i % count], _DASHES[i // count % 3], _MARKERS[i // count % 3])
        for i, name in enumerate(names)
    }


def _sets(amount: float) -> str:
    return f", {comparison.sets_words(amount)}" if amount else ""
