"""The sampler keeps imbalanced-learn's contract, learns from what it is given, and comes back as it was."""

import json
import logging
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import jax
import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from imblearn.utils.estimator_checks import check_param_validation, parametrize_with_checks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_validate
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import sergan
from configs import common
from experiments.programs import gan_config
from sergan import CycleGANSampler, data, folds, members, sampler, sampler_files
from sergan.errors import UserError

CLASSES = ("anger", "happiness", "sadness")


def small(source=None, **settings):
    """A sampler that trains in no time."""
    tiny = {"generator": (8,), "critic": (8,), "classifier": (8,), "epochs": 2, "random_state": 0}
    return CycleGANSampler(source, **tiny | settings)


@pytest.fixture(scope="module")
def real():
    """Rows of four speakers of EMO-DB, three emotions, every 20th feature."""
    table = data.load("emodb", "IS10")
    speakers = sorted(set(table.speakers_U.tolist()))[:4]
    rows = np.isin(table.emotions_U, CLASSES) & np.isin(table.speakers_U, speakers)
    kept = table.select(rows)
    return kept.x_UxD[:, ::20], kept.emotions_U, kept.speakers_U


@pytest.fixture(scope="module")
def speech():
    return data.load("speech", "IS10").x_UxD[:128, ::20]


@pytest.fixture(scope="module")
def fitted(real, speech):
    x_NxD, y_N, _ = real
    return small(speech).fit(x_NxD, y_N)


@parametrize_with_checks([small(loss="gan")])  # compiled in less time; all other tests here are of wdiv
def test_it_is_a_sampler_of_imbalanced_learn(estimator, check):
    check(estimator)


def test_every_parameter_is_checked_by_its_type_and_range():
    check_param_validation("CycleGANSampler", small())


def test_its_defaults_are_those_of_the_studies(toy):
    config = common.base()
    defaults = CycleGANSampler().get_params()
    own = {"source", "sampling_strategy", "random_state"}
    theirs = dict(config.gan) | dict(config.hypers)
    assert {name: theirs[name] for name in defaults if name not in own} == {
        name: value for name, value in defaults.items() if name not in own
    }
    classes = ("anger", "sadness")
    config.corpus.classes, config.training.log_every = classes, 1
    splits = folds.loso(toy, classes)
    program = gan_config(config, toy.names_D, splits, classes, False)
    hypers = {name: float(value) for name, value in config.hypers.items()}
    (theirs, *_) = members.plan(("wdiv",), ("train",), splits, 1, [(program, hypers)])
    ours = CycleGANSampler()._member(len(toy.names_D), 2, len(splits[0].train_R), 0)
    assert asdict(ours.gan) == asdict(theirs.gan)
    assert dict(ours.hypers) == dict(theirs.hypers)


def test_synthetic_rows_come_after_the_real_ones_as_many_as_asked_for(real, speech):
    x_NxD, y_N, _ = real
    wanted = {"anger": 70, "happiness": 60, "sadness": 65}
    for strategy in (wanted, lambda y: wanted):
        out_NxD, out_N = small(speech, sampling_strategy=strategy).fit_resample(x_NxD, y_N)
        assert Counter(out_N.tolist()) == wanted
        np.testing.assert_array_equal(out_NxD[: len(x_NxD)], x_NxD)
        np.testing.assert_array_equal(out_N[: len(y_N)], y_N)
        assert len(np.unique(out_NxD, axis=0)) == len(out_NxD)
    _, balanced_N = small(speech).fit_resample(x_NxD, y_N)
    assert set(Counter(balanced_N.tolist()).values()) == {max(Counter(y_N.tolist()).values())}
    _, half_N = small(sampling_strategy=0.75).fit_resample(np.random.random((30, 2)), [0] * 20 + [1] * 10)
    assert Counter(half_N) == {0: 20, 1: 15}


