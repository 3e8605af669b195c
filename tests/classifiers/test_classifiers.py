"""Both classifiers on problems with known answers, and against scikit-learn."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

from sergan.classifiers import dnn, svm
from sergan.classifiers.tasks import Task, class_weights

DNN = dnn.DnnSettings(hidden=(16,), dropout=0.1, learning_rate=1e-2, batch_size=16, steps=100)

SVM = svm.SvmSettings()


def blobs(seed, count=60):
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 3
    centres = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]])
    return (centres[label] + rng.normal(size=(count, 4))).astype(np.float32), label


LABEL = np.arange(90) % 3  # of blobs


def ask(rows, label=None, weights=None, problem=0, regularisation=1e-4, fold=0, seed=0):
    label = LABEL[rows] if label is None else label
    weights = np.ones(len(rows)) if weights is None else weights
    return Task(problem, rows, label, weights, np.arange(40, 60), regularisation, fold, seed)


def task(problem=0, seed=0, train=40, fold=0, start=0, regularisation=1e-4):
    return ask(np.arange(start, train), None, None, problem, regularisation, fold, seed)


def test_svm_is_scikit_learns_linear_svc():
    x, label = blobs(0)
    tasks = [task(regularisation=c) for c in (0.1, 1.0)]
    for ours, C in zip(svm.fit_predict(SVM, [x], tasks, 3), (0.1, 1.0), strict=True):
        theirs = SVC(kernel="linear", C=C, class_weight="balanced").fit(x[:40], label[:40])
        np.testing.assert_array_equal(ours.label_R, theirs.predict(x[40:]))
        assert ours.probability_RxC is None


def test_an_svm_of_many_rows_makes_no_matrix_of_them_and_says_the_same(monkeypatch):
    x, _ = blobs(0)
    weights = np.where(np.arange(40) % 5, 0.5 + np.arange(40) % 3, 0)
    tasks = [task(regularisation=0.1), ask(np.arange(40), weights=weights, regularisation=1.0)]
    before = svm.fit_predict(SVM, [x], tasks, 3)
    monkeypatch.setattr(svm, "_GRAM_ROWS", 30)
    for ours, theirs in zip(svm.fit_predict(SVM, [x], tasks, 3), before, strict=True):
        np.testing.assert_array_equal(ours.label_R, theirs.label_R)


def test_svm_tasks_of_mixed_problems_keep_their_order():
    problems = [blobs(0)[0], blobs(1)[0]]
    tasks = [task(0), task(1), task(0, train=10), task(1, train=10)]
    answers = svm.fit_predict(SVM, problems, tasks, 3)
    for given, answer in zip(tasks, answers, strict=True):
        alone = svm.fit_predict(SVM, problems, [given], 3)[0]
        np.testing.assert_array_equal(answer.label_R, alone.label_R)


def test_an_svm_that_does_not_converge_is_stopped(monkeypatch):
    x, label = blobs(0)
    monkeypatch.setattr(svm, "_ITERATIONS", 1)
    far = 1e7 * np.random.default_rng(0).normal(size=x.shape)
    with pytest.warns(ConvergenceWarning, match="max_iter=800"):
        answer = svm.fit_predict(SVM, [far.astype(np.float32)], [task()], 3)[0]
    assert set(answer.label_R) <= set(label)


def test_dnn_learns_and_its_probabilities_are_those():
    x, label = blobs(0)
    answer = dnn.fit_predict(DNN, [x], [task()], 3)[0]
    assert np.mean(answer.label_R == label[40:]) > 0.85
    np.testing.assert_allclose(answer.probability_RxC.sum(axis=1), 1, rtol=1e-5)


def test_a_dnns_l2_is_its_tasks_own():
    x, _ = blobs(0)
    loose, tight = dnn.fit_predict(DNN, [x], [task(), task(regularisation=10.0)], 3)
    np.testing.assert_allclose(tight.probability_RxC, 1 / 3, atol=0.1)
    assert loose.probability_RxC.max() > 0.9


def test_a_dnn_alone_equals_itself_among_others():
    problems = [blobs(0)[0], blobs(1, 90)[0]]
    tasks = [task(0, 0), task(1, 1), task(1, 0, train=25, fold=1, regularisation=0.1)]
    together = dnn.fit_predict(DNN, problems, tasks, 3)
    for i in range(3):
        alone = dnn.fit_predict(DNN, problems, [tasks[i]], 3)[0]
        np.testing.assert_allclose(together[i].probability_RxC, alone.probability_RxC, atol=2e-4)


def test_dnns_together_as_on_accelerators_are_those_of_cores_beside_each_other(monkeypatch):
    x, _ = blobs(0)
    tasks = [task(seed=seed, train=40 - seed) for seed in range(5)]
    beside = dnn.fit_predict(DNN, [x], tasks, 3)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    together = dnn.fit_predict(DNN, [x], tasks, 3)
    for one, other in zip(beside, together, strict=True):
        np.testing.assert_allclose(one.probability_RxC, other.probability_RxC, atol=2e-4)


def test_a_dnn_never_sees_rows_that_are_not_its_own():
    x, _ = blobs(0)
    spoilt = x.copy()
    spoilt[20:40] = 1e3
    few = task(train=20)
    longer = task(start=15, seed=1)  # has more rows, so that those of `few` are padded
    clean = dnn.fit_predict(DNN, [x], [few], 3)[0]
    beside = dnn.fit_predict(DNN, [spoilt], [few, longer], 3)[0]
    np.testing.assert_allclose(clean.probability_RxC, beside.probability_RxC, atol=2e-4)


@pytest.mark.parametrize("module", ["svm", "dnn"])
def test_a_weight_of_two_is_the_row_twice(module):
    """Exactly so for the SVM; in the mean over draws for the DNN, whose batches are drawn by weight."""
    x, _ = blobs(0)
    strength = 0.1 if module == "svm" else 1e-4
    heavy = ask(np.arange(40), None, np.where(np.arange(40) < 10, 2.0, 1.0), regularisation=strength)
    double = ask(np.concatenate([np.arange(40), np.arange(10)]), regularisation=strength)
    if module == "svm":
        a, b = svm.fit_predict(SVM, [x], [heavy, double], 3)
        np.testing.assert_array_equal(a.label_R, b.label_R)
        return
    longer = dnn.DnnSettings((16,), 0.0, 1e-2, 64, 300)
    a, b = dnn.fit_predict(longer, [x], [heavy, double], 3)
    np.testing.assert_allclose(a.probability_RxC, b.probability_RxC, atol=0.15)


def test_batches_are_drawn_by_weight():
    """Rows of class 0 are also there as rows of class 1, with a tenth of their weight or with nine; without
    weights the answers would be the same."""
    x, label = blobs(0)
    zeros = np.flatnonzero(label[:40] == 0)
    twice = np.concatenate([np.arange(40), zeros])
    labels = np.concatenate([label[:40], np.ones(len(zeros), int)])
    said = []
    for share in (0.1, 0.9):
        weight = np.ones(40)
        weight[zeros] = 1 - share
        tasks = [
            ask(twice, labels, np.concatenate([weight, np.full(len(zeros), share)]), regularisation=1e-4)
        ]
        answer = dnn.fit_predict(dnn.DnnSettings((16,), 0.0, 1e-2, 64, 300), [x], tasks, 3)[0]
        said.append(answer.probability_RxC[label[40:] == 0, 1].mean())
    assert said[0] < 0.07 and said[1] > 0.15


def test_a_constant_learning_rate_is_another_training():
    x, _ = blobs(0)
    tasks = [ask(np.arange(40), regularisation=1e-4)]
    a, b = (dnn.fit_predict(replace(DNN, decay=decay), [x], tasks, 3)[0] for decay in (True, False))
    assert np.abs(a.probability_RxC - b.probability_RxC).max() > 1e-3


@pytest.mark.parametrize(("module", "settings", "strength"), [(svm, SVM, 0.1), (dnn, DNN, 1e-3)])
def test_a_row_without_weight_is_not_drawn(module, settings, strength):
    x, label = blobs(0)
    wrong = np.where(np.arange(40) < 20, (label[:40] + 1) % 3, label[:40])
    blind = ask(np.arange(40), wrong, np.where(np.arange(40) < 20, 0.0, 1.0), regularisation=strength)
    answer = module.fit_predict(settings, [x], [blind], 3)[0]
    assert np.mean(answer.label_R == label[40:]) > 0.8


@pytest.mark.parametrize(("module", "settings", "strength"), [(svm, SVM, 0.1), (dnn, DNN, 1e-3)])
def test_one_row_may_stand_for_two_classes(module, settings, strength):
    """A mixed row: the same index twice, with the labels it is mixed of."""
    x, label = blobs(0)
    rows = np.concatenate([np.arange(40), np.arange(40)])
    labels = np.concatenate([label[:40], (label[:40] + 1) % 3])
    shares = np.repeat([0.9, 0.1], 40)
    answer = module.fit_predict(settings, [x], [ask(rows, labels, shares, regularisation=strength)], 3)[0]
    assert np.mean(answer.label_R == label[40:]) > 0.8


def test_class_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    label = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=label)
    np.testing.assert_allclose(class_weights(label, np.ones(6), 3), expected)
    weights = np.array([1.0, 2, 3, 4, 5, 6])
    balanced = weights * class_weights(label, weights, 3)[label]
    np.testing.assert_allclose(np.bincount(label, balanced), 7, rtol=1e-6)
