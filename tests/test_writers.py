"""Files that are whole or not there, and progress that says what it should."""

import io

import numpy as np
import pandas as pd
import pytest

from sergan import writers
from sergan.errors import UserError


def test_a_last_line_cut_short_is_not_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert writers.read_lines(path) == []
    writers.append_lines(path, [{"step": 1}, {"step": 2}])
    with path.open("a") as file:
        file.write('{"step": 3, "lo')
    assert writers.read_lines(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"step": 1.5}',
            "line 2: damaged, step is not a whole number; delete this line and run the command",
        ),
        ('{"step": true}', "step is not a whole number"),
        (f'{{"step": {2**70}}}', "step is not a whole number"),
        ('{"loss": 1}', "line 2: damaged, step is missing"),
        ("[]", "line 2: damaged, it is not an object"),
        ('{"step": 1, "who": ["a", 1]}', r"who\[1\] is not text"),
        ('{"step": 1, "kind": "c"}', "kind is not 'a' or 'b'"),
        ('{"step": 1, "loss": "x"}', "loss is not a number or null"),
        ('{"step": 1, "\\ud800": 1}', "line 2: damaged, no JSON"),
        ("[" * 100_000, "line 2: damaged, no JSON"),
    ],
)
def test_a_line_that_is_not_as_it_must_be_is_named(tmp_path, text, message):
    shape = {"step": int, "who?": [str], "kind?": ("a", "b"), "*": (float, type(None))}
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": null, "kind": "b", "who": []}\n' + text + "\n")
    with pytest.raises(UserError, match=f"metrics.jsonl .*{message}"):
        writers.read_lines(path, shape)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "config.json"
    writers.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        writers.write_json(path, {"a": object()})
    assert writers.read_json(path) == {"a": 1}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_frames_come_back(tmp_path, name):
    frame = pd.DataFrame({"id": ["ä/1", "b,2"], "x": [0.5, -1.25]})
    writers.write_frame(tmp_path / "new" / name, frame)
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    pd.testing.assert_frame_equal(read(tmp_path / "new" / name), frame)
    assert [p.name for p in (tmp_path / "new").iterdir()] == [name]


def test_progress_without_a_terminal_is_plain_lines_and_says_the_end():
    out = io.StringIO()
    with writers.Progress("CycleGANs", 10, stream=out) as progress:
        for done in range(1, 11):
            progress(done, values={"critic_T": -0.12345})
    lines = out.getvalue().splitlines()
    assert lines[-1].startswith("CycleGANs: 10/10 (100%), 0:00 gone, critic_T -0.123")
    assert len(lines) == 1  # the others came within five seconds


def test_the_time_left_counts_what_this_process_has_done_alone(monkeypatch):
    now, out = [100.0], io.StringIO()
    monkeypatch.setattr(writers.time, "monotonic", lambda: now[0])
    progress = writers.Progress("CycleGANs", 100, done=40, stream=out)
    now[0] += 60
    progress(50)  # 10 in a minute, 50 are left
    now[0] += 30
    progress(70)  # 30 in a minute and a half, 30 are left
    assert out.getvalue().splitlines() == [
        "CycleGANs: 50/100 (50%), 1:00 gone, ETA 5:00",
        "CycleGANs: 70/100 (70%), 1:30 gone, ETA 1:30",
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_frame_comes_back_as_it_was(tmp_path, ending):
    frame = pd.DataFrame({"id": ["a", "03", "NA"], "n": [1, 2, 3], "x": [0.5, float("nan"), -1e30]})
    writers.write_frame(tmp_path / f"t.{ending}", frame)
    pd.testing.assert_frame_equal(writers.read_frame(tmp_path / f"t.{ending}", ("id",)), frame)
    single = frame[["x"]].astype("float32")
    writers.write_frame(tmp_path / f"s.{ending}", single)
    assert writers.read_frame(tmp_path / f"s.{ending}").x[2] == pytest.approx(-1e30)


def test_parquet_of_float_rows_is_hardly_longer_than_the_rows(tmp_path):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 20)).astype("float32"))
    writers.write_frame(tmp_path / "rows.parquet", rows.rename(columns=str))
    assert (tmp_path / "rows.parquet").stat().st_size < 1.05 * 4 * rows.size
