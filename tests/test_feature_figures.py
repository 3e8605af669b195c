"""Pictures of the features: which are shown, and what the panels hold."""

import pandas as pd

from sergan import data, feature_figures


def test_the_features_by_name_are_means_of_different_descriptors():
    names = feature_figures.shown(list(data.load("emodb", "IS10").names_D))
    assert len(set(names)) == feature_figures.SHOWN
    assert sum("amean" in name for name in names) >= 6
    assert len({name.split("_sma")[0].split("[")[0] for name in names}) >= 6


def test_a_small_set_is_shown_whole_in_its_order():
    assert feature_figures.shown(["f2", "f0", "f1"]) == ["f2", "f0", "f1"]
    assert feature_figures.shown([]) == []


def test_each_panel_holds_every_kind_of_rows():
    parts = [("source", 0.1), ("synthetic", 0.5), ("target", 0.6)]
    table = pd.DataFrame(
        [
            {"feature": f"f{i}", "rows": rows, "mean": value + 0.01 * i, "deviation": 0.1}
            for rows, value in parts
            for i in range(20)
        ]
    )
    top, *below = feature_figures.moments(table).axes
    assert len(top.get_xticklabels()) == 12
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["source", "synthetic", "target"]
    for panel in below:
        _, source, synthetic = panel.lines
        assert len(source.get_xdata()) == len(synthetic.get_xdata()) == 20
    means = below[0].lines[2]
    assert means.get_xdata()[0] == 0.6 and means.get_ydata()[0] == 0.5
