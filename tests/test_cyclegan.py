"""One member's step: known effects, independence of members, randomness by purpose, one compile."""

import logging
from dataclasses import replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import cyclegan, gan, members, nets
from sergan.folds import loso, min_max
from sergan.gan import GanConfig
from sergan.members import Member, View

HYPERS = {
    "lambda_cyc": 5.0,
    "lambda_cls": 2.0,
    "lambda_id": 0.0,
    "penalty_k": 2.0,
    "penalty_p": 6.0,
    "smoothing": 0.9,
    "lr_g": 5e-4,
    "lr_c": 5e-4,
    "lr_cls": 5e-4,
}
CONFIG = GanConfig(
    features=6,
    emotions=2,
    loss="wdiv",
    generator=(16,),
    critic=(16,),
    heads=(),
    classifier=(8,),
    residual=True,
    precision="float32",
    activations="float32",
    slope=0.2,
    dropout=0.2,
    cycle_reduction="sum",
    identity=False,
    classifier_data="real",
    batch_size=8,
    generator_updates=2,
    critic_updates=1,
    adam_b1=0.5,
    adam_b2=0.9,
    adam_eps=1e-6,
    ema_decay=0.9,
    pretrain_steps=0,
    steps=20,
    noise_pretrain_steps=0,
    noise_steps=20,
    noise_rate=1.0,
    decay_steps=50,
    decay_factor=0.8,
    decay_floor=0.0,
)
CLASSES = ("anger", "sadness")


def group(toy, seeds=1, first=0, **hypers):
    """Members of all folds of the toy corpus, whose source is all rows of the training speakers, shifted."""
    splits = loso(toy, CLASSES)
    settings = tuple(sorted((HYPERS | hypers).items()))
    plan = [
        Member(0, CONFIG, "train", fold.index, first + seed, 0, settings)
        for seed in range(seeds)
        for fold in splits
    ]
    plan = [replace(m, index=i) for i, m in enumerate(plan)]
    source = toy.x_UxD - 10.0
    views = []
    for member in plan:
        fold = splits[member.fold]
        targets = tuple(fold.train_R[toy.emotions_U[fold.train_R] == e] for e in CLASSES)
        both = np.concatenate([source[fold.train_R], toy.x_UxD[fold.train_R]])
        views.append(View(fold.train_R, targets, min_max(both)))
    return plan, views, source


@lru_cache
def compiled(config, steps, count, turns, devices):
    """The program of so many members on so many devices; tests that ask for the same one share it."""
    return members.make_chunk(cyclegan.make_step(config), steps, count, turns)


def run(config, plan, views, source, target, steps=20, turns=None):
    """State and metrics on the host: indexing what lies on two CPU devices can deadlock on one core."""
    data = members.stack_views(source, target, views)
    state = members.init(config, plan)
    chunk = compiled(config, steps, len(plan), turns, len(jax.devices()))
    state, metrics = chunk(members.stack_hypers(plan), data, state)
    return jax.device_get((state._replace(key=()), metrics))


def assert_near(a, b, rtol):
    """Every network as a whole: Adam makes steps of what rounding leaves of gradients that are 0."""
    for group, networks in a.items():
        for name, network in networks.items():
            x, y = (
                np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(n)])
                for n in (network, b[group][name])
            )
            assert np.linalg.norm(x - y) <= rtol * np.linalg.norm(x), (group, name)


def assert_close(a, b, rtol):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize(("loss", "classifier_data"), [("wdiv", "real"), ("gan", "fake"), ("wdiv", "both")])
def test_a_member_alone_equals_itself_in_a_batch(toy, loss, classifier_data):
    config = replace(CONFIG, loss=loss, classifier_data=classifier_data)
    plan, views, source = group(toy)
    batch, _ = run(config, plan, views, source, toy.x_UxD)
    for place in (0, 3):
        alone, _ = run(config, [plan[place]], [views[place]], source, toy.x_UxD)
        assert_near(
            jax.tree.map(lambda x: x[0], alone.params),
            jax.tree.map(lambda x, place=place: x[place], batch.params),
            1e-5,
        )


