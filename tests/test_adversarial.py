"""The baselines that make rows from noise: what they learn on rows with a known answer, and their streams."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sergan import adversarial, comparison, members, methods, rngs
from sergan.adversarial import KINDS
from tests.test_cyclegan import CLASSES, CONFIG, HYPERS, assert_close, group

LEARNING = {"lr_g": 2e-3, "lr_c": 2e-3, "lr_cls": 2e-3}


def trained(config, plan, views, source, target, steps, phase="train"):
    """State and metrics on the host after steps of one phase."""
    method = methods.of(config)
    make = method.make_pretrain_step if phase == "pretrain" else method.make_step
    state = members.init(config, plan)
    chunk = members.make_chunk(make(config), steps, len(plan))
    data = members.stack_views(source, target, views)
    state, metrics = chunk(members.stack_hypers(plan), data, state)
    return jax.device_get((state._replace(key=()), metrics))


def config_of(kind):
    return replace(CONFIG, loss=kind, generator=(32,), critic=(32,), batch_size=32, steps=600)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_alone_equals_itself_in_a_batch(toy, kind):
    plan, views, source = group(toy)
    config = replace(CONFIG, loss=kind)
    batch, metrics = trained(config, plan, views, source, toy.x_UxD, 10)
    alone, _ = trained(config, plan[3:], views[3:], source, toy.x_UxD, 10)
    first, last = (jax.tree.map(lambda x, i=i: x[i], state.params) for state, i in ((alone, 0), (batch, 3)))
    assert_close(first, last, 1e-5)
    assert all(np.isfinite(value).all() and value.shape == (4, 2) for value in metrics.values())
    assert batch.step.tolist() == [10] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_generated_of_an_emotion_is_like_it(toy, kind):
    """Two emotions four deviations apart: each generated row is nearer to its own emotion's mean."""
    plan, views, source = group(toy, **LEARNING)
    config = config_of(kind)
    state, _ = trained(config, plan[:1], views[:1], source, toy.x_UxD, 600)
    gen = jax.tree.map(lambda leaf: leaf[0], state.ema)
    key = rngs.member_key(0, 0)
    scaled = np.asarray(adversarial.transfer(config, gen, key, jnp.zeros((200, 6))))
    rows_KxNxD = views[0].scaler.invert(scaled)
    assert rows_KxNxD.shape == (2, 200, 6) and scaled.min() >= 0 and scaled.max() <= 1
    means = np.stack([toy.x_UxD[rows].mean(axis=0) for rows in views[0].target_KxR])
    distance = np.linalg.norm(rows_KxNxD[:, :, None] - means[None, None], axis=-1)
    own = (distance.argmin(axis=2) == np.arange(2)[:, None]).mean()
    assert own > (0.5 if kind == "sahu_gan" else 0.7)  # nothing tells a plain GAN which emotion is which
    assert rows_KxNxD.std(axis=1).min() > 0.05  # and they are not all the same


@pytest.mark.parametrize("kind", KINDS)
def test_pre_training_makes_real_rows_again(toy, kind):
    plan, views, source = group(toy, **LEARNING)
    config = config_of(kind)
    _, early = trained(config, plan, views, source, toy.x_UxD, 5, "pretrain")
    state, late = trained(config, plan, views, source, toy.x_UxD, 400, "pretrain")
    assert late["reconstruction"].mean() < 0.5 * early["reconstruction"].mean()
    assert_close(state.ema, state.params["gen"], 0)


def test_rows_depend_on_the_member_and_not_on_what_is_given(toy):
    config = replace(CONFIG, loss="adan")
    gen = adversarial.init(config, jax.random.key(1)).ema
    one, other = (rngs.member_key(seed, 0) for seed in (0, 1))
    zeros, ones = jnp.zeros((5, 6)), jnp.ones((5, 6))
    first = adversarial.transfer(config, gen, one, zeros)
    np.testing.assert_array_equal(first, adversarial.transfer(config, gen, one, ones))
    assert not np.allclose(first, adversarial.transfer(config, gen, other, zeros))
    assert not np.allclose(first[0], first[1])


