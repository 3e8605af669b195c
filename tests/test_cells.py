"""What the tables of a report say, cell by cell."""

import numpy as np
import pandas as pd

from sergan import cells
from sergan.page import Strong


def result(arm, amount=np.nan, **other):
    row = {
        "arm": arm,
        "classifier": "svm",
        "normalisation": "train",
        "point": 0,
        "amount": amount,
        "seeds": 1,
    }
    row |= {"uar": 0.8, "uar_low": 0.75, "uar_high": 0.85, "wa": 0.81}
    return row | dict.fromkeys(("delta_uar", "delta_low", "delta_high", "p_value"), np.nan) | other


def test_chosen_rows_have_no_sets_and_a_clear_difference_is_bold():
    clear = {"delta_uar": 0.02, "delta_low": 0.01, "delta_high": 0.03, "p_value": 0.0002}
    table = cells.results(pd.DataFrame([result("real"), result("real+x", **clear)]))
    assert table.header[2:] == ["Arm", "UAR %", "[95 %]", "WA %", "Difference", "p"]
    assert table.words == 3
    assert table.rows[0] == ["train", "svm", "real", "80.0", "[75.0, 85.0]", "81.0", "", ""]
    assert table.rows[1][-2:] == ["+2.0 [+1.0, +3.0]", "<0.001"]
    assert [isinstance(row[-2], Strong) for row in table.rows] == [False, True]


def test_p_values_are_not_rounded_to_ones_that_they_are_below():
    pair = {"a": "x", "b": "y", "normalisation": "train", "classifier": "svm", "delta": 0.02}
    values = (0.0, 0.00099, 0.001, 0.0214, np.nan)
    frame = pd.DataFrame([pair | {"delta_low": 0.01, "delta_high": 0.03, "p_value": p} for p in values])
    assert [row[-1] for row in cells.contrasts(frame).rows] == ["<0.001", "<0.001", "0.001", "0.021", ""]


def test_rows_at_fixed_settings_name_their_sets_and_wa_may_have_an_interval():
    rows = pd.DataFrame([result("real", 0.0, wa_low=0.7, wa_high=0.9)])
    table = cells.results(rows)
    assert table.header[3] == "Sets" and table.rows[0][3] == "0"
    assert table.rows[0][6:8] == ["81.0", "[70.0, 90.0]"]
    assert "[70.0" not in str(cells.results(rows.drop(columns="wa_high")).rows)


def test_the_paper_stands_beside_the_same_arm_and_classifier():
    beside = {("real+x", "svm"): (82.5, 81.25)}
    table = cells.results(pd.DataFrame([result("real"), result("real+x")]), beside)
    assert table.header[-2:] == ["Paper: UAR %", "WA %"]
    assert [row[-2:] for row in table.rows] == [["", ""], ["82.50", "81.25"]]


def test_an_arm_that_could_not_run_at_all_is_a_row_that_says_so():
    rows = pd.DataFrame([result("real"), result("real+x")])
    gaps = [("train", "x"), ("train", "y"), ("speaker", "x"), ("train", "y")]
    holes = [{"normalisation": normalisation, "arm": arm} for normalisation, arm in gaps]
    lost = cells.lost(holes, rows)
    assert lost == [("train", "svm", "y")]
    both = pd.concat([rows, pd.DataFrame([result("real") | {"classifier": "dnn"}])])
    assert cells.lost(holes[:1], both) == [("train", "dnn", "real+x")]  # which the SVM has
    table = cells.results(rows, lost=lost)
    assert [row[2] for row in table.rows] == ["real", "real+x", "y (could not run)"]
    assert set(table.rows[2][3:]) == {""}
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_a_row_says_how_many_of_its_own_folds_are_missing():
    rows = pd.DataFrame(
        [result("real+x", amount, gaps=gaps) for amount, gaps in ((1.0, 0), (3.0, 1), (9.0, 2))]
    )
    assert [row[2] for row in cells.results(rows).rows] == [
        "real+x",
        "real+x (could not run in 1 fold)",
        "real+x (could not run in 2 folds)",
    ]


def test_reasons_that_differ_in_their_numbers_are_one_row():
    lines = [
        {
            "normalisation": "train",
            "arm": "x",
            "fold": fold,
            "held_out": f"c/{fold}",
            "amount": amount,
            "emotion": None,
            "reason": f"{amount:g} sets need {70 + fold} rows",
        }
        for fold in range(8)
        for amount in (3.0, 10.0)
    ]
    (row,) = cells.holes([*lines, *lines]).rows
    assert row[:4] == ["train", "x", "", "3, 10"]
    assert row[4] == "c/0; c/1; c/2; c/3; c/4; c/5; and 2 more"
    assert row[5] == "3 sets need 70 rows (and 15 alike)"
    assert len(cells.holes([*lines, lines[0] | {"reason": "too slow"}]).rows) == 2


