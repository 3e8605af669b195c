"""Both classifiers on problems with known answers, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.svm import SVC

from sergan.classifiers import dnn, svm
from sergan.classifiers.tasks import Problem, Task, class_weights

DNN = dnn.DnnSettings(hidden=(16,), dropout=0.1, l2=1e-4, learning_rate=1e-2, batch_size=16, steps=100)


def quiet(done, total):
    pass


def blobs(seed, count=60):
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 3
    centres = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]])
    return Problem((centres[label] + rng.normal(size=(count, 4))).astype(np.float32), label)


def task(problem=0, seed=0, train=40, fold=0, start=0):
    rows = np.arange(start, train)
    return Task(problem, rows, np.ones(len(rows)), np.arange(40, 60), fold, seed)


def test_svm_is_scikit_learns_linear_svc():
    problem = blobs(0)
    ours = svm.fit_predict(svm.SvmSettings(0.1), [problem], [task()], 3, quiet)[0]
    theirs = SVC(kernel="linear", C=0.1, class_weight="balanced").fit(
        problem.x_NxD[:40], problem.label_N[:40]
    )
    np.testing.assert_array_equal(ours.label_R, theirs.predict(problem.x_NxD[40:]))
    assert ours.probability_RxC is None


def test_tasks_that_differ_only_in_their_seed_are_one_svm_and_keep_their_order():
    problems, seen = [blobs(0), blobs(1)], []
    tasks = [task(0, 0), task(1, 0), task(0, 1), task(1, 1), task(0, 1, train=20)]
    answers = svm.fit_predict(
        svm.SvmSettings(0.1), problems, tasks, 3, lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (3, 3)
    np.testing.assert_array_equal(answers[0].label_R, answers[2].label_R)
    alone = svm.fit_predict(svm.SvmSettings(0.1), problems, [tasks[3]], 3, quiet)[0]
    np.testing.assert_array_equal(answers[3].label_R, alone.label_R)


def test_dnn_learns_and_its_probabilities_are_those():
    problem = blobs(0)
    answer = dnn.fit_predict(DNN, [problem], [task()], 3, quiet)[0]
    assert np.mean(answer.label_R == problem.label_N[40:]) > 0.85
    np.testing.assert_allclose(answer.probability_RxC.sum(axis=1), 1, rtol=1e-5)


def test_a_dnn_alone_equals_itself_among_others():
    problems = [blobs(0), blobs(1, 90)]
    tasks = [task(0, 0), task(1, 1), task(1, 0, train=25, fold=1)]
    together = dnn.fit_predict(DNN, problems, tasks, 3, quiet)
    for i in range(3):
        alone = dnn.fit_predict(DNN, problems, [tasks[i]], 3, quiet)[0]
        np.testing.assert_allclose(together[i].probability_RxC, alone.probability_RxC, atol=2e-4)


def test_a_dnn_never_sees_rows_that_are_not_its_own():
    problem = blobs(0)
    spoilt = Problem(problem.x_NxD.copy(), problem.label_N.copy())
    spoilt.x_NxD[20:40] = 1e3
    spoilt.label_N[20:40] = 0
    few = task(train=20)
    longer = task(start=15, seed=1)  # has more rows, so that those of `few` are padded
    clean = dnn.fit_predict(DNN, [problem], [few], 3, quiet)[0]
    beside = dnn.fit_predict(DNN, [spoilt], [few, longer], 3, quiet)[0]
    np.testing.assert_allclose(clean.probability_RxC, beside.probability_RxC, atol=2e-4)


@pytest.mark.parametrize("module", ["svm", "dnn"])
def test_a_weight_of_two_is_the_row_twice(module):
    """Exactly so for the SVM; in the mean over draws for the DNN, whose batches are drawn by weight."""
    problem = blobs(0)
    twice = np.concatenate([np.arange(40), np.arange(10)])
    heavy = Task(0, np.arange(40), np.where(np.arange(40) < 10, 2.0, 1.0), np.arange(40, 60), 0, 0)
    double = Task(0, twice, np.ones(50), np.arange(40, 60), 0, 0)
    if module == "svm":
        a, b = svm.fit_predict(svm.SvmSettings(0.1), [problem], [heavy, double], 3, quiet)
        np.testing.assert_array_equal(a.label_R, b.label_R)
        return
    longer = dnn.DnnSettings((16,), 0.0, 1e-4, 1e-2, 64, 300)
    a, b = dnn.fit_predict(longer, [problem], [heavy, double], 3, quiet)
    np.testing.assert_allclose(a.probability_RxC, b.probability_RxC, atol=0.15)


def test_a_row_without_weight_is_not_drawn():
    problem = blobs(0)
    wrong = Problem(problem.x_NxD, np.where(np.arange(60) < 20, (problem.label_N + 1) % 3, problem.label_N))
    weights = np.where(np.arange(40) < 20, 0.0, 1.0)
    blind = Task(0, np.arange(40), weights, np.arange(40, 60), 0, 0)
    for answer in (
        svm.fit_predict(svm.SvmSettings(0.1), [wrong], [blind], 3, quiet)[0],
        dnn.fit_predict(DNN, [wrong], [blind], 3, quiet)[0],
    ):
        assert np.mean(answer.label_R == problem.label_N[40:]) > 0.8


def test_class_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    label = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=label)
    np.testing.assert_allclose(class_weights(label, np.ones(6), 3), expected)
    weights = np.array([1.0, 2, 3, 4, 5, 6])
    balanced = weights * class_weights(label, weights, 3)[label]
    np.testing.assert_allclose(np.bincount(label, balanced), 7, rtol=1e-6)
