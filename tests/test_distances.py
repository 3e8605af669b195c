"""Every distance against its formula written out, another library, or sets whose answer is known."""

import warnings

import numpy as np
import prdc as naeem
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

from sergan import data, distances, folds

# The reference package asks for threads in a way that scikit-learn warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.sklearn.utils.parallel.delayed. should be used:UserWarning")

KEYS = ["frechet", "mmd", "mmd_p", "precision", "recall", "density", "coverage", "two_sample"]
KEYS += ["nearest_synthetic", "nearest_held_out", "duplicates"]


@pytest.fixture(scope="module")
def real():
    """z-normed rows: anger without speaker 03 and that speaker's, sadness, and the unlabelled speech."""
    corpus, speech = data.load("emodb", "IS10"), data.load("speech", "IS10")
    train = corpus.speakers_U != "emodb/03"
    scaler = folds.z_norm(corpus.x_UxD[train])
    rows = {"speech": speech.x_UxD}
    for name, emotion, part in (
        ("train", "anger", train),
        ("held_out", "anger", ~train),
        ("sad", "sadness", train),
    ):
        rows[name] = corpus.x_UxD[part & (corpus.emotions_U == emotion)]
    return {name: scaler.apply(x_NxD) for name, x_NxD in rows.items()}


def normal(seed, rows, dims, shift=0.0):
    """Correlated rows."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, dims)) @ rng.normal(size=(dims, dims)) + shift


def dense_frechet(a_NxD, b_NxD):
    covariance_a, covariance_b = ledoit_wolf(a_NxD)[0], ledoit_wolf(b_NxD)[0]
    value_D, vector_DxD = np.linalg.eigh(covariance_a)
    root_a = vector_DxD * np.sqrt(np.maximum(value_D, 0)) @ vector_DxD.T
    root_D = np.sqrt(np.maximum(np.linalg.eigvalsh(root_a @ covariance_b @ root_a), 0))
    square = np.sum((a_NxD.mean(axis=0) - b_NxD.mean(axis=0)) ** 2)
    return square + np.trace(covariance_a + covariance_b) - 2 * root_D.sum()


def slow_mmd(a_NxD, b_NxD):
    pooled = np.concatenate([a_NxD, b_NxD])
    apart = [np.linalg.norm(x - y) for i, x in enumerate(pooled) for y in pooled[:i]]

    def kernel(x, y):
        return np.exp(-np.sum((x - y) ** 2) / (2 * np.median(apart) ** 2))

    def own(rows):
        return np.mean([kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])

    return own(a_NxD) + own(b_NxD) - 2 * np.mean([kernel(x, y) for x in a_NxD for y in b_NxD])


def test_mean_abs_difference_known_answer():
    a_NxD = np.array([[0.0, 1.0], [1.0, 1.0]], np.float32)
    b_NxD = np.array([[0.25, 0.0]], np.float32)
    assert distances.mean_abs_difference(a_NxD, b_NxD) == pytest.approx((0.25 + 1.0) / 2)
    assert distances.mean_abs_difference(a_NxD, a_NxD[::-1]) == 0


@pytest.mark.parametrize("rows", [(9, 14), (14, 9), (30, 200), (200, 300), (2, 60)], ids=str)
def test_frechet_equals_the_dense_formula(rows):
    a_NxD, b_NxD = normal(0, rows[0], 20), normal(1, rows[1], 20, shift=0.5)
    assert distances.frechet(a_NxD, b_NxD) == pytest.approx(dense_frechet(a_NxD, b_NxD), rel=1e-6)


def test_frechet_equals_the_dense_formula_on_real_rows(real):
    a_NxD, b_NxD = real["train"][:, :300].astype(float), real["speech"][:150, :300].astype(float)
    assert distances.frechet(a_NxD, b_NxD) == pytest.approx(dense_frechet(a_NxD, b_NxD), rel=1e-6)


def test_frechet_of_equal_sets_is_0_and_of_shifted_ones_the_squared_shift(real):
    train_NxD = real["train"].astype(float)
    assert distances.frechet(train_NxD, train_NxD[::-1]) == pytest.approx(0, abs=1e-6)
    assert distances.frechet(train_NxD, train_NxD + 0.1) == pytest.approx(0.01 * train_NxD.shape[1], rel=1e-6)


def test_frechet_of_float32_rows_is_made_in_float64(real):
    a_NxD, b_NxD = real["train"] + np.float32(100), real["sad"] + np.float32(100)
    expected = distances.frechet(a_NxD.astype(float), b_NxD.astype(float))
    assert distances.frechet(a_NxD, b_NxD) == pytest.approx(expected, rel=1e-12)


def test_frechet_of_scaled_rows():
    a_NxD = normal(0, 12, 40)
    variance = np.trace(ledoit_wolf(a_NxD)[0])
    scaled_NxD = a_NxD.mean(axis=0) + 3 * (a_NxD - a_NxD.mean(axis=0))
    assert distances.frechet(a_NxD, scaled_NxD) == pytest.approx((3 - 1) ** 2 * variance)


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 30))
@settings(max_examples=30, deadline=None)
def test_frechet_is_symmetric_and_blind_to_the_order_of_rows_and_features(seed, rows, dims):
    a_NxD, b_NxD = normal(seed, 5, dims), normal(seed + 1, rows, dims)
    rng = np.random.default_rng(seed)
    order_D = rng.permutation(dims)
    found = distances.frechet(a_NxD, b_NxD)
    assert found == pytest.approx(distances.frechet(b_NxD, a_NxD), rel=1e-7)
    mixed = distances.frechet(rng.permutation(a_NxD)[:, order_D], rng.permutation(b_NxD)[:, order_D])
    assert found == pytest.approx(mixed, rel=1e-7)


def test_mmd_equals_a_double_loop():
    a_NxD, b_NxD = normal(0, 7, 4), normal(1, 11, 4, shift=1.0)
    found, _ = distances.mmd(a_NxD, b_NxD, np.random.default_rng(0), permutations=3)
    assert found == pytest.approx(slow_mmd(a_NxD, b_NxD), rel=1e-9)


def test_mmd_p_equals_a_loop_over_relabelled_sets():
    a_NxD, b_NxD = normal(0, 6, 3), normal(1, 8, 3)
    found, p_value = distances.mmd(a_NxD, b_NxD, np.random.default_rng(0), permutations=20_000)
    rng, pooled = np.random.default_rng(1), np.concatenate([a_NxD, b_NxD])
    mixed = [rng.permutation(pooled) for _ in range(400)]
    reached = [slow_mmd(rows[:6], rows[6:]) >= found for rows in mixed]
    assert 0.02 < p_value < 0.98
    assert p_value == pytest.approx(np.mean(reached), abs=0.07)


def test_mmd_is_0_on_average_and_its_p_uniform_when_nothing_differs():
    rng = np.random.default_rng(0)
    runs = [
        distances.mmd(rng.normal(size=(12, 5)), rng.normal(size=(20, 5)), rng, permutations=99)
        for _ in range(500)
    ]
    found_N, p_N = np.array(runs).T
    assert abs(found_N.mean()) < 3 * found_N.std() / np.sqrt(500)
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(p_N <= level) == pytest.approx(level, abs=0.06)


def test_mmd_p_is_the_least_possible_for_far_sets_and_1_for_one_row_repeated():
    rng = np.random.default_rng(0)
    assert distances.mmd(normal(0, 20, 5), normal(0, 30, 5, shift=9.0), rng)[1] == pytest.approx(1 / 201)
    collapsed = np.ones((60, 5))
    found, p_value = distances.mmd(normal(0, 20, 5), collapsed, rng)
    assert (found, p_value) == (pytest.approx(1), pytest.approx(1 / 201))
    assert distances.mmd(collapsed, collapsed[:9], rng) == (pytest.approx(0), 1)


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_equals_the_authors_package(real, k, capsys):
    rng = np.random.default_rng(0)
    sets = {
        "random": (rng.normal(size=(50, 8)), 1.3 * rng.normal(size=(80, 8)) + 0.2),
        "few": (rng.normal(size=(k + 2, 3)), rng.normal(size=(k + 2, 3))),
        "anger and sadness": (real["train"], real["sad"]),
        "anger and speech": (real["train"], real["speech"][:300]),
        "halves": (real["speech"][::4], real["speech"][1::4]),
    }
    for name, (a_NxD, b_NxD) in sets.items():
        a_NxD, b_NxD = a_NxD.astype(float), b_NxD.astype(float)
        expected = naeem.compute_prdc(a_NxD, b_NxD, k)
        assert distances.prdc(a_NxD, b_NxD, k) == pytest.approx(expected, rel=1e-12), name
    assert 0 < expected["precision"] < 1


def test_prdc_of_copies_is_1_however_often_they_are_repeated(real):
    for repeats in (1, 3, 8):
        found = distances.prdc(real["train"], np.tile(real["train"], (repeats, 1)))
        assert found == {"precision": 1, "recall": 1, "density": pytest.approx(1), "coverage": 1}, repeats


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_mmd_and_prdc_are_blind_to_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    a_NxD, b_NxD = rng.normal(size=(9, 3)), rng.normal(size=(12, 3))
    mixed = rng.permutation(a_NxD), rng.permutation(b_NxD)
    assert distances.prdc(a_NxD, b_NxD, 3) == distances.prdc(*mixed, 3)
    assert distances.mmd(a_NxD, b_NxD, rng, 1)[0] == pytest.approx(distances.mmd(*mixed, rng, 1)[0])


def test_two_sample_is_a_half_for_one_distribution_and_1_for_far_ones(real):
    rng = np.random.default_rng(0)
    speech = [rng.permutation(real["speech"]) for _ in range(8)]
    same = [distances.two_sample_accuracy(rows[:60], rows[60:200], rng) for rows in speech]
    assert np.mean(same) == pytest.approx(0.5, abs=0.06)
    assert distances.two_sample_accuracy(real["train"], real["speech"], rng) == 1
    assert distances.two_sample_accuracy(real["train"], real["sad"], rng) > 0.95
    slight = [distances.two_sample_accuracy(rows[:60], rows[60:200] + 0.1, rng) for rows in speech[:3]]
    assert 0.6 < np.mean(slight) < 1


def test_two_sample_is_below_a_half_for_copies(real):
    rng = np.random.default_rng(0)
    found = [distances.two_sample_accuracy(real["train"], real["train"], rng) for _ in range(4)]
    assert max(found) < 0.45


def test_agreement():
    assert distances.agreement(["anger", "fear", "fear"], ["anger", "fear", "anger"]) == pytest.approx(2 / 3)
    assert np.isnan(distances.agreement([], []))


def test_memorisation_finds_planted_copies(real):
    train, held_out, speech = real["train"], real["held_out"], real["speech"][:50]
    clean = distances.memorisation(train, held_out, speech)
    assert clean["nearest_synthetic"] == pytest.approx(np.median(cdist(speech, train).min(axis=1)))
    assert clean["nearest_held_out"] == pytest.approx(np.median(cdist(held_out, train).min(axis=1)))
    assert clean["duplicates"] == 0
    rounded = train[3:6] * np.float32(1 + 1e-7)
    close = train[6:8] * np.float32(1 + 1e-4)
    planted = distances.memorisation(train, held_out, np.concatenate([speech, train[:3], rounded, close]))
    assert planted["duplicates"] == 6
    copies = distances.memorisation(train, held_out, np.tile(train, (3, 1)))
    assert (copies["nearest_synthetic"], copies["duplicates"]) == (0, 3 * len(train))


def test_compare_gives_every_measure(real):
    train, held_out, speech = real["train"], real["held_out"], real["speech"]
    found = distances.compare(train, held_out, speech, np.random.default_rng(0))
    assert list(found) == KEYS
    assert all(type(value) is float and np.isfinite(value) for value in found.values())
    assert found == distances.compare(train, held_out, speech, np.random.default_rng(0))
    assert found["frechet"] == distances.frechet(train, speech)
    assert found["nearest_held_out"] == distances.memorisation(train, held_out, speech)["nearest_held_out"]
    assert (found["two_sample"], found["mmd_p"]) == (1, pytest.approx(1 / 201))
    other = distances.compare(train, held_out, speech, np.random.default_rng(1))
    assert other["mmd"] != found["mmd"], "the 500 rows are drawn by rng"
    assert other["mmd"] == pytest.approx(found["mmd"], rel=0.1)


def test_pairs_are_compared_of_no_more_than_2000_training_rows(monkeypatch):
    rng, seen = np.random.default_rng(0), []
    monkeypatch.setattr(distances, "mmd", lambda a, b, rng: seen.append((len(a), len(b))) or (0.0, 1.0))
    monkeypatch.setattr(distances, "prdc", lambda a, b: seen.append((len(a), len(b))) or {})
    for count in (1999, 3000):
        rows = rng.normal(size=(count, 3)), rng.normal(size=(10, 3)), rng.normal(size=(5000, 3))
        distances.compare(*rows, rng)
    assert seen == 2 * [(1999, 1999)] + 2 * [(2000, 2000)]


def test_a_measure_with_too_few_rows_is_nan(real):
    nan = {
        (8, 0, 30): {"nearest_held_out"},
        (5, 2, 30): {"precision", "recall", "density", "coverage"},
        (4, 2, 30): {"precision", "recall", "density", "coverage", "two_sample"},
        (30, 2, 4): {"precision", "recall", "density", "coverage", "two_sample"},
        (30, 2, 1): set(KEYS) - {"nearest_synthetic", "nearest_held_out", "duplicates"},
        (30, 2, 0): set(KEYS) - {"nearest_held_out", "duplicates"},
        (0, 2, 30): set(KEYS) - {"duplicates"},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for (train, held_out, synthetic), expected in nan.items():
            rows = real["train"][:train], real["held_out"][:held_out], real["speech"][:synthetic]
            found = distances.compare(*rows, np.random.default_rng(0))
            assert {name for name, value in found.items() if np.isnan(value)} == expected


def test_one_row_repeated_is_an_answer_not_an_error(real):
    collapsed = np.repeat(real["speech"][:1], 40, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = distances.compare(real["train"], real["held_out"], collapsed, np.random.default_rng(0))
    assert all(np.isfinite(value) for value in found.values())
    assert (found["recall"], found["coverage"], found["duplicates"]) == (0, 0, 0)
    assert found["two_sample"] > 0.95
