"""Training as the product does it: resumes bit for bit, compiles once, logs what it says."""

import logging
from dataclasses import replace

import jax
import numpy as np
import pytest
from etils import epath

from configs.emodb_wdiv import get_config
from experiments import speech, study, train
from sergan import members, writers
from sergan.checkpoint import Checkpoints
from sergan.errors import UserError
from sergan.members import groups


def never(size):
    raise AssertionError(f"groups of {size}, though there is memory")


@pytest.fixture(scope="module")
def debug():
    """EMO-DB, debug sizes, cut to the first 40 features so that a step is quick."""
    config = get_config("debug")
    whole = study.prepare(config)
    narrow = [
        t.__class__(t.x_UxD[:, :40], t.ids_U, t.speakers_U, t.emotions_U, t.names_D[:40], t.extractor)
        for t in (whole.corpus, whole.source)
    ]
    return study.assemble(config, speech.Rows(*narrow))


@pytest.fixture(scope="module")
def straight(debug, tmp_path_factory):
    run = epath.Path(tmp_path_factory.mktemp("straight"))
    with jax.log_compiles():
        logger, seen = logging.getLogger("jax"), []
        logger.propagate = False
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(record.getMessage())
        logger.addHandler(handler)
        train.train(debug, run, 5, never)
        logger.removeHandler(handler)
        logger.propagate = True
    return run, seen


def generators(debug, run):
    parts = [
        train.restore_generators(debug.members[0].gan, run, number, len(group))
        for number, group in enumerate(groups(debug.members, 5))
    ]
    return [np.asarray(leaf) for part in parts for leaf in jax.tree.leaves(part)]


def test_four_groups_compile_one_program_for_each_phase(debug, straight):
    _, seen = straight
    assert len(groups(debug.members, 5)) == 4
    compiled = [message.split("with")[0] for message in seen if message.startswith("Compiling jit(in_turns)")]
    assert len(compiled) == 2  # pre-training and joint training
    initialised = [message for message in seen if message.startswith("Compiling jit(<lambda>)")]
    assert len(initialised) == 1


@pytest.mark.parametrize("stop_at", [2, 4])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    debug, straight, tmp_path, monkeypatch, stop_at
):
    """Killed in its very first line, stopped in the second group after more was logged than saved, then run
    again."""
    run = epath.Path(tmp_path)
    (run / "metrics.jsonl").write_text('{"step": 2, "mem')
    save = train._Group.save

    def stopping(group):
        save(group)
        if group._number == 1 and group.step == stop_at:
            group.close()
            group._unwritten = group.step + 2, "train", {"cycle": np.zeros((5, 5))}
            group._write_metrics()  # logged but not saved
            raise KeyboardInterrupt

    monkeypatch.setattr(train._Group, "save", stopping)
    with pytest.raises(KeyboardInterrupt):
        train.train(debug, run, 5, never)
    monkeypatch.setattr(train._Group, "save", save)
    train.train(debug, run, 5, never)
    for ours, theirs in zip(generators(debug, run), generators(debug, straight[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    def logged(run):
        lines = writers.read_lines(run / "metrics.jsonl")
        return sorted(
            ({k: v for k, v in line.items() if k != "seconds"} for line in lines),
            key=lambda line: (line["member"], line["step"], line["emotion"]),
        )

    assert logged(run) == logged(straight[0])


def test_every_member_and_emotion_is_logged_with_its_losses(debug, straight):
    lines = writers.read_lines(straight[0] / "metrics.jsonl")
    assert {line["member"] for line in lines} == set(range(20))
    joint = [line for line in lines if line["phase"] == "train"]
    assert len(joint) == 20 * 5 * 2  # members, emotions, chunks
    wanted = ["critic_T", "critic_S", "gen_T", "gen_S", "wasserstein_T", "penalty_T", "cycle", "class"]
    wanted += ["grad_gen", "grad_critic", "cycle_ratio"]
    assert all(np.isfinite(line[name]) for line in joint for name in wanted)
    members = writers.read_lines(straight[0] / "members.jsonl")
    assert [m["status"] for m in members] == ["done"] * 20
    assert members[3]["held_out"] == "emodb/10" and members[3]["normalisation"] == "train"


def test_a_diverged_member_is_left_out_of_the_means_that_are_shown():
    values_MxK = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 4.0]])
    np.testing.assert_array_equal(train._finite(values_MxK).mean(axis=0), [3.0, 3.0])
    assert np.isnan(train._finite(np.full((2, 2), np.nan))).all()


