"""The report of a study with many arms: amounts and settings chosen on inner folds, curves, holes."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from etils import epath

from sergan import metrics, report
from sergan.corpora import table_files
from sergan.run_folder import Run
from sergan.sections import learning
from tests.test_report import (
    CLASSES,
    HOSTILE,
    SECTIONS,
    Page,
    losses,
    make_run,
    record,
    write_json,
    write_lines,
)

pytestmark = pytest.mark.usefixtures("undrawn_module")
ARMS = ("noise", "smote", "moments", "gan", "wdiv")
GAIN = {"noise": 0.0, "smote": -0.08, "moments": 0.03, "gan": 0.01, "wdiv": 0.05}
LEVEL = {"train": 0.74, "speaker": 0.88}
TRANSFER = ("target_synthetic", "target_source")
SETTINGS = ("100x100 dropout 0.2, 300 steps", "400x400 dropout 0.5, 600 steps")


def make_study(folder, arms=ARMS, amounts=(1.0, 3.0), bare=("gan", "wdiv"), seeds=2, replicates=200):
    """The run folder of `make_run` with what a study of many arms leaves: chosen rows, and a curve."""
    make_run(folder)
    rng = np.random.default_rng(1)
    settings = record()
    settings["config"]["corpus"]["name"] = "emodb"
    write_json(folder / "config.json", settings)
    two_kinds(folder, rng)
    predictions(folder, arms, amounts, bare, seeds, rng).to_csv(folder / "predictions.csv", index=False)
    read = Run(epath.Path(folder)).predictions
    metrics.results(read, replicates).to_csv(folder / "results.csv", index=False)
    choices(arms, amounts, rng).to_csv(folder / "choices.csv", index=False)
    quality(arms, rng).to_csv(folder / "quality.csv", index=False)
    contrasts().to_csv(folder / "contrasts.csv", index=False)
    write_lines(folder / "holes.jsonl", holes())
    return folder


def two_kinds(folder, rng):
    """Members, losses and synthetic rows of two kinds of CycleGANs, and of one inner member each."""
    lines = [json.loads(line) for line in (folder / "members.jsonl").read_text().splitlines()]
    members = []
    for i, arm in enumerate(("gan", "wdiv")):
        for line in lines:
            members.append(line | {"arm": arm, "member": 100 * i + line["member"], "status": "done"})
        inner = {"inner": True, "fold": 10, "held_out": "emodb/03 emodb/08", "status": "diverged@7"}
        members.append(members[-1] | inner | {"member": 100 * i + 99})
    write_lines(folder / "members.jsonl", members)
    write_lines(folder / "metrics.jsonl", losses(members, 400, rng))
    for path in list((folder / "synthetic").glob("*/*.parquet")):
        frame = pd.read_parquet(path).groupby("target_emotion").head(30)
        shrunk = frame.assign(arm="gan")
        names = frame.columns[frame.columns.get_loc("step") + 1 :]
        shrunk[names] = (
            frame[names].groupby(frame["target_emotion"]).transform("mean") * 0.5 + frame[names] / 2
        )
        shrunk.to_parquet(path.with_name(f"gan_{path.name}"), index=False)
        other = frame.assign(arm="wdiv", member=frame["member"] + 100)
        other.to_parquet(path.with_name(f"wdiv_{path.name}"), index=False)
        path.unlink()


def predictions(folder, arms, amounts, bare, seeds, rng):
    """Guesses right at a rate of the arm: `real`, curves, synthetic rows alone, and the chosen ones."""
    corpus = table_files.read(folder / "features.parquet")
    truth, speakers = corpus.emotions_U, corpus.speakers_U
    fold_U = np.unique(speakers, return_inverse=True)[1]
    entries = [("real", 0.0, 0.0), ("real", np.nan, 0.01)]
    for arm in arms:
        entries += [(f"real+{arm}", n, GAIN.get(arm, 0.01) * np.sqrt(n / max(amounts))) for n in amounts]
        entries.append((f"real+{arm}", np.nan, GAIN.get(arm, 0.01) * 0.8))
    entries += [(arm, max(amounts), GAIN.get(arm, 0.0) - 0.05) for arm in bare]
    frames = []
    for normalisation, level in LEVEL.items():
        for classifier in ("svm", "dnn"):
            for seed in range(seeds):
                luck_U, other_U = rng.random(len(truth)), rng.choice(CLASSES, len(truth))
                for arm, amount, gain in entries:
                    mixed_U = np.where(rng.random(len(truth)) < 0.1, rng.random(len(truth)), luck_U)
                    frame = {
                        "corpus": "emodb",
                        "id": corpus.ids_U,
                        "speaker": speakers,
                        "fold": fold_U,
                        "seed": seed,
                        "point": 0,
                        "arm": arm,
                        "amount": amount,
                        "classifier": classifier,
                        "normalisation": normalisation,
                        "truth": truth,
                        "prediction": np.where(mixed_U < level + gain, truth, other_U),
                    } | {f"p_{emotion}": np.nan for emotion in CLASSES}
                    frames.append(pd.DataFrame(frame))
    made = pd.concat(frames)
    smote = (made["arm"] == "real+smote") & (made["normalisation"] == "train")
    lost = (made["amount"].isna() & (made["fold"] == 3)) | ((made["amount"] == 3) & made["fold"].isin([3, 4]))
    return made[~(smote & lost)]


def choices(arms, amounts, rng):
    lines = []
    for normalisation in LEVEL:
        for arm in ("real", *arms):
            for classifier in ("svm", "dnn"):
                for fold in range(10):
                    dnn = classifier == "dnn"
                    lines.append(
                        {
                            "normalisation": normalisation,
                            "classifier": classifier,
                            "arm": arm if arm == "real" else f"real+{arm}",
                            "fold": fold,
                            "held_out": f"emodb/{fold:02d}",
                            "amount": 0.0 if arm == "real" else amounts[fold % 3 % len(amounts)],
                            "setting": SETTINGS[fold % 2] if dnn else "linear",
                            "regularisation": rng.choice([3e-3, 1e-2]) if dnn else rng.choice([1e-3, 1e-2]),
                            "strength": 0.1 if arm == "noise" else None,
                            "real_share": 0.0 if arm == "real" else 0.5,
                            "inner_uar": 0.8,
                        }
                    )
    return pd.DataFrame(lines)


def quality(arms, rng):
    lines = [
        {"normalisation": normalisation, "arm": arm, "fold": fold, "seed": 0, "emotion": emotion}
        for normalisation in LEVEL
        for arm in arms
        for fold in range(10)
        for emotion in CLASSES
    ]
    frame = pd.DataFrame(lines)
    frame[list(TRANSFER)] = 0.01, 0.122
    for name, value in {
        "frechet": 60.0,
        "mmd": 0.02,
        "mmd_p": 0.03,
        "precision": 0.8,
        "recall": 0.4,
        "density": 0.9,
        "coverage": 0.6,
        "two_sample": 0.7,
        "agreement": 0.9,
        "nearest_synthetic": 21.0,
        "nearest_held_out": 24.0,
        "duplicates": 0.0,
    }.items():
        frame[name] = value * (1 + 0.1 * rng.random(len(frame)))
    return frame


def contrasts():
    lines = [
        ("real+wdiv", "real+moments", "svm", 0, "train", 0.021, 0.004, 0.038, 0.04),
        ("real+wdiv", "real+moments", "dnn", 0, "train", -0.004, -0.02, 0.012, 1.0),
        ("real+wdiv", "real+gan", "svm", 0, "train", -0.03, -0.05, -0.01, 0.01),
    ]
    return pd.DataFrame(lines, columns=list(metrics.CONTRASTS))


def holes():
    """Two of ten folds and an inner one of an arm that else ran, and an arm that never did."""
    return [
        {
            "normalisation": "train",
            "arm": arm,
            "fold": fold,
            "held_out": f"emodb/{fold:02d}",
            "amount": amount,
            "reason": f"{arm}: class 'fear' has {fold} rows, it needs 6 or more",
        }
        for arm in ("smote", "lost")
        for fold in (3, 4, 12)
        for amount in (1.0, 3.0)
    ]


@pytest.fixture(scope="module")
def study(tmp_path_factory, undrawn_module):
    folder = make_study(tmp_path_factory.mktemp("runs") / "study")
    for path in (folder / "synthetic" / "speaker").iterdir():
        path.unlink()
    report.write(folder)
    return folder


@pytest.fixture(scope="module")
def page(study):
    return Page(Path(study / "report.html"))


@pytest.fixture
def part(study, tmp_path):
    """Writes the report of some of the study's files, after a change to each of them."""

    def write(*names, **changes):
        for name in names:
            frame = pd.read_csv(study / name)
            change = changes.get(name.removesuffix(".csv"), lambda frame: frame)
            change(frame).to_csv(tmp_path / name, index=False)
        if "config" in changes:
            write_json(tmp_path / "config.json", changes["config"](record()))
        return Page(Path(report.write(tmp_path)))

    return write


