"""Databases in audformat, written by its own library; what is missing is named, and no pickle is opened."""

import os
import pickle
import shutil
import time
from pathlib import Path

import audformat
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sergan.corpora import CORPORA
from sergan.corpora import audformat as corpus
from sergan.errors import UserError
from tests.fuzzing import damaged, fuzzed

WAV = Path(__file__).parent.parent / "data" / "emodb" / "wav"
FILES = ["wav/03a02Wc.wav", "wav/08a02Fe.wav", "wav/09a02Eb.wav"]


def database():
    """Three files, whose emotions are codes of a scheme, and whose speakers are in another table."""
    db = audformat.Database("three", source="here", usage="research")
    db.schemes["emotion"] = audformat.Scheme("str", labels={"W": "Wut", "F": "Freude", "E": {"name": "x"}})
    db["speakers"] = audformat.MiscTable(pd.Index(["3", "8", "9"], name="speaker", dtype="string"))
    db["speakers"]["gender"] = audformat.Column()
    db["speakers"]["gender"].set(["m", "f", "f"])
    db.schemes["speaker"] = audformat.Scheme("str", labels="speakers")
    db["files"] = audformat.Table(audformat.filewise_index(FILES))
    db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["files"]["speaker"].set(["3", "8", "9"])
    db["emotion"] = audformat.Table(audformat.filewise_index(FILES))
    db["emotion"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["emotion"]["emotion"].set(["W", "F", "E"])
    return db


@pytest.fixture(params=["csv", "parquet"])
def folder(request, tmp_path):
    place = tmp_path / "db"
    shutil.copytree(WAV, place / "wav")
    database().save(str(place), storage_format=request.param)
    return place


def words(recordings):
    return [(recording.id, recording.speaker, recording.emotion) for recording in recordings]


def test_emotions_and_speakers_are_found_by_name_and_labels_named(folder):
    recordings = corpus.read(folder)
    assert words(recordings) == [(FILES[0], "3", "Wut"), (FILES[1], "8", "Freude"), (FILES[2], "9", "E")]
    assert all(
        recording.path == folder / recording.id and recording.path.is_file() for recording in recordings
    )
    assert CORPORA["audformat"].read(folder) == recordings
    assert CORPORA["audformat"].differences(recordings) == []


def saved(db, place):
    place.mkdir(exist_ok=True)
    db.save(str(place), storage_format="csv")
    return place


def test_parts_of_files_and_numbers_as_speakers(tmp_path):
    db = database()
    index = audformat.segmented_index(
        [FILES[0]] * 2 + [FILES[1]], ["0s", "0.5s", "0s"], ["0.5s", "1s", pd.NaT]
    )
    db["emotion"] = audformat.Table(index)
    db["emotion"]["mood"] = audformat.Column(scheme_id="emotion")
    db["emotion"]["mood"].set(["W", "F", None])
    db.schemes["who"] = audformat.Scheme("int")
    db["emotion"]["who"] = audformat.Column(scheme_id="who")
    db["emotion"]["who"].set([7, 7, 8])
    first, second = corpus.read(saved(db, tmp_path / "db"), {"speaker": "who"})
    assert (first.id, first.start, first.end) == (f"{FILES[0]} 0-0.5", 0.0, 0.5)
    assert (second.id, second.start, second.end) == (f"{FILES[0]} 0.5-1", 0.5, 1.0)
    assert (first.speaker, second.emotion) == ("7", "Freude")
    assert corpus.read(tmp_path / "db")[0].speaker == "3"  # of the file


def test_speakers_of_a_misc_table_by_file_and_sessions(tmp_path):
    db = database()
    db["files"]["session"] = audformat.Column()
    db["files"]["session"].set(["a", "b", "b"])
    db["files"].drop_columns("speaker", inplace=True)
    db["who"] = audformat.MiscTable(pd.Index(FILES, name="file", dtype="string"))
    db["who"]["speaker"] = audformat.Column()
    db["who"]["speaker"].set(["x", "y", "z"])
    recordings = corpus.read(saved(db, tmp_path / "db"))
    assert [(r.speaker, r.session) for r in recordings] == [("x", "a"), ("y", "b"), ("z", "b")]


def several(db):
    for name, rows in (("train", [0, 1]), ("test", [2])):
        db[name] = audformat.Table(audformat.filewise_index([FILES[i] for i in rows]))
        db[name]["emotion"] = audformat.Column(scheme_id="emotion")
        db[name]["emotion"].set([["W", "F", "E"][i] for i in rows])
    return db


def test_of_several_tables_some_are_chosen(tmp_path):
    place = saved(several(database()), tmp_path / "db")
    assert len(corpus.read(place)) == 3  # the one that is called emotion
    assert [r.id for r in corpus.read(place, {"table": "test"})] == FILES[2:]
    assert [r.id for r in corpus.read(place, {"table": "train, test"})] == FILES
    with pytest.raises(
        UserError, match="no table 'dev' with the column 'emotion'; there are emotion, test, train"
    ):
        corpus.read(place, {"table": "dev"})
    with pytest.raises(UserError, match=r"are both 'wav/03a02Wc\.wav'; remove one"):
        corpus.read(place, {"table": "train,emotion"})
    db = several(database())
    db.drop_tables("emotion")
    shutil.rmtree(place)
    with pytest.raises(UserError, match=r"2 tables have the column 'emotion': test, train; choose .*'table'"):
        corpus.read(saved(db, place))


def drop(*columns):
    def change(db):
        for table, column in columns:
            db[table].drop_columns(column, inplace=True)
        return db

    return change


def contradiction(db):
    db["emotion"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["emotion"]["speaker"].set(["3", "8", "8"])
    return db


def blank(table, column, rows):
    def change(db):
        for row in rows:
            db[table].df.loc[FILES[row], column] = None
        return db

    return change


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (
            drop(("emotion", "emotion")),
            {},
            r"'emotion' \(emotion\); the columns of .* emotion: none; files: sp",
        ),
        (
            lambda db: db,
            {"emotion": "mood"},
            r"'mood' \(emotion\); .*name yours with .*\{'emotion': 'NAME'\}",
        ),
        (drop(("files", "speaker")), {}, r"no table of files has the column 'speaker' \(speaker\)"),
        (lambda db: db, {"session": "day"}, r"no table of files has the column 'day' \(session\)"),
        (blank("emotion", "emotion", [0, 1, 2]), {}, "no clip has an emotion"),
        (blank("files", "speaker", [1, 2]), {}, r"2 clips have no speaker, the first is wav/08a02Fe\.wav"),
        (
            contradiction,
            {},
            r"wav/09a02Eb\.wav has the speaker '8' in the table 'emotion' and '9' in another|'9' in",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, change, columns, message):
    place = saved(change(database()), tmp_path / "db")
    with pytest.raises(UserError, match=message) as caught:
        corpus.read(place, columns)
    assert str(caught.value).startswith(str(place))


def test_rows_without_an_emotion_are_left_out(tmp_path, caplog):
    place = saved(blank("emotion", "emotion", [1])(database()), tmp_path / "db")
    assert [r.id for r in corpus.read(place)] == [FILES[0], FILES[2]]
    assert "clips without an emotion left out: 1 (wav/08a02Fe.wav)" in caplog.text


# a few hundred bytes that stand for 10^9 words
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
HEADER = "name: x\nsource: y\nusage: research\n"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a: [", r"db\.yaml: cannot be read as YAML"),
        (
            "x: !!python/object/apply:os.system ['touch {}']",
            r"db\.yaml: cannot be read as YAML \(could not deter",
        ),
        ("just words", r"db\.yaml: not a header in audformat"),
        ("name: x", r"db\.yaml: not a header in audformat"),
        ("[1, 2]", r"db\.yaml: not a header in audformat"),
        ("", r"db\.yaml: not a header in audformat"),
        (HEADER + "tables: [a]", "not a header in audformat"),
        (
            HEADER + "tables: {a: null, 0: null}",
            "0 is no name of a scheme, table or column; write it in quotes",
        ),
        (HEADER + "tables: {a: {columns: {null: null}}}", "None is no name of a scheme, table or column"),
        (HEADER + 'tables: {"a\\nb": null}', r"'a\\nb' is no name of a .*in one line"),
        (HEADER + 'misc_tables: {"\\x85": null}', r"'\\x85' is no name of a .*in one line"),
        (HEADER + "misc_tables: {/../../a: null}", r"'/\.\./\.\./a' is no name of a table"),
        (b"name: \xff", "cannot be read as YAML"),
        ("name: 2001-99-99", r"cannot be read as YAML \(month must be"),
        ("name: !!float x", r"cannot be read as YAML \(could not convert"),
        (BOMB, "stands for 1e[+]09 values by repeating itself; write it without aliases"),
        (HEADER + "meta: &a [*a]", "stands for inf values"),
        (BOMB + HEADER.replace("x", "*a9"), "stands for .* values by repeating itself"),
        (BOMB + HEADER.replace("research", "*a9"), "stands for .* values by repeating itself"),
        (
            BOMB + HEADER + "schemes: {emotion: {dtype: str, labels: *a9}}",
            "stands for .* values by repeating itself",
        ),
        (
            BOMB + HEADER + "tables: {emotion: {type: filewise, columns: {emotion: *a9}}}",
            "stands for .* values by repeating itself",
        ),
    ],
)
def test_a_header_that_is_none(folder, tmp_path, header, message):
    made = tmp_path / "made"
    content = header if isinstance(header, bytes) else header.replace("{}", str(made)).encode()
    (folder / "db.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        corpus.read(folder)
    assert not made.exists()


def test_no_database(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        corpus.read(tmp_path / "none")
    with pytest.raises(UserError, match=r"no db\.yaml in this folder"):
        corpus.read(tmp_path)


def test_tables_that_are_missing_or_damaged(tmp_path):
    place = saved(database(), tmp_path / "db")
    (place / "db.emotion.csv").write_bytes(b"file,emotion\n\xff\xfe,\x00\n,,,,\n")
    with pytest.raises(UserError, match=r"db\.emotion\.csv: cannot be read as a table in audformat"):
        corpus.read(place)
    (place / "db.emotion.csv").rename(place / "db.emotion.pkl")
    with pytest.raises(
        UserError, match=r"no db\.emotion\.csv or db\.emotion\.parquet .*only a \.pkl, which is"
    ):
        corpus.read(place)


def test_a_csv_with_its_columns_in_another_order_is_refused(tmp_path):
    """The library would take speakers for emotions."""
    place = saved(database(), tmp_path / "db")
    table = pd.read_csv(place / "db.emotion.csv", dtype=str)
    table[["emotion", "file"]].to_csv(place / "db.emotion.csv", index=False)
    message = r"emotion\.csv: .*its columns are emotion, file, those of db\.yaml file, emotion"
    with pytest.raises(UserError, match=message):
        corpus.read(place)


def test_a_clip_that_is_twice_in_a_table_is_refused(tmp_path):
    place = saved(database(), tmp_path / "db")
    with (place / "db.emotion.csv").open("a") as file:
        file.write(f"{FILES[0]},F\n")
    with pytest.raises(UserError, match="is there twice in the table 'emotion'"):
        corpus.read(place)


class Poison:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_are_never_read(folder, tmp_path):
    bitten = tmp_path / "bitten"
    before = corpus.read(folder)
    for table in ("emotion", "files", "speakers"):
        cache = folder / f"db.{table}.pkl"
        cache.write_bytes(pickle.dumps(Poison(bitten)))
        os.utime(cache, (time.time() + 100,) * 2)  # newer than the table, as a cache is
    assert corpus.read(folder) == before and not bitten.exists()
    with pytest.raises(FileExistsError):  # the poison would work
        bitten.mkdir()
        pickle.loads((folder / "db.emotion.pkl").read_bytes())


# of YAML, and what makes values of a kind that cannot be
PIECES = b"!!|&a |*a|{|}|[|]|: |- |? |\n|\n  |'|2001-99-99|!!float x|!!set {a}|!!binary =|null|.inf".split(
    b"|"
)
PIECES += [b"tables:", b"<<: ", b"1:99", b"0x", b"9" * 5000]


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory):
    """A database, and the content of its files."""
    place = saved(several(database()), tmp_path_factory.mktemp("saved") / "db")
    return place, {path.name: path.read_bytes() for path in place.iterdir()}


def assert_read_or_refused(place, name, content):
    (place / name).write_bytes(content)
    try:
        recordings = corpus.read(place)
    except UserError as error:
        assert str(error).startswith(f"{place}") and len(str(error)) < 2000 and "\n" not in str(error)
    else:
        assert recordings and all(recording.speaker and recording.emotion for recording in recordings)


@fuzzed(30)
@given(data=st.data())
def test_a_damaged_header_is_read_or_refused_by_name(saved_once, data):
    place, files = saved_once
    content = data.draw(damaged(files["db.yaml"], PIECES, head=len(files["db.yaml"])))
    assert_read_or_refused(place, "db.yaml", content)


@fuzzed(30)
@given(data=st.data())
def test_a_damaged_table_is_read_or_refused_by_name(saved_once, data):
    place, files = saved_once
    for name, content in files.items():
        (place / name).write_bytes(content)
    name = data.draw(st.sampled_from([name for name in files if name.endswith(".csv")]))
    assert_read_or_refused(
        place, name, data.draw(damaged(files[name], [b",", b"\n", b'"', b"wav/", b"\0", b"NaT"]))
    )


def test_a_name_of_two_lines_is_said_in_one(saved_once):
    place, files = saved_once
    for name, content in files.items():
        (place / name).write_bytes(content)
    assert_read_or_refused(place, "db.emotion.csv", b'file,emotion\n"av/1.wav,W\nwav/2.wav",F\n')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = [
    "name",
    "source",
    "usage",
    "schemes",
    "tables",
    "misc_tables",
    "raters",
    "media",
    "splits",
    "languages",
    "expires",
]


@fuzzed(30)
@given(header=st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_header_is_read_or_refused_by_name(tmp_path, header):
    """YAML is fine, and means something else."""
    assert_read_or_refused(
        tmp_path,
        "db.yaml",
        yaml.safe_dump({"name": "x", "source": "y", "usage": "research"} | header).encode(),
    )