def test_members_vmapped_as_on_accelerators_give_the_numbers_of_members_in_turns(toy, monkeypatch):
    plan, views, source = group(toy)
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices()[:1])  # one for all members
    in_turns, said = run(CONFIG, plan, views, source, toy.x_UxD, turns=True)
    vmapped, same = run(CONFIG, plan, views, source, toy.x_UxD, turns=False)
    assert_near(in_turns.params, vmapped.params, 1e-5)
    assert {name: metric.shape for name, metric in said.items()} == {n: m.shape for n, m in same.items()}
    np.testing.assert_allclose(said["cycle"], same["cycle"], rtol=1e-4)


def test_the_same_member_in_another_order_gives_the_same_numbers(toy):
    plan, views, source = group(toy)
    forward, _ = run(CONFIG, plan, views, source, toy.x_UxD)
    backward, _ = run(CONFIG, plan[::-1], views[::-1], source, toy.x_UxD)
    assert_close(forward.params, jax.tree.map(lambda x: x[::-1], backward.params), 1e-5)


def test_two_chunks_of_ten_equal_one_of_twenty(toy):
    plan, views, source = group(toy)
    whole, _ = run(CONFIG, plan, views, source, toy.x_UxD)
    data, hypers = members.stack_views(source, toy.x_UxD, views), members.stack_hypers(plan)
    chunk, state = members.make_chunk(cyclegan.make_step(CONFIG), 10, len(plan)), members.init(CONFIG, plan)
    for _ in range(2):
        state, _ = chunk(hypers, data, state)
    assert_close(state.params, whole.params, 1e-6)


def test_the_second_chunk_the_second_group_and_the_second_seed_compile_nothing(toy, caplog):
    plan, views, source = group(toy, seeds=2)
    chunk = members.make_chunk(cyclegan.make_step(CONFIG), 5, 4)
    data = members.stack_views(source, toy.x_UxD, views[:4])
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for part in (plan[:4], plan[4:]):
            state = members.init(CONFIG, part)
            for _ in range(2):
                state, _ = chunk(members.stack_hypers(part), data, state)
    compiled = [r.getMessage() for r in caplog.records if "Compiling jit(in_turns)" in r.getMessage()]
    assert len(compiled) == 1, compiled


def test_a_hyper_is_data_and_a_diverging_member_freezes_alone(toy):
    plan, views, source = group(toy)
    wild = Member(1, CONFIG, "train", 1, 0, 0, tuple(sorted((HYPERS | {"lr_g": 1e30}).items())))
    mixed, _ = run(CONFIG, [plan[0], wild], views[:2], source, toy.x_UxD)
    calm, _ = run(CONFIG, plan[:2], views[:2], source, toy.x_UxD)
    assert mixed.finite.tolist() == [True, False]
    assert int(mixed.step[0]) == 20 and int(mixed.step[1]) < 20
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(mixed.ema))
    assert_close(jax.tree.map(lambda x: x[0], mixed.params), jax.tree.map(lambda x: x[0], calm.params), 1e-5)


def test_without_a_moving_average_none_is_kept(toy):
    plan, views, source = group(toy)
    state, _ = run(replace(CONFIG, ema_decay=0.0), plan, views, source, toy.x_UxD)
    averaged, _ = run(CONFIG, plan, views, source, toy.x_UxD)
    assert state.ema == {} and state.generators is state.params["gen"]
    assert averaged.generators is averaged.ema
    assert_close(state.params, averaged.params, 1e-5)
    assert members.bytes_per_member(CONFIG) > members.bytes_per_member(replace(CONFIG, ema_decay=0.0))


def test_an_untrained_residual_generator_is_the_identity(toy):
    gen = cyclegan.init(CONFIG, jax.random.key(0)).params["gen"]
    x = jnp.asarray(toy.x_UxD)
    y_KxBxD = cyclegan.transfer(CONFIG, gen, None, x)
    assert y_KxBxD.shape == (2, *x.shape)
    np.testing.assert_array_equal(y_KxBxD[1], x)