def rows_of(study, **wanted):
    results = pd.read_csv(study / "results.csv")
    for name, value in wanted.items():
        results = results[results[name].isna() if value is None else results[name] == value]
    return results


def test_what_was_chosen_has_sections_of_its_own(page):
    own = (
        "UAR against augmented sets",
        "What choosing on the test folds would have claimed",
        "What the inner folds chose",
        "What could not run",
    )
    assert tuple(page.sections) == (*SECTIONS[:2], *own, *SECTIONS[2:])
    assert page.open == []
    assert not any("not there yet" in text for text in page.sections.values())


def test_the_result_table_has_the_chosen_rows_and_the_papers_beside_them(study, page):
    text = " ".join(page.sections["Results"].split())
    for row in rows_of(study, arm="real+wdiv", amount=None).to_dict("records"):
        uar, low, high = (100 * row[name] for name in ("uar", "uar_low", "uar_high"))
        start = f"{row['normalisation']} {row['classifier']} real+wdiv {uar:.1f} [{low:.1f}, {high:.1f}]"
        paper = "83.33 84.49" if row["classifier"] == "dnn" else "80.08 81.07"
        assert re.search(re.escape(start) + r".{30,60}" + paper, text)
    assert text.count("real+wdiv ") == 4 + 3  # no amount of the curve; three contrasts
    assert "2D-ACRNN dnn 7 classes Chen 2018 79.38" in text
    assert "UAR 80.75 instead of 82.73" in text


