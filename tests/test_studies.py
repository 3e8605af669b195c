"""Every study in configs at debug size, from its command to its report."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from sergan.corpora import table_files
from tests.commands import DEBUG, ROOT, launch, refused

EMOTIONS = ["anger", "fear", "happiness", "neutral", "sadness"]


def test_every_study_in_configs_has_a_debug_preset_that_is_run_here():
    shared = {"common.py", "recordings.py", "__init__.py"}
    studies = {path.name for path in (ROOT / "configs").glob("*.py")} - shared
    assert studies == {
        "emodb_wdiv.py",
        "emodb_study.py",
        "emodb_texts.py",
        "emodb_ablations.py",
        "emodb_hda.py",  # in test_clip_studies.py
        "emodb_logmel.py",
        "cross_corpus.py",
        "iemocap.py",
    }


def few(folder):
    """The flags for the corpus and S with fewer features."""
    return [f"--config.corpus.table={folder}/corpus.parquet", f"--config.source={folder}/source.parquet"]


def labelled(folder):
    """How many clips of the five classes there are."""
    return int(np.isin(table_files.read(folder / "corpus.parquet").emotions_U, EMOTIONS).sum())


def test_the_whole_study_chooses_on_inner_folds_and_shows_the_curve(tmp_path, half, undrawn):
    run = tmp_path / "run"
    code, _, err = launch("--config=configs/emodb_study.py:debug", *few(half), f"--workdir={run}")
    assert code == 0, err
    words = {name: str for name in ("id", "speaker", "arm", "held_out")}
    results, predictions, choices, quality = (
        pd.read_csv(run / f"{name}.csv", dtype=words)
        for name in ("results", "predictions", "choices", "quality")
    )
    arms = ["noise", "mixup", "moments", "gan", "wdiv"]
    assert set(results.arm) == {"real", *arms, *(f"real+{arm}" for arm in arms)}
    curve = results[results.arm.str.startswith("real+") & results.amount.notna()]
    assert set(curve.amount) == {1.0, 2.0} and len(curve) == 5 * 2 * 2
    chosen = results[results.amount.isna()]
    assert len(chosen) == 6 * 2 and chosen.p_value.notna().sum() == 5 * 2
    clips = labelled(half)
    for row in results.itertuples():
        amount = predictions.amount.isna() if np.isnan(row.amount) else predictions.amount == row.amount
        cell = predictions[(predictions.arm == row.arm) & (predictions.classifier == row.classifier) & amount]
        scores = [balanced_accuracy_score(one.truth, one.prediction) for _, one in cell.groupby("seed")]
        assert len(cell) == clips * row.seeds and row.uar == pytest.approx(np.mean(scores), abs=1e-9)
    assert len(choices) == 6 * 2 * 5
    assert set(choices[choices.arm == "real+noise"].strength) <= {0.1, 0.3}
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    assert len(members) == 2 * (2 * 5 + 5)
    assert all(isinstance(m["held_out"], list) == m["inner"] for m in members)
    assert all(len(m["held_out"]) == 2 for m in members if m["inner"])
    assert {"frechet", "mmd", "coverage", "agreement", "two_sample"} <= set(quality.columns)
    assert len(list((run / "synthetic").rglob("*.parquet"))) == 10
    contrasts = pd.read_csv(run / "contrasts.csv")
    assert set(contrasts.a) == {"real+wdiv"} and len(contrasts) == 4 * 2
    assert "chosen" in (run / "report.html").read_text() and not list(run.rglob("*.partial"))


def test_a_sweep_has_a_row_for_each_point(tmp_path, half, undrawn):
    run = tmp_path / "run"
    code, _, err = launch("--config=configs/emodb_ablations.py:debug", *few(half), f"--workdir={run}")
    assert code == 0, err
    points = pd.read_csv(run / "points.csv")
    assert len(points) == 4 and {"point", "lambda_cyc", "lambda_cls"} == set(points.columns)
    results = pd.read_csv(run / "results.csv")
    assert set(results[results.arm == "real"].point) == {0}
    assert set(results[results.arm == "real+wdiv"].point) == {0, 1, 2, 3}
    assert results[results.arm == "real+wdiv"].delta_uar.notna().all()
    both = results[(results.arm == "wdiv") & (results.classifier == "svm")]
    assert both.uar.nunique() > 1
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    assert len(members) == 20
    for member in members:
        swept = points.set_index("point").loc[member["point"]].to_dict()
        assert swept.items() <= member["hypers"].items()


def test_a_point_that_diverges_costs_the_others_nothing(tmp_path, half, undrawn):
    flags = [*few(half), "--config.gan.ema_decay=0.0", "--config.normalisations=('train',)"]
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    assert launch(DEBUG, *flags, f"--workdir={calm}")[0] == 0
    code, _, err = launch(DEBUG, *flags, "--sweep=lr_g=1e-3,1e9", f"--workdir={wild}")
    assert code == 0, err
    assert "diverged" in err
    own, alone = (pd.read_csv(run / "predictions.csv", dtype=str) for run in (wild, calm))
    own = own[(own.point == "0") & own.amount.notna()]  # without what was chosen
    pd.testing.assert_frame_equal(own.reset_index(drop=True), alone)
    lines = [json.loads(line) for line in (wild / "members.jsonl").read_text().splitlines()]
    assert {line["point"] for line in lines if line["status"].startswith("diverged")} == {1}
    holes = [json.loads(line) for line in (wild / "holes.jsonl").read_text().splitlines()]
    assert holes and all("wdiv: training diverged at step" in hole["reason"] for hole in holes)
    page = (wild / "report.html").read_text()
    assert "What could not run" in page and "diverged" in page


def test_leaving_speaker_and_text_out_trains_on_neither(tmp_path, half, undrawn):
    run = tmp_path / "run"
    named = "--config.corpus.name=emodb"  # whose clips name their texts
    code, _, err = launch("--config=configs/emodb_texts.py:debug", named, *few(half), f"--workdir={run}")
    assert code == 0, err
    predictions = pd.read_csv(run / "predictions.csv", dtype={"id": str})
    cell = predictions[(predictions.arm == "real") & (predictions.classifier == "svm")]
    assert sorted(cell.id) == sorted(set(cell.id)) and len(cell) == labelled(half)
    assert cell.groupby("fold").id.agg(lambda ids: len({i[8:11] for i in ids})).max() == 1
    results = pd.read_csv(run / "results.csv")
    assert set(results.arm) == {"real", "moments", "real+moments"}


def test_across_corpora_the_target_is_tested_and_its_development_part_chooses(tmp_path, narrow, undrawn):
    """EMO-DB's women are the corpus, its men another one, moved and stretched."""
    table, run = table_files.read(narrow / "corpus.parquet"), tmp_path / "run"
    men = [f"emodb/{name}" for name in ("03", "10", "11", "12", "15")]
    his_U = np.isin(table.speakers_U, men)
    his, hers = (table.select(np.flatnonzero(rows_U)) for rows_U in (his_U, ~his_U))
    moved = replace(his, x_UxD=3 * his.x_UxD + 1, ids_U=np.array([f"his/{name}" for name in his.ids_U]))
    moved = replace(moved, speakers_U=np.array([name[6:] for name in his.speakers_U]))
    table_files.write(hers, tmp_path / "hers.parquet")
    table_files.write(moved, tmp_path / "his.parquet")
    flags = [f"--config.corpus.table={tmp_path / 'hers.parquet'}"]
    flags += [f"--config.target.table={tmp_path / 'his.parquet'}", few(narrow)[1], f"--workdir={run}"]
    code, _, err = launch("--config=configs/cross_corpus.py:debug", *flags)
    assert code == 0, err
    predictions = pd.read_csv(run / "predictions.csv", dtype=str)
    assert set(predictions.corpus) == {"other"}
    tested = set(predictions.speaker)
    assert len(tested) == 3 and all(name.startswith("other/") for name in tested)
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    assert [(m["fold"], m["inner"]) for m in members] == 2 * [(0, False), (1, True)]
    assert all(f"other/{name[6:]}" in member["held_out"] for name in men for member in members)
    results = pd.read_csv(run / "results.csv")
    assert set(results.arm) == {
        "real",
        *(f"{real}{arm}" for arm in ("moments", "adan", "wdiv") for real in ("", "real+")),
    }
    assert results[results.amount.isna()].uar.notna().all()
    out = tmp_path / "rows.parquet"
    code, _, err = launch("--mode=synthesize", f"--workdir={run}", f"--out={out}", "--per_class=20")
    assert code == 0, err
    rows = pd.read_parquet(out, columns=["arm", "source_id"])
    assert set(rows.arm) == {"wdiv"} and not rows.source_id.str.startswith("noise").any()
    assert set(
        pd.read_parquet(run / "synthetic/corpus/adan_fold_00_seed_0_point_0.parquet").source_speaker
    ) == {""}
    page = (run / "report.html").read_text()
    assert "hers to other" in page and "development rows" in page and "Shilandari" not in page
    real = results[(results.arm == "real") & (results.classifier == "svm") & results.amount.notna()]
    assert real.uar.item() > 0.5  # chance is 0.25: each corpus is normed by its own rows


