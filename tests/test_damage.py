"""A run folder whose files somebody damaged: the report is written, or the file is named with what to do."""

import json
import shutil

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sergan import page
from tests.commands import launch
from tests.fuzzing import TIMES, damaged, fuzzed
from tests.test_sweep import ONE, make_sweep

PLACE = {"normalisation": "train", "classifier": "svm", "arm": "real+wdiv", "point": 0, "amount": 5.0}
INNER = PLACE | {"setting": "x", "inner_uar": 0.5}
PAIR = {"a": "real+wdiv", "b": "real+gan", "delta": 0.1, "delta_low": 0.0, "delta_high": 0.2, "p_value": 0.01}
HOLE = {
    "normalisation": "train",
    "arm": "smote",
    "fold": 0,
    "amount": 1.0,
    "held_out": "c/0",
    "reason": "few",
}
JSON = ("config.json", "members.jsonl", "metrics.jsonl", "holes.jsonl")
TABLES = ("results", "predictions", "quality", "choices", "inner", "contrasts", "points", "learning")


@pytest.fixture(scope="module", params=["plain", "sweep", "recordings"])
def run(request, tmp_path_factory):
    """A run folder with every file of numbers that a report reads, and a copy beside it."""
    kind = "recordings" if request.param == "recordings" else "features"
    config = {
        "kind": kind,
        "protocol": "speaker",
        "corpus": {"name": "c", "classes": []},
        "target": {"name": ""},
    }
    place = tmp_path_factory.mktemp("damage") / "run"
    points = ONE if request.param == "sweep" else None
    make_sweep(place, points, ("wdiv",), config=lambda record: record | {"config": config})
    choice = INNER | {"fold": 0, "held_out": "c/0"}
    step = {"classifier": "small adcrnn L_f1", "arm": "real", "fold": 0, "seed": 0, "step": 50}
    curve = step | {"loss": 1.2, "accuracy": 0.5, "held_out": 0.4}
    for name, row in {
        "learning": curve,
        "inner": INNER,
        "choices": choice,
        "contrasts": PLACE | PAIR,
    }.items():
        pd.DataFrame([row]).to_csv(place / f"{name}.csv", index=False)
    (place / "holes.jsonl").write_text(json.dumps(HOLE) + "\n")
    predictions = pd.read_csv(place / "predictions.csv").assign(p_anger=0.2, p_fear=0.3, p_neutral=0.5)
    predictions.to_csv(place / "predictions.csv", index=False)
    shutil.copytree(place, place.with_name("whole"))
    return place


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Figures are made, and not drawn, which takes most of the time."""
    monkeypatch.setattr(page, "show", lambda pictures, folder: "".join(p.caption for p in pictures))


def assert_reported_or_refused(run, name, content):
    (run / name).write_bytes(content)
    try:
        code, _, err = launch("--mode=report", f"--workdir={run}")
        if code:
            assert code == 2 and err.startswith(f"launch.py: {run}/") and len(err) < 2000, err
            assert str(run / name) in err
    finally:
        (run / name).write_bytes(whole(run, name))


def whole(run, name):
    return (run.with_name("whole") / name).read_bytes()


WORDS = [None, True, "", "x", "nan", "real", "real+gan", "<b>"]
NUMBERS = [0, -1, 1, 7, 2**70, 0.5, 1e300, float("inf")]
ODD = [*WORDS, *NUMBERS, float("nan"), "\ud800", [], [1], {}, {"a": 1}]
PIECES = [
    b",",
    b"\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b"null",
    b"NaN",
    b"1e999",
    b"\xff",
    b"\0",
    b"9" * 400,
    b"[" * 9000,
]


@st.composite
def other_json(draw, value):
    """A value with one part of it left away or replaced by something odd."""
    if not isinstance(value, dict) or not value or not draw(st.integers(0, 9)):
        return draw(st.sampled_from(ODD))
    key = draw(st.sampled_from(sorted(value)))
    if draw(st.integers(0, 3)):
        return value | {key: draw(other_json(value[key]))}
    return {other: part for other, part in value.items() if other != key}


@st.composite
def other_lines(draw, name, content):
    """JSON, or lines of it, one of them otherwise."""
    if name == "config.json":
        return json.dumps(draw(other_json(json.loads(content)))).encode()
    lines = content.splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = json.dumps(draw(other_json(json.loads(lines[at])))).encode()
    return b"\n".join(lines) + b"\n"


@st.composite
def other_table(draw, content):
    """A table with a cell, a name or a column otherwise, or some of its rows alone."""
    head, *rows = [line.split(",") for line in content.decode().splitlines()]
    column, row = draw(st.integers(0, len(head) - 1)), draw(st.integers(0, len(rows) - 1))
    odd = str(draw(st.sampled_from([*WORDS, *NUMBERS])))
    kind = draw(st.sampled_from(["cell", "cell", "values", "name", "no column", "rows"]))
    if kind == "cell":
        rows[row][column] = odd
    if kind == "name":
        head[column] = odd
    if kind == "rows":
        rows = rows[row : row + draw(st.integers(0, 9))]
    for line in rows if kind == "values" else []:
        line[column] = odd
    for line in [head, *rows] if kind == "no column" else []:
        del line[column]
    return "".join(",".join(line) + "\n" for line in [head, *rows]).encode()


@st.composite
def file_names(draw, run):
    """A file of the run, a table or one of JSON."""
    tables = [f"{name}.csv" for name in TABLES if (run / f"{name}.csv").exists()]
    return draw(st.sampled_from(JSON) | st.sampled_from(tables))


def test_whole_files_are_reported(run):
    code, out, err = launch("--mode=report", f"--workdir={run}")
    assert code == 0 and out.strip() == str(run / "report.html"), err
    assert "results.csv is not there yet" not in (run / "report.html").read_text()


@pytest.mark.fuzz
def test_a_table_without_one_of_its_columns_is_reported_or_refused_by_file(run):
    tables = TABLES if TIMES > 1 else ("choices",)
    for name in [f"{name}.csv" for name in tables if (run / f"{name}.csv").exists()]:
        lines = [line.split(",") for line in whole(run, name).decode().splitlines()]
        for column in range(len(lines[0])):
            rest = [",".join(line[:column] + line[column + 1 :]) for line in lines]
            assert_reported_or_refused(run, name, "\n".join([*rest, ""]).encode())


@fuzzed(3)
@given(data=st.data())
def test_other_values_are_reported_or_refused_by_file(run, data):
    name = data.draw(file_names(run))
    content = whole(run, name)
    made = other_table(content) if name.endswith(".csv") else other_lines(name, content)
    assert_reported_or_refused(run, name, data.draw(made))


@fuzzed(3)
@given(data=st.data())
def test_damaged_bytes_are_reported_or_refused_by_file(run, data):
    name = data.draw(file_names(run))
    assert_reported_or_refused(run, name, data.draw(damaged(whole(run, name), PIECES)))