def test_other_classes_and_other_corpora_have_no_paper_beside_them(part):
    def seven(settings):
        settings["config"]["corpus"] = {"name": "emodb", "classes": []}
        return settings

    text = part("results.csv", config=seven).sections["Results"]
    assert "Paper:" not in text
    quoted = text[text.index("Quoted only") :]
    assert quoted.count("5 classes") == 8 and quoted.count("7 classes") == 2
    assert "ACRNN" not in part("results.csv", config=lambda settings: settings).sections["Results"]


def test_synthetic_rows_alone_are_told_from_what_was_chosen(page):
    text = page.sections["Results"]
    assert "Synthetic rows alone" in text[text.index("real+wdiv minus real+gan") :]


def test_arms_against_each_other_say_at_which_of_several_amounts(page, part):
    def fixed(frame):
        return frame[frame["amount"].notna()]

    words = "at the largest number of sets that both have"
    assert words not in page.sections["Results"]
    assert words in part("results.csv", "contrasts.csv", results=fixed).sections["Results"]


def test_the_answer_names_arms_by_their_intervals_only(study, page):
    text = page.sections["The answer"]
    for row in rows_of(study, amount=None).query("arm != 'real'").to_dict("records"):
        where = f"{row['classifier'].upper()}, {row['normalisation']} normalisation: "
        better, worse, _ = text[text.index(where) :].split(";", 2)
        named = f"{row['arm']} ({100 * row['delta_uar']:+.1f})"
        assert (named in better) == (row["delta_low"] > 0)
        assert (named in worse) == (row["delta_high"] < 0)
    assert "SVM, train normalisation: better (+2.1 points, 95 % interval +0.4 to +3.8)" in text
    assert "DNN, train normalisation: no difference shown (-0.4 points" in text