def pipeline(**settings):
    """Sampler, scaler and SVM."""
    return Pipeline(
        [("sampler", small(**settings)), ("scaler", StandardScaler()), ("svm", LinearSVC(C=1e-3))]
    )


def test_held_out_rows_never_reach_it(real):
    x_NxD, y_N, speakers_N = real
    settings = {"cv": LeaveOneGroupOut(), "groups": speakers_N, "return_estimator": True}
    done = cross_validate(pipeline(), x_NxD, y_N, return_indices=True, **settings)
    assert len(done["estimator"]) == 4
    splits = zip(done["estimator"], done["indices"]["train"], done["indices"]["test"], strict=True)
    for model, train_R, test_R in splits:
        np.testing.assert_array_equal(model.named_steps["sampler"].source_, x_NxD[train_R])
        spoilt_NxD = x_NxD.copy()
        spoilt_NxD[test_R] = 1e6
        again = pipeline().fit(spoilt_NxD[train_R], y_N[train_R])
        np.testing.assert_array_equal(again.named_steps["svm"].coef_, model.named_steps["svm"].coef_)


def test_a_grid_search_leaves_speakers_out_and_sees_training_rows_only(real, speech, monkeypatch):
    x_NxD, y_N, speakers_N = real
    seen, fit = [], CycleGANSampler._fit_resample

    def spy(self, X, y):
        seen.append({x_D.tobytes() for x_D in X})
        return fit(self, X, y)

    monkeypatch.setattr(CycleGANSampler, "_fit_resample", spy)
    grid = {"sampler__lambda_cyc": [1.0, 5.0], "sampler__random_state": [0]}
    search = GridSearchCV(pipeline(source=speech), grid, cv=LeaveOneGroupOut(), scoring="recall_macro")
    search.fit(x_NxD, y_N, groups=speakers_N)
    rows = {speaker: {x_D.tobytes() for x_D in x_NxD[speakers_N == speaker]} for speaker in set(speakers_N)}
    assert len(seen) == 2 * 4 + 1
    for fitted_on in seen[:-1]:
        assert [own.isdisjoint(fitted_on) for own in rows.values()].count(True) == 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(x_NxD).shape == y_N.shape


def test_folds_of_about_one_size_and_other_weights_compile_nothing(real, speech, fitted, caplog):
    x_NxD, y_N, _ = real
    fitted.generate(3, "anger")
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for rows in (70, 85, 98):
            small(speech[:rows], lambda_cyc=rows).fit(x_NxD[:rows], y_N[:rows]).generate(rows, "anger")
    assert not [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]


def test_random_state_decides_everything(real, speech):
    x_NxD, y_N, _ = real
    first, again, other = (small(speech, random_state=seed).fit(x_NxD, y_N) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.generate(9, "anger"), again.generate(9, "anger"))
    assert not np.isclose(first.generate(9, "anger"), other.generate(9, "anger")).all()
    free = [small(speech, random_state=None).fit(x_NxD, y_N).seed_ for _ in range(2)]
    assert free[0] != free[1]
    shared = small(speech, random_state=np.random.RandomState(0))
    assert shared.fit(x_NxD, y_N).seed_ != shared.fit(x_NxD, y_N).seed_


def test_generated_rows_come_from_different_source_rows_and_begin_with_those_that_were_added(real, speech):
    x_NxD, y_N, _ = real
    own = small(speech, sampling_strategy={"anger": 120})
    out_NxD, _ = own.fit_resample(x_NxD, y_N)
    made_NxD = own.generate(128, "anger")
    np.testing.assert_array_equal(out_NxD[len(x_NxD) :], made_NxD[: len(out_NxD) - len(x_NxD)])
    everything_NxD = own.transfer(speech, "anger")
    np.testing.assert_allclose(
        np.sort(made_NxD, axis=0), np.sort(everything_NxD, axis=0), rtol=1e-4, atol=1e-3
    )
    assert made_NxD.dtype == everything_NxD.dtype == np.float32
    assert not np.allclose(everything_NxD, own.transfer(speech, "sadness"))


