"""The benchmark's output, its count of the work, and that its rival in PyTorch does the same step."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import growth, memory, sizes, work
from sergan import cyclegan
from sergan.gan import GanData
from sergan.state import hypers

KEYS = {
    "step": {"size", "members", "ms", "gflop", "gflop_products", "gflop_per_s", "share_of_best"},
    "floor": {
        "size",
        "members",
        "ms",
        "flop_ms",
        "bytes_ms",
        "floor_ms",
        "layers_ms",
        "rest_ms",
        "ratio",
        "target",
    },
    "members": {"size", "members", "batched_ms", "one_by_one_ms", "ratio"},
    "ideas": {"size", "members", "idea", "ms_per_member", "over_as_it_is"},
    "start": {"size", "cache", "seconds", "imports_s", "init_s", "compile_and_step_s"},
    "growth": {"size", "axis", "count", "ms", "gflop"},
    "growth_exponents": {"size", "axis", "time", "work", "time_over_work"},
    "extraction": {"set", "workers", "clips", "clips_per_s"},
    "networks": {"network", "ms", "gflop_products", "gflop_per_s", "share_of_best", "target"},
    "memory": {"size", "parameters", "member_mb", "expected_mb", "planned_mb", "fit_16_gb", "fit_141_gb"},
    "saves": {"size", "members", "state_mb", "save_ms", "share_of_training"},
    "sweep": {"size", "points", "folds", "ratio", "sweep_programs", "runs_programs"},
}


def test_each_figure_prints_its_lines_and_the_file_keeps_them(tmp_path, capsys):
    out = tmp_path / "results" / "here.json"
    flags = ["--quick", "--sizes=default", "--precision=bfloat16", "--axes=members,features,source"]
    assert benchmark.main([*flags, f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    kept = json.loads(out.read_text())
    assert [json.loads(line) for line in printed.splitlines() if line.startswith("{")] == kept["lines"]
    assert {"cpu", "cores", "devices", "jax", "commit", "date"} <= set(kept["machine"])
    assert kept["precision"] == "bfloat16"
    found = {line["figure"] for line in kept["lines"]}
    assert found == {*KEYS, "torch"}
    for line in kept["lines"]:
        assert KEYS.get(line["figure"], set()) <= set(line), line
        numbers = [value for value in line.values() if isinstance(value, (int, float))]
        assert np.all(np.isfinite(numbers)), line
    assert all(f"\n{figure}\n" in printed for figure in found)
    assert [line["cache"] for line in kept["lines"] if line["figure"] == "start"] == ["cold", "warm"]
    axes = {line["axis"]: line["time_over_work"] for line in kept["lines"] if "time_over_work" in line}
    assert set(axes) == {"members", "features", "source"} and axes["source"] is None
    sweep = next(line for line in kept["lines"] if line["figure"] == "sweep")
    assert (sweep["sweep_programs"], sweep["runs_programs"]) == (1, sweep["points"])


def test_what_was_measured_before_a_figure_failed_is_kept(tmp_path, monkeypatch, capsys):
    def fails(sizes, effort):
        yield {"figure": "step", "ms": 1.0}
        raise RuntimeError("cut off")

    monkeypatch.setitem(benchmark.FIGURES, "step", fails)
    with pytest.raises(RuntimeError):
        benchmark.main(["--quick", "--figures=step", "--sizes=default", f"--out={tmp_path / 'here.json'}"])
    assert json.loads((tmp_path / "here.json").read_text())["lines"] == [{"figure": "step", "ms": 1.0}]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("--figures=step,speed", "speed"),
        ("--sizes=default,huge", "huge"),
        ("--members=-1", "--members"),
        ("--axes=depth", "depth"),
        ("--precision=float16", "float16"),
    ],
)
def test_wrong_usage_is_one_line_that_names_it(wrong, named, capsys):
    assert benchmark.main(["--quick", wrong]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and named in captured.err


@pytest.mark.parametrize(
    "changes",
    [{}, {"identity": True, "classifier_data": "both"}, {"loss": "gan", "generator_updates": 3}],
    ids=str,
)
def test_the_compiled_steps_flop_are_those_of_its_products(changes):
    size = sizes.size("default", quick=True).resized(
        features=300, generator=(64, 48), critic=(80, 64), classifier=(32,), batch_size=32, **changes
    )
    by_hand, compiled = work.product_flop(size.gan), work.compiled_flop(size)
    assert by_hand < compiled < 1.1 * by_hand, "all else is elementwise"


def test_the_optimisers_move_seven_arrays_an_update():
    gan = sizes.size("default", quick=True).gan
    assert work.parameters(gan) == {
        "gen": 2 * 2 * (24 * 8 + 8 + 8 * 24 + 24),
        "critic": 2 * 2 * (24 * 8 + 8 + 8 + 1),
        "cls": 24 * 8 + 8 + 8 * 2 + 2,
    }
    gen, critic, cls = (work.parameters(gan)[kind] for kind in ("gen", "critic", "cls"))
    adam = 7 * (2 * gen + 2 * cls + critic)
    assert work.optimiser_bytes(gan) == 4 * (adam + 3 * gen)
    assert work.optimiser_bytes(replace(gan, ema_decay=0.0)) == 4 * adam


def test_what_training_plans_for_a_member_covers_what_its_program_takes(users_programs):
    size = sizes.size("default").resized(features=200, emotions=2)
    line = next(memory.figure([size], replace(sizes.FULL, members=4, steps=1)))
    assert line["members"] == "vmapped" and line["member_mb"] <= line["planned_mb"] <= 1.5 * line["member_mb"]


def test_an_exponent_is_that_of_the_power():
    assert growth.exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2.0)


# A linear critic has one gradient everywhere: the penalty does not hang on where it is taken.
@pytest.mark.parametrize(("slope", "penalty_k"), [(0.2, 0.0), (1.0, 2.0)])
@pytest.mark.parametrize("classifier_data", ["real", "fake"])
def test_the_rival_in_pytorch_does_the_same_step(slope, penalty_k, classifier_data):
    reason = "not seen: that the loop in PyTorch has sergan's losses and updates; pip install torch"
    torch = pytest.importorskip("torch", reason=reason, exc_type=ImportError)
    from experiments.benchmark import torch_loop

    rates = dict.fromkeys(("lr_g", "lr_c", "lr_cls"), 1e-2)
    small = sizes.size("papers", quick=True).resized(slope=slope, classifier_data=classifier_data)
    gan = replace(small.gan, adam_eps=1e-2)  # gradients that are 0 but for rounding do not move
    values = dict(small.hypers) | rates | {"penalty_k": penalty_k}
    rng = np.random.default_rng(1)
    source_1xD = rng.uniform(size=(1, gan.features)).astype(np.float32)
    target_KxD = rng.uniform(size=(gan.emotions, gan.features)).astype(np.float32)
    state = cyclegan.init(gan, jax.random.key(3))

    loop = torch_loop.Loop(gan, values, torch_loop.rows_on("cpu", source_1xD, list(target_KxD[:, None])))
    for k, nets in enumerate(loop.emotions):
        of_k = jax.tree.map(lambda leaf, k=k: leaf[k], {**state.params["gen"], **state.params["critic"]})
        for name, net in nets._asdict().items():
            torch_loop.load(net, of_k[name])
    torch_loop.load(loop.cls, state.params["cls"])

    stepped, metrics = jax.jit(cyclegan.make_step(gan))(
        hypers(**values), one_row_each(source_1xD, target_KxD), state
    )
    for name, loss_K in loop.step().items():
        np.testing.assert_allclose(loss_K, metrics[name], rtol=2e-4, atol=2e-5, err_msg=name)
    for k, nets in enumerate(loop.emotions):
        for name, net in nets._asdict().items():
            kind = "gen" if name in "GF" else "critic"
            ours = jax.tree.map(lambda leaf, k=k: leaf[k], stepped.params[kind][name])
            assert_same(torch, net, ours)
    assert_same(torch, loop.cls, stepped.params["cls"])


def one_row_each(source_1xD, target_KxD):
    """Data whose batches hold no chance: one row of the source, one of each emotion."""
    emotions, features = target_KxD.shape
    one_K = np.ones(emotions, np.int32)
    rows_KxN = np.arange(emotions, dtype=np.int32)[:, None]
    low_D, scale_D = np.zeros(features, np.float32), np.ones(features, np.float32)
    return GanData(
        *(np.asarray(leaf) for leaf in (source_1xD, target_KxD, [0], 1, rows_KxN, one_K, low_D, scale_D))
    )


def assert_same(torch, net, params):
    """Both nets have the same parameters, to a thousandth of an update."""
    linear = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(linear):
        kernel, bias = params[f"Dense_{number}"]["kernel"], params[f"Dense_{number}"]["bias"]
        np.testing.assert_allclose(layer.weight.detach().numpy().T, kernel, atol=1e-5)
        np.testing.assert_allclose(layer.bias.detach().numpy(), bias, atol=1e-5)


def test_sizes_are_those_of_the_papers():
    papers, bao = sizes.size("papers").gan, sizes.size("bao").gan
    assert papers.generator == bao.generator == (1000, 500, 1000)
    assert (papers.critic, bao.critic) == ((800, 800), (1000, 1000))
    assert replace(sizes.size("wide").gan, generator=(64, 64), critic=(64, 64)) == sizes.size("default").gan
