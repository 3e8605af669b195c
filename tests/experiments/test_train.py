"""Training as the product does it: resumes bit for bit, compiles once, logs what it says."""

import logging

import jax
import numpy as np
import pytest
from etils import epath

from configs.emodb_wdiv import get_config
from experiments import study, train
from sergan import writers
from sergan.members import groups


@pytest.fixture(scope="module")
def debug():
    """EMO-DB, debug sizes, cut to the first 40 features so that a step is quick."""
    config = get_config("debug")
    whole = study.prepare(config)
    narrow = [
        t.__class__(t.x_UxD[:, :40], t.ids_U, t.speakers_U, t.emotions_U, t.names_D[:40], t.extractor)
        for t in (whole.corpus, whole.source)
    ]
    return study.assemble(config, *narrow)


@pytest.fixture(scope="module")
def straight(debug, tmp_path_factory):
    run = epath.Path(tmp_path_factory.mktemp("straight"))
    with jax.log_compiles():
        logger, seen = logging.getLogger("jax"), []
        logger.propagate = False
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(record.getMessage())
        logger.addHandler(handler)
        train.train(debug, run, size=5)
        logger.removeHandler(handler)
        logger.propagate = True
    return run, seen


def generators(debug, run):
    parts = [
        train.restore_generators(debug.gan, run, number, len(group))
        for number, group in enumerate(groups(debug.members, 5))
    ]
    return [np.asarray(leaf) for part in parts for leaf in jax.tree.leaves(part)]


def test_four_groups_compile_one_program_for_each_phase(debug, straight):
    _, seen = straight
    assert len(groups(debug.members, 5)) == 4
    compiled = [message.split("with")[0] for message in seen if message.startswith("Compiling jit(chunk)")]
    assert len(compiled) == 2  # pre-training and joint training
    initialised = [message for message in seen if message.startswith("Compiling jit(<lambda>)")]
    assert len(initialised) <= 1


@pytest.mark.parametrize("stop_at", [2, 4])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    debug, straight, tmp_path, monkeypatch, stop_at
):
    """Stopped in the second group after more was logged than saved, then run again."""
    run = epath.Path(tmp_path)
    save, saves = train._Group.save, []

    def stopping(group):
        save(group)
        saves.append(group.step)
        if group._number == 1 and group.step == stop_at:
            group.step += 2  # logged but not saved
            group._log("train", {"cycle": np.zeros((5, 5))})
            raise KeyboardInterrupt

    monkeypatch.setattr(train._Group, "save", stopping)
    with pytest.raises(KeyboardInterrupt):
        train.train(debug, run, size=5)
    monkeypatch.setattr(train._Group, "save", save)
    train.train(debug, run, size=5)
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


def test_a_trained_group_is_not_trained_again(debug, straight):
    before = (straight[0] / "metrics.jsonl").read_bytes()
    train.train(debug, straight[0], size=5)
    assert (straight[0] / "metrics.jsonl").read_bytes() == before
    assert not list((straight[0] / "checkpoints").glob("group_*"))