def test_without_a_source_rows_repeat_only_when_all_have_been_used(real):
    x_NxD, y_N, _ = real
    own = small().fit(x_NxD, y_N)
    made_NxD = own.generate(len(x_NxD) + 5, "anger")
    np.testing.assert_array_equal(np.unique(made_NxD, axis=0), np.unique(made_NxD[: len(x_NxD)], axis=0))
    assert len(np.unique(made_NxD, axis=0)) == len(x_NxD)


def test_synthetic_rows_are_nearer_to_their_class_than_the_source(real, speech):
    x_NxD, y_N, _ = real
    own = small(speech, generator=(16,), critic=(16,), epochs=200, lr_g=5e-3, lr_c=5e-3).fit(x_NxD, y_N)

    def mean(rows_NxD):
        return ((rows_NxD - own.scaler_.shift_D) * own.scaler_.scale_D).mean(axis=0)

    for emotion in CLASSES:
        target_D = mean(x_NxD[y_N == emotion])
        before = np.abs(mean(speech) - target_D).mean()
        after = np.abs(mean(own.generate(len(speech), emotion)) - target_D).mean()
        assert after < 0.4 * before, (emotion, before, after)


def test_dataframes_come_back_as_dataframes_with_their_types(real, speech):
    x_NxD, y_N, _ = real
    names = [f"f{i}" for i in range(x_NxD.shape[1])]
    frame, labels = pd.DataFrame(x_NxD, columns=names), pd.Series(y_N, name="emotion")
    own = small(pd.DataFrame(speech, columns=names))
    out, out_N = own.fit_resample(frame, labels)
    assert isinstance(out, pd.DataFrame) and isinstance(out_N, pd.Series)
    assert list(out.columns) == names and set(out.dtypes) == {np.dtype(np.float32)}
    assert out_N.name == "emotion" and not out_N.isna().any()
    assert own.get_feature_names_out().tolist() == names == list(own.generate(2, "anger").columns)
    moved = own.transfer(frame.iloc[5:8], "anger")
    assert list(moved.columns) == names and list(moved.index) == [5, 6, 7]
    plain = small(speech).fit_resample(x_NxD, y_N)[0]
    np.testing.assert_array_equal(out.to_numpy(), plain)


def test_columns_of_whole_numbers_and_truth_values_get_such_of_their_own():
    rng, y_N = np.random.default_rng(0), np.repeat([0, 1], [20, 10])
    columns = {"x": rng.normal(size=30), "n": rng.integers(0, 9, 30), "flag": rng.random(30) < 0.5}
    own = small()
    out, _ = own.fit_resample(pd.DataFrame(columns), y_N)
    made = out.iloc[30:].reset_index(drop=True)
    assert [kind.kind for kind in made.dtypes] == ["f", "i", "b"] and made.n.between(0, 8).all()
    pd.testing.assert_frame_equal(own.generate(10, 1), made)
    assert set(own.generate(30, 1).flag) == {False, True}
    assert [kind.kind for kind in own.transfer(out.iloc[:3], 0).dtypes] == ["f", "i", "b"]
    bits_NxD = rng.random((30, 3)) < 0.5
    assert small().fit_resample(bits_NxD, y_N)[0].dtype == bool


def test_large_offsets_constants_and_whole_numbers_survive():
    rng = np.random.default_rng(0)
    y_N = np.repeat([0, 1], [20, 10])
    x_NxD = np.stack([1.7e9 + rng.normal(size=30), np.full(30, 0.1), rng.normal(size=30)], axis=1)
    made_NxD = small().fit_resample(x_NxD, y_N)[0][30:]
    assert made_NxD.dtype == np.float64
    assert (made_NxD[:, 1] == 0.1).all()
    assert len(np.unique(made_NxD[:, 0])) == 10 and abs(made_NxD[:, 0] - 1.7e9).max() < 10
    counts_NxD = rng.integers(0, 9, size=(30, 3)).astype(np.uint8)
    assert small().fit_resample(counts_NxD, y_N)[0].dtype == np.uint8


