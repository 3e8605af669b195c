"""Every figure against scikit-learn or a loop that is too slow to use but too plain to be wrong."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from sergan import metrics
from sergan.errors import UserError

CLASSES = ("anger", "fear", "sadness")


def make_predictions(rng, speakers=5, rows=9, seeds=2, rates=None, normalisations=("train",)):
    """Guesses right at each arm's rate; the first speaker lacks the last class, as in EMO-DB."""
    rates = rates or {"real": 0.6, "x": 0.5, "real+x": 0.7}
    parts = []
    for speaker, normalisation in itertools.product(range(speakers), normalisations):
        truth = np.array([CLASSES[i % (2 if speaker == 0 else 3)] for i in range(rows)])
        for (arm, rate), seed in itertools.product(rates.items(), range(seeds)):
            right = rng.random(rows) < rate
            frame = {
                "corpus": "toy",
                "id": [f"toy/{speaker}_{i}" for i in range(rows)],
                "speaker": f"toy/{speaker:02d}",
                "fold": speaker,
                "seed": seed,
                "point": 0,
                "arm": arm,
                "amount": 0.0 if arm == "real" else 1.0,
                "classifier": "svm",
                "normalisation": normalisation,
                "truth": truth,
                "prediction": np.where(right, truth, rng.choice(CLASSES, rows)),
            }
            parts.append(pd.DataFrame(frame | {f"p_{c}": np.nan for c in CLASSES}))
    return pd.concat(parts, ignore_index=True)


def slow_uar(rows):
    """Pooled per seed by scikit-learn, then averaged."""
    return np.mean([recall_mean(part) for _, part in rows.groupby("seed")])


def recall_mean(rows):
    present = sorted(set(rows["truth"]))
    return recall_score(rows["truth"], rows["prediction"], labels=present, average="macro")


def arm_of(predictions, arm):
    return predictions[predictions["arm"] == arm]


def slow_swap(predictions, name):
    """p from swapping the predictions themselves, speaker by speaker, in every pattern."""
    real, arm = (arm_of(predictions, a).reset_index(drop=True) for a in ("real", name))
    assert (real["id"] == arm["id"]).all()
    speakers = sorted(real["speaker"].unique())
    differences = []
    for pattern in itertools.product([False, True], repeat=len(speakers)):
        swapped = real["speaker"].map(dict(zip(speakers, pattern, strict=True)))
        a = arm.assign(prediction=np.where(swapped, real["prediction"], arm["prediction"]))
        b = real.assign(prediction=np.where(swapped, arm["prediction"], real["prediction"]))
        differences.append(slow_uar(a) - slow_uar(b))
    return np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12)


labels = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40)


@given(labels)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label")
def test_uar_and_confusion_equal_scikit_learn(pairs):
    truth, prediction = zip(*pairs, strict=True)
    assert metrics.uar(truth, prediction, CLASSES) == pytest.approx(
        balanced_accuracy_score(truth, prediction), abs=1e-12
    )
    expected = confusion_matrix(truth, prediction, labels=CLASSES)
    np.testing.assert_array_equal(metrics.confusion(truth, prediction, CLASSES), expected)


def test_a_class_nobody_speaks_is_left_out_and_no_rows_are_nan():
    assert metrics.uar(["fear", "fear"], ["fear", "anger"], CLASSES) == 0.5
    assert np.isnan(metrics.uar([], [], CLASSES))


