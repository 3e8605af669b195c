"""Choices on inner folds: what they are made from, and what they never see."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from etils import epath

from configs.emodb_study import get_config
from experiments import arms, choose, classify, quality, speech, study
from experiments.arms import Bench, bench
from experiments.holes import Holes, gather
from experiments.settings import CLASSIFIERS, Setting, fixed, grid
from sergan import writers
from sergan.augment import Synthetic
from sergan.classifiers.svm import SvmSettings
from sergan.errors import ArmError, UserError
from sergan.folds import LeakError


@pytest.fixture
def made(toy):
    """Four speakers, two emotions, moments only; nothing is trained."""
    config = get_config("debug")
    config.choice.speakers = 3  # all others
    config.arms = ("moments",)
    config.corpus.classes = ()
    return study.assemble(config, speech.Rows(toy, toy.unlabelled()))


def setting(amount=1.0, share=0.5):
    return Setting(0, amount, 0.0, share, 1e-2, SvmSettings())


def synthetic(count=20, kinds=2, share=1.0):
    own_KxN = np.repeat(np.arange(kinds)[:, None], count, axis=1)
    x_KxNxD = np.zeros((kinds, count, 6), np.float32)
    other_KxN = own_KxN if share == 1 else 1 - own_KxN
    return Synthetic(x_KxNxD, other_KxN, np.full((kinds, count), share), own_KxN)


def rows(made, **values):
    fold = made.folds[0]
    return Bench(made, fold, np.zeros((len(made.label_U) + 40, 6), np.float32), synthetic(**values))


def test_a_task_has_as_many_rows_as_its_amount_says_and_real_rows_have_their_share(made):
    task = rows(made).task(3, setting(0.75, 0.25), real=True, seed=7)
    real = task.train_R < len(made.label_U)
    assert real.sum() == 48 and (~real).sum() == 2 * 18  # 0.75 × 48 / 2 of each class
    assert task.weight_R[real].sum() == pytest.approx(0.25 * task.weight_R.sum())
    assert task.weight_R.sum() == pytest.approx(48)  # whatever is added
    np.testing.assert_array_equal(task.label_R[real], made.label_U[task.train_R[real]])
    assert (task.problem, task.seed, task.fold) == (3, 7, 0)
    same = rows(made).task(0, setting(0.75, 0.0), real=True, seed=0)
    assert len(set(same.weight_R)) == 1 and same.weight_R.sum() == pytest.approx(48)
    alone = rows(made).task(0, setting(0.75), real=False, seed=0)
    assert len(set(alone.weight_R)) == 1 and alone.weight_R.sum() == pytest.approx(48)


def test_a_larger_amount_adds_rows_to_those_of_a_smaller_one(made):
    few, more = (
        set(rows(made).task(0, setting(amount), real=True, seed=0).train_R) for amount in (0.25, 0.75)
    )
    assert few < more


def test_synthetic_rows_alone_train_without_any_real_row(made):
    task = rows(made).task(0, setting(0.5), real=False, seed=0)
    assert task.train_R.min() >= len(made.label_U)


def test_a_mixed_row_counts_for_both_of_its_classes(made):
    task = rows(made, share=0.75).task(0, setting(0.5), real=False, seed=0)
    assert len(task.train_R) == 2 * 24
    for row in set(task.train_R):
        here = task.train_R == row
        weights = dict(zip(task.label_R[here], task.weight_R[here], strict=True))
        few, many = sorted(weights.values())
        assert many == pytest.approx(3 * few) and set(weights) == {0, 1}


def test_more_sets_than_there_are_rows_are_refused(made):
    with pytest.raises(ArmError, match="2 sets need 48 rows of each class, 20 can be made"):
        rows(made).task(0, setting(2.0), real=True, seed=0)


def test_rows_of_a_fold_are_scaled_by_its_own_training_rows_and_come_from_others(made):
    for fold in (made.folds[1], made.inner[2]):
        ours = bench(made, None, "moments", "train", fold, 0, 5, 0.0, 0)
        real_R = fold.train_R
        np.testing.assert_allclose(ours.x_NxD[real_R].mean(axis=0), 0, atol=1e-5)
        assert ours.synthetic.x_KxNxD.shape == (2, 5, 6)
        silent_S = np.isin(made.source.speakers_U, fold.held_out)
        x_SxD = np.where(silent_S[:, None], np.float32(1e3), made.source.x_UxD)
        others = replace(made, source=replace(made.source, x_UxD=x_SxD))
        assert silent_S.any()
        theirs = bench(others, None, "moments", "train", fold, 0, 5, 0.0, 0)
        np.testing.assert_array_equal(ours.x_NxD, theirs.x_NxD)


@pytest.mark.parametrize("arm", ["moments", "wdiv", "noise"])
def test_a_row_that_is_made_of_what_the_held_out_speaker_said_is_a_leak(made, arm):
    fold, source_R = made.folds[1], np.arange(len(made.source.ids_U))
    parents_KxN = np.array([[-1, 3], [5, -1]])  # of the first speaker's rows
    arms._check_parents(made, fold, arm, parents_KxN, source_R)
    of_fold = replace(fold, train_R=np.flatnonzero(made.corpus.speakers_U == "s2"), test_R=fold.train_R)
    wrong_KxN = parents_KxN if arm == "noise" else parents_KxN + 16  # among training, or source rows
    with pytest.raises(LeakError):
        arms._check_parents(made, of_fold, arm, wrong_KxN, source_R)


class Spy:
    """Generators that say how many rows they are asked for."""

    def __init__(self, diverged=False, scale=1.0):
        self._diverged, self._scale = diverged, scale

    def member(self, *_):
        return None

    def sound(self, member):
        return not self._diverged

    def step(self, member):
        return 20

    def transfer(self, member, x_SxD, rows_N):
        return self._scale * np.random.default_rng(0).normal(size=(2, len(rows_N), x_SxD.shape[1]))


@pytest.mark.parametrize(("arm", "count"), [("wdiv", 48), ("adan", 500), ("sahu_cgan", 500)])
def test_noise_makes_more_rows_than_the_source_has_and_a_transfer_no_more(made, arm, count):
    ours = bench(made, Spy(), arm, "train", made.folds[0], 0, 500, 0.0, 0)
    assert ours.synthetic.x_KxNxD.shape == (2, count, 6)
    rows = ours.synthetic.x_KxNxD.reshape(-1, 6)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_rows_of_generators_that_diverged_are_not_used(made):
    with pytest.raises(ArmError, match="wdiv: training diverged at step 20"):
        bench(made, Spy(diverged=True), "wdiv", "train", made.folds[0], 0, 10, 0.0, 0)
    with pytest.raises(ArmError, match="wdiv: the rows are too large to be classified"):
        bench(made, Spy(scale=1e200), "wdiv", "train", made.folds[0], 0, 10, 0.0, 0)


def test_a_hole_names_the_sets_that_all_rows_of_the_source_make(made, tmp_path):
    holes, job = Holes("train", "wdiv"), classify.Job("train", "wdiv", 0, 0)
    made.config.amount, made.config.curve = 0.0, ()
    assert made.amount == 2.0  # 48 rows of S for each of 2 classes, 48 real ones
    assert classify._Part(made, Spy(diverged=True), {}, job, holes).predictions("svm").empty
    holes.write(epath.Path(tmp_path) / "part.parquet")
    lines = writers.read_lines(epath.Path(tmp_path) / "part.holes.jsonl")
    assert [line["fold"] for line in lines] == [fold.index for fold in made.folds]
    assert {line["amount"] for line in lines} == {made.amount}


class Damaged(Spy):
    """Generators that cannot be read from disk."""

    def transfer(self, member, x_SxD, rows_N):
        raise UserError("generators_000 is damaged")


@pytest.mark.parametrize("stage", ["choice", "predictions", "quality"])
def test_damaged_generators_are_told_and_are_no_hole(made, stage):
    holes, job = Holes("train", "wdiv"), classify.Job("train", "wdiv", 0, 0)
    made.config.arms = ("wdiv",)
    with pytest.raises(UserError, match="generators_000 is damaged"):
        if stage == "choice":
            choose._Trials(made, Damaged(), "train", "wdiv", 0, holes).all()
        elif stage == "predictions":
            classify._Part(made, Damaged(), {}, job, holes).predictions("svm")
        else:
            quality._fold(made, Damaged(), job, made.folds[0])


def test_predictions_do_not_depend_on_how_many_folds_train_at_once(made, monkeypatch):
    job = classify.Job("train", "moments", 0, 0)
    part = classify._Part(made, None, {}, job, Holes("train", "moments"))
    together = part.predictions("svm")
    monkeypatch.setattr(arms, "_CPU_ROWS_BYTES", 1.0)
    pd.testing.assert_frame_equal(part.predictions("svm"), together)


def test_every_arm_has_the_same_grid_but_for_its_strength():
    config = get_config()
    for classifier in CLASSIFIERS:
        reference = [
            (s.amount, s.real_share, s.structure, s.regularisation) for s in grid(config, "wdiv", classifier)
        ]
        for arm in config.arms:
            settings = grid(config, arm, classifier)
            for strength in {s.strength for s in settings}:
                part = [s for s in settings if s.strength == strength]
                assert [(s.amount, s.real_share, s.structure, s.regularisation) for s in part] == reference
        real = {(s.structure, s.regularisation) for s in grid(config, "real", classifier)}
        assert real == {(structure, r) for _, _, structure, r in reference}


def test_the_grids_hold_the_papers_own_settings():
    """Bao et al.: two hidden layers of 100, dropout 0.2, batch 64; a linear SVM of scikit-learn's own C."""
    config = get_config()
    structures = {s.structure for s in grid(config, "wdiv", "dnn")}
    assert any(s.hidden == (100, 100) and s.dropout == 0.2 and s.batch_size == 64 for s in structures)
    assert 1.0 in {s.regularisation for s in grid(config, "wdiv", "svm")}


