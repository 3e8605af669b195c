"""Figures of a study: what is drawn where, read from the figures themselves."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sergan import comparison, figures


def rows(arm, amounts, start, normalisation="train", classifier="svm"):
    frame = pd.DataFrame({"amount": amounts, "uar": start + 0.01 * np.arange(len(amounts))})
    frame = frame.assign(arm=arm, normalisation=normalisation, classifier=classifier, point=0)
    return frame.assign(uar_low=frame["uar"] - 0.02, uar_high=frame["uar"] + 0.03)


@pytest.fixture
def results():
    parts = [
        part
        for normalisation in ("train", "speaker")
        for classifier in ("svm", "dnn")
        for part in (
            rows("real", [0.0], 0.7, normalisation, classifier),
            rows("real+x", [1.0, 2.0, 5.0], 0.71, normalisation, classifier),
            rows("x", [1.0, 2.0], 0.5, normalisation, classifier),
            rows("real+x", [np.nan], 0.72, normalisation, classifier),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_curve_starts_at_real_and_has_its_band_and_what_was_chosen(results):
    chosen = results[results["amount"].isna()]
    means = {("train", "svm", "real+x"): 2.5}
    figure = figures.amount_curves(comparison.curve(results), ["real+x"], chosen, means)
    assert [panel.get_title() for panel in figure.axes] == [
        f"{c}, {n} normalisation" for n in ("train", "speaker") for c in ("SVM", "DNN")
    ]
    first, second = figure.axes[:2]
    line = next(line for line in first.lines if len(line.get_xdata()) == 4)
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 2, 5])
    np.testing.assert_allclose(line.get_ydata(), [70, 71, 72, 73])
    diamonds = [[line for line in panel.lines if line.get_marker() == "D"] for panel in (first, second)]
    assert [len(found) for found in diamonds] == [1, 0]  # only where the chosen amounts are known
    np.testing.assert_allclose(np.array(diamonds[0][0].get_data(), float).ravel(), [2.5, 72])
    assert first.get_ylim() == second.get_ylim()  # one scale for each normalisation


def test_all_curves_have_no_bands_but_that_of_real(results):
    figure = figures.amount_curves(comparison.curve(results), ["real+x", "x"], results[:0], {})
    assert len(figure.axes) == 4
    for panel in figure.axes:
        assert not panel.collections  # bands of curves
        assert len(panel.patches) == 1  # the band of real
    bare = next(
        line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_marker() != "None"
    )
    np.testing.assert_allclose(bare.get_xdata(), [1, 2])  # without real rows no sets are not real


def test_differences_are_drawn_without_real():
    frame = pd.concat([rows("real", [np.nan], 0.7), rows("real+x", [np.nan], 0.7)], ignore_index=True)
    deltas = {"delta_uar": [np.nan, 0.02], "delta_low": [np.nan, 0.01], "delta_high": [np.nan, 0.03]}
    panel = figures.uar_intervals(frame.assign(**deltas), "delta").axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["real+x"]
    assert panel.get_xlabel() == "difference to real / points of UAR"


def test_every_arm_and_emotion_has_a_panel_in_one_embedding():
    rng = np.random.default_rng(0)
    at_Nx2, emotion_N = rng.normal(size=(60, 2)), np.tile(["anger", "fear"], 30)
    kind_N = np.repeat(["real", "gan", "wdiv"], 20)
    titles = {(arm, e): f"{e}, {arm}" for arm in ("gan", "wdiv") for e in ("anger", "fear")}
    figure = figures.arm_clusters(at_Nx2, emotion_N, kind_N, titles)
    assert [panel.get_title() for panel in figure.axes] == list(titles.values())
    for panel, (arm, emotion) in zip(figure.axes, titles, strict=True):
        others, real, fake = (points.get_offsets() for points in panel.collections)
        assert len(others) == len(real) == len(fake) == 10
        np.testing.assert_allclose(fake, at_Nx2[(kind_N == arm) & (emotion_N == emotion)])


def test_umap_is_taken_where_it_is_installed(monkeypatch):
    x_NxD = np.random.default_rng(0).normal(size=(40, 6))
    assert figures.embed(x_NxD)[1] == ("UMAP" if "umap" in sys.modules else "t-SNE")
    umap = SimpleNamespace(UMAP=lambda **_: SimpleNamespace(fit_transform=lambda z_NxP: z_NxP[:, :2]))
    monkeypatch.setitem(sys.modules, "umap", umap)
    at_Nx2, name = figures.embed(x_NxD)
    assert at_Nx2.shape == (40, 2) and name == "UMAP"
    monkeypatch.setitem(sys.modules, "umap", None)  # as if it were not installed
    assert figures.embed(x_NxD)[1] == "t-SNE"


@pytest.mark.parametrize(
    ("phases", "start"),
    [(["pretrain", "pretrain", "train"], 2.0), (["pretrain"] * 3, None), (["train"] * 3, None)],
)
def test_joint_training_begins_where_pre_training_ends(phases, start):
    assert figures.joint_start(pd.DataFrame({"step": [1, 2, 3], "phase": phases})) == start
