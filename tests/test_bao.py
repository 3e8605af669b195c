"""Bao et al.'s tables: as printed, and ours beside them only where they are like for like."""

import json

import numpy as np
import pandas as pd
import pytest
from etils import epath

from sergan import bao, metrics
from sergan.run_folder import Run
from sergan.sections import results

FOUR = ["anger", "happiness", "neutral", "sadness"]


def make_run(folder, arms=("gan", "real+gan"), swept=True, **settings):
    """A run on IEMOCAP's classes with two points of lambda_cls; settings replace keys of the config."""
    config = {"corpus": {"name": "iemocap", "classes": FOUR}, "protocol": "session"}
    config |= {"target": {"name": ""}, "hypers": {"lambda_cls": 2.0}} | settings
    (folder / "config.json").write_text(json.dumps({"config": config}))
    rng = np.random.default_rng(0)
    frames = [rows("real", 0.0, 0, 0.6, rng)]
    for arm in arms:
        for point in (0, 1) if swept else (0,):
            frames += [rows(arm, amount, point, 0.4 + 0.2 * point, rng) for amount in (1.0, 3.0)]
    metrics.results(pd.concat(frames), replicates=20).to_csv(folder / "results.csv", index=False)
    if swept:
        points = pd.DataFrame({"point": [0, 1], "lambda_cls": [0.0, 2.0]})
        points.to_csv(folder / "points.csv", index=False)
    quality = pd.DataFrame({"arm": "gan", "normalisation": "train", "point": [0, 0, 1], "emotion": "anger"})
    quality = quality.assign(fold=[0, 1, 0], target_synthetic=[0.01, 0.03, 0.05], target_source=0.09)
    quality.to_csv(folder / "quality.csv", index=False)
    return Run(epath.Path(folder))


def rows(arm, amount, point, right, rng):
    """Predictions of five seeds, about that share of them right."""
    truth = np.tile(np.repeat(FOUR, 10), 5)
    hit = rng.random(len(truth)) < right
    wrong = np.array(FOUR)[(pd.Index(FOUR).get_indexer(truth) + 1) % 4]
    return pd.DataFrame(
        {
            "arm": arm,
            "classifier": "dnn",
            "amount": amount,
            "point": point,
            "normalisation": "train",
            "id": np.tile(np.arange(40), 5).astype(str),
            "speaker": np.tile(["a", "b"], 100),
            "fold": 0,
            "seed": np.repeat(np.arange(5), 40),
            "truth": truth,
            "prediction": np.where(hit, truth, wrong),
        }
    )


@pytest.mark.parametrize(
    ("target", "arm", "lambda_cls", "value", "sd"),
    [
        ("", "real", np.nan, 59.48, 0.71),
        ("", "gan", 0, 51.57, 0.60),
        ("", "real+gan", 0, 58.79, 0.77),
        ("", "gan", 2, 46.59, 0.75),
        ("", "real+gan", 2, 60.37, 0.70),
        ("msp_improv", "gan", 0, 39.35, 0.33),
        ("msp_improv", "real+gan", 0, 42.61, 0.34),
        ("msp_improv", "gan", 2, 41.58, 1.29),
        ("msp_improv", "real+gan", 2, 46.52, 0.43),
    ],
)
def test_the_papers_numbers_as_printed(tmp_path, target, arm, lambda_cls, value, sd):
    run = make_run(tmp_path, protocol="across" if target else "session", target={"name": target})
    frame = bao.beside(run)
    same = frame["lambda_cls"].eq(lambda_cls) | (frame["lambda_cls"].isna() & np.isnan(lambda_cls))
    found = frame[
        same & (frame["arm"] == arm) & (frame["source"] == "Bao 2019") & (frame["measure"] == "uar")
    ]
    assert found[["value", "sd"]].to_numpy().tolist() == [[value, sd]]


def test_each_stands_beside_ours_of_the_same_lambda_at_the_largest_amount(tmp_path):
    run = make_run(tmp_path)
    frame = bao.beside(run)
    ours = run.results[run.results["amount"] == 3.0].set_index(["arm", "point"])
    for arm in ("gan", "real+gan"):
        for point, lambda_cls in enumerate((0, 2)):
            line = frame[(frame["arm"] == arm) & (frame["lambda_cls"] == lambda_cls)]
            line = line[line["measure"] == "uar"].iloc[0]
            row = ours.loc[arm, point]
            assert line["our_value"] == pytest.approx(100 * row["uar"])
            assert (line["our_sd"], line["low"]) == pytest.approx((100 * row["uar_sd"], 100 * row["uar_low"]))
            assert (line["loss"], line["normalisation"]) == ("gan", "train")
    means = frame[frame["measure"] == "target_synthetic"].set_index("lambda_cls")["our_value"]
    assert means[0] == pytest.approx(0.02)
    assert means[2] == pytest.approx(0.05)
    assert frame.set_index("measure")["our_value"]["target_source"] == pytest.approx(0.09)


def test_without_a_sweep_the_configs_lambda_counts_and_the_other_stays_empty(tmp_path):
    frame = bao.beside(make_run(tmp_path, swept=False))
    found = frame[frame["arm"].isin(["gan", "real+gan"]) & (frame["measure"] == "uar")]
    assert (found["our_value"].notna() == (found["lambda_cls"] == 2)).all()


def test_w_div_is_named_as_another_loss_of_the_same_arm(tmp_path):
    frame = bao.beside(make_run(tmp_path, arms=("wdiv", "real+wdiv", "sahu_gan")))
    assert set(frame[frame["arm"].isin(["gan", "real+gan"])]["loss"]) <= {"wdiv", "gan"}
    assert frame[frame["arm"] == "real+gan"]["our_value"].notna().all()
    assert set(frame[frame["arm"] == "sahu_gan"]["loss"]) == {""}
    assert frame[frame["arm"] == "sahu_gan"]["our_value"].notna().all()


@pytest.mark.parametrize(
    "settings",
    [
        {"corpus": {"name": "emodb", "classes": FOUR}},
        {"corpus": {"name": "iemocap", "classes": [*FOUR[:3], "fear"]}},
        {"protocol": "speaker"},
        {
            "target": {"name": "msp_improv"},
            "protocol": "across",
            "corpus": {"name": "ravdess", "classes": FOUR},
        },
    ],
)
def test_other_corpora_classes_and_folds_have_nothing_beside_them(tmp_path, settings):
    run = make_run(tmp_path, **settings)
    assert bao.beside(run).empty
    assert results.repeats(run) == ""


def test_the_report_has_both(tmp_path):
    text = results.repeats(make_run(tmp_path))
    assert "60.37 ± 0.70" in text
    assert "Sahu 2018" in text
    assert text.count("<tr") == 12


def test_deviation_over_seeds_is_the_samples():
    frame = pd.concat([rows("real", 0.0, 0, 0.6, np.random.default_rng(0))])
    uar_Q = [metrics.uar(part["truth"], part["prediction"], FOUR) for _, part in frame.groupby("seed")]
    assert metrics.results(frame, replicates=5)["uar_sd"][0] == pytest.approx(np.std(uar_Q, ddof=1))
    assert np.isnan(metrics.results(frame[frame["seed"] == 0], replicates=5)["uar_sd"][0])