def test_the_config_s_own_setting_has_the_strength_of_its_arm():
    config = get_config()
    assert fixed(config, "noise", "svm", 2.0).strength == config.noise
    assert fixed(config, "wdiv", "dnn", 2.0).strength == 0


def trials(made, good):
    """Setting 0 is right half of the time; setting 1 as often as good(inner fold, speaker) says."""
    lines = []
    for fold in made.inner:
        for speaker in fold.held_out:
            for truth in range(2):
                for number, hits in ((0, 5), (1, good(fold, speaker))):
                    lines.append((fold.index, speaker, truth, number, hits, 10))
    return pd.DataFrame(lines, columns=["fold", "speaker", "truth", "setting", "hits", "total"])


def test_a_fold_s_choice_never_counts_its_own_speaker(made):
    """Setting 1 is perfect on speaker s1 and useless elsewhere: the fold of s1 must not choose it."""
    frame = trials(made, lambda fold, speaker: 10 if speaker == "s1" else 0)
    uar = choose.inner_uar(frame, made.folds[0], made.inner, 2)
    np.testing.assert_allclose(uar, [0.5, 0.0])
    other = choose.inner_uar(frame, made.folds[1], made.inner, 2)
    np.testing.assert_allclose(other, [0.5, 1 / 3])


def test_a_fold_s_choice_counts_only_what_was_trained_without_its_speaker(made):
    """Setting 1 is perfect wherever s1 was in training: the fold of s1 must not see that."""
    frame = trials(made, lambda fold, speaker: 0 if "s1" in fold.held_out else 10)
    np.testing.assert_allclose(choose.inner_uar(frame, made.folds[0], made.inner, 2), [0.5, 0.0])
    np.testing.assert_allclose(choose.inner_uar(frame, made.folds[1], made.inner, 2), [0.5, 2 / 3])