def test_the_curve_is_not_what_was_claimed(study, page):
    text = " ".join(page.sections["What choosing on the test folds would have claimed"].split())
    curve = rows_of(study, arm="real+moments", normalisation="train", classifier="dnn")
    best = curve[curve["amount"].notna()].nlargest(1, "uar").iloc[0]
    chosen = curve[curve["amount"].isna()].iloc[0]
    words = (
        f"{best['amount']:g} {100 * best['uar']:.1f} {100 * best['delta_uar']:+.1f} {100 * chosen['uar']:.1f}"
    )
    assert f"train dnn real+moments {words}" in text
    assert f"{100 * (best['uar'] - chosen['uar']):+.1f}" in text


def test_what_the_inner_folds_chose_is_counted(page):
    text = page.sections["What the inner folds chose"].replace("\N{NO-BREAK SPACE}", " ")
    assert "1 (7); 3 (3)" in text
    assert "100x100 dropout 0.2, 300 steps (5); 400x400 dropout 0.5, 600 steps (5)" in text
    assert "Strength" in text


def test_what_could_not_run_is_listed_and_marked(page, part):
    text = page.sections["What could not run"]
    assert text.count("it needs 6 or more (and 2 alike)") == 2
    assert "emodb/03; emodb/04; emodb/12" in text
    results = page.sections["Results"]
    assert results.count("real+smote (could not run in 1 fold)") == 2  # not with the other normalisation
    assert results.count("lost (could not run)") == 2  # though it has no rows at all
    assert "What could not run" not in part("results.csv").sections


def test_only_the_rows_that_miss_folds_are_marked(study, part):
    def fixed(frame):
        return frame[frame["amount"].notna()]

    text = part("results.csv", "predictions.csv", results=fixed, predictions=fixed).sections["Results"]
    found = re.findall(r"(\w+) real\+smote(?: \((.+?)\))? (\d) ", " ".join(text.split()))
    assert found == [
        (classifier, mark if sets == "3" else "", sets)
        for mark in ("could not run in 2 folds", "")  # of the normalisations
        for classifier in ("svm", "dnn")
        for sets in ("1", "3")
    ]


def test_quality_has_every_measure_that_is_there(study, page, part):
    text = " ".join(page.sections["Quality of the synthetic rows"].split())
    quality = pd.read_csv(study / "quality.csv")
    mean = quality.query("arm == 'gan' and normalisation == 'speaker'")["coverage"].mean()
    assert f"{mean:.3f}" in text[text.index("speaker gan") : text.index("speaker wdiv")]
    assert "they cannot be told apart" in text and "tells of memorised rows" in text
    assert text.count("Emotion noise smote moments gan wdiv source") == 2
    fewer = part(
        "quality.csv", quality=lambda frame: frame.drop(columns=["mmd", "mmd_p", "target_synthetic"])
    )
    less = fewer.sections["Quality of the synthetic rows"]
    assert "Coverage" in less and "MMD" not in less and "Emotion" not in less


def test_results_say_how_many_seeds_each_classifier_has(page, part):
    def fewer(frame):
        few = (frame["classifier"] == "svm") | (frame["arm"] == "real+gan")
        return frame.assign(seeds=frame["seeds"].mask(few, 1))

    assert "mean over 2 seeds." in page.sections["Results"]
    text = part("results.csv", results=fewer).sections["Results"]
    assert "mean over seeds (SVM 1, DNN up to 2)." in text


def test_quality_says_what_is_of_the_first_seed_alone(page, part):
    def second(frame):
        names = ["normalisation", "arm", "fold", "emotion", *TRANSFER]
        return pd.concat([frame, frame[names].assign(seed=1)])

    words = "seeds (of the first seed alone but for the differences of means)"
    assert words not in page.sections["Quality of the synthetic rows"]
    assert words in part("quality.csv", quality=second).sections["Quality of the synthetic rows"]


