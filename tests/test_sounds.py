"""Training of WaveGAN and SpecGAN on real clips: what moves, what is drawn, what freezes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import losses, sounds
from sergan.corpora.audio import read_audio
from sergan.errors import UserError
from sergan.sounds import SoundConfig

PATHS = sorted((Path(__file__).parent / "data" / "emodb" / "wav").glob("*.wav"))[:6]
SMALL = {"classes": 2, "samples": 16384, "size": 4, "batch_size": 4, "steps": 10, "critic_updates": 2}
METRICS = {"critic", "wasserstein", "penalty", "generator", "grad_critic", "grad_gen"}


def config(kind="wavegan", **more):
    return SoundConfig(kind, **{**SMALL, **more})


def quick(function):
    """Compiled in little time, to run in more."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module")
def clips():
    return sounds.join([read_audio(path) for path in PATHS], 16384)


@pytest.fixture(scope="module")
def wavegan(clips):
    """A tone of 250 Hz, loud in one class and faint in the other: config, data, fresh state, step."""
    own = config(learning_rate=2e-3, adam_b1=0.0)
    tone = np.sin(2 * np.pi * 250 * np.arange(20000) / 16000, dtype=np.float32)
    joined = sounds.join([0.8 * tone, 0.05 * tone], own.samples)
    data = sounds.make_data(own, joined, np.array([0, 1]), np.array([0, 1]))
    state = quick(lambda key: sounds.init(own, key))(jax.random.key(0))
    return own, data, state, quick(sounds.make_step(own))


def specgan_parts(clips, seeds):
    own = config("specgan", loss="wdiv", critic_updates=1)
    rows = [np.array([0, 1, 2, 3]), np.array([1, 2, 4])]
    labels = [np.array([0, 1, 0, 1]), np.array([0, 1, 1])]
    each = [sounds.make_data(own, clips, *parts, room=5) for parts in zip(rows, labels, strict=True)]
    init = quick(lambda key: sounds.init(own, key))
    return own, each, [init(jax.random.key(seed)) for seed in seeds]


def stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def close(ours, theirs, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), ours, theirs)


def test_a_penalty_of_a_linear_critic_of_waveforms_is_its_closed_form():
    w = jnp.array([0.5, -1.0, 2.0, 0.25])[:, None]
    x = jax.random.normal(jax.random.key(0), (3, 4, 1))
    slope = float(jnp.linalg.norm(w))

    def critic(x):
        return jnp.sum(x * w[None], (1, 2))

    assert losses.divergence_penalty(critic, x, 2.0, 6.0) == pytest.approx(2 * slope**6, rel=1e-5)
    assert losses.gradient_penalty(critic, x, 10.0) == pytest.approx(10 * (slope - 1) ** 2, rel=1e-5)


def test_points_between_waveforms_lie_on_the_line_between_each_pair():
    real, fake = jnp.ones((5, 7, 2, 1)), jnp.zeros((5, 7, 2, 1))
    share = losses.interpolate(jax.random.key(0), real, fake)
    assert share.shape == real.shape
    np.testing.assert_array_equal(share, jnp.broadcast_to(share[:, :1, :1], share.shape))
    assert len(set(np.asarray(share[:, 0, 0, 0]).tolist())) == 5


def test_training_makes_sounds_like_those_of_the_data_and_of_each_class(wavegan):
    """More and more of their power is at the tone's frequency, and one class is louder than the other."""
    own, data, state, step = wavegan
    make = quick(lambda gen, key, label: sounds.sample(own, gen, key, label))

    def share_and_loudness(state):
        x_NxT = np.asarray(make(state.gen, jax.random.key(7), jnp.array([0, 1] * 4)))
        power = np.abs(np.fft.rfft(x_NxT)) ** 2
        near = power[:, 256 - 8 : 256 + 9].sum(axis=1)  # 250 Hz is bin 256 of 16384 samples
        return near.sum() / power.sum(), x_NxT.reshape(4, 2, -1).std(axis=2)

    before, _ = share_and_loudness(state)
    for _ in range(80):
        state, metrics = step(data, state)
    after, loudness = share_and_loudness(state)
    assert state.finite and state.step == 80
    assert set(metrics) == METRICS
    assert before < 0.05 and after > 0.25
    assert loudness[:, 0].mean() > 2 * loudness[:, 1].mean()


def test_specgans_steps_on_real_clips_are_finite_and_the_same_alone_and_beside_another_member(clips):
    own, each, states = specgan_parts(clips, (0, 1))
    step = sounds.make_step(own)
    alone, together = quick(step), quick(jax.vmap(step))
    state, data, both = states[1], stacked(each), stacked(states)
    for _ in range(2):
        state, metrics = alone(each[1], state)
        both, all_metrics = together(data, both)
    second = jax.tree.map(lambda leaf: leaf[1], (both._replace(key=None), all_metrics))
    close((state._replace(key=None), metrics), second, rtol=1e-3, atol=1e-5)
    assert both.finite.all() and both.step.tolist() == [2, 2]
    assert all(np.isfinite(value) for value in metrics.values())
    assert jnp.abs(both.gen["up_0"]["kernel"][0] - both.gen["up_0"]["kernel"][1]).max() > 1e-3


def test_wavegans_steps_on_real_clips_are_finite(clips, wavegan):
    own, _, state, step = wavegan
    joined = sounds.join([read_audio(path)[:20000] for path in PATHS[:2]], own.samples)
    data = sounds.make_data(own, joined, np.array([0, 1]), np.array([0, 1]))
    for _ in range(3):
        state, metrics = step(data, state)
    assert state.finite and state.step == 3
    assert all(np.isfinite(value) for value in metrics.values())


