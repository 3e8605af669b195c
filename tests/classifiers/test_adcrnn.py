"""The segment classifier on real clips, and its tasks alone and together."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import adam, logmel, losses, nets, rngs
from sergan.classifiers import adcrnn
from sergan.classifiers.adcrnn import AdcrnnSettings, ClipTask
from sergan.corpora.recordings import read_audio
from sergan.errors import UserError
from sergan.folds import LeakError

PATHS = sorted((Path(__file__).parent.parent / "data" / "emodb" / "wav").glob("*.wav"))
AROUSED = np.array([path.stem[5] in "WFA" for path in PATHS], int)  # anger, happiness, fear; or none of them
FRAMES = 100
NET = nets.AdcrnnConfig(
    2,
    frames=FRAMES,
    first=4,
    convolutions=1,
    maps=8,
    linear=16,
    units=16,
    dilations=(2,),
    embedding=8,
    dropout=0.2,
)


@pytest.fixture(scope="module")
def segments():
    """Segments of 1 s of twenty clips, so that each has several."""
    clips = [read_audio(path) for path in PATHS]
    return logmel.cut(logmel.extract(clips, [path.stem for path in PATHS]), FRAMES)


def settings(steps=50, **more):
    return AdcrnnSettings(NET, steps, **{"learning_rate": 3e-3, **more})


def task(test, fold=0, seed=0, train=None, label=None):
    train = np.setdiff1d(np.arange(20), test) if train is None else train
    label = AROUSED[train] if label is None else label
    return ClipTask(train, label, np.ones(len(train)), np.asarray(test), fold, seed)


HALVES = [np.arange(0, 20, 2), np.arange(1, 20, 2)]


def test_it_tells_aroused_from_calm_speakers_it_has_not_heard(segments):
    answers = adcrnn.fit_predict(settings(100), segments, [task(half) for half in HALVES])
    right = np.concatenate([a.label_R == AROUSED[half] for a, half in zip(answers, HALVES, strict=True)])
    assert right.mean() >= 0.75
    for answer in answers:
        assert answer.probability_RxC.shape == (10, 2)
        np.testing.assert_allclose(answer.probability_RxC.sum(axis=1), 1, rtol=1e-5)


def test_a_task_alone_equals_itself_among_others(segments):
    tasks = [task(HALVES[0]), task(HALVES[1][:4], fold=1), task(HALVES[0], seed=1, train=HALVES[1][:6])]
    alone = adcrnn.fit_predict(settings(5), segments, tasks, together=1)
    batched = adcrnn.fit_predict(settings(5), segments, tasks, together=2)
    assert len(alone) == len(batched) == 3
    for one, other in zip(alone, batched, strict=True):
        np.testing.assert_allclose(one.probability_RxC, other.probability_RxC, atol=1e-3)
    assert not np.allclose(alone[0].probability_RxC, alone[2].probability_RxC, atol=1e-2)


def test_answers_follow_the_order_in_which_clips_are_asked(segments):
    turned = HALVES[0][::-1]
    one, other = adcrnn.fit_predict(settings(5), segments, [task(HALVES[0]), task(turned)])
    np.testing.assert_allclose(one.probability_RxC[::-1], other.probability_RxC, atol=1e-5)


def test_nothing_of_the_predicted_clips_reaches_training(segments):
    spoilt = segments._replace(x_NxTxFx3=segments.x_NxTxFx3.copy())
    spoilt.x_NxTxFx3[np.isin(segments.clip_N, HALVES[0][1:])] = 50.0
    clean, beside = (
        adcrnn.fit_predict(settings(5), given, [task(HALVES[0])])[0] for given in (segments, spoilt)
    )
    np.testing.assert_array_equal(clean.probability_RxC[0], beside.probability_RxC[0])


def linear_net():
    """Stands for the network: the mean segment's first coefficients, times a matrix."""

    def apply(params, statistics, x_BxTxFx3, dropout_key=None):
        embedding_BxD = jnp.mean(x_BxTxFx3, axis=(1, 3))[:, :4] @ params["embedding"]
        return nets.Output(embedding_BxD @ params["logits"], embedding_BxD, x_BxTxFx3[..., 0, 0]), statistics

    ones = {"embedding": jnp.ones((4, 3)), "logits": jnp.ones((3, 2))}
    return nets.BatchNet(lambda key: (ones, {}), apply)


