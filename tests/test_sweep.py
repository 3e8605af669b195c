"""A sweep in the report: what points are called, what is taken of each, and the section of the page."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from etils import epath

from experiments import stages
from sergan import metrics, report, sweep
from sergan.run_folder import Missing, Run
from tests.test_report import HOSTILE, Page, record, write_json, write_lines

pytestmark = pytest.mark.usefixtures("undrawn_module")
EMOTIONS = ("anger", "fear", "neutral")
ONE = pd.DataFrame({"point": [0, 1, 2], "lambda_cyc": [0.5, 5.0, 50.0]})
TWO = pd.DataFrame(
    [(i, cyc, cls) for i, (cyc, cls) in enumerate(product((0.5, 5.0), (0.0, 2.0, 4.0)))],
    columns=["point", "lambda_cyc", "lambda_cls"],
)
LEVEL = {"train": 0.6, "speaker": 0.8}


def make_sweep(folder, points, losses=("gan", "wdiv"), amounts=(5.0,), config=lambda settings: settings):
    """A run folder with sweep points: the last point's members all diverged in the normalisation `train`."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    write_json(folder / "config.json", config(record()))
    if points is not None:
        points.to_csv(folder / "points.csv", index=False)
    count = 1 if points is None else len(points)
    members = [
        {
            "arm": arm,
            "normalisation": normalisation,
            "fold": fold,
            "held_out": f"c/{fold}",
            "inner": False,
            "seed": 0,
            "point": point,
            "status": f"diverged@{7 + fold}" if normalisation == "train" and point == 2 else "done",
        }
        for arm, normalisation, point, fold in product(losses, LEVEL, range(count), range(6))
    ]
    members = [{"member": i} | line for i, line in enumerate(members)]
    write_lines(folder / "members.jsonl", members)
    lines = (
        {"step": step, "member": line["member"], "emotion": "fear", "cycle": 1.0 + line["point"]}
        for step in (10, 20)
        for line in members
    )
    write_lines(folder / "metrics.jsonl", lines)
    predictions(count, losses, amounts, rng).to_csv(folder / "predictions.csv", index=False)
    metrics.results(Run(epath.Path(folder)).predictions, 100).to_csv(folder / "results.csv", index=False)
    quality(count, losses).to_csv(folder / "quality.csv", index=False)
    return folder


def predictions(count, losses, amounts, rng):
    truth = np.tile(EMOTIONS, 40)
    speakers = np.repeat([f"c/{i}" for i in range(6)], 20)
    entries = [("real", 0.0, 0, 0.0)]
    for loss, point in product(losses, range(count)):
        entries += [(f"real+{loss}", amount, point, 0.2 - 0.08 * point) for amount in amounts]
        entries.append((loss, amounts[-1], point, -0.05))
    frames = []
    for normalisation, classifier in product(LEVEL, ("svm", "dnn")):
        luck, other = rng.random(len(truth)), rng.choice(EMOTIONS, len(truth))
        for arm, amount, point, gain in entries:
            cell = {"arm": arm, "classifier": classifier, "amount": amount, "point": point}
            rows = {"corpus": "c", "id": np.arange(len(truth)), "speaker": speakers, "fold": 0, "seed": 0}
            guess = np.where(luck < LEVEL[normalisation] + gain, truth, other)
            values = {"normalisation": normalisation, "truth": truth, "prediction": guess}
            frames.append(pd.DataFrame(rows | cell | values))
    return pd.concat(frames)


def quality(count, losses):
    lines = product(LEVEL, losses, range(count), range(2), EMOTIONS)
    frame = pd.DataFrame(lines, columns=["normalisation", "arm", "point", "fold", "emotion"])
    frame = frame.assign(seed=0, target_source=0.12)
    frame["target_synthetic"] = 0.01 * (1 + frame["point"]) + 0.002 * frame["fold"]
    frame["coverage"] = 0.9 - 0.1 * frame["point"]
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory, undrawn_module):
    folder = make_sweep(tmp_path_factory.mktemp("runs") / "one", ONE)
    report.write(folder)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return Page(Path(run / "report.html"))


def text_of(folder, title):
    return " ".join(Page(Path(report.write(folder))).sections[title].split())


