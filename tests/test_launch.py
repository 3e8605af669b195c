"""The commands as a user types them, on the real corpus at debug size."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import audformat
import jax
import numpy as np
import pandas as pd
import pytest
from etils import epath
from sklearn.metrics import balanced_accuracy_score

from experiments import lock, study
from experiments.record import open_run
from experiments.synthesise import synthetic_path
from experiments.train import restore_generators
from sergan import data
from sergan.corpora import table_files, tables
from tests.commands import DEBUG, ROOT, launch, process, refused

pytestmark = pytest.mark.usefixtures("users_programs")
EMOTIONS = ["anger", "fear", "happiness", "neutral", "sadness"]


@pytest.fixture(scope="module")
def run(made_once, users_programs):
    """A finished debug run."""

    def make(folder):
        code, out, err = process(DEBUG, f"--workdir={folder}")
        assert code == 0, err
        assert "real+wdiv" in out and "report.html" in out
        assert "Traceback" not in err

    return made_once("a run", make)


def test_the_run_folder_is_the_contract(run):
    files = "config.json members.jsonl metrics.jsonl predictions.csv results.csv quality.csv report.html"
    assert all((run / name).stat().st_size for name in files.split())
    assert list((run / "figures").glob("*.png"))
    record = json.loads((run / "config.json").read_text())
    assert record["config"]["gan"]["loss"] == "wdiv"
    assert record["started"] <= record["ended"]
    assert {"features", "train", "synthesise", "classify", "report"} <= set(record["stages"])
    assert (
        record["versions"]["jax"] and record["devices"] and record["command"].startswith("python launch.py")
    )
    members = [json.loads(line) for line in (run / "members.jsonl").read_text().splitlines()]
    assert len(members) == 20 and {m["status"] for m in members} == {"done"}
    assert not list(run.rglob("*.partial"))


def test_predictions_cover_every_clip_once_and_results_are_scikit_learns(run):
    predictions = pd.read_csv(run / "predictions.csv", dtype={"id": str, "speaker": str})
    results = pd.read_csv(run / "results.csv")
    assert set(results.arm) == {"real", "wdiv", "real+wdiv"}
    assert set(results.normalisation) == {"train", "speaker"} and set(results.classifier) == {"svm", "dnn"}
    for row in results.itertuples():
        cell = predictions[
            (predictions.arm == row.arm)
            & (predictions.classifier == row.classifier)
            & (predictions.normalisation == row.normalisation)
        ]
        assert cell.seed.nunique() == row.seeds == (2 if row.classifier == "dnn" else 1)
        scores = []
        for _, one in cell.groupby("seed"):
            assert sorted(one.id) == sorted(set(one.id)) and len(one) == 408
            scores.append(balanced_accuracy_score(one.truth, one.prediction))
        assert row.uar == pytest.approx(np.mean(scores), abs=1e-9)
        assert row.wa == pytest.approx((cell.truth == cell.prediction).mean(), abs=1e-9)


def test_the_real_arm_reaches_what_plain_scikit_learn_reaches(run):
    results = pd.read_csv(run / "results.csv").set_index(["arm", "classifier", "normalisation"]).uar
    assert results["real", "svm", "train"] == pytest.approx(0.79, abs=0.01)
    assert results["real", "svm", "speaker"] == pytest.approx(0.91, abs=0.01)


def test_synthetic_rows_have_provenance(run):
    paths = sorted((run / "synthetic").rglob("*.parquet"))
    assert len(paths) == 20
    frame = pd.read_parquet(paths[3])
    assert len(frame) == 5 * 1019 and list(frame.columns[-1582:]) == list(data.load("emodb", "IS10").names_D)
    assert frame.id.is_unique
    assert frame.groupby("target_emotion").source_id.nunique().to_dict() == dict.fromkeys(EMOTIONS, 1019)
    assert set(frame.source_speaker) == set(data.load("speech", "IS10").speakers_U) and set(frame.fold) == {3}
    assert np.isfinite(frame[frame.columns[-1582:]].to_numpy()).all()


def test_a_synthetic_row_is_its_own_source_row_through_its_own_generator(run):
    config, _ = open_run(run)
    resolved = study.restore(config, run)
    member = resolved.members[13]  # normalisation "speaker", fold 3
    frame = pd.read_parquet(synthetic_path(run, member)).set_index(["target_emotion", "source_id"])
    line = json.loads((run / "members.jsonl").read_text().splitlines()[13])
    group = restore_generators(resolved.members[0].gan, run, line["group"], line["group_size"])
    x_UxD, x_SxD = resolved.tables["speaker"]
    train = resolved.folds[3].train_R
    lowest = np.concatenate([x_SxD, x_UxD[train]]).min(axis=0)
    widest = np.ptp(np.concatenate([x_SxD, x_UxD[train]]), axis=0)
    for row, emotion in ((0, 1), (700, 4)):
        x_D = (x_SxD[row] - lowest) / np.where(widest > 0, widest, 1)
        hidden, out = (
            jax.tree.map(lambda p, e=emotion: p[line["place"], e], group["G"][n]) for n in group["G"]
        )
        h = x_D @ hidden["kernel"] + hidden["bias"]
        y_D = np.where(h > 0, h, 0.2 * h) @ out["kernel"] + out["bias"]
        ours = frame.loc[(EMOTIONS[emotion], resolved.source.ids_U[row]), list(resolved.source.names_D)]
        np.testing.assert_allclose(ours.to_numpy(float), y_D * widest + lowest, rtol=1e-3, atol=1e-3)


def test_run_again_it_finds_everything_done(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code, out, _ = launch(DEBUG, f"--workdir={run}")
    assert code == 0 and "everything is found done" in out and "real+wdiv" in out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("ending", ["parquet", "csv", "npz"])
def test_synthesize_writes_exactly_what_was_asked_and_trains_nothing(run, tmp_path, ending):
    out = tmp_path / f"rows.{ending}"
    before = (run / "metrics.jsonl").read_bytes()
    code, text, err = launch("--mode=synthesize", f"--workdir={run}", f"--out={out}", "--per_class=23")
    assert code == 0, err
    assert "115 rows" in text and (run / "metrics.jsonl").read_bytes() == before
    if ending == "npz":
        with np.load(out, allow_pickle=False) as file:
            x, target, ids = file["x_NxD"], file["target_emotion"], file["id"]
    else:
        frame = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out)
        x, target, ids = frame[frame.columns[-1582:]].to_numpy(), frame.target_emotion, frame.id
    assert x.shape == (115, 1582) and np.isfinite(x).all()
    assert dict(zip(*np.unique(target, return_counts=True), strict=True)) == dict.fromkeys(EMOTIONS, 23)
    assert len(set(ids)) == 115


def test_synthesize_writes_an_audformat_database_and_always_a_data_card(run, tmp_path):
    at = ("--mode=synthesize", f"--workdir={run}", "--per_class=23")
    code, text, err = launch(*at, f"--out={tmp_path / 'database'}")
    assert code == 0 and "with a data card" in text, err
    database = audformat.Database.load(str(tmp_path / "database"))
    rows = database["rows"].get()
    assert rows.target_emotion.value_counts().to_dict() == dict.fromkeys(EMOTIONS, 23)
    assert {"source_id", "source_speaker", "member", "fold", "seed", "step"} <= set(rows)
    kept = pd.read_parquet(tmp_path / "database" / database.attachments["features"].path)
    assert kept.id.tolist() == rows.index.tolist() and kept.shape == (115, 1583)
    card = (tmp_path / "database" / "card.md").read_text()
    assert launch(*at, f"--out={tmp_path / 'rows.csv'}")[0] == 0
    assert (tmp_path / "rows.csv.card.md").read_text() == card.replace("--out=database", "--out=rows.csv")
    assert "EMO-DB (Burkhardt et al. 2005)" in card and "| anger | 23 |" in card and str(tmp_path) not in card
    assert "is there already" in refused(*at, f"--out={tmp_path / 'database'}")
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_can_be_watched_in_tensorboard(run):
    names = {path.parent.name for path in (run / "tensorboard").rglob("events.out.tfevents.*")}
    assert {"wdiv_train_000", "wdiv_speaker_001", "report"} <= names


def test_the_same_command_leaves_the_same_bytes_but_for_times(run, tmp_path):
    """The first normalisation alone, of which everything is as with both."""
    again = tmp_path / "again"
    assert process(DEBUG, "--config.normalisations=('train',)", f"--workdir={again}")[0] == 0
    same = [
        p.relative_to(again) for part in ("synthetic", "figures") for p in sorted((again / part).rglob("*.*"))
    ]
    same = [Path(name) for name in ("features.parquet", "source.parquet")] + [
        p for p in same if "uar" not in p.stem
    ]
    assert len(same) > 15 and any(p.stem.startswith("rows_train") for p in same)
    assert [str(p) for p in same if (run / p).read_bytes() != (again / p).read_bytes()] == []
    for name in ("predictions", "quality"):
        first, second = (pd.read_csv(folder / f"{name}.csv", dtype=str) for folder in (run, again))
        first = first[first.normalisation == "train"].reset_index(drop=True)
        pd.testing.assert_frame_equal(first, second)
    for name in ("members", "metrics"):
        first, second = (
            [
                json.loads(line) | {"seconds": 0}
                for line in (folder / f"{name}.jsonl").read_text().splitlines()
            ]
            for folder in (run, again)
        )
        assert [line for line in first if line["member"] < 10] == second


def test_a_second_process_is_refused(run, tmp_path, undrawn):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "report.html").unlink()
    held = lock.hold(epath.Path(folder))
    assert f"process {os.getpid()} on " in refused(DEBUG, f"--workdir={folder}")
    lock.release(held)
    assert launch(DEBUG, f"--workdir={folder}")[0] == 0


def test_synthesize_transfers_other_speech(run, tmp_path):
    other = data.load("speech", "IS10").select(np.arange(5))
    table_files.write(other, tmp_path / "other.npz")
    out = tmp_path / "rows.parquet"
    code, _, err = launch(
        "--mode=synthesize",
        f"--workdir={run}",
        f"--out={out}",
        "--per_class=50",
        f"--source={tmp_path / 'other.npz'}",
    )
    assert code == 0, err
    frame = pd.read_parquet(out)
    assert len(frame) == 250 and set(frame.source_id) == set(other.ids_U)


def test_synthesize_refuses_what_it_cannot_do(run, tmp_path):
    at = ("--mode=synthesize", f"--workdir={run}")
    assert "needs --out" in refused(*at)
    assert "--source=corpus: name other" in refused(*at, f"--out={tmp_path}/r.csv", "--source=corpus")
    assert "rows.txt: rows are written as .csv, .npz or .parquet" in refused(
        *at, f"--out={tmp_path}/rows.txt"
    )
    assert "between 1 and 10190 rows" in refused(*at, f"--out={tmp_path}/r.csv", "--per_class=10191")
    assert "no config.json there" in refused(
        "--mode=synthesize", f"--workdir={tmp_path}", f"--out={tmp_path}/r.csv"
    )
    narrow = data.load("speech", "IS10").select(np.arange(5))
    narrow = tables.FeatureTable(
        narrow.x_UxD[:, 1:], narrow.ids_U, narrow.speakers_U, narrow.emotions_U, narrow.names_D[1:], ""
    )
    table_files.write(narrow, tmp_path / "narrow.csv")
    message = refused(*at, f"--out={tmp_path}/r.csv", f"--source={tmp_path}/narrow.csv")
    assert "other feature columns" in message and narrow.names_D[0] not in message.split("missing")[0]
    assert not list(tmp_path.glob("r.csv*"))


def test_a_checkpoint_of_another_architecture_is_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("synthetic"))
    record = json.loads((copy / "config.json").read_text())
    record["config"]["gan"]["generator"] = [16]
    (copy / "config.json").write_text(json.dumps(record))
    message = refused("--mode=synthesize", f"--workdir={copy}", f"--out={tmp_path}/r.csv", "--per_class=5")
    assert "another architecture" in message and "generators_000" in message


def test_a_run_folder_of_an_older_version_still_makes_rows(run, tmp_path):
    old = shutil.copytree(run, tmp_path / "old", ignore=shutil.ignore_patterns("synthetic", "figures"))
    record = json.loads((old / "config.json").read_text())
    for key in ("target", "dnn_alone", "dnn_both", "groups", "protocol"):
        del record["config"][key]
    for key in ("precision", "activations", "noise_epochs"):
        del record["config"]["gan"][key]
    record["config"]["sweep"] = ""
    (old / "config.json").write_text(json.dumps(record))
    flags = ["--mode=synthesize", f"--workdir={old}", f"--out={tmp_path / 'rows.csv'}", "--per_class=5"]
    code, out, err = launch(*flags)
    assert code == 0 and "25 rows" in out, err


def test_a_run_folder_of_another_config_is_refused_and_left_alone(run, tmp_path):
    before = (run / "config.json").read_bytes()
    message = refused(DEBUG, "--config.svm.C=0.5", f"--workdir={run}")
    assert "another config (config.svm.C differ" in message
    assert (run / "config.json").read_bytes() == before
    (tmp_path / "mine.txt").write_text("something of the user's")
    assert "not empty and not a run folder" in refused(DEBUG, f"--workdir={tmp_path}")


def test_sigterm_in_training_saves_and_says_so(tmp_path):
    command = [sys.executable, "launch.py", DEBUG, "--config.gan.epochs=40000", f"--workdir={tmp_path}/run"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "run" / "metrics.jsonl").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait() == 3, rest
    assert "interrupted; what is done is saved" in rest
    saved = [int(path.name) for path in (tmp_path / "run").glob("checkpoints/group_000_*/*") if path.is_dir()]
    logged = [
        json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert max(saved) == max(logged) > 0


def test_the_report_can_be_made_again(run, undrawn):
    (run / "report.html").unlink()
    code, out, err = launch("--mode=report", f"--workdir={run}")
    assert code == 0 and "report.html" in out, err
    assert (run / "report.html").read_text().count("<img") > 4


def test_the_folder_of_a_sweep_may_have_commas_in_its_name(run, tmp_path, undrawn):
    folder = shutil.copytree(run, tmp_path / "emodb_wdiv-sweep=lambda_cyc=0.5,1")
    (folder / "report.html").unlink()
    code, _, err = launch("--mode=report", f"--workdir={folder}")
    assert code == 0 and (folder / "report.html").exists(), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/nope.py"], "configs/nope.py: no such file"),
        (["--config=configs/emodb_wdiv.py:papr"], "no preset 'papr'"),
        ([DEBUG, "--config.gan.los=gan"], "no such config key: los; did you mean loss?"),
        ([DEBUG, "--config.foo.bar=1"], "no such config key: foo"),
        ([DEBUG, "--config.gan.epochs=many"], "--config.gan.epochs=many"),
        ([DEBUG, "leftover"], "not a flag: leftover"),
        ([DEBUG, "--fast"], "Unknown command line flag 'fast'"),
        ([], "--config is missing"),
        (["--mode=report"], "needs the run folder"),
        (["--mode=report", "--workdir=a", "--out=b"], "--out=b: is for several run folders"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    workdir = tmp_path / "run"
    assert message in refused(*arguments, *([f"--workdir={workdir}"] if arguments[:1] == [DEBUG] else []))
    assert not workdir.exists()


def test_inspect_shows_counts_folds_and_members_and_trains_nothing():
    code, out, err = launch("--config=configs/emodb_wdiv.py", "--mode=inspect")
    assert code == 0, err
    assert "emodb/16" in out and "127" in out and "408" in out
    assert "folds: 10, one for each held-out speaker" in out and "40 members of 5 emotions" in out
    code, out, err = launch("--config=configs/emodb_study.py:speaker", "--mode=inspect")
    assert code == 0, err
    assert "choice: on 45 inner folds, among C (0.0001, 0.001, 0.01, 1.0), amounts (1.0, 3.0, 10.0), " in out
    code, out, _ = process("--help")
    assert code == 0 and "--mode=synthesize" in out


def test_a_run_that_lost_half_of_its_work_ends_as_it_did(run, undrawn):
    """As after a kill in synthesis, and in classification: what is there is kept, the rest made again."""
    before = {name: (run / name).read_bytes() for name in ("predictions.csv", "results.csv", "quality.csv")}
    kept, lost = (sorted((run / "synthetic" / "train").glob("*.parquet"))[i] for i in (0, 7))
    row, stamp = pd.read_parquet(lost).tail(1), kept.stat().st_mtime_ns
    for path in (lost, *(run / name for name in [*before, "report.html"])):
        path.unlink()
    record = json.loads((run / "config.json").read_text()) | {"ended": None}
    (run / "config.json").write_text(json.dumps(record))
    code, _, err = process(DEBUG, f"--workdir={run}")
    assert code == 0, err
    assert {name: (run / name).read_bytes() for name in before} == before
    assert kept.stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(pd.read_parquet(lost).tail(1), row)
