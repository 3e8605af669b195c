"""What the rows of results.csv say: which count, what the curve would have claimed, who beats whom."""

import numpy as np
import pandas as pd
import pytest

from sergan import comparison

CHOSEN = np.nan


def table(*rows):
    """Rows of results.csv from (arm, amount, uar, low, high), intervals of the difference."""
    frame = pd.DataFrame(rows, columns=["arm", "amount", "uar", "delta_low", "delta_high"])
    frame["delta_uar"] = (frame["delta_low"] + frame["delta_high"]) / 2
    return frame.assign(classifier="svm", normalisation="train", point=0, p_value=1.0, seeds=1)


STUDY = table(
    ("real", 0.0, 0.70, np.nan, np.nan),
    ("x", 3.0, 0.60, -0.12, -0.08),
    ("real+x", 1.0, 0.71, -0.01, 0.03),
    ("real+x", 3.0, 0.74, 0.02, 0.06),
    ("real+x", CHOSEN, 0.73, 0.01, 0.03),
    ("real+wdiv", 1.0, 0.72, 0.01, 0.03),
    ("real+wdiv", 3.0, 0.69, -0.03, 0.01),
    ("real+wdiv", CHOSEN, 0.71, -0.01, 0.01),
    ("real+noise", 1.0, 0.70, -0.03, 0.01),
    ("real+noise", CHOSEN, 0.66, -0.07, -0.03),
    ("real", CHOSEN, 0.72, np.nan, np.nan),
)


def test_chosen_rows_count_and_stand_by_arm():
    assert list(comparison.counted(STUDY)["arm"]) == ["real", "real+noise", "real+wdiv", "real+x"]
    assert comparison.counted(STUDY)["amount"].isna().all()
    fixed = STUDY[STUDY["amount"].notna()]
    pd.testing.assert_frame_equal(comparison.counted(fixed), comparison.in_order(fixed))


def test_order_keeps_normalisations_and_classifiers_as_they_come():
    both = pd.concat([STUDY.assign(normalisation=n, classifier=c) for n in "zt" for c in ("svm", "dnn")])
    first = comparison.counted(both).drop_duplicates(comparison.GROUP)
    assert first[comparison.GROUP].to_numpy().tolist() == [[n, c] for n in "zt" for c in ("svm", "dnn")]
    assert set(first["arm"]) == {"real"}


def test_a_curve_is_an_arm_at_several_amounts_and_real():
    curve = comparison.curve(STUDY)
    assert list(zip(curve["arm"], curve["amount"], strict=True)) == [
        ("real", 0.0),
        ("real+wdiv", 1.0),
        ("real+wdiv", 3.0),
        ("real+x", 1.0),
        ("real+x", 3.0),
    ]
    assert comparison.curve(STUDY[STUDY["amount"] != 3.0]).empty  # one amount is no curve, real alone neither


def test_what_neither_counts_nor_has_a_curve_is_kept_with_real():
    assert list(comparison.uncounted(STUDY)["arm"]) == ["real", "x"]
    assert comparison.uncounted(STUDY[STUDY["arm"] != "x"]).empty


def test_optimism_is_the_best_point_minus_the_chosen_one():
    frame = comparison.optimism(STUDY).set_index("arm")
    assert frame.loc["real+x", ["amount", "claimed", "uar"]].tolist() == [3.0, 0.74, 0.73]
    assert frame.loc["real+x", "claimed_delta"] == pytest.approx(0.04)
    assert frame.loc["real+wdiv", "amount"] == 1.0
    assert frame["optimism"].to_dict() == pytest.approx(
        {"real": -0.02, "real+noise": 0.04, "real+wdiv": 0.01, "real+x": 0.01}
    )


@pytest.mark.parametrize(
    ("arms", "shown"),
    [
        (["real", "real+gan", "real+wdiv", "real+moments"], ["real", "real+wdiv", "real+moments"]),
        (["real", "real+gan", "real+wdiv"], ["real", "real+wdiv"]),
        (["real", "real+noise", "real+smote", "real+gan"], ["real", "real+noise", "real+smote"]),
    ],
)
def test_main_arms_are_few(arms, shown):
    assert comparison.main_arms(arms) == shown


def test_choices_are_counted_numbers_by_size_words_by_frequency():
    choices = pd.DataFrame(
        {
            "normalisation": "train",
            "classifier": "dnn",
            "arm": ["real+x"] * 4 + ["real"] * 4,
            "fold": [0, 1, 2, 3] * 2,
            "amount": [10.0, 2.0, 2.0, 2.0] + [0.0] * 4,
            "setting": ["small", "large", "large", "small", "large", "large", "large", "small"],
            "regularisation": [1e-3] * 8,
            "strength": np.nan,
        }
    )
    made = comparison.choices_made(choices)
    assert list(made["arm"]) == ["real", "real+x"]
    assert list(made["amount"]) == ["0", "2 (3); 10 (1)"]
    assert made["setting"].iloc[0] == "large (3); small (1)"
    assert set(made["regularisation"]) == {"0.001"}
    assert "strength" not in made
    named = comparison.choices_made(choices, ["λ 1"] * 3 + ["λ 2"] + [""] * 4)
    assert list(named["point"]) == ["", "λ 1 (3); λ 2 (1)"]
    assert comparison.mean_amounts(choices) == {
        ("train", "dnn", "real+x"): 4.0,
        ("train", "dnn", "real"): 0.0,
    }