def test_spectrograms_are_transferred_and_train_classifiers(tmp_path, undrawn):
    config, run = "--config=configs/emodb_logmel.py", tmp_path / "run"
    code, _, err = launch(f"{config}:debug", f"--workdir={run}")
    assert code == 0, err
    results, predictions = (pd.read_csv(run / f"{name}.csv") for name in ("results", "predictions"))
    assert set(results.arm) == {"real", "wdiv", "real+wdiv"}
    cells = predictions.groupby(["arm", "classifier", "amount"], dropna=False).id
    assert len(cells) == 6 and all(sorted(ids) == sorted(set(predictions.id)) for _, ids in cells)
    assert predictions.id.nunique() == 16  # of five classes
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    assert [member["status"] for member in members] == 3 * ["done"]
    names = pd.read_parquet(run / "features.parquet").filter(like="logmel_").columns.tolist()
    for path in (run / "synthetic").rglob("*.parquet"):
        rows = pd.read_parquet(path)
        assert rows.filter(like="logmel_").columns.tolist() == names and len(names) == 5120
        assert np.isfinite(rows[names]).all(axis=None) and set(rows.target_emotion) == set(EMOTIONS)
    assert (run / "report.html").exists()
    out = tmp_path / "rows.parquet"
    code, _, err = launch("--mode=synthesize", f"--workdir={run}", f"--out={out}", "--per_class=7")
    assert code == 0 and pd.read_parquet(out).groupby("target_emotion").size().tolist() == [7] * 5, err
    assert "give --config.corpus.root=DIR" in refused(config)


