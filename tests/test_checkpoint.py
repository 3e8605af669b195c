"""What is saved comes back bit for bit, and what is of another shape is refused by name."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from sergan import cyclegan, members
from sergan.checkpoint import Checkpoints, restore_tree, save_tree
from sergan.errors import UserError
from tests.test_cyclegan import CONFIG, group


def same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def test_save_restore_continue_equals_uninterrupted(toy, tmp_path):
    made, views, source = group(toy)
    chunk = members.make_chunk(cyclegan.make_step(CONFIG), 5, 4)
    data, hypers = members.stack_views(source, toy.x_UxD, views), members.stack_hypers(made)
    state, _ = chunk(hypers, data, members.init(CONFIG, made))
    checkpoints = Checkpoints(tmp_path / "group")
    assert checkpoints.latest() is None
    checkpoints.save(5, state)
    straight, _ = chunk(hypers, data, state)  # takes the buffers of what is being saved
    checkpoints.close()
    again = Checkpoints(tmp_path / "group")
    assert again.latest() == 5
    resumed, _ = chunk(hypers, data, again.restore(5, members.init(CONFIG, made)))
    same(straight, resumed)


def test_a_state_without_a_moving_average_comes_back_as_it_was(toy, tmp_path):
    state = members.init(replace(CONFIG, ema_decay=0.0), group(toy)[0])
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(2, state)
    checkpoints.close()
    same(Checkpoints(tmp_path).restore(2, state), state)


def test_a_run_folder_may_be_relative(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = members.init(CONFIG, group(toy)[0])
    checkpoints = Checkpoints("runs/group")
    checkpoints.save(2, state)
    checkpoints.close()
    same(Checkpoints("runs/group").restore(2, state), state)
    save_tree("runs/generators", state.ema)
    same(restore_tree("runs/generators", jax.eval_shape(lambda: state.ema)), state.ema)


def test_only_the_newest_two_are_kept_and_an_unfinished_save_does_not_count(toy, tmp_path):
    made, _, _ = group(toy)
    state = members.init(CONFIG, made)
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 4):
        checkpoints.save(step, state)
    checkpoints.close()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["2", "4"]
    shutil.copytree(tmp_path / "4", tmp_path / "6.orbax-checkpoint-tmp")  # a save that was killed
    assert Checkpoints(tmp_path).latest() == 4


def test_a_checkpoint_of_another_architecture_names_the_array(toy, tmp_path):
    made, _, _ = group(toy)
    save_tree(tmp_path / "generators", members.init(CONFIG, made).ema)
    wider = replace(CONFIG, generator=(32,))
    abstract = jax.eval_shape(lambda: members.init(wider, made)).ema
    with pytest.raises(UserError, match=r"another architecture: F/Dense_0/bias is \(4, 2, 16\) there"):
        restore_tree(tmp_path / "generators", abstract)


def test_a_missing_or_damaged_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        restore_tree(tmp_path / "nothing", {})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "junk").write_text("not a checkpoint")
    with pytest.raises(UserError, match="damaged: not a whole checkpoint"):
        restore_tree(tmp_path / "damaged", {})
    tree = {"x": np.arange(1000.0, dtype=np.float32)}
    save_tree(tmp_path / "cut", tree)
    files = [path for path in (tmp_path / "cut").rglob("*") if path.is_file()]
    biggest = max(files, key=lambda path: path.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[:100])
    with pytest.raises(UserError, match="cut: a damaged checkpoint"):
        restore_tree(tmp_path / "cut", tree)
