"""The segment classifier on real clips, and its tasks alone and together."""

import logging
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import adam, logmel, losses, nets, rngs
from sergan.checkpoint import Checkpoints
from sergan.classifiers import adcrnn
from sergan.classifiers.adcrnn import AdcrnnSettings, Beside, ClipTask
from sergan.corpora.audio import read_audio
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
def clips():
    """Twenty clips, of which each has several segments of 1 s."""
    recordings = [read_audio(path) for path in PATHS]
    return logmel.join(logmel.extract(recordings, [path.stem for path in PATHS]))


def settings(steps=50, **more):
    return AdcrnnSettings(NET, steps, **{"learning_rate": 3e-3, **more})


def task(test, fold=0, seed=0, train=None, label=None):
    train = np.setdiff1d(np.arange(20), test) if train is None else train
    label = AROUSED[train] if label is None else label
    return ClipTask(train, label, np.ones(len(train)), train, np.asarray(test), fold, seed)


HALVES = [np.arange(0, 20, 2), np.arange(1, 20, 2)]


def test_it_tells_aroused_from_calm_speakers_it_has_not_heard(clips):
    answers = adcrnn.fit_predict(settings(100), clips, [task(half) for half in HALVES])
    right = np.concatenate([a.label_R == AROUSED[half] for a, half in zip(answers, HALVES, strict=True)])
    assert right.mean() >= 0.75
    for answer in answers:
        assert answer.probability_RxC.shape == (10, 2)
        np.testing.assert_allclose(answer.probability_RxC.sum(axis=1), 1, rtol=1e-5)


def test_several_chunks_of_several_calls_compile_one_program(clips, caplog):
    own = settings(51, learning_rate=2e-3)  # which no other test has
    looks = []

    def told(task, steps, values, answer):
        looks.append((steps, answer is not None))

    jax.config.update("jax_log_compiles", True)  # in all threads
    with caplog.at_level(logging.WARNING):
        for half in HALVES:
            adcrnn.fit_predict(own, clips, [task(half)], beside=Beside(told, 20))
    jax.config.update("jax_log_compiles", False)
    assert looks == 2 * [(17, False), (34, True), (51, True)]
    assert adcrnn.chunk_length(own.steps) == 17
    compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling jit(chunk)")]
    assert len(compiled) == 1


def test_a_task_alone_equals_itself_among_others(clips):
    tasks = [task(HALVES[0]), task(HALVES[1][:4], fold=1), task(HALVES[0], seed=1, train=HALVES[1][:6])]
    alone = adcrnn.fit_predict(settings(5), clips, tasks, together=1)
    told = []
    beside = Beside(lambda *said: told.append(said), look=3)
    batched = adcrnn.fit_predict(settings(5), clips, tasks, together=2, beside=beside)
    heard = sorted((task.fold, task.seed, steps) for task, steps, *_ in told)  # from two threads
    assert heard == sorted((task.fold, task.seed, 5) for task in tasks)
    assert all(said["loss"] > 0 and 0 <= said["accuracy"] <= 1 for *_, said, _ in told)
    seen = {(task.fold, task.seed): answer for task, *_, answer in told}
    for own, answer in zip(tasks, batched, strict=True):  # after the last step
        np.testing.assert_array_equal(seen[own.fold, own.seed].probability_RxC, answer.probability_RxC)
    assert len(alone) == len(batched) == 3
    for one, other in zip(alone, batched, strict=True):
        np.testing.assert_allclose(one.probability_RxC, other.probability_RxC, atol=1e-3)
    assert not np.allclose(alone[0].probability_RxC, alone[2].probability_RxC, atol=1e-2)


@pytest.mark.parametrize("together", [1, 2])
def test_tasks_go_on_from_the_state_that_was_saved(clips, tmp_path, together):
    tasks = [task(HALVES[0]), task(HALVES[1], fold=1), task(HALVES[0], seed=1)]
    heard = []

    def states(tasks, room):
        assert room == together
        return Checkpoints(tmp_path / "_".join(f"{task.fold}{task.seed}" for task in tasks))

    def told(task, steps, *_):
        heard.append(steps)

    own = settings(51)
    plain = adcrnn.fit_predict(own, clips, tasks, together)
    saved = adcrnn.fit_predict(own, clips, tasks, together, Beside(told, states=states, save=20))
    assert sorted(heard) == [17] * 3 + [34] * 3 + [51] * 3
    heard.clear()
    for place in tmp_path.iterdir():  # each chunk but the first passes a multiple of 20, or is the last
        assert sorted(step.name for step in place.iterdir() if step.name.isdigit()) == ["34", "51"]
        shutil.rmtree(place / "51")
    again = adcrnn.fit_predict(own, clips, tasks, together, Beside(told, states=states, save=20))
    assert heard == [51] * 3
    for one, other, third in zip(plain, saved, again, strict=True):
        np.testing.assert_array_equal(one.probability_RxC, other.probability_RxC)
        np.testing.assert_array_equal(one.probability_RxC, third.probability_RxC)