@pytest.mark.parametrize(
    ("loss", "rate", "generator_updates", "critic_updates", "left"),
    [("wdiv", 1e-3, 1, 4, 0.3), ("gan", 5e-3, 2, 1, 0.6)],
)
def test_transfer_carries_the_source_to_each_emotion(
    toy, loss, rate, generator_updates, critic_updates, left
):
    """Known answer: the source is 10 deviations away, and ends near each emotion's mean."""
    plan, views, source = group(toy, first=3, lr_g=rate, lr_c=rate)
    config = replace(CONFIG, loss=loss, generator_updates=generator_updates, critic_updates=critic_updates)
    state, metrics = run(config, plan[:1], views[:1], source, toy.x_UxD, steps=600)
    scaled = views[0].scaler.apply(source[views[0].source_R])
    y_KxBxD = cyclegan.transfer(CONFIG, jax.tree.map(lambda x: x[0], state.ema), None, jnp.asarray(scaled))
    for k, rows in enumerate(views[0].target_KxR):
        target_D = views[0].scaler.apply(toy.x_UxD[rows]).mean(axis=0)
        before = np.abs(scaled.mean(axis=0) - target_D).mean()
        assert np.abs(np.asarray(y_KxBxD[k]).mean(axis=0) - target_D).mean() < left * before
    assert {"critic_T", "gen_T", "cycle", "class", "wasserstein_T", "grad_gen", "cycle_ratio"} <= set(metrics)
    assert metrics["cycle"].shape == (1, 2)


def test_pretraining_lowers_the_reconstruction_error_of_plain_generators(toy):
    config = replace(CONFIG, residual=False, pretrain_steps=100)
    plan, views, source = group(toy)
    data, hypers = members.stack_views(source, toy.x_UxD, views), members.stack_hypers(plan)
    chunk, state = (
        members.make_chunk(cyclegan.make_pretrain_step(config), 20, len(plan)),
        members.init(config, plan),
    )
    losses = []
    for _ in range(5):
        state, metrics = chunk(hypers, data, state)
        losses.append(float(np.mean(metrics["cycle"])))
    assert losses[-1] < 0.5 * losses[0]
    assert np.asarray(state.step)[0] == 100


def test_a_critic_with_heads_is_the_mean_of_critics_of_its_groups():
    groups = ((0, 2), (1, 3, 4, 5))
    critic = cyclegan.make_nets(replace(CONFIG, heads=groups)).critic
    params = critic.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (5, 6))
    alone = [
        nets.build(len(g), (16,), 1).apply(params[f"head_{i}"], x[:, list(g)]) for i, g in enumerate(groups)
    ]
    np.testing.assert_allclose(critic.apply(params, x), (alone[0] + alone[1]) / 2, rtol=1e-6)


def test_a_critic_with_heads_trains(toy):
    plan, views, source = group(toy)
    config = replace(CONFIG, heads=((0, 1), (2, 3, 4, 5)))
    state, metrics = run(config, plan, views, source, toy.x_UxD)
    assert state.finite.all() and np.isfinite(metrics["penalty_T"]).all()


def test_the_learning_rate_falls_by_its_factor_every_decay_steps_after_pretraining():
    config = replace(CONFIG, pretrain_steps=10, decay_steps=50, decay_floor=0.5)
    rates = [float(gan.decay(config, jnp.int32(step))) for step in (0, 10, 59, 60, 110, 10_000)]
    assert rates == pytest.approx([1, 1, 1, 0.8, 0.64, 0.5])
    never = replace(config, decay_steps=10**10)  # more than a step can count
    assert float(gan.decay(never, jnp.int32(2**31 - 1))) == 1


def test_the_mean_reduction_weakens_the_cycle_against_the_critic(toy):
    plan, views, source = group(toy, first=3)
    ratio = {}
    for reduction in ("sum", "mean"):
        config = replace(CONFIG, cycle_reduction=reduction)
        _, metrics = run(config, plan, views, source, toy.x_UxD, steps=1)
        ratio[reduction] = float(metrics["cycle_ratio"].mean())
    assert ratio["sum"] == pytest.approx(6 * ratio["mean"], rel=1e-3)


def test_narrow_activations_leave_parameters_and_rows_in_float32(toy):
    plan, views, source = group(toy)
    _, exact = run(CONFIG, plan, views, source, toy.x_UxD)
    narrow, rough = run(replace(CONFIG, activations="bfloat16"), plan, views, source, toy.x_UxD)
    assert {leaf.dtype for leaf in jax.tree.leaves(narrow.params)} == {np.dtype("float32")}
    assert narrow.finite.all() and not np.array_equal(rough["cycle"], exact["cycle"])
    np.testing.assert_allclose(rough["cycle"], exact["cycle"], rtol=0.1)
    net = nets.build(3, (4,), 2, activations="bfloat16")
    assert net.apply(net.init(jax.random.key(0)), jnp.ones((5, 3))).dtype == jnp.float32