def test_one_arm_with_one_measure_looks_as_before(part):
    def old(frame):
        return frame[frame["arm"] == "wdiv"][["normalisation", "fold", "seed", "emotion", *TRANSFER]]

    text = part("quality.csv", quality=old).sections["Quality of the synthetic rows"]
    assert "train: target to synthetic" in text and "Coverage" not in text


def test_only_a_few_arms_are_shown_in_detail(page):
    for title in ("Speakers", "Confusions"):
        assert "chosen on inner folds" in page.sections[title]
    assert "SVM real+moments" in page.sections["Speakers"]
    assert not re.search(r"real\+(gan|noise|smote)", page.sections["Speakers"])
    alts = [image["alt"] for image in page.images() if image["alt"].startswith("Confusion")]
    assert len(alts) == 4
    assert all("real+wdiv: recognised" in alt and "real+gan" not in alt for alt in alts)


def test_figures_of_a_study(study, page):
    names = {path.name for path in (study / "figures").iterdir()}
    curves = {f"curve_real+{arm}.png" for arm in ARMS} | {"curve_all_beside.png"}
    trained = {f"losses_{normalisation}_{arm}.png" for normalisation in LEVEL for arm in ("gan", "wdiv")}
    confusions = {f"confusion_{n}_{c}.png" for n in LEVEL for c in ("svm", "dnn")}
    assert names == curves | trained | confusions | {
        *("uar.png", "difference.png", "rows_train.png"),
        *("features_train_gan.png", "features_train_wdiv.png"),
    }
    rows = next(image for image in page.images() if "gan and wdiv" in image["alt"])
    assert "fold 0, train normalisation" in rows["alt"] and "t-SNE" in rows["alt"]
    assert page.sections["Training of the CycleGANs"].count("mean over 10 members") == 4  # no inner ones


def test_inner_members_that_diverged_are_named_too(page):
    text = page.sections["Members that diverged"]
    assert "2 of 42 members diverged" in text
    assert "member 199 (wdiv, speaker normalisation, fold 10 without emodb/03 emodb/08" in text


def test_a_terminal_sees_the_chosen_rows_only(study):
    results = pd.read_csv(study / "results.csv")
    lines = report.table_text(results).splitlines()
    assert len(lines) == 2 + results["amount"].isna().sum() + 1
    assert "Sets" not in lines[0] and "chosen on inner folds" in lines[-1]


def test_names_in_the_new_tables_are_escaped(study, tmp_path, part):
    def hostile(*names):
        return lambda frame: frame.assign(**{name: frame[name] + HOSTILE for name in names})

    write_lines(tmp_path / "holes.jsonl", [line | {"reason": HOSTILE, "arm": HOSTILE} for line in holes()])
    names = ("results.csv", "choices.csv", "contrasts.csv", "quality.csv")
    changes = {
        "results": hostile("arm", "classifier"),
        "choices": hostile("setting", "arm"),
        "contrasts": hostile("a"),
        "quality": hostile("arm", "emotion"),
    }
    page = part(*names, **changes)
    assert "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.sections["What could not run"]


def test_the_best_step_of_a_network_is_that_of_each_fold():
    folds = {0: (0.5, 0.9, 0.7), 1: (0.4, 0.4, 0.5), 2: (0.9, 0.9, None)}  # the last one diverged
    lines = [
        {"classifier": "c", "arm": "real", "fold": fold, "seed": 0, "step": 50 * (n + 1)}
        | {"loss": 1.0, "accuracy": 0.5 + 0.1 * n, "held_out": held_out}
        for fold, looks in folds.items()
        for n, held_out in enumerate(looks)
    ]
    rows = learning._rows(pd.DataFrame(lines).sample(frac=1, random_state=0))
    assert rows == [["c", "real", "70.0", "60.0", "70.0", "3", "2"]]