def test_tasks_that_do_not_fit_the_memory_are_tried_in_halves(clips, monkeypatch, capsys):
    tasks = [task(HALVES[0], seed=seed) for seed in range(4)]
    whole, train, sizes = adcrnn.fit_predict(settings(2), clips, tasks), adcrnn._train, []

    def little_memory(settings, together, *more):
        sizes.append(together)
        if together > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return train(settings, together, *more)

    monkeypatch.setattr(adcrnn, "_train", little_memory)
    halved = adcrnn.fit_predict(settings(2), clips, tasks, together=4)
    assert list(dict.fromkeys(sizes)) == [4, 2, 1]
    assert "4 classifiers do not fit the memory; trying 2" in capsys.readouterr().err
    for one, other in zip(whole, halved, strict=True):
        np.testing.assert_array_equal(one.probability_RxC, other.probability_RxC)


def test_answers_follow_the_order_in_which_clips_are_asked(clips):
    turned = HALVES[0][::-1]
    one, other = adcrnn.fit_predict(settings(5), clips, [task(HALVES[0]), task(turned)])
    np.testing.assert_allclose(one.probability_RxC[::-1], other.probability_RxC, atol=1e-5)


def test_nothing_of_the_predicted_clips_reaches_training(clips):
    spoilt = clips._replace(x_LxFx3=clips.x_LxFx3.copy())
    spoilt.x_LxFx3[np.isin(np.repeat(np.arange(20), clips.frames_U), HALVES[0][1:])] = 50.0
    clean, beside = (
        adcrnn.fit_predict(settings(5), given, [task(HALVES[0])])[0] for given in (clips, spoilt)
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
def test_a_step_adds_its_loss_on_its_layer_and_moves_that_layers_centres(clips, loss, added, layer):
    weights = {"center_weight": 0.5, "contrastive_weight": 0.7}
    given, net = settings(1, loss=loss, center_rate=1.0, **weights), linear_net()
    params, _ = net.init(None)
    centre = adcrnn._first_centres(given, net, params, {})
    assert centre.shape == (2, 2 if layer == "logits" else 3)
    own = _data(clips)
    state = adcrnn._State(params, {}, adam.init(params), centre + 0.3)
    step = jax.jit(adcrnn._make_step(given, net))
    after, said = step(clips, own, jnp.asarray(0), state)
    x, label = adcrnn._batch(given, clips, own, jax.random.fold_in(rngs.stream(own.key, "train"), 0))

    def total(params):
        out, _ = net.apply(params, {}, x)
        each = -jax.nn.log_softmax(out.logits_BxC)[jnp.arange(len(label)), label]
        features = out.logits_BxC if layer == "logits" else out.embedding_BxD
        weight = 0.7 if loss == "L_f4" else 0.5
        right = jnp.mean(out.logits_BxC.argmax(axis=1) == label)
        whole = jnp.mean(each) + (weight * added(features, label, centre + 0.3) if added else 0)
        return whole, (features, right)

    (whole, (features, right)), grads = jax.value_and_grad(total, has_aux=True)(params)
    assert float(said["loss"]) == pytest.approx(float(whole), rel=1e-4)
    assert float(said["accuracy"]) == pytest.approx(float(right))
    jax.tree.map(
        lambda mean, grad: np.testing.assert_allclose(mean, 0.1 * grad, rtol=1e-3, atol=1e-6),
        after.moments.mean,
        grads,
    )
    np.testing.assert_allclose(
        after.centre_CxD, losses.move_centres(centre + 0.3, features, label, 1.0), rtol=1e-3, atol=1e-5
    )


def _data(clips):
    data = adcrnn._stack(clips, [task(HALVES[0])], FRAMES)
    return jax.tree.map(lambda leaf: leaf[0], data)


def test_a_batch_has_clips_by_weight_and_any_part_of_them(clips):
    """Clip 1 twice as often as clip 3, whatever their lengths; of the short clip 0 all, anywhere."""
    frames = [
        np.full((n, 2, 3), n, np.float32) + np.arange(n)[:, None, None] / 1000 for n in (60, 250, 9, 150)
    ]
    known, given = logmel.join(frames), settings(batch_size=4000)
    asked = ClipTask(
        np.array([0, 1, 3]), np.array([0, 1, 0]), np.array([1, 2, 1]), np.array([0]), np.array([2]), 0, 0
    )
    data = jax.tree.map(lambda leaf: leaf[0], adcrnn._stack(known, [asked], FRAMES))
    data = data._replace(standard=logmel.Standard(jnp.zeros((2, 3)), jnp.ones((2, 3))))
    x, label = adcrnn._batch(given, jax.tree.map(jnp.asarray, known), data, jax.random.key(0))
    x = np.asarray(x)[:, :, 0, 0]
    clip = x.max(axis=1).astype(int)
    assert set(clip.tolist()) == {60, 250, 150}
    np.testing.assert_array_equal(label, clip == 250)
    np.testing.assert_allclose([(clip == n).mean() for n in (60, 250, 150)], [0.25, 0.5, 0.25], atol=0.03)
    for n in (250, 150):
        starts = np.round(1000 * (x[clip == n][:, 0] - n)).astype(int)
        assert starts.min() == 0 and starts.max() == n - FRAMES and len(set(starts.tolist())) > 0.9 * (n - 99)
    short = x[clip == 60] > 0
    assert (short.sum(axis=1) == 60).all() and set(short.argmax(axis=1).tolist()) == set(range(41))


def test_segments_that_train_are_masked_where_that_is_asked(clips):
    own = _data(clips)
    plain, hidden = (
        adcrnn._batch(settings(batch_size=200, mask_filters=most), clips, own, jax.random.key(0))[0]
        for most in (0, 10)
    )
    lost = np.asarray((hidden == 0) & (plain != 0)).all(axis=(1, 3))
    assert (hidden[~np.asarray(hidden == 0)] == plain[~np.asarray(hidden == 0)]).all()
    assert set(lost.sum(axis=1).tolist()) == set(range(11))


def test_an_unknown_loss_is_refused(clips):
    with pytest.raises(UserError, match="'L_f9' is none of L_f1, L_f2, L_f3, L_f4"):
        adcrnn.fit_predict(settings(loss="L_f9"), clips, [task(HALVES[0])])


def test_a_clip_without_weight_does_not_train(clips):
    few, all_of_them = HALVES[1][:6], HALVES[1]
    weight = (np.arange(10) < 6).astype(float)
    weighted = ClipTask(all_of_them, AROUSED[all_of_them], weight, few, HALVES[0], 0, 0)
    one, other = adcrnn.fit_predict(settings(5), clips, [task(HALVES[0], train=few), weighted])
    np.testing.assert_allclose(one.probability_RxC, other.probability_RxC, atol=1e-5)


def test_a_clip_that_trains_is_not_predicted_and_an_unknown_one_is_refused(clips):
    with pytest.raises(LeakError, match="fold 3: 1 clips train that are predicted, 5 first"):
        adcrnn.fit_predict(settings(), clips, [task(np.arange(6), fold=3, train=np.arange(5, 20))])
    spied = ClipTask(HALVES[1], AROUSED[HALVES[1]], np.ones(10), np.arange(1, 20), HALVES[0], 0, 0)
    with pytest.raises(LeakError, match="fold 0: 9 clips train that are predicted, 2 first"):
        adcrnn.fit_predict(settings(), clips, [spied])  # by their scales
    with pytest.raises(UserError, match="fold 0: there is no clip 20, there are 20"):
        adcrnn.fit_predict(settings(), clips, [task(np.array([20]))])


def test_training_that_diverges_has_no_answer_and_leaves_the_others_theirs(clips):
    (answer,) = adcrnn.fit_predict(settings(10, learning_rate=1e38), clips, [task(HALVES[0])])
    assert not answer.sound
    posterior_NxC = np.full((12, 2), 0.5)
    posterior_NxC[10:] = np.nan  # of padding
    assert adcrnn._answer(np.arange(10), posterior_NxC).probability_RxC.shape == (10, 2)