def test_what_could_not_run_gets_a_row_without_numbers():
    rows = comparison.counted(pd.concat([STUDY, STUDY.assign(classifier="dnn")]))
    lost = [("train", classifier, "real+smote") for classifier in ("svm", "dnn")]
    missing = comparison.with_missing(rows, lost)
    assert len(missing) == len(rows) + 2
    assert missing[missing["uar"].isna()][["arm", "classifier"]].to_numpy().tolist() == [
        ["real+smote", "svm"],
        ["real+smote", "dnn"],
    ]


def test_a_gap_is_a_fold_without_predictions_of_some_seed():
    lines = [
        (arm, amount, fold, seed)
        for arm in "xy"
        for amount in (1.0, CHOSEN)
        for fold in (0, 1, 2)
        for seed in (0, 1)
    ]
    frame = pd.DataFrame(lines, columns=["arm", "amount", "fold", "seed"])
    frame = frame.assign(classifier="svm", normalisation="train", point=0)
    y, chosen = frame["arm"] == "y", frame["amount"].isna()
    lost = (y & chosen & (frame["fold"] == 1)) | (y & ~chosen & (frame["fold"] > 0) & (frame["seed"] == 1))
    rows = frame.drop_duplicates(["arm", "amount"]).drop(columns=["fold", "seed"])
    found = comparison.with_gaps(rows, frame[~lost])
    assert found["gaps"].tolist() == [0, 0, 2, 1]
    assert found["arm"].tolist() == ["x", "x", "y", "y"]


def test_the_answer_to_a_study_says_what_its_intervals_say():
    text = comparison.answer(STUDY)
    assert "SVM, train normalisation: better real+x (+2.0); worse real+noise (-5.0); 1 of 3 cannot" in text
    assert "0 of 2 such differences keep p < 0.05" in text
    assert "against" not in text
    open_only = STUDY[~STUDY["arm"].isin(["real+x", "real+noise"])]
    text = comparison.answer(open_only)
    assert "better none; worse none; 1 of 1 cannot be told apart from it" in text
    assert "Holm" not in text


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.03, "better (+2.0 points, 95 % interval +1.0 to +3.0)"),
        (-0.03, -0.01, "worse (-2.0"),
        (-0.01, 0.03, "no difference shown (+1.0"),
        (0.0, 0.02, "no difference shown (+1.0"),
    ],
)
def test_two_arms_differ_only_if_their_paired_interval_excludes_0(low, high, words):
    pair = {"a": "real+wdiv", "b": "real+moments", "classifier": "svm", "normalisation": "train"}
    other = pair | {"b": "real+gan"}
    values = {"delta": (low + high) / 2, "delta_low": low, "delta_high": high, "p_value": 0.5}
    text = comparison.answer(STUDY, pd.DataFrame([pair | values, other | values]))
    assert f"real+wdiv against real+moments: SVM, train normalisation: {words}" in text
    assert "real+gan" not in text


def one_result(arm, low, high, normalisation="train"):
    return {
        "arm": arm,
        "classifier": "svm",
        "normalisation": normalisation,
        "amount": 1.0,
        "delta_uar": (low + high) / 2,
        "delta_low": low,
        "delta_high": high,
        "p_value": 1.0,
    }


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.03, "real+x beats it in 1 (SVM, train normalisation: +2.0 points"),
        (-0.03, -0.01, "real+x beats it in none and is worse in 1 ("),
        (-0.01, 0.03, "real+x beats it in none and cannot be told apart from it in 1 ("),
        (0.0, 0.03, "real+x beats it in none and cannot be told apart from it in 1 ("),
        (np.nan, np.nan, "real+x cannot be compared with real yet."),
    ],
)
def test_a_difference_is_called_one_only_if_its_interval_excludes_0(low, high, words):
    results = pd.DataFrame([one_result("real", np.nan, np.nan), one_result("real+x", low, high)])
    assert words in comparison.answer(results)


def test_one_augmented_arm_is_answered_for_in_a_sentence_and_several_are_counted():
    rows = [one_result("x", 0.1, 0.2), one_result("real+x", 0.01, 0.03), one_result("real+y", -0.3, -0.1)]
    assert comparison.answer(pd.DataFrame(rows[:2])).count("real+") == 1
    said = comparison.answer(pd.DataFrame(rows))
    assert "better real+x (+2.0); worse real+y (-20.0); 0 of 2" in said and "chosen" not in said
    assert "No arm" in comparison.answer(pd.DataFrame(rows[:1]))


def test_of_several_amounts_the_answer_is_about_the_largest_and_says_so():
    rows = [one_result("real+x", 0.01, 0.03), one_result("real+x", -0.03, -0.01) | {"amount": 3.0}]
    said = comparison.answer(pd.DataFrame(rows))
    assert "real+x with 3 sets beats it in none and is worse in 1 (SVM" in said
    rows.append(one_result("real+y", 0.01, 0.03))
    said = comparison.answer(pd.DataFrame(rows))
    assert "better real+y (+2.0); worse real+x with 3 sets (-2.0); 0 of 2 cannot" in said
