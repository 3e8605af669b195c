"""TensorBoard's files, read back by their own format."""

import struct

import numpy as np
import pandas as pd
import pytest
from etils import epath
from matplotlib.figure import Figure
from tensorboardX.proto.event_pb2 import Event

from sergan.events import Events, finish
from tests.test_bao import make_run


def read(folder):
    """The events of a folder's files; a record is a length, its checksum, the event, its checksum."""
    events = []
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return events


def values(folder):
    """(tag, step) -> value."""
    return {(v.tag, e.step): v.simple_value for e in read(folder) for v in e.summary.value}


def test_scalars_keep_their_names_and_steps_and_what_is_no_number_is_left_out(tmp_path):
    events = Events(tmp_path)
    events.scalars(20, {"critic_T": 0.5, "cycle/anger": np.float32(2), "class": float("nan")})
    events.scalars(40, {"critic_T": 0.25})
    events.close()
    assert values(tmp_path) == {("critic_T", 20): 0.5, ("cycle/anger", 20): 2.0, ("critic_T", 40): 0.25}


@pytest.mark.parametrize("later", [0, 40])
def test_a_run_that_goes_on_hides_later_steps_of_before(tmp_path, later):
    for step in (0, later):
        events = Events(tmp_path, step)
        events.scalars(step + 20, {"cycle": 1.0})
        events.close()
    assert [e.step for e in read(tmp_path) if e.HasField("session_log")] == [later]


def test_a_figure_and_a_row_of_hyper_parameters(tmp_path):
    events = Events(tmp_path)
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.savefig(tmp_path / "uar.png")
    events.image("uar", epath.Path(tmp_path / "uar.png"))
    events.hparams("point 0", {"lambda_cyc": 5.0, "loss": "wdiv"}, {"uar": 0.8, "lost": float("nan")})
    events.close()
    images = [v.image for e in read(tmp_path) for v in e.summary.value if v.HasField("image")]
    assert (images[0].width, images[0].height) == (100, 50)
    assert values(tmp_path)["uar", 0] == np.float32(0.8)


def test_a_finished_run_has_its_figures_and_a_row_for_each_point(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "figures").mkdir()
    Figure(figsize=(2, 1), dpi=50).savefig(tmp_path / "figures" / "uar.png")
    for _ in range(2):  # the second time replaces the first
        finish(run.folder)
    events = read(tmp_path / "tensorboard" / "report")
    assert [v.tag for e in events for v in e.summary.value if v.HasField("image")] == ["uar"]
    found = values(tmp_path / "tensorboard" / "report")
    rows = run.results[(run.results.arm == "gan") & (run.results.amount == 3)].uar
    assert found["uar/gan/dnn/train", 0] in set(np.float32(rows))
    tags = [v.tag for e in events for v in e.summary.value]
    assert tags.count("_hparams_/experiment") == 2


def test_a_sweep_whose_point_was_chosen_has_each_point_s_own_results(tmp_path):
    run = make_run(tmp_path)
    chosen = run.results[(run.results.point == 0) & (run.results.amount < 3)]
    both = pd.concat([run.results, chosen.assign(amount=np.nan, uar=0.125)])
    both.to_csv(tmp_path / "results.csv", index=False)
    finish(run.folder)
    for point, rows in run.results[run.results.amount != 1].groupby("point"):
        events = values(tmp_path / "tensorboard" / "report" / f"point_{point}")
        found = {tag: value for (tag, _), value in events.items()}
        uar = rows.set_index(rows["arm"].str.replace("+", "_"))["uar"].astype(np.float32)
        assert {f"uar/{arm}/dnn/train": value for arm, value in uar.items()}.items() <= found.items()
