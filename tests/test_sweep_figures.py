"""Pictures of a sweep: what stands where, read from the figures themselves."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sergan import sweep_figures
from tests.test_sweep import ONE, TWO

KINDS = ("train", "speaker")


def rows(points, arms=("real+wdiv", "wdiv"), lost=None):
    """Rows as `sweep.rows` gives them, the points in reverse order; UAR grows with the point."""
    cells = product(KINDS, ("svm", "dnn"), arms, points["point"][::-1])
    frame = pd.DataFrame(cells, columns=["normalisation", "classifier", "arm", "point"])
    frame = frame.assign(kind=frame["arm"].str.removeprefix("real+"), uar=0.7 + 0.01 * frame["point"])
    frame["uar_low"], frame["uar_high"] = frame["uar"] - 0.02, frame["uar"] + 0.03
    frame["delta_uar"] = frame["uar"] - 0.715
    frame["delta_low"], frame["delta_high"] = frame["delta_uar"] - 0.01, frame["delta_uar"] + 0.01
    frame["target_synthetic"] = 0.01 * (frame["point"] + 1)
    return frame.assign(members=6, diverged=2 * (frame["point"] == lost))


def real():
    lines = [(n, c, 0.71, 0.69, 0.73) for n, c in product(KINDS, ("svm", "dnn"))]
    return pd.DataFrame(lines, columns=["normalisation", "classifier", "uar", "uar_low", "uar_high"])


def drawn(panel, count):
    """The lines of a panel through `count` points."""
    return [line for line in panel.lines if len(line.get_xdata()) == count]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_uar_is_drawn_against_the_value_with_bands_and_real():
    figure = sweep_figures.uar_curves(rows(ONE), real(), ONE, "lambda_cyc")
    assert [panel.get_title() for panel in figure.axes] == [
        f"{c}, {n} normalisation" for n in KINDS for c in ("SVM", "DNN")
    ]
    panel = figure.axes[0]
    for line in drawn(panel, 3):
        np.testing.assert_allclose(line.get_xdata(), [0.5, 5, 50])
        np.testing.assert_allclose(line.get_ydata(), [70, 71, 72])
    assert len(drawn(panel, 3)) == len(panel.collections) == 2  # lines and bands of both arms
    assert len(panel.patches) == 1  # the band of real
    assert panel.get_xscale() == "log" and ticks(panel.xaxis) == ["0.5", "5", "50"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["real", "real+wdiv", "wdiv"]


def test_points_with_members_that_diverged_are_hollow():
    panel = sweep_figures.uar_curves(rows(ONE, lost=1), real(), ONE, "lambda_cyc").axes[0]
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "w"]
    assert [line.get_xdata().tolist() for line in hollow] == [[5.0], [5.0]]
    assert not [line for line in drawn(panel, 3) if line.get_markerfacecolor() == "w"]


@pytest.mark.parametrize(
    ("values", "scale", "places"),
    [
        ([1.0, 2.0, 10.0], "linear", [1, 2, 10]),
        ([0.0, 1.0, 2.0], "linear", [0, 1, 2]),
        ([1e-4, 1e-3, 1e-2], "log", [1e-4, 1e-3, 1e-2]),
        ([0.0, 0.1, 5.0], "linear", [0, 1, 2]),
        ([-1.0, 0.1, 5.0], "linear", [-1, 0.1, 5]),
        ([0.0, 0.0, 0.0], "linear", [0]),
    ],
)
def test_a_wide_span_is_on_a_log_axis_and_at_even_steps_if_0_is_in_it(values, scale, places):
    points = pd.DataFrame({"point": range(3), "k": values})
    panel = sweep_figures.uar_curves(rows(points), real(), points, "k").axes[0]
    assert panel.get_xscale() == scale
    np.testing.assert_allclose(panel.get_xticks(), places)
    assert ticks(panel.xaxis) == [f"{value:g}" for value in sorted(set(values))]


def test_panels_of_a_normalisation_have_one_scale():
    frame = rows(ONE)
    other = (frame["normalisation"] == "train") & (frame["classifier"] == "dnn")
    frame.loc[other, ["uar", "uar_low", "uar_high"]] -= 0.3
    limits = [p.get_ylim() for p in sweep_figures.uar_curves(frame, real(), ONE, "lambda_cyc").axes]
    assert limits[0] == limits[1] and limits[2] == limits[3] and limits[0] != limits[2]


def test_quality_has_a_panel_for_each_measure_and_a_line_for_each_kind():
    frame = rows(ONE, arms=("real+wdiv", "wdiv", "real+gan", "gan"))
    frame.loc[frame["kind"] == "gan", "target_synthetic"] += 1
    figure = sweep_figures.measure_curves(frame, ONE, "lambda_cyc", {"target_synthetic": "Near"})
    assert [panel.get_title() for panel in figure.axes] == [f"{n} normalisation" for n in KINDS]
    wdiv, gan = drawn(figure.axes[0], 3)
    np.testing.assert_allclose(wdiv.get_ydata(), [0.01, 0.02, 0.03])
    np.testing.assert_allclose(gan.get_ydata(), [1.01, 1.02, 1.03])
    assert figure.axes[0].get_ylabel() == "Near"


def test_a_map_has_uar_its_difference_and_what_diverged_in_its_place():
    part = rows(TWO, arms=("real+wdiv",), lost=4)
    figure = sweep_figures.uar_maps(part, TWO, ["lambda_cyc", "lambda_cls"])
    assert len(figure.axes) == 4
    panel = figure.axes[0]
    assert ticks(panel.xaxis) == ["0.5", "5"] and ticks(panel.yaxis) == ["0", "2", "4"]
    texts = {text.get_position(): text.get_text() for text in panel.texts}
    assert texts[0, 0] == "70.0\n-1.5*"
    assert texts[0, 1] == "71.0\n-0.5"
    assert texts[1, 1] == "74.0\n+2.5*\n2 of 6 div."
    shown_YxX = panel.images[0].get_array()
    np.testing.assert_allclose(shown_YxX, [[0.70, 0.73], [0.71, 0.74], [0.72, 0.75]])


def test_a_point_that_is_not_there_is_an_empty_place():
    part = rows(TWO[:-1], arms=("real+wdiv",))
    panel = sweep_figures.uar_maps(part, TWO, ["lambda_cyc", "lambda_cls"]).axes[0]
    assert (1, 2) not in {text.get_position() for text in panel.texts} and len(panel.texts) == 5
    assert np.ma.masked_invalid(panel.images[0].get_array()).mask[2, 1]


def test_maps_of_a_normalisation_have_one_scale_of_colours():
    part = rows(TWO, arms=("real+wdiv",))
    part.loc[(part["normalisation"] == "train") & (part["classifier"] == "dnn"), "uar"] -= 0.2
    figure = sweep_figures.uar_maps(part, TWO, ["lambda_cyc", "lambda_cls"])
    limits = [panel.images[0].get_clim() for panel in figure.axes]
    np.testing.assert_allclose(limits, [(0.5, 0.75)] * 2 + [(0.7, 0.75)] * 2)


def test_a_map_of_a_measure_has_a_panel_for_each_kind():
    frame = rows(TWO, arms=("real+wdiv", "wdiv", "gan"), lost=0)
    keys = ["lambda_cls", "lambda_cyc"]
    figure = sweep_figures.measure_maps(frame, TWO, keys, "target_synthetic", 4)
    titles = [f"{kind}, {n} normalisation" for n in KINDS for kind in ("wdiv", "gan")]
    assert [panel.get_title() for panel in figure.axes] == titles
    texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert texts[0, 0] == "0.0100\n2 of 6 div." and texts[2, 0] == "0.0300" and texts[2, 1] == "0.0600"


def test_the_choice_is_a_map_of_inner_uar_and_of_who_took_a_point():
    both = rows(TWO, arms=("real+wdiv",), lost=0)
    inner = both.assign(inner_uar=0.6 + 0.01 * both["point"], chosen=3 * (both["point"] == 2))
    figure = sweep_figures.inner_maps(inner, TWO, ["lambda_cyc", "lambda_cls"])
    assert len(figure.axes) == 4
    for panel in figure.axes:
        said = {text.get_position(): text.get_text() for text in panel.texts}
        assert len(said) == len(TWO)
        for point in TWO.to_dict("records"):
            x, y = (ticks(axis).index(f"{point[key]:g}") for axis, key in axes_of(panel))
            chosen = "\nchosen by 3" if point["point"] == 2 else ""
            assert said[x, y] == f"{60 + point['point']:.1f}{chosen}"


def axes_of(panel):
    return (panel.xaxis, "lambda_cyc"), (panel.yaxis, "lambda_cls")