def test_a_member_that_diverges_stays_as_it_is(wavegan):
    _, data, state, step = wavegan
    lost = data._replace(clips=data.clips._replace(x_L=data.clips.x_L.at[:].set(jnp.nan)))
    frozen, _ = step(lost, state)
    still, _ = step(data, frozen)
    for after in (frozen, still):
        assert not after.finite
        close(after._replace(finite=None, key=None), state._replace(finite=None, key=None), rtol=0)


def test_a_slice_lies_within_its_clip_and_a_short_clip_is_followed_by_zeros():
    own = config(batch_size=500, classes=1)
    ramp = [np.arange(1, 16385 + 4, dtype=np.float32), -np.arange(1, 101, dtype=np.float32)]
    joined = sounds.join(ramp, own.samples)
    data = sounds.make_data(own, joined, np.array([0, 1]), np.array([0, 1]), room=7)
    drawn, _ = jax.jit(lambda key: sounds.batch(own, data, key))(jax.random.key(0))
    first = np.asarray(drawn[:, 0, 0])
    start, times = np.unique(first[first > 0], return_counts=True)
    assert start.tolist() == [1, 2, 3, 4, 5]
    assert np.abs(times - 50).max() < 35
    short = np.asarray(drawn[first < 0, :, 0])
    np.testing.assert_array_equal(short, np.broadcast_to(np.pad(ramp[1], (0, 16284)), short.shape))
    assert abs(len(short) - 250) < 56


def test_classes_are_drawn_equally_often_and_keep_their_labels():
    own = config(batch_size=3000, classes=2)
    joined = sounds.join([np.full(16384, value, np.float32) for value in (1, 2, 3, 4, 9)], own.samples)
    data = sounds.make_data(own, joined, np.array([3, 0, 2, 1]), np.array([1, 0, 0, 0]), room=64)
    drawn, label = jax.jit(lambda key: sounds.batch(own, data, key))(jax.random.key(0))
    value, times = np.unique(np.asarray(drawn[:, 0, 0]), return_counts=True)
    assert value.tolist() == [1, 2, 3, 4]
    assert np.abs(times - np.array([500, 500, 500, 1500])).max() < 140
    np.testing.assert_array_equal(label, drawn[:, 0, 0] == 4)


@pytest.mark.parametrize("kind", ["wavegan", "specgan"])
@pytest.mark.parametrize("samples", [16384, 32768, 65536])
def test_every_length_of_slice_trains_and_makes_sounds_of_it(kind, samples):
    own = config(kind, samples=samples)
    joined = sounds.join([np.ones(20000, np.float32)], samples)
    data = sounds.make_data(own, joined, np.array([0, 0]), np.array([0, 1]))
    state = jax.eval_shape(lambda key: sounds.init(own, key), jax.random.key(0))
    after, metrics = jax.eval_shape(sounds.make_step(own), data, state)
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, state)
    assert {name: value.shape for name, value in metrics.items()} == {name: () for name in METRICS}
    label = jnp.zeros(18, jnp.int32)
    made = jax.eval_shape(lambda gen, key: sounds.sample(own, gen, key, label), state.gen, state.key)
    assert made.shape == ((18, samples) if kind == "wavegan" else (18, samples // 128, 128))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "melgan"}, "melgan"),
        ({"loss": "gan"}, "'gan' is none of wgan_gp, wdiv"),
        ({"samples": 16000}, "16000"),
        ({"size": 0}, "size is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong, message):
    with pytest.raises(UserError, match=message):
        SoundConfig(**{"kind": "wavegan", **SMALL, **wrong})


def test_spectrograms_are_normed_on_the_training_clips_alone(clips):
    own, rows, labels = config("specgan"), np.array([3, 0, 2, 2]), np.array([0, 1, 0, 0])
    spoilt = clips._replace(x_L=clips.x_L.copy())
    for u in (1, 4, 5):
        spoilt.x_L[spoilt.first_U[u] :][: spoilt.length_U[u]] = 0.5
    ours, theirs = (sounds.make_data(own, each, rows, labels) for each in (clips, spoilt))
    np.testing.assert_array_equal(ours.mean_F, theirs.mean_F)
    np.testing.assert_array_equal(ours.scale_F, theirs.scale_F)
    other = sounds.make_data(own, clips, np.array([3, 0, 1]), np.array([0, 1, 0]))
    assert np.abs(ours.mean_F - other.mean_F).max() > 0.01


def test_one_long_clip_does_not_lengthen_the_others():
    joined = sounds.join([np.ones(n, np.float32) for n in (100, 10**6, 16384)], 16384)
    assert len(joined.x_L) == 16384 + 10**6 + 16384
    assert joined.first_U.tolist() == [0, 16384, 16384 + 10**6]
    assert joined.length_U.tolist() == [100, 10**6, 16384] and joined.x_L.sum() == 100 + 10**6 + 16384


def test_clips_that_cannot_train_are_refused(clips):
    own, none = config(), np.array([], int)
    with pytest.raises(UserError, match="no clip"):
        sounds.join([], 16384)
    with pytest.raises(UserError, match="no clip"):
        sounds.make_data(own, clips, none, none)
    with pytest.raises(UserError, match="class 1 has no clip"):
        sounds.make_data(own, clips, np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(UserError, match="labels go from 0 to 2"):
        sounds.make_data(own, clips, np.array([0, 1]), np.array([0, 2]))
    with pytest.raises(UserError, match="a slice has 65536"):
        sounds.make_data(config(samples=65536), clips, np.array([0, 1]), np.array([0, 1]))
