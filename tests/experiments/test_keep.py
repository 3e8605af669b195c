"""What is kept of a finished study for its README."""

import numpy as np
import pandas as pd

from experiments.keep import _has_lines, _placeless, rows


def results(amount, point, low):
    """`real` and `real+wdiv` with both classifiers; the difference's interval starts at `low`."""
    lines = [
        {"arm": arm, "classifier": name, "uar": 0.8, "uar_low": 0.75, "uar_high": 0.85}
        | {"wa": 0.81, "wa_low": 0.76, "wa_high": 0.86}
        for arm in ("real", "real+wdiv")
        for name in ("svm", "dnn")
    ]
    frame = pd.DataFrame(lines).assign(amount=amount, point=point, normalisation="train")
    changed = frame["arm"] != "real"
    for name, value in {"delta_uar": 0.02, "delta_low": low, "delta_high": 0.05, "p_value": 0.5}.items():
        frame[name] = np.where(changed, value, np.nan)
    return frame


def test_a_chosen_arm_is_a_line_with_both_classifiers():
    lines = rows(results(np.nan, 0, 0.01)).splitlines()
    assert len(lines) == 2 + 2 and len({line.count("|") for line in lines}) == 1
    both = "80.0 [75.0, 85.0] | 81.0 [76.0, 86.0]"
    assert lines[2] == f"| train | real | nan | 0 | {both} |  |  | {both} |  |  |"
    assert lines[3].count(f"{both} | **+2.0 [+1.0, +5.0]** | 0.50 |") == 2


def test_a_run_with_one_classifier_has_its_columns_alone():
    frame = results(np.nan, 0, 0.01)
    lines = rows(frame[frame.classifier == "dnn"]).splitlines()
    assert lines[0] == "| normalisation | arm | amount | point | DNN UAR | WA | difference of UAR | p |"
    assert len(lines) == 4


def test_a_classifier_without_a_row_leaves_its_cells_empty():
    lines = rows(results(np.nan, 0, 0.01).iloc[:3]).splitlines()
    assert len(lines) == 4 and lines[3].endswith("|  |  |  |  |")
    assert len({line.count("|") for line in lines}) == 1


def test_a_sweep_has_a_line_for_each_point_and_open_differences_are_not_bold():
    frame = pd.concat([results(5.0, 0, -0.01), results(5.0, 1, -0.01).iloc[2:]])
    lines = rows(frame).splitlines()[2:]
    assert [line.split(" | ")[1:4] for line in lines] == [
        ["real", "5.0", "0"],
        ["real+wdiv", "5.0", "0"],
        ["real+wdiv", "5.0", "1"],
    ]
    assert "**" not in "".join(lines)


def test_a_table_without_lines_is_not_kept(tmp_path):
    (tmp_path / "none.csv").write_text("arm,against\n")
    (tmp_path / "one.csv").write_text("arm,against\nwdiv,gan\n")
    assert not _has_lines(tmp_path / "none.csv") and _has_lines(tmp_path / "one.csv")


def test_no_path_of_a_machine_is_kept():
    assert _placeless("/home/someone/data/ravdess") == "ravdess"
    assert _placeless("~/data/ravdess") == "ravdess"
    assert _placeless("tedlium:/home/someone/TEDLIUM_release2") == "tedlium:TEDLIUM_release2"
    assert [_placeless(value) for value in ("wdiv", "tfds:crema_d", 3, "lambda_cyc=1")] == [
        "wdiv",
        "tfds:crema_d",
        3,
        "lambda_cyc=1",
    ]