def test_settings_that_lack_different_speakers_are_compared_on_what_both_have(made):
    """Alike on every speaker: setting 0 lacks a hard one, setting 1 an easy one."""
    frame = trials(made, lambda fold, speaker: {"s1": 2, "s2": 9}.get(speaker, 6)).query("setting == 1")
    settings = [frame[frame.speaker != lost].assign(setting=n) for n, lost in enumerate(("s1", "s2"))]
    np.testing.assert_allclose(choose._uar(pd.concat(settings), 2), [0.6, 0.6])


def test_settings_are_compared_on_the_same_folds_and_speakers(made):
    """Setting 1 is perfect but could not run in one inner fold."""
    frame = trials(made, lambda fold, speaker: 10)
    lost = [fold.index for fold in made.inner if set(fold.held_out) == {"s1", "s2"}]
    frame = frame[~((frame.setting == 1) & frame.fold.isin(lost))]
    np.testing.assert_allclose(choose.inner_uar(frame, made.folds[1], made.inner, 2), [0.5, np.nan])
    np.testing.assert_allclose(choose.inner_uar(frame, made.folds[2], made.inner, 2), [0.5, 1])
    np.testing.assert_allclose(choose._uar(frame, 2), [0.5, np.nan])  # as inner.csv has it


@pytest.mark.parametrize(("arm", "amount"), [("moments", 1.0), ("wdiv", 1.0), ("adan", 2.0), ("noise", 2.0)])
def test_no_fold_chooses_more_sets_than_its_source_has_rows_for(made, arm, amount):
    """Two sets are 32 rows of each class in an inner fold and 48 in an outer one; S has 40."""
    made.config.amount, made.config.choice.amounts = 1.0, (1.0, 2.0)
    source = replace(made.source.select(slice(0, 40)), speakers_U=np.full(40, "other"))
    short = study.assemble(made.config, speech.Rows(made.corpus, source))
    settings = grid(short.config, arm, "svm")
    frame = trials(short, lambda *_: 10).drop(columns="setting").drop_duplicates()
    frames = [frame.assign(setting=i, hits=3 * s.amount) for i, s in enumerate(settings)]
    found = choose._best(short, arm, pd.concat(frames).assign(classifier="svm"))
    assert [setting.amount for _, _, setting, _ in found] == [amount] * 4