def test_critics_of_codes_do_not_train_the_encoder(toy):
    """The adversarial loss reaches G only: another critic changes G's gradient, not that of E and R."""
    config = replace(CONFIG, loss="wadan")
    net = adversarial.make_nets(config)
    loss = adversarial._make_generator_loss(config, net)
    state = adversarial.init(config, jax.random.key(0))
    other = jax.tree.map(lambda leaf: 3 * leaf + 1, state.params["critic"])
    hypers = jax.tree.map(lambda leaf: leaf[0], members.stack_hypers(group(toy)[0]))
    t_KxBxD = jax.random.uniform(jax.random.key(1), (2, 8, 6))
    first, second = (
        jax.grad(loss, has_aux=True)(
            state.params["gen"], state.params | {"critic": critic}, t_KxBxD, jax.random.key(2), hypers
        )[0]
        for critic in (state.params["critic"], other)
    )
    assert_close({"E": first["E"], "R": first["R"]}, {"E": second["E"], "R": second["R"]}, 1e-6)
    apart = [
        np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (first["G"], second["G"])), strict=True)
    ]
    assert max(apart) > 1e-3


@pytest.mark.parametrize("loss", methods.METHODS)
def test_a_step_depends_on_what_its_method_is_said_to_read(toy, loss):
    plan, views, source = group(toy)
    config = replace(CONFIG, loss=loss, identity=True)
    chunk = members.make_chunk(methods.of(config).make_step(config), 2, 1)
    data = members.stack_views(source, toy.x_UxD, views[:1])

    def after(**changes):
        values = HYPERS | {"lambda_id": 1.0, "penalty_k": 2.0, "lambda_cls": 2.0} | changes
        member = replace(plan[0], hypers=tuple(sorted(values.items())))
        state = members.init(config, [member])
        return jax.tree.leaves(chunk(members.stack_hypers([member]), data, state)[0].params)

    first = after()
    for name, value in HYPERS.items():
        other = after(**{name: 0.5 * value + 0.1})
        same = all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
        assert same == (name not in methods.reads(loss)), name


def test_the_arms_are_their_methods():
    assert set(methods.METHODS) == {"gan", "wdiv", *KINDS} == set(comparison.TRAINED)
    assert all(methods.of(replace(CONFIG, loss=kind)) is adversarial for kind in KINDS)
    plan = members.plan(("wdiv", "adan"), ("train",), [], 1, [(CONFIG, {})])
    assert plan == []


def test_pre_training_of_the_baselines_has_a_length_of_its_own(toy):
    from sergan.folds import loso

    gan = replace(CONFIG, pretrain_steps=3, noise_pretrain_steps=7, noise_steps=40, noise_rate=2.0)
    made = members.plan(("wdiv", "adan"), ("train",), loso(toy, CLASSES), 1, [(gan, {})])
    steps = {(m.gan.loss, m.gan.pretrain_steps, m.gan.steps, m.gan.decay_steps) for m in made}
    assert steps == {("wdiv", 3, 20, 50), ("adan", 7, 40, 100)}  # rates fall equally often
    other = replace(gan, noise_steps=60, noise_rate=1.0)
    again = members.plan(("wdiv",), ("train",), loso(toy, CLASSES), 1, [(other, {})])
    assert {m.gan for m in again} == {m.gan for m in made if m.loss == "wdiv"}  # no new program


@pytest.mark.parametrize("kind", ["sahu_cgan", "wadan"])
def test_the_baselines_have_a_rate_of_their_own(toy, kind):
    plan, views, source = group(toy, lr_cls=0.0)
    start = jax.device_get(members.init(replace(CONFIG, loss=kind), plan).params)
    config = replace(CONFIG, loss=kind, noise_rate=2.0)
    for phase in ("train", "pretrain"):
        state, _ = trained(config, plan, views, source, toy.x_UxD, 1, phase)
        moved = max(
            float(np.abs(a - b).max())
            for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(start), strict=True)
        )
        updates = 1 if phase == "pretrain" else CONFIG.generator_updates  # Adam's first steps are the rate
        assert moved == pytest.approx(2.0 * 5e-4 * updates, rel=0.2)