def test_a_study_may_do_with_one_classifier(tmp_path, half, undrawn):
    run = tmp_path / "run"
    flags = ["--config.arms=('moments',)", "--config.classifiers=('dnn',)", "--config.distances=False"]
    code, out, err = launch("--config=configs/emodb_study.py:debug", *few(half), *flags, f"--workdir={run}")
    assert code == 0, err
    for name in ("predictions", "results", "choices", "inner"):
        assert set(pd.read_csv(run / f"{name}.csv").classifier) == {"dnn"}
    assert "SVM" not in out and "DNN" in (run / "report.html").read_text()


def test_sessions_are_left_out_with_both_of_their_speakers(tmp_path, narrow, undrawn):
    """EMO-DB's speakers in the roles of IEMOCAP's."""
    table, run = table_files.read(narrow / "corpus.parquet"), tmp_path / "run"
    names = sorted(set(table.speakers_U.tolist()))
    roles = {name: f"iemocap/Ses0{1 + i // 2}{'FM'[i % 2]}" for i, name in enumerate(names)}
    table_files.write(
        replace(table, speakers_U=np.array([roles[name] for name in table.speakers_U.tolist()])),
        tmp_path / "roles.parquet",
    )
    flags = [f"--config.corpus.table={tmp_path / 'roles.parquet'}", few(narrow)[1], f"--workdir={run}"]
    code, _, err = launch("--config=configs/iemocap.py:debug", *flags)
    assert code == 0, err
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    outer = [m for m in members if not m["inner"]]
    assert len(outer) == 2 * 5 and len(members) == 2 * len(outer)  # two values of lambda_cls, five sessions
    held_out = [[f"iemocap/Ses0{i}F", f"iemocap/Ses0{i}M"] for i in range(1, 6)]
    assert [m["held_out"] for m in outer] == 2 * held_out
    assert all(len(m["held_out"]) == 4 for m in members if m["inner"])
    predictions = pd.read_csv(run / "predictions.csv", dtype={"id": str})
    real = predictions[(predictions.arm == "real") & (predictions.classifier == "svm")]
    assert real[real.amount.notna()].groupby("fold").speaker.nunique().tolist() == [2] * 5
    page = (run / "report.html").read_text()
    assert "Beside Bao et al. 2019" in page and "60.37 ± 0.70" in page