def test_without_amounts_to_choose_from_tables_have_the_sets_that_train(made, tmp_path):
    made.config.amount, made.config.curve, made.config.choice.amounts = 0.0, (), ()
    choose.choose(made, epath.Path(tmp_path))
    for name in ("choices", "inner"):
        table = pd.read_csv(tmp_path / f"{name}.csv")
        assert dict(zip(table.arm, table.amount, strict=True)) == {"real": 0.0, "real+moments": 2.0}


def test_choices_are_the_best_inner_settings_and_are_kept(made, tmp_path):
    run = epath.Path(tmp_path)
    (run / "members.jsonl").write_text("")
    choices = choose.choose(made, run)
    assert set(choices) == {
        ("train", arm, c, f) for arm in ("real", "moments") for c in CLASSIFIERS for f in range(4)
    }
    table = writers.read_frame(run / "choices.csv", ("arm", "held_out"))
    assert len(table) == 16 and set(table.arm) == {"real", "real+moments"}
    frame = writers.read_frame(run / "choice" / "train_moments.parquet")
    part = frame[(frame.classifier == "svm") & (frame.speaker != "s3")]
    part = part[part.fold.isin([fold.index for fold in made.inner if "s3" in fold.held_out])]
    counts = part.groupby(["setting", "truth"])[["hits", "total"]].sum()
    expected = (counts.hits / counts.total).groupby("setting").mean().max()
    row = table[(table.held_out == "s3") & (table.classifier == "svm") & (table.arm == "real+moments")]
    assert row.inner_uar.item() == pytest.approx(expected, abs=1e-6)
    stamp = (tmp_path / "choice" / "train_moments.parquet").stat().st_mtime_ns
    assert choose.choose(made, run) == choices
    assert (tmp_path / "choice" / "train_moments.parquet").stat().st_mtime_ns == stamp


def test_an_amount_that_an_arm_cannot_make_is_a_hole_and_the_rest_goes_on(made, tmp_path):
    """S has 32 rows in an inner fold, three sets of it need 48 of each class."""
    made.config.choice.amounts = (1.0, 3.0)
    run = epath.Path(tmp_path)
    (run / "members.jsonl").write_text("")
    choices = choose.choose(made, run)
    assert {s.amount for key, s in choices.items() if key[1] == "moments"} == {1.0}
    gather(run)
    lines = writers.read_lines(run / "holes.jsonl")
    assert {(line["arm"], line["amount"]) for line in lines} == {("moments", 3.0)}
    assert "3 sets need 48 rows of each class, 32 can be made" in lines[0]["reason"]


