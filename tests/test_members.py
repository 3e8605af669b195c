"""Planning, grouping and placing of members."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sergan import cyclegan, members, memory
from sergan.folds import loso, pairs
from tests.test_cyclegan import CLASSES, CONFIG, assert_close, group

NAMES = ("train", "speaker")


def plan(toy, seeds=2, points=2, splits=None):
    values = [(CONFIG, {"lambda_cyc": float(i)}) for i in range(points)]
    return members.plan(("gan", "wdiv"), ("train", "speaker"), splits or loso(toy, CLASSES), seeds, values)


def test_there_is_a_member_for_every_normalisation_fold_seed_and_point(toy):
    made = plan(toy)
    assert len(made) == 2 * 2 * 4 * 2 * 2
    assert [m.index for m in made] == list(range(len(made)))
    assert len({(m.loss, m.normalisation, m.fold, m.seed, m.point) for m in made}) == len(made)
    assert {m.hypers for m in made if m.point == 1} == {(("lambda_cyc", 1.0),)}


def test_inner_folds_have_members_of_each_point_with_the_first_seed_only(toy):
    outer = loso(toy, CLASSES)
    made = plan(toy, splits=outer + pairs(toy, outer, CLASSES))
    assert len(made) == 2 * 2 * 2 * (4 * 2 + 6)
    assert {(m.seed, m.point) for m in made if m.fold >= 4} == {(0, 0), (0, 1)}


def test_points_of_one_program_share_groups_and_others_do_not(toy):
    other = replace(CONFIG, critic_updates=3)
    points = [(CONFIG, {"lr_g": 1.0}), (other, {"lr_g": 1.0}), (CONFIG, {"lr_g": 2.0})]
    made = members.plan(("wdiv",), ("train",), loso(toy, CLASSES), 1, points)
    groups = members.groups(made, 8)
    assert [{m.point for m in group} for group in groups] == [{0, 2}, {1}]
    updates = [{m.gan.critic_updates for m in group} for group in groups]
    assert updates == [{CONFIG.critic_updates}, {3}]
    assert all(len({m.gan for m in group}) == 1 for group in groups)


@given(st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_groups_are_equally_long_share_their_tables_and_hold_every_member(size):
    made = [members.Member(i, CONFIG, NAMES[i // 10], i, 0, 0, ()) for i in range(20)]
    length = members.group_length(made, size)
    assert length % -(-length // 4) == 0  # there are four devices, those in use have as many each
    assert 1 <= length <= size
    groups = members.groups(made, size)
    assert {m.index for group in groups for m in group} == set(range(20))
    for normalisation in ("train", "speaker"):
        lengths = {len(g) for g in groups if g[0].normalisation == normalisation}
        assert lengths == {size}
    assert all(len({m.normalisation for m in group}) == 1 for group in groups)


@pytest.mark.parametrize("turns", [True, False], ids=["in turns", "vmapped"])
def test_a_group_laid_over_four_devices_gives_the_numbers_of_one(toy, monkeypatch, turns):
    made, views, source = group(toy)

    def run():
        chunk = members.make_chunk(cyclegan.make_step(CONFIG), 5, 4, turns)
        arguments = members.stack_hypers(made), members.stack_views(source, toy.x_UxD, views)
        program = chunk.lower(*arguments, members.init(CONFIG, made)).compile().as_text()
        return chunk(*arguments, members.init(CONFIG, made))[0], program

    four, program = run()
    assert len(four.step.sharding.device_set) == 4
    assert not any(
        word in program
        for word in ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-")
    )
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: first)
    one, _ = run()
    assert len(one.step.sharding.device_set) == 1
    assert_close(one.params, four.params, 1e-6)


def test_the_estimate_of_a_members_memory_covers_its_state():
    state = jax.eval_shape(lambda: cyclegan.init(CONFIG, jax.random.key(0)))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert members.bytes_per_member(CONFIG) > 12 * parameters


@pytest.mark.parametrize(("at_most", "length"), [(0, 12), (10, 4), (7, 4), (4, 4), (3, 3), (1, 1)])
def test_groups_are_as_few_and_as_equal_as_memory_allows(at_most, length):
    made = [members.Member(i, CONFIG, NAMES[i // 10], i % 10, 0, 0, ()) for i in range(20)]
    assert members.group_length(made, at_most) == length


@pytest.mark.parametrize(("count", "length"), [(10, 2), (40, 4), (95, 6), (5, 6), (4, 4)])
def test_a_cpus_groups_are_not_half_empty(count, length, monkeypatch):
    """On two devices ten members in two groups of six would be as long at work as twelve."""
    two = jax.devices()[:2]
    monkeypatch.setattr(jax, "devices", lambda: two)
    monkeypatch.setattr(jax, "local_devices", lambda: two)
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    made = [members.Member(i, CONFIG, "train", i, 0, 0, ()) for i in range(count)]
    assert members.group_length(made) == length


def test_the_memory_of_a_container_is_what_its_limit_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUP", tmp_path / "none")
    free = memory.available()
    assert free > 1e8
    (tmp_path / "memory.current").write_text("70000000\n")
    (tmp_path / "memory.stat").write_text("anon 50000000\ninactive_file 5000000\n")
    for limit, left in (("100000000", 3.5e7), ("50000000", 0.0), ("max", None)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        found = memory.available()
        assert found == left if left is not None else found > 1e8


@pytest.mark.parametrize("limited", ["", "slurm", "slurm/job_1", "slurm/job_1/step_0"])
def test_the_memory_of_a_job_is_what_any_limit_around_it_leaves(tmp_path, monkeypatch, limited):
    inner = tmp_path / "slurm/job_1/step_0"
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("3:cpu:/\n0::/slurm/job_1/step_0\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUP", tmp_path / "own")
    assert memory._in_container() == float("inf")
    (tmp_path / limited / "memory.max").write_text("900\n")
    (tmp_path / limited / "memory.current").write_text("200\n")
    (inner / "memory.max").write_text("max\n") if limited != "slurm/job_1/step_0" else None
    assert memory._in_container() == 700


def test_where_linux_says_nothing_all_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.available() > 1e8


@pytest.mark.parametrize(("size", "half"), [(8, 4), (12, 8), (4, 2), (5, 3), (2, 1)])
def test_half_a_group_has_fewer_members_on_a_device(size, half):
    """There are four devices: as many members on each as on the most, or fewer devices."""
    assert members.halved(size) == half
    before, after = size // members.devices_of(size), half // members.devices_of(half)
    assert after < before or before == 1


def test_padding_a_members_rows_never_shows_a_row_it_may_not_see(toy):
    _, views, source = group(toy)
    data = jax.device_get(members.stack_views(source, toy.x_UxD, views))
    for m, view in enumerate(views):
        assert set(np.asarray(data.source_rows_N[m]).tolist()) == set(view.source_R.tolist())
        for k, rows in enumerate(view.target_KxR):
            assert set(np.asarray(data.target_rows_KxN[m, k]).tolist()) == set(rows.tolist())
            assert data.target_count_K[m, k] == len(rows)