@pytest.mark.parametrize("seed", range(3))
def test_results_equal_scikit_learn_row_by_row(seed):
    predictions = make_predictions(np.random.default_rng(seed), normalisations=("train", "speaker"))
    table = metrics.results(predictions, replicates=50)
    assert list(table.columns) == list(metrics.RESULTS)
    assert len(table) == 6
    for row in table.to_dict("records"):
        part = predictions[predictions["normalisation"] == row["normalisation"]]
        rows, real = arm_of(part, row["arm"]), arm_of(part, "real")
        assert row["uar"] == pytest.approx(slow_uar(rows), abs=1e-9)
        wa = np.mean([accuracy_score(s["truth"], s["prediction"]) for _, s in rows.groupby("seed")])
        assert row["wa"] == pytest.approx(wa, abs=1e-9)
        assert (row["classes"], row["seeds"]) == (3, 2)
        if row["arm"] != "real":
            assert row["delta_uar"] == pytest.approx(slow_uar(rows) - slow_uar(real), abs=1e-9)
    real = table[table["arm"] == "real"]
    assert real[["delta_uar", "delta_low", "delta_high", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize("count", [4, 7])
def test_the_bootstrap_equals_an_explicit_loop_over_the_same_draws(count):
    predictions, replicates, seed = make_predictions(np.random.default_rng(4), count), 40, 11
    table = metrics.results(predictions, replicates, seed).set_index("arm")
    speakers = sorted(predictions["speaker"].unique())
    drawn_RxS = np.random.default_rng(seed).integers(len(speakers), size=(replicates, len(speakers)))
    by_speaker = {
        arm: [arm_of(predictions, arm)[lambda f, s=s: f["speaker"] == s] for s in speakers]
        for arm in ("real", "real+x")
    }
    values = {
        arm: np.array([slow_uar(pd.concat([parts[i] for i in drawn])) for drawn in drawn_RxS])
        for arm, parts in by_speaker.items()
    }
    accuracy = [
        np.mean([(one.truth == one.prediction).mean() for _, one in rows.groupby("seed")])
        for drawn in drawn_RxS
        for rows in [pd.concat([by_speaker["real+x"][i] for i in drawn])]
    ]
    reach = metrics.reach_of(count)
    for names, value, values_R in (
        (("uar_low", "uar_high"), "uar", values["real+x"]),
        (("wa_low", "wa_high"), "wa", np.array(accuracy)),
        (("delta_low", "delta_high"), "delta_uar", values["real+x"] - values["real"]),
    ):
        if count == 7:
            expected = np.quantile(values_R, [ndtr(-reach), ndtr(reach)])
        else:
            expected = table.loc["real+x", value] + reach * values_R.std() * np.array([-1, 1])
            expected = np.clip(expected, -1 if value == "delta_uar" else 0, 1)
        np.testing.assert_allclose(table.loc["real+x", list(names)].astype(float), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_swap_test_equals_swapping_the_predictions_themselves(seed):
    rng = np.random.default_rng(seed)
    predictions = make_predictions(rng, rates={"real": 0.5, "real+x": 0.75})
    table = metrics.results(predictions, replicates=10).set_index("arm")
    assert table.loc["real+x", "p_value"] == pytest.approx(slow_swap(predictions, "real+x"), abs=1e-12)


def test_more_speakers_get_random_patterns_close_to_all_of_them():
    effect_S = np.random.default_rng(3).normal(0.4, 1.0, size=14)
    sign_PxS = np.array(list(itertools.product([-1, 1], repeat=14)))
    exact = np.mean(np.abs(sign_PxS @ effect_S) >= abs(effect_S.sum()) - 1e-12)
    assert metrics.swap_test(effect_S) == pytest.approx(exact, abs=0.02)
    assert metrics.swap_test(effect_S, seed=1) == metrics.swap_test(effect_S, seed=1)
    assert metrics.swap_test(np.ones(40)) == pytest.approx(1 / 10_001)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_p_counts_the_observed_value_and_ignores_the_sign(effects):
    p_value = metrics.swap_test(np.array(effects))
    assert 2 ** -len(effects) <= p_value <= 1
    assert p_value == metrics.swap_test(-np.array(effects))


def test_p_is_uniform_when_nothing_differs():
    rng = np.random.default_rng(0)
    p_N = np.array([metrics.swap_test(rng.normal(size=8)) for _ in range(600)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(p_N <= level) == pytest.approx(level, abs=0.05)


def test_holm_known_answer():
    corrected = metrics.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(corrected, [0.03, 0.06, np.nan, 0.06, 0.02])
    np.testing.assert_allclose(metrics.holm(np.array([0.6, 0.9])), [1.0, 1.0])


def test_p_values_are_corrected_over_the_whole_table():
    rng = np.random.default_rng(5)
    rates = {"real": 0.4, "x": 0.6, "real+x": 0.9}
    predictions = make_predictions(rng, speakers=8, rates=rates)
    together = metrics.results(predictions, 10).set_index("arm")["p_value"]
    alone = [
        metrics.results(predictions[predictions["arm"] != other], 10)["p_value"].iloc[1]
        for other in ("real+x", "x")
    ]
    np.testing.assert_allclose(together[["x", "real+x"]], metrics.holm(np.array(alone)))


def test_the_interval_of_ten_speakers_covers_the_truth_as_often_as_it_says():
    """Speakers differ; plain percentiles of so few cover it in 88 of 100 cases, these in 93."""
    rng, mean, covered = np.random.default_rng(1), 0.5, 0
    truth = mean + (1 - mean) / len(CLASSES)
    for _ in range(200):
        parts = []
        for speaker, rate in enumerate(rng.uniform(mean - 0.4, mean + 0.4, 10)):
            one = make_predictions(rng, speakers=2, rows=12, seeds=1, rates={"real": rate})
            parts.append(one[one["speaker"] == "toy/01"].assign(speaker=f"toy/{speaker:02d}"))
        row = metrics.results(pd.concat(parts), replicates=1000).iloc[0]
        covered += row["uar_low"] <= truth <= row["uar_high"]
    assert 0.9 <= covered / 200 <= 0.985


def test_intervals_of_few_speakers_reach_further():
    """Of two by Student's t of one degree, 12.7, times the root of 2."""
    assert metrics.reach_of(2) == pytest.approx(12.7062 * 2**0.5, rel=1e-5)
    assert ndtr(-metrics.reach_of(10)) == pytest.approx(0.00855, abs=1e-5)
    assert metrics.reach_of(10_000) == pytest.approx(1.96, abs=1e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_where_arms_are_alike_the_interval_of_a_few_speakers_seldom_excludes_zero(count):
    """Percentiles alone would in half of the cases of two speakers, in a fifth of three."""
    rng, excluded = np.random.default_rng(count), 0
    for _ in range(100):
        predictions = make_predictions(rng, count, rows=30, seeds=1, rates={"real": 0.6, "real+x": 0.6})
        row = metrics.results(predictions, replicates=300).set_index("arm").loc["real+x"]
        excluded += row["delta_low"] > 0 or row["delta_high"] < 0
    assert excluded <= 12


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_results_do_not_depend_on_the_order_of_rows(seed):
    predictions = make_predictions(np.random.default_rng(seed), speakers=4)
    table = metrics.results(predictions, replicates=30)
    mixed = metrics.results(predictions.sample(frac=1.0, random_state=seed), replicates=30)
    order = list(metrics.CELL)
    pd.testing.assert_frame_equal(
        *(t.sort_values(order).reset_index(drop=True) for t in (table, mixed)), rtol=1e-12
    )
    assert table["uar"].between(0, 1).all()
    assert (table["uar_low"] <= table["uar_high"]).all()


def test_an_arm_that_predicts_as_real_does_differs_by_nothing():
    real = arm_of(make_predictions(np.random.default_rng(0)), "real")
    copy = real.assign(arm="real+copy", amount=1.0, point=3)
    row = metrics.results(pd.concat([real, copy]), replicates=50).iloc[1]
    assert (row["delta_uar"], row["delta_low"], row["delta_high"], row["p_value"]) == (0, 0, 0, 1)


def test_only_what_both_arms_have_is_compared():
    predictions = make_predictions(np.random.default_rng(7), speakers=6)
    lost = (predictions["arm"] == "real+x") & (predictions["speaker"] == "toy/04")
    lost |= (predictions["arm"] == "real+x") & (predictions["seed"] == 1) & (predictions["fold"] == 2)
    table = metrics.results(predictions[~lost], replicates=50).set_index("arm")
    kept = ~predictions.set_index(["id", "seed"]).index.isin(
        predictions[lost].set_index(["id", "seed"]).index
    )
    expected = slow_uar(arm_of(predictions[kept], "real+x")) - slow_uar(arm_of(predictions[kept], "real"))
    assert table.loc["real+x", "delta_uar"] == pytest.approx(expected, abs=1e-9)
    alone = metrics.results(predictions[~lost & (predictions["arm"] != "x")], replicates=50)
    expected = slow_swap(predictions[kept], "real+x")
    assert expected < 1
    assert alone["p_value"].iloc[1] == pytest.approx(expected, abs=1e-12)
    no_seed = predictions[~((predictions["arm"] == "real") & (predictions["seed"] == 1))]
    only_other = no_seed[(no_seed["arm"] == "real") | (no_seed["seed"] == 1)]
    row = metrics.results(only_other, replicates=50).set_index("arm").loc["real+x"]
    assert np.isnan(row["delta_uar"])
    assert np.isnan(row["p_value"])
    assert np.isfinite(row["uar"])


def chosen_rows(rng):
    """A curve of one arm, and rows whose settings were chosen, without an amount."""
    curve = make_predictions(rng)
    chosen = make_predictions(rng, rates={"real": 0.5, "real+x": 0.8, "real+wdiv": 0.9})
    return pd.concat([curve, chosen.assign(amount=np.nan)], ignore_index=True)


def test_chosen_rows_are_compared_with_the_chosen_real_and_are_the_only_ones_tested():
    predictions = chosen_rows(np.random.default_rng(0))
    table = metrics.results(predictions)
    chosen = metrics.results(predictions[predictions.amount.isna()])
    pd.testing.assert_frame_equal(
        table[table.amount.isna()].reset_index(drop=True), chosen.reset_index(drop=True)
    )
    curve = table[table.amount.notna()]
    assert len(curve) == 3 and curve.p_value.isna().all()
    row = curve[curve.arm == "real+x"].iloc[0]
    fixed = predictions[predictions.amount.notna()]
    expected = slow_uar(arm_of(fixed, "real+x")) - slow_uar(arm_of(fixed, "real"))
    assert row.delta_uar == pytest.approx(expected, abs=1e-12)
    assert set(chosen[chosen.p_value.notna()].arm) == {"real+x", "real+wdiv"}


def test_contrasts_are_the_main_arm_against_the_others_with_real_rows():
    predictions = chosen_rows(np.random.default_rng(1))
    table = metrics.contrasts(predictions)
    assert list(table.columns) == list(metrics.CONTRASTS)
    assert table[["a", "b"]].to_numpy().tolist() == [["real+wdiv", "real+x"]]
    chosen = predictions[predictions.amount.isna()]
    expected = slow_uar(arm_of(chosen, "real+wdiv")) - slow_uar(arm_of(chosen, "real+x"))
    assert table.delta[0] == pytest.approx(expected, abs=1e-12)
    renamed = chosen.replace({"arm": {"real": "none", "real+x": "real"}})
    as_result = metrics.results(renamed).set_index("arm").loc["real+wdiv"]
    assert (table.delta_low[0], table.delta_high[0]) == (as_result.delta_low, as_result.delta_high)


def test_contrasts_of_recordings_are_those_of_each_gan_and_each_pair_once():
    arms = ("real", "real+duplicate", "real+wavegan", "real+specgan")
    predictions = make_predictions(np.random.default_rng(2), rates=dict.fromkeys(arms, 0.6))
    table = metrics.contrasts(predictions)
    pairs = list(zip(table.a, table.b, strict=True))
    own = [("real+wavegan", b) for b in ("real+duplicate", "real+specgan")]
    assert sorted(pairs) == sorted([*own, ("real+specgan", "real+duplicate")])


def test_contrasts_without_a_choice_are_of_the_largest_amount_that_both_arms_have():
    rng = np.random.default_rng(3)
    rates = {"real+wdiv": 0.9, "real+x": 0.8, "real+few": 0.7}
    large, small = (make_predictions(rng, rates=rates).assign(amount=amount) for amount in (3.0, 1.0))
    predictions = pd.concat([large[large.arm != "real+few"], small], ignore_index=True)
    table = metrics.contrasts(predictions)
    assert table["b"].tolist() == ["real+x", "real+few"]
    for delta, part, b in zip(table.delta, (large, small), table.b, strict=True):
        expected = slow_uar(arm_of(part, "real+wdiv")) - slow_uar(arm_of(part, b))
        assert delta == pytest.approx(expected, abs=1e-12)


def test_contrasts_without_a_second_arm_are_an_empty_table():
    table = metrics.contrasts(make_predictions(np.random.default_rng(2)))
    assert table.empty and list(table.columns) == list(metrics.CONTRASTS)


def test_one_speaker_has_no_interval():
    predictions = make_predictions(np.random.default_rng(0), speakers=1)
    table = metrics.results(predictions, replicates=20)
    assert table[["uar_low", "uar_high", "delta_low", "delta_high"]].isna().all(axis=None)
    assert table["uar"].notna().all()


def test_per_speaker_equals_a_loop():
    predictions = make_predictions(np.random.default_rng(2))
    table = metrics.per_speaker(predictions)
    assert len(table) == 3 * 5
    for row in table.to_dict("records"):
        rows = arm_of(predictions, row["arm"])[lambda f, s=row["speaker"]: f["speaker"] == s]
        assert row["uar"] == pytest.approx(slow_uar(rows), abs=1e-9)
        assert row["wa"] == pytest.approx((rows["truth"] == rows["prediction"]).mean(), abs=1e-9)
        assert row["rows"] == 9


def test_confusions_are_means_over_seeds():
    predictions = make_predictions(np.random.default_rng(2))
    found = metrics.confusions(predictions)
    assert [cell.arm for cell in found] == ["real", "x", "real+x"]
    for cell, counts_CxC in found.items():
        rows = arm_of(predictions, cell.arm)
        expected = confusion_matrix(rows["truth"], rows["prediction"], labels=CLASSES) / 2
        np.testing.assert_allclose(counts_CxC, expected)


def test_clear_errors():
    predictions = make_predictions(np.random.default_rng(0))
    with pytest.raises(UserError, match="predictions: no column 'speaker', 'truth'"):
        metrics.results(predictions.drop(columns=["speaker", "truth"]))
    with pytest.raises(UserError, match="predictions: no rows"):
        metrics.results(predictions.iloc[:0])
    with pytest.raises(UserError, match="label 'joy' is none of anger, fear, sadness"):
        metrics.results(predictions.assign(prediction="joy"))
    with pytest.raises(UserError, match="2 true labels, but 1 predictions"):
        metrics.uar(["fear", "fear"], ["fear"], CLASSES)