@pytest.mark.parametrize("kind", ["array", "frame", "none"])
def test_a_saved_sampler_makes_the_same_rows(kind, real, speech, tmp_path):
    x_NxD, y_N, _ = real
    x_NxD, names = x_NxD.astype(np.float64) / 3, [f"f{i}" for i in range(x_NxD.shape[1])]
    wide = speech.astype(np.float64) / 3
    source = {"array": wide, "frame": pd.DataFrame(wide, columns=names), "none": None}[kind]
    strategy = {"anger": np.int64(70), "sadness": 60}
    own = small(source, sampling_strategy=strategy, lambda_cyc=np.float64(3.0), epochs=np.int64(2))
    given = pd.DataFrame(x_NxD, columns=names) if kind == "frame" else x_NxD
    own.fit(given, y_N)
    for _ in range(2):  # the second replaces the first
        own.save(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert not [
        path for path in (tmp_path / "kept").rglob("*") if "pickle" in path.name or path.suffix == ".pkl"
    ]
    back = CycleGANSampler.load(tmp_path / "kept")
    for emotion in CLASSES:
        np.testing.assert_array_equal(back.generate(50, emotion), own.generate(50, emotion))
        np.testing.assert_array_equal(back.transfer(given[:5], emotion), own.transfer(given[:5], emotion))
    ours, theirs = own.get_params(), back.get_params()
    np.testing.assert_array_equal(theirs.pop("source"), ours.pop("source"))
    assert theirs == ours
    assert back.sampling_strategy_ == own.sampling_strategy_
    assert back.get_feature_names_out().tolist() == own.get_feature_names_out().tolist()
    np.testing.assert_array_equal(clone(back).fit(given, y_N).generate(5, "anger"), own.generate(5, "anger"))


def test_numbers_as_classes_are_saved_as_numbers(real, tmp_path):
    x_NxD, y_N, _ = real
    places_N = np.unique(y_N, return_inverse=True)[1]
    own = small(sampling_strategy={0: 90}).fit(x_NxD, places_N)
    own.save(tmp_path / "kept")
    back = CycleGANSampler.load(tmp_path / "kept")
    assert back.get_params() == own.get_params() and back.classes_.dtype == own.classes_.dtype
    np.testing.assert_array_equal(back.generate(3, 2), own.generate(3, 2))


def test_what_is_no_saved_sampler_is_refused_by_its_path(fitted, tmp_path):
    with pytest.raises(UserError, match="nothing: no saved sampler"):
        CycleGANSampler.load(tmp_path / "nothing")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="foreign: no saved sampler"):
        CycleGANSampler.load(foreign)
    for taken in (foreign, foreign / "letter.txt"):
        with pytest.raises(UserError, match="is something other than a saved sampler"):
            fitted.save(taken)
    assert (foreign / "letter.txt").read_text() == "mine"
    about = tmp_path / "kept" / "sampler.json"
    for spoilt in (
        "{",
        "[]",
        json.dumps({"format": {"kind": "another"}}),
        json.dumps({"format": sampler_files.FORMAT}),
    ):
        fitted.save(tmp_path / "kept")
        about.write_text(spoilt)
        with pytest.raises(UserError, match="kept: damaged, or of another version"):
            CycleGANSampler.load(tmp_path / "kept")
    fitted.save(tmp_path / "kept")
    files = [path for path in (tmp_path / "kept" / "arrays").rglob("*") if path.is_file()]
    biggest = max(files, key=lambda path: path.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[:100])
    with pytest.raises(UserError, match="kept: damaged, or of another version"):
        CycleGANSampler.load(tmp_path / "kept")


