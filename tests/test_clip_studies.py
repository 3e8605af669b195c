"""Studies on recordings at debug size, from the command to the report, and what is refused of them."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
import soundfile
from etils import epath
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from configs.emodb_hda import get_config
from experiments import holes
from experiments.clips import classify, examples, make, quality, study, train
from sergan import logmel, writers
from sergan.checkpoint import Checkpoints
from sergan.classifiers import adcrnn
from sergan.classifiers.tasks import Answer
from sergan.errors import UserError
from sergan.folds import LeakError
from tests.commands import ROOT, launch, process, refused

HDA = "--config=configs/emodb_hda.py:debug"
ARMS = ["duplicate", "time_shift", "pitch_shift", "wavegan", "specgan"]
WORDS = {name: str for name in ("id", "speaker", "file", "parent")}


@pytest.fixture(scope="module")
def run(made_once):
    """A finished debug run."""

    def make(folder):
        code, out, err = process(HDA, f"--workdir={folder}", "--profile=1")
        assert code == 0, err
        assert "real+specgan" in out and "Traceback" not in err

    return made_once("hda", make)


def test_learning_curves_end_at_what_was_predicted(run):
    learning = pd.read_csv(run / "learning.csv")
    predictions = pd.read_csv(run / "predictions.csv", dtype=WORDS)
    assert len(learning) == 6 * 2 * 3 and set(learning.step) == {4}  # arms, networks, folds
    assert np.isfinite(learning[["loss", "accuracy"]].to_numpy()).all()
    right = (predictions.prediction == predictions.truth).groupby(
        [predictions.classifier, predictions.arm, predictions.fold, predictions.seed]
    )
    keys = ["classifier", "arm", "fold", "seed"]
    last, all_right = learning.set_index(keys).held_out.sort_index(), right.mean().sort_index()
    np.testing.assert_allclose(last, all_right, rtol=1e-5)
    page = (run / "report.html").read_text()
    assert "Training of the networks" in page and (run / "figures" / "learning.png").exists()


def made(run):
    """Lines of all made clips, with their folder."""
    paths = sorted((run / "synthetic").glob("*/*/metadata.csv"))
    return pd.concat([pd.read_csv(path, dtype=WORDS).assign(folder=path.parent) for path in paths])


def test_a_profile_of_the_training_can_be_opened(run):
    assert list(run.glob("profile/**/*.xplane.pb"))
    assert list(run.glob("profile/**/perfetto_trace.json.gz"))


def test_every_clip_is_predicted_once_by_each_arm_and_results_are_scikit_learns(run):
    predictions = pd.read_csv(run / "predictions.csv", dtype=WORDS)
    results = pd.read_csv(run / "results.csv")
    assert set(results.arm) == {"real", *(f"real+{arm}" for arm in ARMS)} and len(results) == 6 * 2
    for row in results.itertuples():
        cell = predictions[(predictions.arm == row.arm) & (predictions.classifier == row.classifier)]
        assert len(cell) == cell.id.nunique() == 16
        assert row.uar == pytest.approx(balanced_accuracy_score(cell.truth, cell.prediction), abs=1e-9)
        assert row.wa == pytest.approx(accuracy_score(cell.truth, cell.prediction), abs=1e-9)
    posterior = predictions.filter(like="p_").to_numpy()
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-4)
    tested = predictions.drop_duplicates("id").groupby("fold").id.agg(set)
    assert len(tested) == 3 and all(len(ids) in (5, 6) for ids in tested)


def test_clips_are_made_of_training_clips_and_by_gans_that_heard_no_other(run):
    predictions = pd.read_csv(run / "predictions.csv", dtype=WORDS)
    tested = predictions.drop_duplicates("id").groupby("fold").id.agg(set)
    lines = made(run)
    assert set(lines.arm) == set(ARMS) and set(lines.emotion) == {"fear", "happiness", "neutral", "sadness"}
    of_clips = lines[lines.parent.notna()]
    assert set(of_clips.arm) == {"duplicate", "time_shift", "pitch_shift"}
    assert not any(line.parent in tested[line.fold] for line in of_clips.itertuples())
    of_noise = lines[lines.parent.isna()]
    members = {m["member"]: m for m in map(json.loads, (run / "members.jsonl").read_text().splitlines())}
    assert len(members) == 6 and {m["status"] for m in members.values()} == {"done"}
    assert all(members[line.member]["fold"] == line.fold for line in of_noise.itertuples())
    assert all(members[line.member]["arm"] == line.arm for line in of_noise.itertuples())
    counts = lines.groupby(["fold", "emotion", "arm"]).size().unstack()
    assert (counts.nunique(axis=1) == 1).all()  # as many by each arm


def test_made_clips_are_finite_and_within_full_scale(run):
    files = made(run).dropna(subset="file")
    for line in files.itertuples():
        x_T, rate = soundfile.read(line.folder / line.file)
        assert rate == 16000 and np.isfinite(x_T).all() and np.abs(x_T).max() <= 1
        assert len(x_T) == 16384 or line.arm in ("time_shift", "pitch_shift")
    quality = pd.read_csv(run / "quality.csv")
    assert set(quality.arm) == set(ARMS) and quality.target_synthetic.notna().all()
    means = quality.groupby("arm").target_synthetic.mean()
    assert means["time_shift"] < means["pitch_shift"] < means["wavegan"]


def test_clips_of_noise_are_as_long_as_training_clips_of_their_class_or_as_a_slice(run):
    resolved = study.prepare(get_config("debug"))
    places = {"fear": 0, "sadness": 1}
    emotions = resolved.corpus.emotions_U.tolist()
    samples = [9000 + 4000 * places.get(emotion, 2) + u for u, emotion in enumerate(emotions)]
    short = replace(resolved, clips=[np.zeros(count, np.float32) for count in samples])
    member = next(m for m in resolved.members if m.arm == "wavegan" and m.fold == 1)
    train_R = resolved.folds[1].train_R
    whose_N = np.repeat([member.emotions.index(emotion) for emotion in places], 200)
    made = train.Generators(short, epath.Path(run)).clips(member, whose_N, "test")
    whole = train.Generators(resolved, epath.Path(run)).clips(member, whose_N, "test")
    assert {len(x_T) for x_T in whole} == {16384}  # the recordings are longer
    for emotion, label in ((emotion, member.emotions.index(emotion)) for emotion in places):
        wanted = {samples[u] for u in train_R if emotions[u] == emotion}
        assert {len(x_T) for x_T, own in zip(made, whose_N, strict=True) if own == label} == wanted
    assert all((x_T == y_T[: len(x_T)]).all() for x_T, y_T in zip(made, whole, strict=True))


def test_the_report_says_the_protocol_and_plays_the_clips(run):
    page = (run / "report.html").read_text()
    assert "Speaker-dependent: folds are random" in page and "CycleGAN" not in page
    assert page.count("<audio controls") == 5 + 4 * 4
    assert page.count("data:audio/flac;base64,ZkxhQ") == 5 + 4 * 4  # "fLaC"
    assert "not there yet" not in page and (run / "figures" / "clips.png").stat().st_size
    folders = {path.parent.name for path in (run / "tensorboard").rglob("*tfevents*")}
    for fold in range(3):
        assert f"tiny_adcrnn_L_f1_wavegan_seed_0_fold_{fold}_classifier_0" in folders


def test_a_run_goes_on_with_the_clips_that_it_began_with(run, tmp_path):
    place = tmp_path / "run"
    shutil.copytree(run, place)
    (place / "report.html").unlink()
    clips = pd.read_csv(place / "clips.csv", dtype=str)
    assert len(clips) == 16 and set(clips) == {"clip", "speaker", "emotion", "samples", "amplitude"}
    clips.assign(emotion=clips.emotion.replace("anger", "fear")).to_csv(place / "clips.csv", index=False)
    count = (clips.emotion == "anger").sum()
    said = refused(HDA, f"--workdir={place}")
    assert f"other clips: {count} of 16 are gone or changed, {count} are new; name another folder" in said
    assert "other clips" in refused("--mode=synthesize", f"--workdir={place}", f"--out={tmp_path / 'more'}")


def test_a_run_goes_on_with_the_audio_that_it_began_with(run, tmp_path):
    place = epath.Path(tmp_path)
    shutil.copy(run / "clips.csv", place / "clips.csv")
    resolved = study.prepare(get_config("debug"))
    study.keep_clips(place, resolved)
    rounded = [x_T + np.float32(1e-7) for x_T in resolved.clips]
    study.keep_clips(place, replace(resolved, clips=rounded))  # by another processor
    louder = [*resolved.clips[:3], 1.1 * resolved.clips[3], *resolved.clips[4:]]
    with pytest.raises(UserError, match=f"other audio: 1 of 16 .*{resolved.corpus.ids_U[3]}"):
        study.keep_clips(place, replace(resolved, clips=louder))
    pd.read_csv(place / "clips.csv").drop(columns="amplitude").to_csv(place / "clips.csv", index=False)
    study.keep_clips(place, replace(resolved, clips=louder))  # an older run


def test_copies_under_another_speakers_name_are_told(tmp_path, caplog):
    wavs = sorted((ROOT / "tests" / "data" / "emodb" / "wav").glob("*.wav"))[:6]
    rows = [f"{wav},{'anger' if n % 2 else 'fear'},{n // 2}" for n, wav in enumerate(wavs)]
    rows.append(f"{shutil.copy(wavs[1], tmp_path / 'copy.wav')},anger,2")
    (tmp_path / "own.csv").write_text("\n".join(["file,emotion,speaker", *rows]) + "\n")
    config = get_config("debug")
    config.corpus.table, config.corpus.root, config.corpus.classes = str(tmp_path / "own.csv"), "", ()
    config.arms = ()
    for config.protocol, told in (("clip", False), ("speaker", True)):
        study.prepare(config)
        assert ("corpus: 1 rows are copies of another speaker's" in caplog.text) == told


def test_what_is_left_of_made_clips_without_their_metadata_is_made_anew(run, tmp_path):
    config, place = get_config("debug"), epath.Path(tmp_path / "run")
    config.arms = ("time_shift", "wavegan")
    shutil.copytree(run, place)
    resolved, job = study.prepare(config), make.Job("wavegan", 1, 0)
    folder = job.folder(place)
    (folder / "metadata.csv").unlink()
    (place / "examples" / "mel.parquet").unlink()
    make.make(resolved, place)
    examples.write(resolved, place)
    again = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    whole = job.folder(epath.Path(run))
    assert again == sorted((path.name, path.read_bytes()) for path in whole.iterdir())
    assert (place / "examples" / "mel.parquet").exists()
    clip = next(folder.glob("*.flac"))
    clip.write_bytes(clip.read_bytes()[:30])
    with pytest.raises(
        UserError, match=rf"{clip.name}: damaged .* delete the folder .*{folder.name} and run"
    ):
        make.read(resolved, place, job)


def test_a_clip_made_of_one_that_is_predicted_does_not_train(run, tmp_path):
    place = epath.Path(tmp_path / "run")
    shutil.copytree(run, place)
    resolved = study.prepare(get_config("debug"))
    fold = resolved.folds[0]
    path = make.Job("duplicate", 0, 0).folder(place) / "metadata.csv"
    lines = pd.read_csv(path, dtype=WORDS)
    lines.loc[0, "parent"] = resolved.corpus.ids_U[fold.test_R[0]]
    lines.to_csv(path, index=False)
    spectrograms = logmel.extract(resolved.clips, resolved.corpus.ids_U.tolist())
    job = classify.Job("tiny adcrnn L_f1", "duplicate", 0, 0)
    with pytest.raises(LeakError, match="fold 0"):
        classify._classify(resolved, place, spectrograms, [job], lambda *said: None)


def test_a_finished_run_is_found_done_and_another_config_refused(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, out, _ = launch(HDA, f"--workdir={run}")
    assert code == 0 and "found done" in out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert "sound.size differ" in refused(HDA, "--config.sound.size=2", f"--workdir={run}")


def test_an_interrupted_training_goes_on_to_the_same_numbers(run, tmp_path):
    """Of one arm and network, whose numbers are those of all of them together."""
    place = tmp_path / "cut"
    few = [HDA, "--config.arms=('wavegan',)", "--config.classifiers=('tiny adcrnn L_f1',)"]
    few += [f"--workdir={place}"]
    command = [sys.executable, "launch.py", *few]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as cut:
        while cut.poll() is None and not (place / "metrics.jsonl").exists():
            time.sleep(0.05)
        cut.send_signal(signal.SIGINT)
        assert cut.wait() == 3, cut.stderr.read()
    assert not (place / "results.csv").exists()
    code, _, err = process(*few)
    assert code == 0, err
    for name in ("predictions", "quality"):
        ours, theirs = (pd.read_csv(folder / f"{name}.csv", dtype=WORDS) for folder in (place, run))
        same = theirs.arm.isin(["real", "real+wavegan", "wavegan"])
        if name == "predictions":
            same &= theirs.classifier == "tiny adcrnn L_f1"
        exact = {"check_exact": True} if name == "quality" else {"rtol": 1e-3}  # classifiers run in threads
        pd.testing.assert_frame_equal(ours, theirs[same].reset_index(drop=True), **exact)
    lines = [(folder / "members.jsonl").read_text().splitlines() for folder in (place, run)]
    assert lines[0] == lines[1][: len(lines[0])] and len(lines[0]) == 3


def test_synthesize_writes_wav_files_from_every_folds_gans(run, tmp_path):
    out = tmp_path / "clips"
    code, said, err = launch("--mode=synthesize", f"--workdir={run}", f"--out={out}", "--per_class=4")
    assert code == 0, err
    assert "40 clips, 4 of each class by wavegan and specgan" in said
    lines = pd.read_csv(out / "metadata.csv")
    assert len(lines) == len(list(out.glob("*.wav"))) == 40
    assert (lines.groupby(["arm", "emotion"]).size() == 4).all() and set(lines.fold) == {0, 1, 2}
    assert soundfile.info(out / lines.file[0]).frames == 16384
    more = ["--mode=synthesize", f"--workdir={run}", "--per_class=1"]
    assert "written into a new folder" in refused(*more, f"--out={out}")
    assert "name one without an ending" in refused(*more, f"--out={tmp_path / 'clips.parquet'}")
    assert "--source is for studies on features" in refused(
        *more, f"--out={tmp_path / 'x'}", "--source=corpus"
    )


def test_clips_are_not_synthesized_before_all_gans_are_trained(run, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    lines = (cut / "members.jsonl").read_text().splitlines(keepends=True)
    (cut / "members.jsonl").write_text("".join(lines[:4]))
    said = refused("--mode=synthesize", f"--workdir={cut}", f"--out={tmp_path / 'out'}", "--per_class=1")
    assert f"{cut}: 2 of 6 GANs are not trained yet" in said and not (tmp_path / "out").exists()


def test_gans_that_diverged_make_no_clips_on_demand(run, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    lines = [json.loads(line) for line in (cut / "members.jsonl").read_text().splitlines()]
    out = tmp_path / "out"
    asked = ["--mode=synthesize", f"--workdir={cut}", f"--out={out}", "--per_class=3"]

    def diverged(*places):
        for place in places:
            lines[place]["status"] = "diverged@3"
        (cut / "members.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    diverged(0)
    code, _, err = launch(*asked)
    assert code == 0, err
    made = pd.read_csv(out / "metadata.csv")
    assert set(made.member) == {1, 2, 3, 4, 5} and set(made.step) == {4}
    assert (made.groupby(["arm", "emotion"]).size() == 3).all()
    shutil.rmtree(out)
    diverged(1, 2)
    assert "all GANs of wavegan diverged" in refused(*asked)


class Late:
    """A metric of a program that turns out to lack memory when it is asked for."""

    def __array__(self, *_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")


@pytest.mark.parametrize("late", [False, True])
def test_gans_that_do_not_fit_the_memory_are_halved_and_trained(run, tmp_path, monkeypatch, capsys, late):
    config = get_config("debug")
    config.arms = ("wavegan",)
    compiled, sizes, place = train._compiled, [], epath.Path(tmp_path / "small")

    def little_memory(gan, steps, count):
        if count > 2 and late:
            return lambda data, state: (state, {"critic": Late()})
        if count > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return compiled(gan, steps, count)

    monkeypatch.setattr(train, "_compiled", little_memory)
    place.mkdir()
    train.train(study.prepare(config), place, 3, sizes.append)
    assert sizes == [2] and "3 members do not fit the memory; trying 2" in capsys.readouterr().err
    lines = writers.read_lines(place / "members.jsonl")
    assert [(line["member"], line["group"], line["place"]) for line in lines] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 1, 0),
    ]
    resolved = study.prepare(config)
    for member in resolved.members:
        ours, theirs = (
            train.Generators(resolved, folder).clips(member, np.zeros(1, int), "test")[0]
            for folder in (place, epath.Path(run))
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_gans_that_no_longer_fit_the_memory_keep_what_is_saved(tmp_path, monkeypatch):
    config, place = get_config("debug"), epath.Path(tmp_path / "run")
    config.arms = ("wavegan",)
    resolved, save = study.prepare(config), train._Group.save

    def stopping(group):
        save(group)
        group.close()
        raise KeyboardInterrupt

    def little_memory(self, step, state):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")

    place.mkdir()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train._Group, "save", stopping)
        train.train(resolved, place, 3, lambda size: None)
    kept = sorted((tmp_path / "run" / "checkpoints").rglob("*"))
    monkeypatch.setattr(Checkpoints, "restore", little_memory)
    with pytest.raises(UserError, match="3 members no longer fit the memory"):
        train.train(resolved, place, 3, lambda size: None)
    assert sorted((tmp_path / "run" / "checkpoints").rglob("*")) == kept


def test_classifiers_go_on_with_the_folds_that_are_not_kept_yet(tmp_path, monkeypatch):
    config = get_config("debug")
    config.arms, config.classifiers = (), ("tiny adcrnn L_f1",)
    resolved, trained = study.prepare(config), []
    fit_predict = adcrnn.fit_predict

    def cut(settings, clips, tasks, **more):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.extend(task.fold for task in tasks)
        return fit_predict(settings, clips, tasks, **more)

    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    whole, place = epath.Path(tmp_path / "whole"), epath.Path(tmp_path / "cut")
    classify.classify(resolved, whole)
    monkeypatch.setattr(adcrnn, "fit_predict", cut)
    with pytest.raises(KeyboardInterrupt):
        classify.classify(resolved, place)  # before fold 2
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut" / "predictions").iterdir()}
    assert len(kept) == 2 * len(trained) == 4 and not (place / "predictions.csv").exists()
    monkeypatch.setattr(adcrnn, "fit_predict", fit_predict)
    classify.classify(resolved, place)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (place / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


def test_a_network_goes_on_from_its_last_save_and_its_curve_has_each_step_once(tmp_path, monkeypatch):
    config = get_config("debug")
    config.arms, config.classifiers = (), ("tiny adcrnn L_f1",)
    config.adcrnn.steps, config.training.save_every, config.adcrnn.look_every = 51, 17, 34
    resolved, told = study.prepare(config), classify._Log.told
    whole, place = epath.Path(tmp_path / "whole"), epath.Path(tmp_path / "cut")
    classify.classify(resolved, whole)
    heard = []

    def cut(log, task, steps, values, answer):
        told(log, task, steps, values, answer)
        if (task.fold, steps) == (1, 34):
            curve = place / "predictions" / "tiny_adcrnn_L_f1_real_seed_0_fold_1.learning.jsonl"
            with curve.open("a") as file:
                file.write('{"step": 5')
            raise KeyboardInterrupt

    def going_on(log, task, steps, values, answer):
        heard.append((task.fold, steps))
        told(log, task, steps, values, answer)

    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setattr(classify._Log, "told", cut)
    with pytest.raises(KeyboardInterrupt):
        classify.classify(resolved, place)
    monkeypatch.setattr(classify._Log, "told", going_on)
    classify.classify(resolved, place)
    assert heard == [(1, 34), (1, 51), (2, 17), (2, 34), (2, 51)]
    for file in ("predictions.csv", "learning.csv"):
        assert (place / file).read_bytes() == (whole / file).read_bytes()
    assert not list((place / "predictions").glob("*.states"))


def test_a_classifier_that_diverges_is_a_hole_and_the_others_are_kept(run, tmp_path, monkeypatch):
    config = get_config("debug")
    config.arms, config.classifiers = (), ("tiny adcrnn L_f1",)
    fit_predict, place = adcrnn.fit_predict, epath.Path(tmp_path / "run")

    def lost(task):
        return Answer(np.zeros(len(task.test_U), int), np.full((len(task.test_U), 7), np.nan))

    def losing(settings, clips, tasks, **more):
        said = fit_predict(settings, clips, tasks, **more)
        return [lost(task) if task.fold == 1 else answer for task, answer in zip(tasks, said, strict=True)]

    monkeypatch.setattr(adcrnn, "fit_predict", losing)
    classify.classify(study.prepare(config), place)
    ours, theirs = (pd.read_csv(folder / "predictions.csv", dtype=WORDS) for folder in (place, run))
    same = (theirs.arm == "real") & (theirs.classifier == "tiny adcrnn L_f1") & (theirs.fold != 1)
    pd.testing.assert_frame_equal(ours, theirs[same].reset_index(drop=True), rtol=1e-3)
    holes.gather(place)
    (hole,) = writers.read_lines(place / "holes.jsonl")
    assert (hole["arm"], hole["fold"], hole["amount"]) == ("real", 1, 0.0)
    assert len(pd.read_csv(place / "learning.csv")) == 3
    assert hole["reason"] == "tiny adcrnn L_f1 diverged with seed 0; lower config.adcrnn.learning_rate"
    monkeypatch.setattr(adcrnn, "fit_predict", lambda settings, clips, tasks, **_: list(map(lost, tasks)))
    with pytest.raises(UserError, match="every classifier diverged; begin anew with a lower config"):
        classify.classify(study.prepare(config), epath.Path(tmp_path / "lost"))
    assert not (tmp_path / "lost" / "predictions.csv").exists()


def test_a_gan_that_diverged_is_not_trained_on(tmp_path, capsys):
    config, place = get_config("debug"), epath.Path(tmp_path)
    config.arms, config.sound.conditional, config.sound.wavegan_steps = ("wavegan",), False, 8
    config.sound.learning_rate = 1e9
    resolved = study.prepare(config)
    resolved = replace(resolved, members=resolved.members[:1])
    train.train(resolved, place, 1, lambda size: None)
    assert [line["step"] for line in writers.read_lines(place / "metrics.jsonl")] == [2]
    assert "member 0 diverged at step" in capsys.readouterr().err
    trained = train.Generators(resolved, place)
    count_C = resolved.missing(resolved.folds[0])
    assert resolved.members[0].emotions == ("anger",) and count_C[0] == 0
    assert trained.fault("wavegan", 0, 0, count_C) is None  # nothing is made of anger
    assert "wavegan: training diverged" in str(trained.fault("wavegan", 0, 0, count_C + 1))


def test_clips_of_gans_that_diverged_train_nothing_and_are_a_hole(run, tmp_path):
    config, cut = get_config("debug"), epath.Path(tmp_path / "cut")
    config.arms, config.classifiers = ("time_shift", "wavegan"), ("tiny adcrnn L_f1",)
    shutil.copytree(run, cut)
    for name in ("synthetic", "examples", "predictions.csv", "quality.csv"):
        (cut / name).rmtree() if (cut / name).is_dir() else (cut / name).unlink()
    lines = writers.read_lines(cut / "members.jsonl")
    lines[1]["status"] = "diverged@3"  # of fold 1
    writers.write_lines(cut / "members.jsonl", lines)
    resolved = study.prepare(config)
    for stage in (make.make, examples.write, classify.classify, quality.measure):
        stage(resolved, cut)
    assert make.read(resolved, cut, make.Job("wavegan", 1, 0)).clips == []
    assert make.read(resolved, cut, make.Job("wavegan", 0, 0)).clips
    folds = pd.read_csv(cut / "predictions.csv").groupby("arm").fold.unique().map(sorted)
    assert folds.to_dict() == {"real": [0, 1, 2], "real+time_shift": [0, 1, 2], "real+wavegan": [0, 2]}
    measured = pd.read_csv(cut / "quality.csv")
    assert set(measured[measured.arm == "wavegan"].fold) == {0, 2}
    holes.gather(cut)
    (hole,) = writers.read_lines(cut / "holes.jsonl")
    assert (hole["arm"], hole["fold"]) == ("wavegan", 1)
    assert hole["reason"] == "wavegan: training diverged at step 3; lower config.sound.learning_rate"


@pytest.mark.parametrize("preset", ["", "losses", "networks", "paper", "paper_losses", "paper_networks"])
def test_every_preset_makes_a_study(preset):
    config = get_config(preset)
    config.corpus.root, config.groups = str(ROOT / "tests" / "data" / "emodb"), 3
    config.corpus.classes = ("anger", "neutral")
    resolved = study.prepare(config)
    assert resolved.classifiers and all(settings.steps > 0 for settings in resolved.classifiers.values())


def test_inspect_shows_the_folds_and_what_would_be_made(tmp_path):
    code, out, err = launch(HDA, "--mode=inspect", "--config.protocol=speaker")
    assert code == 0, err
    assert "folds: 10, one for each held-out speaker" in out and "wavegan: 10 GANs of 4 steps" in out
    assert "problems of the corpus: none" in out and "small" not in out


def test_inspect_shows_what_was_found_before_it_says_what_cannot_be_used(tmp_path):
    lines = ["file,emotion,speaker", "a.wav,anger,1", "b.wav,fear,1", "c.wav,anger,2"]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    table = f"--config.corpus.table={tmp_path / 'own.csv'}"
    code, out, err = launch(
        HDA, "--mode=inspect", "--config.corpus.root=", "--config.corpus.classes=()", table
    )
    assert code == 2 and "folds" in err
    assert "all" in out.split() and "a.wav" in out


def test_columns_of_a_corpus_that_has_its_own_are_refused():
    config = get_config("debug")
    config.corpus.columns = "{'emotion': 'x'}"
    with pytest.raises(UserError, match=r"config\.corpus\.columns: emodb has its own names"):
        study.recordings(config)


def test_how_a_copy_of_the_corpus_differs_is_logged(caplog):
    study.recordings(get_config("debug"))
    assert "differs from the published emodb: 20 files instead of 535" in caplog.text


def test_without_recordings_the_command_says_where_they_are():
    said = refused("--config=configs/emodb_hda.py")
    assert "emodb.bilderbar.info" in said and "--config.corpus.root=DIR" in said


def test_clips_that_end_before_a_slice_are_counted(capsys):
    config = get_config("debug")
    config.sound.samples = 32768
    study.prepare(config)
    assert "config.sound.samples=32768: 15 of 16 clips are shorter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("arms", ("reverb",), "config.arms: 'reverb' is none of duplicate, time_shift"),
        ("arms", ("wavegan", "wavegan"), "config.arms names one twice"),
        ("classifiers", (), "config.classifiers is empty"),
        ("classifiers", ("adcrnn",), "config.classifiers: 'adcrnn' is no network with its loss"),
        ("classifiers", ("large adcrnn L_f1",), "'large adcrnn L_f1' is no network"),
        ("classifiers", ("adcrnn L_f9",), "losses: L_f1, L_f2, L_f3, L_f4"),
        ("classifiers", ("adcrnn L_f1", "adcrnn L_f1"), "config.classifiers names 'adcrnn L_f1' twice"),
        ("protocol", "text", "config.protocol: 'text' is none of clip, speaker"),
        ("groups", 1, "config.groups=1: folds are 2 or more"),
        (
            "adcrnn.steps",
            1009,
            "config.adcrnn.steps=1009 has no divisor from 10 to 50; take a multiple of 10",
        ),
        ("groups", 7, "config.groups=7: random folds are 2 to 3, since the smallest class has 3"),
        ("loudness", "loud", "config.loudness: 'loud' is none of kept, normalised"),
        ("balance.reference", "joy", "config.balance.reference: 'joy' is none of anger"),
        ("balance.factor", -1.0, "config.balance.factor must be 0 or more"),
        ("sound.samples", 8192, "config.sound.samples is 8192; it must be one of 16384, 32768, 65536"),
        ("sound.size", 0, "config.sound.size must be above 0"),
        (
            "sound.size",
            10**6,
            "config.sound.size: 1000000 is no number that can be used; 1024 is the largest",
        ),
        ("sound.loss", "js", "config.sound.loss: 'js' is none of wgan_gp, wdiv"),
        ("shifts.hop", 513, "config.shifts.hop=513: at most a quarter of config.shifts.fft=2048"),
        ("sound.precision", "fp16", "config.sound.precision: 'fp16' is none of float32, "),
        ("adcrnn.precision", "fp16", "config.adcrnn.precision: 'fp16' is none of float32, "),
        ("sound.adam_b1", 1.0, "config.sound.adam_b1 must lie between 0 and 1"),
        ("sound.wavegan_steps", 5, "config.sound.wavegan_steps comes to 5 steps, not a multiple of"),
        ("shifts.samples", 0, "config.shifts.samples must be above 0"),
        ("adcrnn.mask_filters", 41, "config.adcrnn.mask_filters: 41 is no number that can be used; 40 is"),
        ("adcrnn.contrastive_weight", -1.0, "config.adcrnn.contrastive_weight must be 0 or more"),
        ("shifts.fft", 65536, "16 clips are shorter than config.shifts.fft=65536 samples"),
        ("adcrnn.steps", 0, "config.adcrnn.steps must be above 0"),
        ("adcrnn.learning_rate", float("nan"), "config.adcrnn.learning_rate must be above 0"),
        ("adcrnn.dropout", 1.0, "config.adcrnn.dropout must lie between 0 and 1"),
        ("training.save_every", 3, "config.training.save_every comes to 3 steps"),
        ("corpus.classes", ("anger", "joy"), "no clip has the emotion 'joy'"),
        ("corpus.classes", ("anger",), "2 to 16 different emotions, not 1"),
        ("corpus.root", "/nowhere", "/nowhere"),
        ("corpus.name", "tedlium", "tedlium has no emotions"),
    ],
)
def test_a_bad_value_is_refused_by_its_key_before_anything_is_read(key, value, message):
    config = get_config("debug")
    group, _, name = key.rpartition(".")
    place = config[group] if group else config
    with place.unlocked():
        place[name] = value
    with pytest.raises(UserError) as error:
        study.prepare(config)
    assert message in str(error.value)


def test_a_clips_file_stays_in_its_folder_whatever_the_emotion_is_called():
    names = [make.file_name(n, words, "flac") for n, words in enumerate(["../../x", "a b", "a_b", "é" * 300])]
    assert names[:3] == ["00000__x.flac", "00001_a_b.flac", "00002_a_b.flac"] and len(names[3]) < 80


def test_own_clips_come_from_a_table(tmp_path):
    config = get_config("debug")
    source = ROOT / "tests" / "data" / "emodb"
    lines = ["path,label,who"]
    for number, path in enumerate(sorted(source.rglob("*.wav"))):
        shutil.copy(path, tmp_path / f"clip {number}.wav")
        lines.append(f"clip {number}.wav,{path.stem[5]},s{path.stem[:2]}")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    config.corpus.root, config.corpus.table = "", str(tmp_path / "own.csv")
    config.corpus.columns = "{'file': 'path', 'emotion': 'label', 'speaker': 'who'}"
    config.corpus.labels = "{'W': 'anger', 'A': 'calm', 'N': 'calm', 'T': 'calm'}"
    config.corpus.classes = ("anger", "calm")
    config.protocol = "speaker"
    resolved = study.prepare(config)
    assert len(resolved.folds) == 8 and resolved.classes == ("anger", "calm")
    assert sorted(np.bincount(resolved.label_U).tolist()) == [4, 9] and len(resolved.clips) == 13
    made_FxC = np.array([resolved.missing(fold) for fold in resolved.folds])
    assert made_FxC[:, 0].min() > 0 and not made_FxC[:, 1].any()  # calm is the largest class
