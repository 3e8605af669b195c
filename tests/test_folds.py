"""Folds that hold a speaker out, scalers as scikit-learn's, and checks that fire."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sergan import data, folds
from sergan.corpora import emodb
from sergan.errors import UserError

CLASSES = ("anger", "fear", "happiness", "neutral", "sadness")
TOY = ("anger", "sadness")


def five_classes():
    table = data.load("emodb", "IS10")
    return table.select(np.flatnonzero(np.isin(table.emotions_U, CLASSES)))


def test_emodb_has_ten_folds_that_part_the_speakers_and_cover_every_clip_once():
    table = five_classes()
    made = folds.loso(table, CLASSES)
    assert [fold.held_out for fold in made] == [
        (f"emodb/{s}",) for s in ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    ]
    tested = np.concatenate([fold.test_R for fold in made])
    assert sorted(tested) == list(range(408))
    for fold in made:
        assert not set(table.speakers_U[fold.train_R]) & set(table.speakers_U[fold.test_R])
        assert len(fold.train_R) + len(fold.test_R) == 408


def test_inner_folds_leave_out_two_speakers_and_serve_both():
    table = five_classes()
    outer = folds.loso(table, CLASSES)
    inner = folds.pairs(table, outer, CLASSES)
    assert len(inner) == 45 and [fold.index for fold in inner] == list(range(10, 55))
    for fold in inner:
        assert len(fold.held_out) == 2 and fold.inner
        assert set(table.speakers_U[fold.test_R]) == set(fold.held_out)
        assert sorted(np.concatenate([fold.train_R, fold.test_R])) == list(range(408))
    for fold in outer:
        mine = [i for i in inner if fold.held_out[0] in i.held_out]
        validated = [s for i in mine for s in i.held_out if s != fold.held_out[0]]
        assert sorted(validated) == sorted(set(table.speakers_U[fold.train_R]))


def test_leaving_speaker_and_text_out_shares_neither_and_tests_every_clip_once():
    table = five_classes()
    texts_U = np.array([emodb.text(clip) for clip in table.ids_U])
    assert len(set(texts_U)) == 10 and {"a01", "b10"} <= set(texts_U)
    made = folds.speaker_and_text(table, texts_U, CLASSES)
    assert sorted(np.concatenate([fold.test_R for fold in made])) == list(range(408))
    for fold in made:
        assert not set(texts_U[fold.train_R]) & set(texts_U[fold.test_R])
        assert not set(table.speakers_U[fold.train_R]) & set(table.speakers_U[fold.test_R])
    with pytest.raises(UserError, match="one text"):
        folds.speaker_and_text(table, np.full(408, "a01"), CLASSES)


def test_choosing_needs_three_speakers(toy):
    two = toy.select(np.flatnonzero(np.isin(toy.speakers_U, ("s1", "s2"))))
    with pytest.raises(UserError, match="three or more held-out speakers, not 2"):
        folds.pairs(two, folds.loso(two, ("anger", "sadness")), ("anger", "sadness"))


def test_a_test_row_among_the_training_rows_is_a_leak(toy):
    fold = folds.loso(toy, ("anger", "sadness"))[0]
    with pytest.raises(folds.LeakError, match="test rows"):
        folds.check_rows(fold, toy, np.append(fold.train_R, fold.test_R[0]))
    with pytest.raises(folds.LeakError, match="s1"):
        folds.check_speakers(fold, ["s2", "s1"])


def test_the_source_never_holds_what_the_held_out_speaker_said(toy):
    for fold in folds.loso(toy, ("anger", "sadness")):
        seen = set(toy.speakers_U[folds.source_rows(fold, toy)])
        assert seen == {"s1", "s2", "s3", "s4"} - set(fold.held_out)


def test_one_speaker_is_refused_by_name(toy):
    alone = toy.select(np.flatnonzero(toy.speakers_U == "s3"))
    with pytest.raises(UserError, match=r"one speaker \(s3\)"):
        folds.loso(alone, ("anger", "sadness"))


def test_a_class_of_one_training_row_is_refused_with_the_fold(toy):
    few = np.flatnonzero((toy.emotions_U == "anger") | np.isin(np.arange(len(toy.ids_U)), [8, 24]))
    with pytest.raises(UserError, match="'sadness' has 1 training rows when s1 is held out"):
        folds.loso(toy.select(few), ("anger", "sadness"))


matrices = hnp.arrays(np.float32, (6, 3), elements=st.floats(-1e3, 1e3, width=32))


@given(matrices)
@settings(max_examples=60, deadline=None)
def test_min_max_is_scikit_learns_and_inverts(x):
    scaler = folds.min_max(x)
    ours, theirs = scaler.apply(x), MinMaxScaler().fit_transform(x.astype(np.float64))
    span_D = np.ptp(x.astype(np.float64), axis=0)
    varies = span_D > np.maximum(1e-3 * np.abs(x).max(axis=0), 1e-12)  # scikit-learn's constants
    np.testing.assert_allclose(ours[:, varies], theirs[:, varies], atol=1e-3)
    np.testing.assert_allclose(scaler.invert(ours), x, atol=1e-3 * max(1.0, float(np.abs(x).max())))


@given(matrices, st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_min_max_of_parts_is_that_of_the_whole(x, cut):
    for whole, parts in zip(folds.min_max(x), folds.min_max(x[:cut], x[cut:]), strict=True):
        np.testing.assert_array_equal(whole, parts)


def test_z_norm_is_scikit_learns():
    x = data.load("emodb", "IS10").x_UxD[:100]
    ours, theirs = folds.z_norm(x).apply(x), StandardScaler().fit_transform(x.astype(np.float64))
    varies = x.std(axis=0) > 1e-6 * np.abs(x).mean(axis=0)
    np.testing.assert_allclose(ours[:, varies], theirs[:, varies], atol=2e-3)


def test_a_constant_feature_scales_to_zero_and_comes_back():
    x = np.full((4, 2), 7.5, np.float32)
    x[:, 1] = [0, 1, 2, 3]
    for scaler in (folds.min_max(x), folds.z_norm(x)):
        scaled = scaler.apply(x)
        assert np.all(scaled[:, 0] == 0)
        np.testing.assert_allclose(scaler.invert(scaled), x, atol=1e-6)


def test_a_feature_that_is_rounding_noise_beside_the_source_is_taken_as_constant():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)).astype(np.float32) * np.float32([1, 1e-7, 1e-7])
    source = rng.normal(size=(80, 3)).astype(np.float32) * np.float32([1, 1, 1e-7])
    alone, beside = folds.z_norm(x), folds.z_norm(x, source)
    assert (alone.scale_D > 0).all() and (beside.scale_D > 0).tolist() == [True, False, True]
    np.testing.assert_array_equal(alone.scale_D[[0, 2]], beside.scale_D[[0, 2]])


def test_no_feature_of_emodb_is_rounding_noise():
    corpus, speech = data.load("emodb", "IS10"), data.load("speech", "IS10")
    alone, beside = folds.z_norm(corpus.x_UxD), folds.z_norm(corpus.x_UxD, speech.x_UxD)
    np.testing.assert_array_equal(alone.scale_D, beside.scale_D)


def test_by_speaker_leaves_every_speaker_with_mean_0_and_deviation_1(toy):
    x = folds.normalised(toy, "speaker")
    for speaker in set(toy.speakers_U):
        rows = x[toy.speakers_U == speaker]
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(("others", "count"), [(1, 5), (2, 10), (3, 15), (9, 45), (20, 45)])
def test_with_fewer_others_every_speaker_is_still_judged_by_that_many(others, count):
    table = five_classes()
    outer = folds.loso(table, CLASSES)
    inner = folds.pairs(table, outer, CLASSES, others)
    assert len(inner) == count and [fold.index for fold in inner] == list(range(10, 10 + count))
    judges = [sum(fold.held_out[0] in i.held_out for i in inner) for fold in outer]
    assert set(judges) == {min(others, 9)}


def test_groups_of_speakers_hold_every_speaker_once(toy):
    made = folds.speaker_groups(toy, 2, TOY)
    assert sorted(name for fold in made for name in fold.held_out) == ["s1", "s2", "s3", "s4"]
    assert [len(fold.held_out) for fold in made] == [2, 2]
    assert_splits(toy, made)
    for count in (1, 5):
        with pytest.raises(UserError, match=f"config.groups={count}: 4 speakers .* 2 to 4 groups"):
            folds.speaker_groups(toy, count, TOY)


def test_sessions_are_left_out_one_after_another(toy):
    session_U = np.where(np.isin(toy.speakers_U, ["s1", "s4"]), "b", "a")
    made = folds.leave_out(toy, session_U, "session", TOY)
    assert [fold.held_out for fold in made] == [("s2", "s3"), ("s1", "s4")]
    with pytest.raises(UserError, match=r"one session \(a\)"):
        folds.leave_out(toy, np.full(len(toy.ids_U), "a"), "session", TOY)


def test_a_speaker_in_two_sessions_is_refused(toy):
    session_U = np.where(np.isin(toy.speakers_U, ["s1", "s4"]), "b", "a")
    session_U[toy.speakers_U.tolist().index("s4")] = "c"
    with pytest.raises(UserError, match=r"speaker s4 is in two sessions \(c, b\)"):
        folds.leave_out(toy, session_U, "session", TOY)


def assert_splits(table, made):
    """Every row is tested once, and never trained on with its speaker held out."""
    tested = np.sort(np.concatenate([fold.test_R for fold in made]))
    np.testing.assert_array_equal(tested, np.arange(len(table.ids_U)))
    for fold in made:
        assert not np.isin(table.speakers_U[fold.train_R], fold.held_out).any()


@pytest.mark.parametrize("by", ["speaker", "clip"])
def test_across_corpora_the_target_is_never_trained_on(toy, by):
    target_U = np.isin(toy.speakers_U, ["s2", "s3", "s4"])
    fold, inner = folds.across(toy, target_U, TOY, 0.3, by)
    np.testing.assert_array_equal(fold.train_R, np.flatnonzero(~target_U))
    np.testing.assert_array_equal(inner.train_R, fold.train_R)
    both = np.concatenate([fold.test_R, inner.test_R])
    np.testing.assert_array_equal(np.sort(both), np.flatnonzero(target_U))
    assert fold.held_out == inner.held_out == ("s2", "s3", "s4")
    shared = set(toy.speakers_U[fold.test_R]) & set(toy.speakers_U[inner.test_R])
    assert bool(shared) == (by == "clip")
    share = [np.mean(toy.emotions_U[inner.test_R] == emotion) for emotion in TOY]
    np.testing.assert_allclose(share, 0.5, atol=0.04)


def test_development_speakers_have_about_the_share_of_every_class(toy):
    """s4 alone has a third of the anger, and of the sadness almost nothing: s2 and s3 fit better."""
    few = np.flatnonzero((toy.speakers_U != "s4") | (toy.emotions_U == "anger") | (np.arange(64) == 56))
    table = toy.select(few)
    target_U = table.speakers_U != "s1"
    _, inner = folds.across(table, target_U, TOY, 0.33, "speaker")
    assert set(table.speakers_U[inner.test_R]) <= {"s2", "s3"}


def test_a_target_of_one_speaker_has_none_for_development(toy):
    with pytest.raises(UserError, match="the target has one speaker"):
        folds.across(toy, toy.speakers_U == "s4", TOY, 0.3, "speaker")


def test_each_corpus_is_normed_by_its_own_rows(toy):
    names = np.array([f"{'a' if who in ('s1', 's2') else 'b'}/{who}" for who in toy.speakers_U])
    x = folds.normalised(replace(toy, speakers_U=names), "corpus")
    for start in "ab":
        rows = np.char.startswith(names, start)
        np.testing.assert_allclose(x[rows].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(x[rows].std(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(folds.normalised(toy, "train"), toy.x_UxD)


def test_both_parts_of_a_target_have_every_class(toy):
    only = np.flatnonzero((toy.speakers_U != "s4") | (toy.emotions_U == "anger"))
    table = toy.select(only[(toy.speakers_U[only] != "s3") | (toy.emotions_U[only] == "sadness")])
    table = table.select(np.flatnonzero(table.speakers_U != "s2"))
    with pytest.raises(UserError, match=r"the .* rows of the target have no '.*'; choose another share"):
        folds.across(table, table.speakers_U != "s1", TOY, 0.5, "speaker")
    with pytest.raises(UserError, match=r"config\.target\.dev_share=0\.01: "):
        folds.across(toy, toy.speakers_U != "s1", TOY, 0.01, "clip")