def test_holes_are_noted_once(made, tmp_path):
    holes, part = Holes("train", "smote"), epath.Path(tmp_path) / "choice" / "x.parquet"
    part.parent.mkdir()
    for _ in range(3):
        holes.add(made.folds[0], 1.0, ArmError("smote: class 'fear' has 4 rows"))
    holes.write(part)
    holes.write(part.with_name("y.parquet"))  # by another classifier
    gather(epath.Path(tmp_path))
    assert len(writers.read_lines(tmp_path / "holes.jsonl")) == 1


def test_holes_of_tables_that_are_whole_stay_when_another_is_made_anew(made, tmp_path):
    run, reasons = epath.Path(tmp_path), {"predictions": "of an outer fold", "choice": "of an inner fold"}

    def found(name, reason):
        holes = Holes("train", "smote")
        holes.add(made.folds[0], 1.0, ArmError(reason))
        (run / name).mkdir()
        holes.write(run / name / "train_smote.parquet")

    for name, reason in reasons.items():
        found(name, reason)
    gather(run)
    (run / "predictions").rename(run / "predictions.partial")  # whose clean-up was cut short
    (run / "choice").rmtree()
    found("choice", "of an inner fold, and differently")
    gather(run)
    lines = [(line["part"], line["reason"]) for line in writers.read_lines(run / "holes.jsonl")]
    assert lines == [
        ("predictions", "of an outer fold"),
        ("choice", "of an inner fold, and differently"),
    ]


def test_an_arm_that_can_run_nowhere_is_all_holes_and_the_others_go_on(made, tmp_path):
    """One row of a class from each speaker: SMOTE's neighbours need six."""
    few = np.concatenate([np.arange(start, start + 1) for start in range(0, len(made.label_U), 8)])
    corpus = made.corpus.select(few)
    made.config.arms = ("smote", "duplicate")
    made.config.amount = 1.0
    poor = study.assemble(made.config, speech.Rows(corpus, made.source))
    run = epath.Path(tmp_path)
    (run / "members.jsonl").write_text("")
    choices = choose.choose(poor, run)
    assert {key[1] for key in choices} == {"real", "duplicate"}
    classify.classify(poor, run, choices)
    quality.measure(poor, run)
    gather(run)
    predictions = writers.read_frame(run / "predictions.csv", ("arm",))
    assert "real+duplicate" in set(predictions.arm)
    assert set(writers.read_frame(run / "quality.csv", ("arm",)).arm) >= {"duplicate"}
    lines = writers.read_lines(run / "holes.jsonl")
    assert {line["arm"] for line in lines} == {"smote"} and "need 6 or more" in lines[0]["reason"]


def test_classifiers_that_diverge_are_holes_and_the_others_go_on(made, tmp_path):
    """Steps of 1e30 overflow; the SVM, which has none, is whole."""
    made.config.dnn.learning_rate = 1e30
    run = epath.Path(tmp_path / "run")
    run.mkdir()
    (run / "members.jsonl").write_text("")
    choices = choose.choose(made, run)
    assert {key[2] for key in choices} == {"svm"}
    tried = writers.read_frame(run / "inner.csv", ("arm",)).groupby("classifier").inner_uar
    assert tried.count()["dnn"] == 0 and tried.min()["svm"] > 0.5
    shutil.rmtree(run / "choice")
    classify.classify(made, run, {})
    gather(run)
    predictions = writers.read_frame(run / "predictions.csv", ("arm", "classifier"))
    assert set(predictions.classifier) == {"svm"} and set(predictions.fold) == {0, 1, 2, 3}
    lines = writers.read_lines(run / "holes.jsonl")
    assert {(line["fold"], line["arm"]) for line in lines} == {
        (f, a) for f in range(4) for a in ("real", "moments")
    }
    assert {line["amount"] for line in lines if line["arm"] == "real"} == {0.0}
    assert "dnn diverged with seed 0; lower config.dnn.learning_rate" in {line["reason"] for line in lines}
    made.config.classifiers = ("dnn",)
    shutil.rmtree(run / "predictions")
    with pytest.raises(UserError, match="nothing could be predicted"):
        classify.classify(made, run, {})