def test_a_group_that_no_longer_fits_the_memory_keeps_what_is_saved(debug, tmp_path, monkeypatch):
    run, advance, start, begun = epath.Path(tmp_path), train._Group.advance, train._Group.start, []

    def little_memory(group):
        if group.step == 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return advance(group)

    def starting(group):
        start(group)
        begun.append(group.step)

    first = replace(debug, members=debug.members[:5])
    monkeypatch.setattr(train._Group, "advance", little_memory)
    with pytest.raises(UserError, match="5 members no longer fit the memory; free some"):
        train.train(first, run, 5, never)
    monkeypatch.setattr(train._Group, "advance", advance)
    monkeypatch.setattr(train._Group, "start", starting)
    train.train(first, run, 5, never)
    assert begun == [4] and len(writers.read_lines(run / "members.jsonl")) == 5


def test_a_trained_group_is_not_trained_again(debug, straight):
    before = (straight[0] / "metrics.jsonl").read_bytes()
    train.train(debug, straight[0], 5, never)
    assert (straight[0] / "metrics.jsonl").read_bytes() == before
    assert not list((straight[0] / "checkpoints").glob("group_*"))


def test_a_group_that_does_not_fit_the_memory_is_halved_and_trained(
    debug, straight, tmp_path, monkeypatch, capsys
):
    run, compiled, sizes = epath.Path(tmp_path), train._compiled, []

    def little_memory(gan, phase, steps, size):
        if size > 3:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return compiled(gan, phase, steps, size)

    first = replace(debug, members=debug.members[:5])
    monkeypatch.setattr(train, "_compiled", little_memory)
    train.train(first, run, 5, sizes.append)
    assert sizes == [3] and "5 members do not fit the memory; trying 3" in capsys.readouterr().err
    lines = writers.read_lines(run / "members.jsonl")
    assert [(line["member"], line["group"], line["place"]) for line in lines] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 0, 2),
        (3, 1, 0),
        (4, 1, 1),
    ]
    gan = debug.members[0].gan
    ours = [train.restore_generators(gan, run, number, 3) for number in (0, 1)]
    theirs = train.restore_generators(gan, straight[0], 0, 5)
    for a, b, c in zip(*(jax.tree.leaves(tree) for tree in (*ours, theirs)), strict=True):
        np.testing.assert_allclose(np.concatenate([a, b])[:5], c, rtol=1e-4, atol=1e-6)


def test_a_group_that_cannot_start_is_closed_before_half_of_it_is_trained(debug, tmp_path, monkeypatch):
    init, close, closed, sizes = members.init, Checkpoints.close, [], []

    def little_memory(gan, group):
        if len(group) > 3:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return init(gan, group)

    monkeypatch.setattr(members, "init", little_memory)
    monkeypatch.setattr(Checkpoints, "close", lambda self: (closed.append(self), close(self)))
    train.train(replace(debug, members=debug.members[:5]), epath.Path(tmp_path), 5, sizes.append)
    assert sizes == [3] and len(closed) == 3


def test_another_failure_ends_the_training(debug, tmp_path, monkeypatch):
    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(train, "_compiled", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        train.train(debug, epath.Path(tmp_path), 5, never)


def test_a_group_whose_joint_training_does_not_fit_is_halved_though_its_pretraining_did(
    debug, straight, tmp_path, monkeypatch
):
    run, compiled, sizes = epath.Path(tmp_path), train._compiled, []

    def little_memory(gan, phase, steps, size):
        if size > 3 and phase == "train":
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")
        return compiled(gan, phase, steps, size)

    assert debug.members[0].gan.pretrain_steps
    monkeypatch.setattr(train, "_compiled", little_memory)
    train.train(replace(debug, members=debug.members[:5]), run, 5, sizes.append)
    assert sizes == [3]
    logged = [(line["member"], line["step"]) for line in writers.read_lines(run / "metrics.jsonl")]
    assert len(logged) == 5 * len(set(logged))  # once for each emotion: what the five logged is forgotten


@pytest.mark.parametrize("steps", [2, 1000])  # the latter more than there are
def test_a_profile_of_some_steps_can_be_opened(debug, tmp_path, steps):
    short = replace(debug, members=debug.members[:5])
    train.train(short, epath.Path(tmp_path), 5, never, profile=steps)
    assert list(tmp_path.glob("profile/**/*.xplane.pb"))
    assert list(tmp_path.glob("profile/**/perfetto_trace.json.gz"))