def test_points_are_called_by_their_values():
    assert sweep.words(TWO)[1] == "lambda_cyc 0.5, lambda_cls 2"
    frame = pd.DataFrame(
        {"arm": ["real", "real+noise", "real+wdiv", "gan", "wdiv"], "point": [0, 0, 0, 2, 9]}
    )
    assert sweep.labels(frame, ONE) == ["", "", "lambda_cyc 0.5", "lambda_cyc 50", "point 9"]


def test_a_key_with_one_value_is_not_varied():
    assert sweep.varied(TWO) == ["lambda_cyc", "lambda_cls"]
    assert sweep.varied(TWO.assign(lambda_cyc=1.0)) == ["lambda_cls"]


def test_rows_have_their_own_quality_and_members(run):
    rows = sweep.rows(Run(epath.Path(run)))
    assert list(dict.fromkeys(rows["arm"])) == ["real+wdiv", "wdiv", "real+gan", "gan"]
    assert len(rows) == 4 * 3 * 4
    part = rows[(rows["arm"] == "real+wdiv") & (rows["classifier"] == "svm")].set_index(
        ["normalisation", "point"]
    )
    np.testing.assert_allclose(part.loc["train", "target_synthetic"], [0.011, 0.021, 0.031])
    np.testing.assert_allclose(part.loc["train", "coverage"], [0.9, 0.8, 0.7])
    assert part.loc["train", "diverged"].tolist() == [0, 0, 6]
    assert part.loc["speaker", "diverged"].tolist() == [0, 0, 0]
    assert set(part["members"]) == {6}


def test_inner_members_are_not_counted(run, tmp_path):
    for path in run.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    write_lines(tmp_path / "members.jsonl", [line | {"inner": line["fold"] > 1} for line in lines])
    assert set(sweep.rows(Run(epath.Path(tmp_path)))["members"]) == {2}


def test_of_several_amounts_the_largest_is_taken(tmp_path):
    folder = make_sweep(tmp_path / "run", ONE, losses=("wdiv",), amounts=(1.0, 5.0))
    assert set(sweep.rows(Run(epath.Path(folder)))["amount"]) == {5.0}
    page = Page(Path(report.write(folder)))
    assert "Every arm at its largest number of sets." in page.sections["The sweep"]
    assert "first point: lambda_cyc 0.5" in page.sections["UAR against augmented sets"]