def test_means_of_the_measures_that_are_there():
    frame = pd.DataFrame(
        {
            "normalisation": ["train"] * 4,
            "arm": ["gan", "gan", "wdiv", "wdiv"],
            "fold": [0, 1, 0, 1],
            "emotion": "fear",
            "coverage": [0.2, 0.4, 0.5, np.nan],
            "recall": np.nan,
            "something": 1.0,
        }
    )
    table = cells.quality(frame)
    assert table.header == ["Normalisation", "Arm", "Coverage ↑"]
    assert table.rows == [["train", "gan", "0.300"], ["train", "wdiv", "0.500"]]


def test_lines_of_the_choices_break_between_settings_only():
    made = {"normalisation": "train", "amount": "1 (3); 5 (7)", "setting": "8x8, 2 steps (1); 4 (9)"}
    table = cells.choices(pd.DataFrame([made]))
    assert [cell.count(" ") for cell in table.rows[0]] == [0, 0, 1]
    assert table.header == ["Normalisation", "Sets", "Setting"]


def test_a_hole_does_not_take_the_sets_from_rows_at_fixed_settings():
    table = cells.results(pd.DataFrame([result("real", 0.0)]), lost=[("train", "svm", "x")])
    assert table.header[3] == "Sets" and table.rows[0][3] == "0"
    assert table.rows[1][2] == "x (could not run)" and set(table.rows[1][3:]) == {""}


POINTS = pd.DataFrame({"point": [0, 1], "lambda_cyc": [0.5, 1e-4]})


def test_points_are_named_by_their_values_and_stand_together_by_arm():
    lines = [("real", 0), ("real+wdiv", 0), ("wdiv", 0), ("real+wdiv", 1), ("wdiv", 1), ("real+noise", 0)]
    table = cells.results(pd.DataFrame([result(arm, 1.0, point=p) for arm, p in lines]), points=POINTS)
    assert table.header[:5] == ["Normalisation", "Classifier", "Arm", "Point", "Sets"] and table.words == 4
    assert [row[2:4] for row in table.rows] == [
        ["real", ""],
        ["real+noise", ""],
        ["real+wdiv", "lambda_cyc 0.5"],
        ["real+wdiv", "lambda_cyc 0.0001"],
        ["wdiv", "lambda_cyc 0.5"],
        ["wdiv", "lambda_cyc 0.0001"],
    ]


def test_quality_of_each_point():
    frame = pd.DataFrame({"normalisation": "train", "arm": ["noise", "wdiv", "wdiv"], "point": [0, 0, 1]})
    table = cells.quality(frame.assign(coverage=[0.1, 0.2, 0.3]), POINTS)
    assert table.header == ["Normalisation", "Arm", "Point", "Coverage ↑"] and table.words == 3
    assert [row[1:] for row in table.rows] == [
        ["noise", "", "0.100"],
        ["wdiv", "lambda_cyc 0.5", "0.200"],
        ["wdiv", "lambda_cyc 0.0001", "0.300"],
    ]


def test_the_table_of_a_sweep_has_classifiers_beside_each_other():
    clear = {"delta_uar": 0.02, "delta_low": 0.01, "delta_high": 0.03}
    rows = [result("wdiv", 1.0, point=p, members=4, diverged=p, coverage=0.5) for p in (0, 1)]
    rows.append(rows[1] | {"classifier": "dnn"} | clear)
    table = cells.swept(pd.DataFrame(rows), pd.DataFrame([result("real", 0.0)]), POINTS)
    assert [len(row) for row in table.rows] == [len(table.header)] * 3
    assert table.rows[0] == ["real", "", "80.0 [75.0, 85.0]", "", "", "", "", ""]
    assert table.rows[1][1:] == ["0.5", "80.0 [75.0, 85.0]", "", "", "", "0.500", "0 of 4"]
    assert table.rows[2][4:] == ["80.0 [75.0, 85.0]", "+2.0 [+1.0, +3.0]", "0.500", "1 of 4"]
    assert isinstance(table.rows[2][5], Strong)


def test_measures_that_do_not_simply_rank_say_so():
    assert "at 0.5 and below they cannot be told apart" in cells.MEASURES["two_sample"].meaning
    assert "copies among them" in cells.MEASURES["two_sample"].meaning
    assert "about 700" in cells.MEASURES["frechet"].meaning


def test_groups_start_where_the_first_words_change():
    table = cells.Cells(["a", "b"], [["x", "1"], ["x", "2"], ["y", "2"], ["x", "2"]], 1)
    assert cells.firsts(table, 1) == [0, 2, 3]
    assert cells.firsts(table, 2) == [0, 1, 2, 3]


def test_speakers_have_a_column_for_each_amount_which_its_heading_says_where_there_are_several():
    arms = [("real", 0.0), ("real+x", 1.0), ("real+x", 3.0)]
    frame = pd.DataFrame([result(arm, n, speaker="s", rows=9, uar=0.8 + n / 100) for arm, n in arms])
    table = cells.speakers(frame, frame[["classifier", "arm", "amount", "point"]])
    assert table.header == ["Speaker", "rows", "SVM real", "SVM real+x, 1 set", "SVM real+x, 3 sets"]
    assert table.rows == [["s", "9", "80.0", "81.0", "83.0"]]