@pytest.mark.parametrize(
    ("loss", "added", "layer"), [(k, *(v or (None, ""))) for k, v in adcrnn.LOSSES.items()]
)
def test_a_step_adds_its_loss_on_its_layer_and_moves_that_layers_centres(segments, loss, added, layer):
    given, net = settings(1, loss=loss, center_weight=0.5, center_rate=1.0), linear_net()
    params, _ = net.init(None)
    centre = adcrnn._first_centres(given, net, params, {})
    assert centre.shape == (2, 2 if layer == "logits" else 3)
    own = _data(segments)
    state = adcrnn._State(params, {}, adam.init(params), centre + 0.3)
    step = jax.jit(adcrnn._make_step(given, net))
    after = step(segments.x_NxTxFx3, segments.frames_N, own, jnp.asarray(0), state)
    rows, label = _drawn(own, given.batch_size)

    def total(params):
        x = logmel.standardise(segments.x_NxTxFx3[rows], segments.frames_N[rows], own.standard)
        out, _ = net.apply(params, {}, x)
        each = -jax.nn.log_softmax(out.logits_BxC)[jnp.arange(len(label)), label]
        features = out.logits_BxC if layer == "logits" else out.embedding_BxD
        return jnp.mean(each) + (0.5 * added(features, label, centre + 0.3) if added else 0), features

    grads, features = jax.grad(total, has_aux=True)(params)
    jax.tree.map(
        lambda mean, grad: np.testing.assert_allclose(mean, 0.1 * grad, rtol=1e-3, atol=1e-6),
        after.moments.mean,
        grads,
    )
    np.testing.assert_allclose(
        after.centre_CxD, losses.move_centres(centre + 0.3, features, label, 1.0), rtol=1e-3, atol=1e-5
    )


def _data(segments):
    one = task(HALVES[0])
    data = adcrnn._stack(segments, [one], adcrnn._places(segments, [one]))
    return jax.tree.map(lambda leaf: leaf[0], data)


def _drawn(data, count):
    """Rows and labels of the first step, by the streams that it names."""
    key = jax.random.fold_in(rngs.stream(data.key, "train"), 0)
    drawn = np.searchsorted(data.cumulative_R, jax.random.uniform(rngs.stream(key, "batch"), (count,)))
    return np.asarray(data.train_R)[drawn], np.asarray(data.label_R)[drawn]


def test_an_unknown_loss_is_refused(segments):
    with pytest.raises(UserError, match="'L_f9' is none of L_f1, L_f2, L_f3, L_f4"):
        adcrnn.fit_predict(settings(loss="L_f9"), segments, [task(HALVES[0])])


def test_a_clip_without_weight_does_not_train(segments):
    """Neither drawn nor part of the standardisation."""
    few, all_of_them = HALVES[1][:6], HALVES[1]
    weighted = ClipTask(all_of_them, AROUSED[all_of_them], (np.arange(10) < 6).astype(float), HALVES[0], 0, 0)
    one, other = adcrnn.fit_predict(settings(5), segments, [task(HALVES[0], train=few), weighted])
    np.testing.assert_allclose(one.probability_RxC, other.probability_RxC, atol=1e-5)


def test_a_clip_that_trains_is_not_predicted_and_an_unknown_one_is_refused(segments):
    with pytest.raises(LeakError, match="fold 3: 1 clips train that are predicted, 5 first"):
        adcrnn.fit_predict(settings(), segments, [task(np.arange(6), fold=3, train=np.arange(5, 20))])
    with pytest.raises(UserError, match="clip 20 has no segments"):
        adcrnn.fit_predict(settings(), segments, [task(np.array([20]))])


def test_training_that_diverged_is_an_error(segments):
    one = task(HALVES[0])
    places = adcrnn._places(segments, [one])
    with pytest.raises(UserError, match="fold 0, seed 0 diverged"):
        adcrnn._answer(one, places, np.full((len(segments.clip_N), 2), np.nan))
