"""Several runs on one page: what differs, what is shared, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from etils import epath

from sergan import report, runs
from sergan.errors import UserError
from sergan.run_folder import Run
from tests.test_report import HOSTILE, Page, record, write_json, write_lines
from tests.test_sweep import ONE, make_sweep


def changed(**gan):
    def change(settings):
        settings["config"]["gan"] |= gan
        return settings

    return change


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs with residual and with plain generators, and one of a sweep with both losses."""
    root = tmp_path_factory.mktemp("runs")
    make_sweep(root / "residual", None, ["wdiv"], config=changed(residual=True))
    make_sweep(root / "plain", None, ["wdiv"], config=changed(residual=False))
    make_sweep(root / "swept", ONE, config=changed(residual=False))
    return root


def named(folders, *names):
    return runs.read([folders / name for name in names])


def result(arm, amount, uar):
    row = {"arm": arm, "amount": amount, "uar": uar, "uar_low": uar, "uar_high": uar, "wa": uar}
    row |= {"classifier": "svm", "normalisation": "train", "point": 0, "classes": 2, "seeds": 1}
    return row | dict.fromkeys(("delta_uar", "delta_low", "delta_high", "p_value"), np.nan)


def small(folder, *rows, **gan):
    folder.mkdir(parents=True)
    write_json(folder / "config.json", changed(**gan)(record()))
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    return folder


def test_only_the_keys_that_differ_are_named(folders):
    assert runs.differing(named(folders, "residual", "plain")) == {"gan.residual": ["true", "false"]}
    assert runs.differing(named(folders, "plain", "swept")) == {}


def test_a_key_that_a_run_does_not_have_differs(tmp_path):
    paths = [
        small(tmp_path / "a", result("real", 0.0, 0.7), deep=1),
        small(tmp_path / "b", result("real", 0.0, 0.7)),
    ]
    assert runs.differing(runs.read(paths)) == {"gan.deep": ["1", "not set"]}
    assert runs.differing(runs.read(paths[::-1])) == {"gan.deep": ["not set", "1"]}


def test_real_is_there_once_and_each_arm_for_each_run(folders):
    rows = runs.rows(named(folders, "residual", "plain"))
    part = rows[(rows["normalisation"] == "speaker") & (rows["classifier"] == "dnn")]
    assert part[["arm", "run"]].to_numpy().tolist() == [
        ["real", runs.SHARED],
        ["real+wdiv", "residual"],
        ["real+wdiv", "plain"],
        ["wdiv", "residual"],
        ["wdiv", "plain"],
    ]
    assert set(part["seconds"].dropna()) == {512.3} and part["seconds"].isna().sum() == 1
    assert part["members"].tolist()[1:] == [6] * 4
    np.testing.assert_allclose(part["target_synthetic"].iloc[1:], 0.011)


def test_real_is_there_for_each_run_where_it_differs(tmp_path):
    shares = {"a": 0.7, "b": 0.7, "c": 0.8}
    paths = [small(tmp_path / name, result("real", 0.0, uar)) for name, uar in shares.items()]
    rows = runs.rows(runs.read(paths))
    assert rows[["run", "uar"]].to_numpy().tolist() == [["a, b", 0.7], ["c", 0.8]]
    assert runs.rows(runs.read(paths[2:]))["run"].tolist() == ["c"]


def test_what_was_chosen_counts_else_the_largest_amount(tmp_path):
    rows = [result("real", 0.0, 0.7), result("real", np.nan, 0.71), result("real+wdiv", 9.0, 0.9)]
    rows += [result("real+wdiv", np.nan, 0.8), result("wdiv", 1.0, 0.5), result("wdiv", 3.0, 0.6)]
    rows += [result("real+noise", np.nan, 0.9)]
    found = runs.rows(runs.read([small(tmp_path / "a", *rows)]))
    assert found[["arm", "uar"]].to_numpy().tolist() == [["real", 0.71], ["real+wdiv", 0.8], ["wdiv", 0.6]]


def test_of_a_sweep_the_first_point_is_taken(folders):
    rows = runs.rows(named(folders, "plain", "swept"))
    assert set(rows["point"]) == {0} and "gan" in set(rows["arm"])
    page = Page(Path(report.compare([folders / "plain", folders / "swept"], folders / "both")))
    assert "The configs are the same." in " ".join(page._text)
    assert "Only the sweep's first point: lambda_cyc 0.5." in page._text


def test_files_without_arms_are_of_the_loss_that_was_trained(tmp_path):
    folder = small(tmp_path / "old", result("real", 0.0, 0.7), result("wdiv", 1.0, 0.7))
    quality = {"normalisation": ["train"], "emotion": ["fear"], "fold": [0], "target_synthetic": [0.25]}
    pd.DataFrame(quality).to_csv(folder / "quality.csv", index=False)
    line = {"member": 0, "normalisation": "train", "fold": 0, "held_out": "c/0", "seed": 0, "point": 0}
    line |= {"status": "diverged@4"}
    write_lines(folder / "members.jsonl", [line, line | {"status": "done"}])
    row = runs.rows(runs.read([folder])).query("arm == 'wdiv'").iloc[0]
    assert row[["target_synthetic", "diverged", "members"]].tolist() == [0.25, 1, 2]


def test_long_and_equal_names_become_numbers(tmp_path):
    for name in ("x/run", "y/run", "z" * 30):
        small(tmp_path / name, result("real", 0.0, 0.7))
    assert list(runs.read([tmp_path / "x/run"])) == ["run"]
    assert list(runs.read([tmp_path / "x/run", tmp_path / "y/run"])) == ["run 1", "run 2"]
    assert list(runs.read([tmp_path / ("z" * 30)])) == ["run 1"]


def test_a_run_without_results_is_named(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no results\.csv yet"):
        report.compare([folders / "plain", tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UserError, match="no run folder"):
        report.compare([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_page_has_the_numbers_of_every_run(folders, tmp_path):
    path = report.compare([folders / "residual", folders / "plain"], tmp_path)
    assert path == epath.Path(tmp_path) / "comparison.html"
    assert (tmp_path / "figures" / "comparison.png").stat().st_size
    page = Page(Path(path))
    assert page.open == [] and len(page.images()) == 1
    text = " ".join(" ".join(page._text).split())
    assert "gan.residual true false" in text
    for name, value in (("residual", "true"), ("plain", "false")):
        results = Run(epath.Path(folders / name)).results
        for row in results.query("arm != 'real'").to_dict("records"):
            uar, low, high = (100 * row[n] for n in ("uar", "uar_low", "uar_high"))
            words = f"{row['normalisation']} {row['classifier']} {row['arm']} {name} {value} 5"
            delta = f"{100 * row['delta_uar']:+.1f} ["
            start = text.index(f"{words} {uar:.1f} [{low:.1f}, {high:.1f}] {delta}")
            assert "0.0110 0.900 0 of 6 512" in text[start : start + 130]
    assert text.count("real all runs") == 4


def test_many_keys_that_differ_are_in_a_table_of_their_own_only(tmp_path):
    settings = dict.fromkeys(["a", "b", "c", "d", "e"], 1)
    paths = [
        small(tmp_path / "x", result("real", 0.0, 0.7), result("wdiv", 1.0, 0.7), **settings),
        small(tmp_path / "y", result("real", 0.0, 0.7), result("wdiv", 1.0, 0.7), loss=HOSTILE),
    ]
    path = Path(report.compare(paths, tmp_path))
    text = " ".join(Page(path)._text)
    assert text.count("gan.a") == 1 and text.count("Training s") == 1
    assert "<script" not in path.read_text()