def test_members_and_quality_may_be_missing(run, tmp_path):
    for name in ("points.csv", "results.csv"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    rows = sweep.rows(Run(epath.Path(tmp_path)))
    assert rows["members"].isna().all() and "coverage" not in rows
    assert "Target to synthetic" not in text_of(tmp_path, "The sweep")
    (tmp_path / "results.csv").unlink()
    with pytest.raises(Missing):
        sweep.rows(Run(epath.Path(tmp_path)))
    assert "results.csv is not there yet" in text_of(tmp_path, "The sweep")


def test_the_section_stands_after_the_results_only_with_a_sweep(page, tmp_path):
    titles = list(page.sections)
    assert titles[titles.index("Results") + 1] == "The sweep"
    folder = make_sweep(tmp_path / "run", None)
    plain = Page(Path(report.write(folder)))
    assert "The sweep" not in plain.sections
    assert not any("sweep" in text.lower() for text in plain.sections.values())
    assert not list((folder / "figures").glob("sweep*"))


def test_the_table_has_every_point_beside_its_numbers(run, page):
    results = pd.read_csv(run / "results.csv").query("arm == 'real+wdiv' and normalisation == 'train'")
    text = " ".join(page.sections["The sweep"].split())
    words = {}
    for row in results.to_dict("records"):
        uar, low, high, delta = (100 * row[name] for name in ("uar", "uar_low", "uar_high", "delta_uar"))
        words.setdefault(row["point"], []).append(f"{uar:.1f} [{low:.1f}, {high:.1f}] {delta:+.1f} [")
    for point, (svm, dnn) in words.items():
        start = text.index(f" real+wdiv {ONE['lambda_cyc'][point]:g} {svm}")
        line = text[start : start + 150]
        lost = 6 * (point == 2)
        assert dnn in line and f"0.0{point + 1}10 0.{9 - point}00 {lost} of 6" in line
    train, speaker = text.index("Normalisation train."), text.index("Normalisation speaker.")
    assert train < text.index("real 65.0") < start < speaker
    assert "largest number of sets" not in text
    assert "seen on the test folds" in text and "no point of them may be chosen" in text


def test_one_key_is_drawn_as_lines_and_two_as_maps(run, tmp_path):
    assert {path.name for path in (run / "figures").glob("sweep*")} == {"sweep_uar.png", "sweep_quality.png"}
    folder = make_sweep(tmp_path / "two", TWO)
    report.write(folder)
    maps = {f"sweep_{arm}.png" for arm in ("real+wdiv", "wdiv", "real+gan", "gan")} | {"sweep_quality.png"}
    assert {path.name for path in (folder / "figures").glob("sweep*")} == maps


def test_three_keys_have_the_table_alone(tmp_path):
    three = TWO.assign(lr_g=[1e-3, 1e-4] * 3)
    folder = make_sweep(tmp_path / "three", three, losses=("wdiv",))
    assert "real+wdiv 5 4 0.0001 " in text_of(folder, "The sweep")
    assert not list((folder / "figures").glob("sweep*"))


def test_results_name_points_in_words_on_the_page_and_in_a_terminal(run, page):
    text = " ".join(page.sections["Results"].split())
    assert "train svm real+wdiv lambda_cyc 50 5 " in text and "train svm real 0 " in text
    results = pd.read_csv(run / "results.csv")
    lines = report.table_text(results, ONE).splitlines()
    assert sum("lambda_cyc 50 " in line for line in lines) == 4 * 4
    assert "lambda_cyc" not in report.table_text(results[results["point"] == 0])


def test_details_are_of_the_first_point_and_say_so(run, page):
    note = "Only the sweep's first point: lambda_cyc 0.5."
    for title in ("The answer", "Speakers", "Confusions", "Training of the CycleGANs", "Results"):
        assert note in page.sections[title], title
    assert page.sections["Speakers"].count("SVM real+wdiv") == 2  # one column for each normalisation
    confusion = [image["alt"] for image in page.images() if image["alt"].startswith("Confusion")]
    assert all(alt.count("real+wdiv: ") == 1 for alt in confusion)
    assert "mean over 6 members" in page.sections["Training of the CycleGANs"]
    quality = " ".join(page.sections["Quality of the synthetic rows"].split())
    assert "train wdiv lambda_cyc 50 0.0310" in quality
    assert "Emotion gan wdiv source anger 0.0110 0.0110" in quality


def test_the_answer_is_of_the_first_point_however_the_rows_stand(run, tmp_path):
    for name in ("points.csv", "results.csv"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    before = text_of(tmp_path, "The answer")
    turned = pd.read_csv(tmp_path / "results.csv").sort_values("point", ascending=False, kind="stable")
    turned.to_csv(tmp_path / "results.csv", index=False)
    assert text_of(tmp_path, "The answer") == before


@pytest.fixture
def chosen(run, tmp_path):
    """The run with its points chosen on inner folds, at one amount and setting."""
    for path in run.glob("*.*"):
        if path.suffix in (".csv", ".json", ".jsonl"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("predictions.csv", "results.csv"):
        frame = pd.read_csv(tmp_path / name)
        counted = frame[(frame["point"] == 0) & frame["arm"].str.startswith("real")]
        pd.concat([frame, counted.assign(amount=np.nan)]).to_csv(tmp_path / name, index=False)
    cells = list(product(LEVEL, ("svm", "dnn"), ("real+gan", "real+wdiv"), range(3)))
    tried = pd.DataFrame(cells, columns=["normalisation", "classifier", "arm", "point"])
    tried = tried.assign(amount=5.0, regularisation=0.01, setting="linear", inner_uar=0.5)
    tried.to_csv(tmp_path / "inner.csv", index=False)
    taken = tried[tried["point"] == 1]  # by all folds
    pd.concat([taken.assign(fold=fold) for fold in (0, 1)]).to_csv(tmp_path / "choices.csv", index=False)
    return tmp_path


def test_what_is_said_to_be_chosen_is_what_inner_folds_had_to_choose_from(chosen):
    page = Page(Path(report.write(chosen)))
    for title, words in {
        "The answer": "with sweep points chosen on inner folds",
        "Results": "Sweep points were chosen on inner folds",
        "What choosing on the test folds would have claimed": "Chosen: sweep points from inner folds",
        "Speakers": "Sweep points chosen on inner folds",
    }.items():
        assert words in " ".join(page.sections[title].split()), title
        assert "amounts and settings" not in page.sections[title].lower()
    claimed = page.sections["What choosing on the test folds would have claimed"]
    assert "the highest UAR over all points of the sweep, picked" in " ".join(claimed.split())
    last = stages.closing(epath.Path(chosen), "done").splitlines()[-3]
    assert last.endswith("; sweep points chosen on inner folds")


@pytest.mark.parametrize(
    ("varied", "words"),
    [
        ({"amount": [1.0, 5.0]}, "sweep points and amounts"),
        ({"amount": [1.0, 5.0], "regularisation": [0.1, 1.0]}, "sweep points, amounts and settings"),
        ({"point": [0, 0], "setting": ["small", "large"]}, "settings"),
        ({"point": [0, 0]}, "amounts and settings"),
    ],
)
def test_what_was_chosen_in_words(chosen, varied, words):
    tried = pd.read_csv(chosen / "inner.csv").query("point < 2")
    count = len(tried) // 2
    tried = tried.assign(**{name: values * count for name, values in varied.items()})
    for name, other in (("inner.csv", "choices.csv"), ("choices.csv", "inner.csv")):
        (chosen / other).unlink(missing_ok=True)
        tried.to_csv(chosen / name, index=False)
        assert sweep.chosen(Run(epath.Path(chosen))) == words


def test_compared_runs_say_where_the_point_was_chosen(chosen, tmp_path):
    page = Page(Path(report.compare([chosen], tmp_path / "out")))
    text = " ".join(" ".join(page._text).split())
    assert "Each fold's point was chosen on inner folds; rows with a number of sets" in text
    assert "Only the sweep's first point" not in text


def test_members_that_diverged_are_counted_for_each_point(page):
    text = " ".join(page.sections["Members that diverged"].split())
    assert "12 of 72 members diverged" in text
    assert "gan, train normalisation, lambda_cyc 50: 6, the first at step 7" in text


def test_synthetic_rows_shown_are_of_the_first_point(tmp_path):
    (tmp_path / "synthetic" / "train").mkdir(parents=True)
    for point in (0, 1, 10):
        (tmp_path / f"synthetic/train/wdiv_fold_00_seed_0_point_{point}.parquet").write_text("")
    member = {"member": 0, "arm": "wdiv", "normalisation": "train", "fold": 0, "held_out": "c/0", "seed": 0}
    write_lines(tmp_path / "members.jsonl", [member | {"point": 1, "status": "diverged@3"}])
    (file,) = Run(epath.Path(tmp_path)).synthetic()
    assert file.path.name.endswith("point_0.parquet")


def test_contrasts_whose_point_is_not_known_are_left_out(run, tmp_path):
    for name in ("points.csv", "results.csv"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    pair = {"a": "real+wdiv", "b": "real+gan", "classifier": "svm", "normalisation": "train"}
    lines = [pair | {"delta": d, "delta_low": 0.0, "delta_high": 0.1, "p_value": 1.0} for d in (0.01, 0.02)]
    frame = pd.DataFrame([*lines, lines[0] | {"b": "real+noise"}])
    frame.to_csv(tmp_path / "contrasts.csv", index=False)
    assert "minus real+noise" in text_of(tmp_path, "Results")
    assert "minus real+gan" not in text_of(tmp_path, "Results")
    frame.assign(point=[0, 1, 0]).to_csv(tmp_path / "contrasts.csv", index=False)
    assert "real+wdiv minus real+gan +1.0" in text_of(tmp_path, "Results")


def test_names_of_a_sweep_are_escaped(run, tmp_path):
    for path in run.glob("*.*"):
        if path.suffix in (".csv", ".jsonl"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    ONE.rename(columns={"lambda_cyc": HOSTILE}).to_csv(tmp_path / "points.csv", index=False)
    page = Page(Path(report.write(tmp_path)))
    assert "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.sections["The sweep"]
