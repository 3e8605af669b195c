"""Runs on EMO-DB's recordings beside Pham et al.'s tables, one run alone and two protocols on a page."""

import json

import numpy as np
import pandas as pd
import pytest
from etils import epath
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from experiments.keep import keep
from sergan import metrics, pham, report
from sergan.run_folder import Run
from sergan.sections import clips, head
from tests.test_report import Page, write_json

CLASSES = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
NETWORK = "small adcrnn L_f1"
ARMS = {"real": 0.6, "real+duplicate": 0.65, "real+wavegan": 0.7, "real+pitch_shift": 0.5}


def predictions(classes, seeds=1):
    """Of 70 clips by ten speakers in five folds."""
    rng, parts = np.random.default_rng(0), []
    truth = np.array([classes[i % len(classes)] for i in range(70)])
    for (arm, rate), seed in ((pair, seed) for pair in ARMS.items() for seed in range(seeds)):
        frame = {
            "corpus": "emodb",
            "id": [f"emodb/{i}" for i in range(70)],
            "speaker": [f"emodb/{i // 7:02d}" for i in range(70)],
            "fold": np.arange(70) % 5,
            "seed": seed,
            "point": 0,
            "arm": arm,
            "amount": 0.0 if arm == "real" else 0.67,
            "classifier": NETWORK,
            "normalisation": "train",
            "truth": truth,
            "prediction": np.where(rng.random(70) < rate, truth, rng.choice(classes, 70)),
        }
        parts.append(pd.DataFrame(frame | {f"p_{name}": np.nan for name in classes}))
    return pd.concat(parts, ignore_index=True)


def make(folder, protocol="clip", classes=CLASSES, name="emodb"):
    folder = epath.Path(folder)
    folder.mkdir(parents=True)
    config = {"kind": "recordings", "protocol": protocol, "corpus": {"name": name}, "loudness": "kept"}
    write_json(folder / "config.json", {"config": config, "stages": {"train": 300.0}})
    made = predictions(classes)
    made.to_csv(folder / "predictions.csv", index=False)
    metrics.results(made).to_csv(folder / "results.csv", index=False)
    return folder


def test_ours_are_the_accuracy_of_each_fold_and_the_pooled_uar_beside_the_papers(tmp_path):
    folder = make(tmp_path / "run")
    frame = pham.beside(Run(folder))
    row = frame[(frame.table == "V") & (frame.arm == "real+wavegan")].iloc[0]
    made = predictions(CLASSES)
    own = made[made.arm == "real+wavegan"]
    each = [accuracy_score(part.truth, part.prediction) for _, part in own.groupby("fold")]
    assert (row.value, row.sd, row.protocol, row.network) == (88.47, 2.76, "speaker-dependent", NETWORK)
    assert row.our_accuracy == pytest.approx(100 * np.mean(each))
    assert row.our_sd == pytest.approx(100 * np.std(each, ddof=1))
    assert row.uar == pytest.approx(100 * balanced_accuracy_score(own.truth, own.prediction))
    assert row.low < row.uar < row.high
    missing = frame[(frame.table == "V") & (frame.arm == "real+specgan")].iloc[0]
    assert np.isnan(missing.uar) and missing.value == 87.32
    assert set(frame.table) == {"IV", "V", "VI"}  # L_f1 on WaveGAN's clips is in each


def test_other_corpora_and_fewer_classes_have_nothing_beside_them(tmp_path):
    assert pham.beside(Run(make(tmp_path / "five", classes=CLASSES[:5]))).empty
    assert pham.beside(Run(make(tmp_path / "other", name="ravdess"))).empty


def test_what_is_kept_of_recordings_without_made_clips_has_the_papers_tables(tmp_path):
    line = keep(make(tmp_path / "run"), tmp_path / "kept").splitlines()[2]
    assert line.startswith("| train | real | 0.0 | 0 | ")
    kept = pd.read_csv(tmp_path / "kept" / "beside.csv")
    assert len(kept) == 16 and kept.our_accuracy.notna().any()
    assert not (tmp_path / "kept" / "quality.csv").exists()


def test_every_table_of_a_report_on_recordings_says_the_protocol(tmp_path, undrawn):
    page = Page(report.write(make(tmp_path / "run", "speaker")))
    for section in ("Results", "Confusions"):
        assert "Speaker-independent" in page.sections[section]
    assert "Training of the GANs" in page.sections, "the run has not ended, and says that none is there yet"
    assert head.protocol(Run(tmp_path / "run")) == "Speaker-independent. "


def test_a_run_that_has_ended_has_no_section_of_what_it_did_not_do(tmp_path, undrawn):
    folder = make(tmp_path / "run")
    record = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", record | {"ended": "2026-01-01T10:11:00+00:00"})
    page = Page(report.write(folder))
    assert list(page.sections) == [
        "The answer",
        "Results",
        "Beside Pham et al. 2021",
        "Speakers",
        "Confusions",
        "What was run",
    ]


@pytest.mark.parametrize(
    ("parents", "words"),
    [
        ({}, "a training clip of the first fold (a)"),
        ({"time_shift": "a"}, "a training clip of the first fold (a) and copies of it"),
        ({"wavegan": None}, "a training clip of the first fold (a) and clips from noise"),
        (
            {"time_shift": "a", "wavegan": None},
            "a training clip of the first fold (a), copies of it and clips from noise",
        ),
    ],
)
def test_a_picture_of_clips_says_which_there_are(parents, words):
    arms = {"real": "a"} | parents
    assert clips._shown(pd.DataFrame({"arm": list(arms), "parent": list(arms.values())})) == words


def test_both_protocols_are_compared_with_all_arms_and_each_ones_tables(tmp_path, undrawn):
    folders = [make(tmp_path / name, name) for name in ("clip", "speaker")]
    text = report.compare(folders, tmp_path / "out").read_text()
    assert all(arm in text for arm in ARMS)
    first, second = text.index("clip beside the papers"), text.index("speaker beside the papers")
    assert first < second and text[first:].count("88.47") == 2
    assert "Speaker-dependent" in text[first:second] and "Speaker-independent" in text[second:]
    assert text.count("<td>300</td>") == 2, "the training of WaveGAN's arm, of each run"