def test_the_other_settings_run_too(tmp_path, half, undrawn):
    """JS loss, identity loss, two GAN seeds, seven classes, the corpus's own clips as source, a sweep."""
    run = tmp_path / "run"
    sweep = "--sweep=lambda_cyc=0.5,5"
    settings = {
        "gan.loss": "gan",
        "gan.seeds": 2,
        "hypers.lambda_id": 0.5,
        "corpus.classes": "()",
        "source": "corpus",
        "normalisations": "('train',)",
        "amount": 1.0,
        "training.members_per_group": 5,
    }
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    code, _, err = launch(DEBUG, few(half)[0], f"--workdir={run}", sweep, *flags)
    assert code == 0, err
    results = pd.read_csv(run / "results.csv")
    assert set(results.arm) == {"real", "gan", "real+gan"}
    assert set(results.classes) == {7} and set(results.seeds) == {2, 4}
    assert set(results[(results.arm == "real+gan") & results.amount.notna()].point) == {0, 1}
    assert set(results[results.amount.isna()].arm) == {"real", "real+gan"}  # the points chosen on inner folds
    judged = pd.read_csv(run / "inner.csv")
    assert len(judged) == 2 * (1 + 2) and judged.inner_uar.notna().all()
    assert set(pd.read_csv(run / "choices.csv").point) <= {0, 1}
    assert "%, chosen" in (run / "report.html").read_text()
    lines = [json.loads(line) for line in (run / "members.jsonl").open()]
    assert len(lines) == 2 * (2 * 5 + 5)  # points, each with two seeds of the folds and one of the inner ones
    speakers = {m["fold"]: m["held_out"] for m in lines}
    paths = sorted((run / "synthetic").rglob("*.parquet"))
    assert len(paths) == 10
    for path in paths[::4]:
        frame = pd.read_parquet(path, columns=["source_speaker", "source_emotion", "fold"])
        heard = set(frame.source_speaker)
        assert len(heard) == 4 and speakers[frame.fold[0]] not in heard
        assert set(frame.source_emotion) == {""}
    out = tmp_path / "rows.parquet"
    code, _, err = launch("--mode=synthesize", f"--workdir={run}", f"--out={out}", "--per_class=20")
    assert code == 0, err
    more = pd.read_parquet(out, columns=["source_speaker", "fold"])
    assert not any(speakers[fold] == speaker for speaker, fold in more.itertuples(index=False))


def test_own_clips_from_audio_to_report(tmp_path):
    """The twenty clips in a table with columns and labels of its owner's, and own speech as the source."""
    words = {
        "W": "Wut",
        "L": "Überdruss",
        "E": "Ekel",
        "A": "Angst",
        "F": "Freude",
        "T": "Trauer",
        "N": "ruhig",
    }
    (tmp_path / "ton").mkdir()
    lines = ["pfad,gefühl,wer"]
    for clip in sorted((ROOT / "tests" / "data" / "emodb" / "wav").iterdir()):
        shutil.copy(clip, tmp_path / "ton")
        lines.append(f"ton/{clip.name},{words[clip.stem[5]]},{int(clip.stem[:2]) % 3}")
    (tmp_path / "clips.csv").write_text("\n".join(lines), encoding="utf-8")
    merged = {"Wut": "laut", "Freude": "laut", "Angst": "laut", "Ekel": "leise", "Trauer": "leise"}
    merged |= {"Überdruss": "leise", "ruhig": "leise"}
    flags = (
        DEBUG,
        f"--config.corpus.table={tmp_path / 'clips.csv'}",
        "--config.corpus.columns={'file': 'pfad', 'emotion': 'gefühl', 'speaker': 'wer'}",
        f"--config.corpus.labels={merged}",
        "--config.corpus.classes=()",
        "--config.source=corpus",
        "--config.seeds=1",
        "--config.normalisations=('train',)",
        "--config.features.workers=1",
        f"--config.features.cache={tmp_path / 'cache'}",
    )
    code, out, err = launch(*flags, "--mode=inspect")
    assert code == 0 and "folds: 3, one for each held-out speaker" in out, err
    assert "audio of the corpus: 0.5 min in 20 clips" in out and not (tmp_path / "cache").exists()
    run = tmp_path / "run"
    code, out, err = launch(*flags, f"--workdir={run}")
    assert code == 0, err
    predictions = pd.read_csv(run / "predictions.csv", dtype=str)
    assert set(predictions.truth) == {"laut", "leise"} and set(predictions.speaker) == set("012")
    assert set(predictions.id) == {line.partition(",")[0] for line in lines[1:]}
    page = (run / "report.html").read_text()
    assert "leise" in page and "speech features: clips" in page and "EMO-DB" not in page
    assert set(predictions.corpus) == {"clips"}
    (tmp_path / "clips.csv").unlink()  # a finished run needs its folder alone
    code, out, err = launch(
        "--mode=synthesize", f"--workdir={run}", f"--out={tmp_path}/r.csv", "--per_class=9"
    )
    assert code == 0 and set(pd.read_csv(tmp_path / "r.csv").target_emotion) == {"laut", "leise"}, err


def test_wrong_own_data_is_one_line_and_exit_code_2(tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("file,label,speaker\nnone.wav,x,1\n")
    at = (DEBUG, f"--config.corpus.table={table}", f"--workdir={tmp_path / 'run'}")
    assert "no column 'emotion' (emotion); there are 'file', 'label', 'speaker'" in refused(*at)
    assert "clips.csv line 2: " in refused(*at, "--config.corpus.columns={'emotion': 'label'}")
    assert not (tmp_path / "run").exists()