def test_a_parameter_that_no_file_can_hold_is_named_and_nothing_is_written(fitted, tmp_path):
    other = pickle.loads(pickle.dumps(fitted)).set_params(sampling_strategy=lambda y: {})
    with pytest.raises(ValueError, match=r"sampling_strategy=<function .* cannot be saved"):
        other.save(tmp_path / "kept")
    assert not list(tmp_path.iterdir())


def test_it_pickles_and_clones(fitted, speech):
    back = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(back.generate(7, "anger"), fitted.generate(7, "anger"))
    fresh = clone(fitted)
    np.testing.assert_array_equal(fresh.source, speech)
    with pytest.raises(NotFittedError):
        fresh.generate(1, "anger")


def test_before_fitting_it_makes_transfers_and_saves_nothing(speech, tmp_path):
    own = small(speech)
    for use in (
        lambda: own.generate(1, "anger"),
        lambda: own.transfer(speech, "anger"),
        lambda: own.save(tmp_path),
    ):
        with pytest.raises(NotFittedError):
            use()


def test_errors_name_what_is_wrong(real, speech, fitted):
    x_NxD, y_N, _ = real
    names = [f"f{i}" for i in range(x_NxD.shape[1])]
    frame = pd.DataFrame(x_NxD, columns=names)
    lonely_N = y_N.copy()
    lonely_N[0] = "fear"
    holed = speech.copy()
    holed[3, 3] = np.nan
    many = {"anger": 400}
    for own, x, y, message in (
        (small(holed), x_NxD, y_N, "Input source contains NaN"),
        (small(), np.where(np.arange(x_NxD.shape[1]) == 2, np.nan, x_NxD), y_N, "Input X contains NaN"),
        (small(speech[:, 1:]), x_NxD, y_N, "source has 79 columns, X has 80"),
        (
            small(pd.DataFrame(speech).add_prefix("g")),
            frame,
            y_N,
            "other columns than X .not in X: g0, g1, g2",
        ),
        (small(pd.DataFrame(speech, columns=names[::-1])), frame, y_N, "the same ones in another order"),
        (small(speech), x_NxD, lonely_N, "class 'fear' has 1 row; its CycleGAN needs 2"),
        (
            small(speech, sampling_strategy=many),
            x_NxD,
            y_N,
            "rows of class anger are asked for, but source has 128",
        ),
        (small(speech, generator=(8, 0)), x_NxD, y_N, "generator are widths"),
        (small(speech, loss="lsgan"), x_NxD, y_N, "'loss' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            own.fit_resample(x, y)
    with pytest.raises(ValueError, match="no class 'joy'; there are 'anger', 'happiness', 'sadness'"):
        fitted.generate(3, "joy")
    with pytest.raises(ValueError, match="no class 'joy'"):
        fitted.transfer(x_NxD, "joy")
    with pytest.raises(ValueError, match="129 rows of class anger are asked for, but source has 128"):
        fitted.generate(129, "anger")
    with pytest.raises(ValueError, match="n=0"):
        fitted.generate(0, "anger")
    with pytest.raises(ValueError, match="X has 79 features"):
        fitted.transfer(x_NxD[:, 1:], "anger")


def test_a_training_that_diverges_says_so(real, speech):
    x_NxD, y_N, _ = real
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+ of"):
        small(speech, lr_g=1e30, lr_c=1e30).fit(x_NxD, y_N)


def test_the_package_is_imported_without_jax():
    code = (
        "import sys, time; began = time.perf_counter(); import sergan; took = time.perf_counter() - began; "
        "print(sorted({'jax', 'numpy', 'imblearn', 'orbax'} & set(sys.modules)), took < 1, dir(sergan)[-1], "
        "sergan.__all__)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("[] True")
    assert "CycleGANSampler" in dir(sergan) and sergan.CycleGANSampler is sampler.CycleGANSampler
    with pytest.raises(AttributeError, match="module 'sergan' has no attribute 'Sampler'"):
        _ = sergan.Sampler
