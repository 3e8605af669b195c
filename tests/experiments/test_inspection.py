"""What inspect says of own data: everything that is known before anything is extracted."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs import emodb_wdiv
from experiments import inspection, study
from sergan import data, features
from sergan.corpora import emodb, table_files
from sergan.errors import UserError

ROOT = Path(__file__).parent.parent / "data" / "emodb"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Twenty clips in a table of clips: their emotions are two valences, whoever speaks."""

    def nothing(*_, **__):
        raise AssertionError("something was extracted")

    monkeypatch.setattr(features, "extract", nothing)
    lines = ["file,emotion,speaker,session"]
    for i, recording in enumerate(emodb.read(ROOT)):
        shutil.copy(recording.path, tmp_path)
        half = "eins" if recording.speaker < "emodb/12" else "zwei"
        lines.append(f"{recording.path.name},{'ja' if i % 2 else 'nein'},{recording.speaker[6:]},{half}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    config = emodb_wdiv.get_config("debug")
    config.corpus.table = str(tmp_path / "t.csv")
    config.corpus.classes = ()
    return config


def test_counts_durations_problems_and_the_plan(config, capsys):
    text = inspection.inspect(config)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["speaker"] == ["ja", "nein", "all"] and rows["03"] == ["1", "1", "2"]
    assert rows["all"] == ["10", "10", "20"]
    assert "sessions: 2, rows of each: eins 10, zwei 10" in text
    assert "audio of the corpus: 0.5 min in 20 clips, shortest 1.23 s, median 1.57 s, longest 2.43 s" in text
    assert "problems of the corpus: none" in text
    assert "features: 1582 (IS10 opensmile" in text and "folds: 10, one for each held-out speaker" in text
    assert capsys.readouterr().out == ""


def test_problems_of_corpus_and_source(config, tmp_path):
    lines = (tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([*lines, "none.wav,ja,03,eins"]))
    other = tmp_path / "other" / "a"
    other.mkdir(parents=True)
    for name in ("x.wav", "y.wav", "z.wav"):
        shutil.copy(ROOT / "wav" / "03a02Nc.wav", other / name)
    config.source = str(tmp_path / "other")
    config.amount, config.normalisations = 0.0, ("train",)
    text = inspection.inspect(config)
    assert "problems of the corpus:\n  missing: 1 (" in text and "none.wav: no such file)" in text
    assert "audio of the source: 0.1 min in 3 clips" in text
    assert "  copies: 2 (other/a/y sounds as other/a/x, other/a/z sounds as other/a/x)" in text


def test_few_rows_and_classes_of_one_speaker_are_shown_before_the_error(config, tmp_path, capsys):
    text = (tmp_path / "t.csv").read_text().replace("ja,03", "allein,03")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match="class 'allein' has 0 training rows when 03 is held out"):
        inspection.inspect(config)
    out = capsys.readouterr().out
    assert "classes with fewer than 10 rows: 2 (allein 1, ja 9)" in out
    assert "classes of one speaker alone: 1 (allein)" in out


def test_counts_are_shown_where_the_classes_are_others(config, capsys):
    config.corpus.classes = ("anger", "fear")
    with pytest.raises(
        UserError, match=r"no row has the emotion 'anger'; there are ja, nein; \(\) takes all"
    ):
        inspection.inspect(config)
    assert "speaker  ja  nein  all" in capsys.readouterr().out


def test_copies_in_a_table_of_features_and_what_classes_leave_out(config, tmp_path):
    rows = data.load("emodb", "IS10")
    x_UxD = rows.x_UxD.copy()
    first, second = np.flatnonzero(rows.emotions_U == "fear")[[0, 5]]
    x_UxD[second] = x_UxD[first]
    table_files.write(replace(rows, x_UxD=x_UxD), tmp_path / "t.parquet")
    config.corpus.table = str(tmp_path / "t.parquet")
    config.corpus.classes = ("anger", "fear", "boredom")
    text = inspection.inspect(config)
    assert "left out by config.corpus.classes: neutral 79, happiness 71, sadness 62, disgust 46" in text
    ids = rows.ids_U
    assert f"rows that are copies: 1 ({ids[second]} has the values of {ids[first]})" in text


def test_of_many_speakers_the_first_are_shown(toy):
    many = replace(toy, speakers_U=np.array([f"s{i:03d}" for i in range(len(toy.ids_U))]))
    assert len(inspection.counts(many).splitlines()) == 66
    inspection._SPEAKERS, before = 10, inspection._SPEAKERS
    try:
        lines = inspection.counts(many).splitlines()
    finally:
        inspection._SPEAKERS = before
    assert len(lines) == 13 and lines[11].split() == ["…", "54", "more", "…", "…", "…"]


def test_labels_are_merged_before_classes_select(config):
    config.corpus.table = ""
    config.corpus.labels = "{'anger': 'negativ', 'fear': 'negativ', 'boredom': 'öde'}"
    config.corpus.classes = ("öde", "negativ")
    text = inspection.inspect(config)
    assert "speaker   negativ  öde  all" in text and "all           196   81  277" in text


def test_sessions_of_a_table_can_be_left_out(config):
    config.protocol = "session"
    assert "folds: 2, one for each held-out session" in inspection.inspect(config)


def test_faults_of_labels_come_before_extraction(config, tmp_path):
    """`features.extract` fails these tests: whatever is raised was found before."""
    for change, message in (
        ({"corpus.classes": ("ja", "vielleicht")}, "no row has the emotion 'vielleicht'"),
        (
            {"corpus.labels": "{'naja': 'ja'}"},
            r"corpus\.labels: no row has the emotion 'naja'; there are ja, nein",
        ),
        (
            {"corpus.labels": "{'nein': 'ja'}"},
            r"2 to 16 different emotions, not 1 \(ja\); choose some, or merge",
        ),
        ({"corpus.labels": "nein=ja"}, r"config\.corpus\.labels: a mapping like"),
        (
            {"corpus.columns": "{'emotoin': 'x'}"},
            r"columns: 'emotoin' is none of file, emotion, speaker, session",
        ),
        (
            {"corpus.columns": "{'emotion': 'label'}"},
            r"t\.csv: no column 'label' \(emotion\); there are 'file'",
        ),
        ({"corpus.columns": "{'session': 'speaker'}", "protocol": "session"}, None),
        ({"protocol": "speaker_groups", "groups": 30}, "config.groups=30: 10 speakers"),
    ):
        other = config.copy_and_resolve_references()
        for key, value in change.items():
            part, _, name = key.rpartition(".")
            (other[part] if part else other)[name] = value
        with pytest.raises(UserError if message else AssertionError, match=message or "extracted"):
            study.prepare(other)


def test_a_table_without_sessions_has_none(config, tmp_path):
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text().replace(",zwei", ","))
    config.protocol = "session"
    with pytest.raises(UserError, match="protocol=session: 10 of 20 rows have no session; fill the column"):
        study.prepare(config)


def test_seventeen_emotions_are_too_many(config, tmp_path):
    lines = (tmp_path / "t.csv").read_text().splitlines()
    head, rows = lines[0], [line.split(",") for line in lines[1:]]
    named = [",".join([row[0], f"e{i:02}", *row[2:]]) for i, row in enumerate(rows)]
    (tmp_path / "t.csv").write_text("\n".join([head, *named]))
    with pytest.raises(UserError, match=r"2 to 16 different emotions, not 20 \(e00, e01, .* and 4 more\)"):
        study.prepare(config)
