"""Feature tables survive every format unchanged, and faulty ones are refused by name."""

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sergan.corpora import table_files, tables
from sergan.corpora.table_files import read, write
from sergan.corpora.tables import FeatureTable, check, check_columns
from sergan.corpora.words import word
from sergan.errors import UserError
from tests.fuzzing import damaged, fuzzed

TABLE = FeatureTable(
    x_UxD=np.array([[0.1, -2.0], [1e-38, 3e38], [0.0, 7.0]], np.float32),
    ids_U=np.array(["c/1", "c/2", "c/3"]),
    speakers_U=np.array(["c/a", "c/a", "c/b"]),
    emotions_U=np.array(["anger", "", "fear"]),
    names_D=("F0_mean", "loudness"),
    extractor="IS10 opensmile 2.6.0",
)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8).map(word)
words = words.filter(bool)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def arrays(values):
    return np.array(values, dtype=str)


@st.composite
def feature_tables(draw):
    ids = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    names = draw(
        st.lists(words.filter(lambda w: w not in table_files._LABELS), min_size=1, max_size=4, unique=True)
    )
    some = st.lists(words, min_size=len(ids), max_size=len(ids))
    perhaps = st.lists(words | st.just(""), min_size=len(ids), max_size=len(ids))
    x_UxD = draw(hnp.arrays(np.float32, (len(ids), len(names)), elements=floats))
    speakers, emotions, sessions = draw(some), draw(perhaps), draw(perhaps | st.none())
    return FeatureTable(
        x_UxD,
        arrays(ids),
        arrays(speakers),
        arrays(emotions),
        tuple(names),
        draw(words | st.just("")),
        None if sessions is None else arrays(sessions),
    )


def assert_same(one, other):
    assert other.x_UxD.dtype == np.float32
    np.testing.assert_array_equal(one.x_UxD, other.x_UxD)
    for name in ("ids_U", "speakers_U", "emotions_U"):
        assert getattr(other, name).dtype.kind == "U"
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    assert (one.names_D, one.extractor) == (other.names_D, other.extractor)
    assert (one.sessions_U is None) == (other.sessions_U is None)
    assert one.sessions_U is None or one.sessions_U.tolist() == other.sessions_U.tolist()


@fuzzed(60)
@given(table=feature_tables(), ending=st.sampled_from(table_files.ENDINGS))
def test_round_trip(tmp_path, table, ending):
    write(table, tmp_path / f"t{ending}")
    assert_same(table, read(tmp_path / f"t{ending}"))
    assert not list(tmp_path.glob("*.partial"))


def test_numbers_as_ids_stay_words(tmp_path):
    for ending in table_files.ENDINGS:
        table = replace(TABLE, ids_U=arrays(["001", "1e3", "NA"]), speakers_U=arrays(["03", "nan", "None"]))
        write(table, tmp_path / f"t{ending}")
        assert_same(table, read(tmp_path / f"t{ending}"))


def test_select_and_unlabelled():
    part = TABLE.select(np.array([2, 0]))
    assert part.ids_U.tolist() == ["c/3", "c/1"]
    assert part.x_UxD[:, 1].tolist() == [7.0, -2.0]
    assert part.emotions_U.tolist() == ["fear", "anger"]
    assert TABLE.select(TABLE.emotions_U == "fear").ids_U.tolist() == ["c/3"]
    assert TABLE.unlabelled().emotions_U.tolist() == ["", "", ""]
    assert TABLE.emotions_U.tolist() == ["anger", "", "fear"]


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"x_UxD": np.array([[0, 1], [2, np.nan], [np.inf, 0]], np.float32)},
            r"in 2 rows.*'c/2'.*'loudness'",
        ),
        ({"ids_U": arrays(["c/1", "c/2", "c/1"])}, "duplicated ids: c/1"),
        ({"names_D": ("F0_mean", "F0_mean")}, "duplicated feature names: F0_mean"),
        ({"names_D": ("F0_mean",)}, r"1 feature names, but the values are \(3, 2\)"),
        ({"ids_U": arrays(["c/1", "c/2"])}, r"2 ids .* but the values are \(3, 2\)"),
        ({"speakers_U": arrays(["c/a"])}, "3 ids, but 1 speakers"),
        ({"emotions_U": arrays(["fear"] * 4)}, "3 ids, but 4 emotions"),
        ({"sessions_U": arrays(["a"] * 4)}, "3 ids, but 4 sessions"),
        ({"speakers_U": arrays(["c/a", "", "c/b"])}, "row 2 has no speaker"),
        ({"x_UxD": np.zeros((3, 0), np.float32), "names_D": ()}, "no features"),
    ],
)
def test_faults_are_named(tmp_path, change, message):
    check(TABLE, "where")
    faulty = replace(TABLE, **change)
    with pytest.raises(UserError, match=f"^place.csv: .*{message}"):
        check(faulty, "place.csv")
    with pytest.raises(UserError, match=message):
        write(faulty, tmp_path / "t.npz")
    assert list(tmp_path.iterdir()) == []


def test_no_rows(tmp_path):
    with pytest.raises(UserError, match="no rows"):
        check(TABLE.select([]), "where")
    (tmp_path / "t.csv").write_text("id,speaker,f\n")
    with pytest.raises(UserError, match=r"t\.csv: no rows"):
        read(tmp_path / "t.csv")


def test_other_columns():
    check_columns(TABLE, ["F0_mean", "loudness"], "t.csv")
    with pytest.raises(UserError, match=r"t\.csv: .*2 missing \(jitter, shimmer\); 1 extra \(loudness\)"):
        check_columns(TABLE, ["F0_mean", "jitter", "shimmer"], "t.csv")
    with pytest.raises(UserError, match=r"5 missing \(a, b, c and 2 more\)"):
        check_columns(TABLE, [*TABLE.names_D, *"abcde"], "t.csv")
    with pytest.raises(UserError, match="another order"):
        check_columns(TABLE, ["loudness", "F0_mean"], "t.csv")


def test_csv_by_hand(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeffspeaker,f0,id,n\nanna,1.5,007,3\nben,-2,008,4\n", encoding="utf-8")
    table = read(tmp_path / "t.csv")
    assert table.ids_U.tolist() == ["007", "008"]
    assert table.speakers_U.tolist() == ["anna", "ben"]
    assert table.emotions_U.tolist() == ["", ""]
    assert table.names_D == ("f0", "n")
    np.testing.assert_array_equal(table.x_UxD, [[1.5, 3], [-2, 4]])


def test_columns_have_the_owners_names(tmp_path):
    columns = {"id": "file", "emotion": "label", "speaker": "who", "session": "day"}
    frame = pd.DataFrame({"file": ["01", "02"], "who": ["a", "b"], "label": ["x", "NA"], "day": ["1", "1"]})
    frame["f0"] = [1.5, 2.5]
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for ending in (".csv", ".parquet"):
        table = read(tmp_path / f"t{ending}", columns)
        assert table.ids_U.tolist() == ["01", "02"] and table.speakers_U.tolist() == ["a", "b"]
        assert table.emotions_U.tolist() == ["x", "NA"] and table.sessions_U.tolist() == ["1", "1"]
        assert table.names_D == ("f0",)
        with pytest.raises(UserError, match="no column mood; there are file, who, label, day, f0"):
            read(tmp_path / f"t{ending}", columns | {"emotion": "mood"})


@pytest.mark.parametrize("ending", table_files.ENDINGS)
def test_words_have_one_spelling(tmp_path, ending):
    odd = replace(
        TABLE,
        speakers_U=arrays(["a ", " a", "Ju\u0308rgen"]),
        emotions_U=arrays(["anger", "anger ", "A\u0308rger"]),
        sessions_U=arrays(["1", "1 ", " "]),
    )
    write(odd, tmp_path / f"t{ending}")
    table = read(tmp_path / f"t{ending}")
    assert table.speakers_U.tolist() == ["a", "a", "J\u00fcrgen"]
    assert table.emotions_U.tolist() == ["anger", "anger", "\u00c4rger"]
    assert table.sessions_U.tolist() == ["1", "1", ""]


def test_sessions_follow_their_rows():
    table = replace(TABLE, sessions_U=arrays(["x", "y", "z"]))
    assert table.select([2, 0]).sessions_U.tolist() == ["z", "x"]
    assert TABLE.select([2, 0]).sessions_U is None
    assert table.extracted and not replace(table, x_UxD=np.full((3, 2), np.nan)).extracted


@pytest.mark.parametrize(
    "text, message",
    [
        ("id,speaker,f0,text,more\n1,a,2,hello,x\n", "not numbers: text, more"),
        (
            "id,speaker,f0\n1,a,2\n2,a,null\n3,b,1\n",
            "1 cells of column 'f0' are no numbers, first 'null' in row '2",
        ),
        ("id,speaker,f0\n1,a,\n", r"'1', feature 'f0'"),
        ("id,speaker,f0\n1,a,NaN\n", r"'1', feature 'f0'"),
        ("id,speaker,f0\n1,a,inf\n", r"'1', feature 'f0'"),
        ("id,speaker,f0\n1,a,1e300\n", r"'1', feature 'f0'"),
        ("id,speaker,f0,f0\n1,a,1,2\n", "duplicated columns: f0"),
        ("id,speaker,f0\n1,a,1\n1,b,1\n", "duplicated ids: 1"),
        ("id,f0\n1,2\n", "no column speaker"),
        ("f0\n2\n", "no column id and no column speaker; there are f0. A table of features has id and"),
        ("id,speaker,emotion\n1,a,fear\n", "no features"),
        (",id,speaker,f0\n0,1,a,2\n", "column 1 has no name"),
        ("id,speaker,f0\n1,a,2\n2,b,3,4,5\n", "cannot be read as csv"),
        ("id,speaker,f0\n1,a,2,9\n", "rows have more cells than there are columns"),
        ("", "the file is empty"),
        ("\n", "no column id"),
    ],
)
def test_faulty_csv(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / "t.csv")
    assert str(tmp_path / "t.csv") in str(caught.value)


def test_a_csv_that_is_none(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x81" * 30)
    with pytest.raises(UserError, match=r"t\.csv: cannot be read as csv"):
        read(tmp_path / "t.csv")


def test_parquet_of_others(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"id": [1, 2], "speaker": ["a", "b"], "emotion": ["fear", None], "f": [1, 2]})
    frame.to_parquet(path)
    assert read(path).ids_U.tolist() == ["1", "2"]
    assert read(path).emotions_U.tolist() == ["fear", ""]
    frame.set_index("id").to_parquet(path)
    assert read(path).ids_U.tolist() == ["1", "2"] and read(path).names_D == ("f",)
    frame.rename_axis("row").to_parquet(path)  # which is no label
    assert read(path).names_D == ("f",)
    frame.set_index(pd.MultiIndex.from_arrays([["a", "b"], [0.0, 0.0]], names=["file", "start"])).to_parquet(
        path
    )
    assert read(path).names_D == ("f",)
    frame.assign(flag=[True, False]).to_parquet(path)
    with pytest.raises(UserError, match="not numbers: flag"):
        read(path)
    frame.assign(f=[1.0, None]).to_parquet(path)
    with pytest.raises(UserError, match="'2', feature 'f'"):
        read(path)


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"x" * len(b), lambda b: b[:40] + b[60:]]
)
def test_damaged(tmp_path, ending, damage):
    path = tmp_path / f"t{ending}"
    write(TABLE, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"t{ending}: damaged"):
        read(path)


def test_npz_of_others(tmp_path):
    np.savez(tmp_path / "t.npz", values=np.zeros(3))
    with pytest.raises(UserError, match="it has no x_UxD, ids_U, speakers_U and 3 more"):
        read(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", **dict.fromkeys(table_files._NPZ, np.array([{}], dtype=object)))
    with pytest.raises(UserError, match="pickle"):
        read(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("x_UxD", np.zeros(3), "its arrays have other dimensions"),
        ("x_UxD", np.zeros((3, 2), complex), "holds no numbers but complex128"),
        ("names_D", np.array([["a", "b"]]), "its arrays have other dimensions"),
        ("extractor", np.array(["a"]), "its arrays have other dimensions"),
        ("ids_U", np.array([True, False, True]), "damaged, .*bool instead of words"),
        ("speakers_U", np.frombuffer(b"\xff\xff\xff\x7f" * 3, "<U1"), "damaged, or not an npz"),
        ("emotions_U", np.array(["a", "b", "\ud800"]), "damaged, .*surrogates not allowed"),
        ("sessions_U", np.array([b"\xff", b"", b""]), "damaged, .*can't decode"),
    ],
)
def test_an_npz_of_other_arrays(tmp_path, name, array, message):
    write(TABLE, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as values:
        np.savez(tmp_path / "t.npz", **(dict(values) | {name: array}))
    with pytest.raises(UserError, match=message):
        read(tmp_path / "t.npz")


def test_an_npz_of_numbers_and_bytes_as_words(tmp_path):
    write(TABLE, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as values:
        other = {"ids_U": np.arange(3), "speakers_U": np.array([b"a", b"b", b"b"]), "x_UxD": np.eye(3)[:, :2]}
        np.savez(tmp_path / "t.npz", **(dict(values) | other))
    table = read(tmp_path / "t.npz")
    assert table.ids_U.tolist() == ["0", "1", "2"] and table.speakers_U.tolist() == ["a", "b", "b"]


def test_wrong_paths(tmp_path):
    for path in (tmp_path / "t.xlsx", tmp_path / "t"):
        with pytest.raises(UserError, match=r"ends in \.npz, \.csv, \.parquet"):
            read(path)
        with pytest.raises(UserError, match=r"ends in \.npz, \.csv, \.parquet"):
            write(TABLE, path)
    with pytest.raises(UserError, match=r"t\.npz: no such file"):
        read(tmp_path / "t.npz")


def test_reserved_feature_names(tmp_path):
    with pytest.raises(UserError, match="called emotion"):
        write(replace(TABLE, names_D=("F0", "emotion")), tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_two_corpora_are_joined_under_their_names(toy):
    first = tables.named(toy, "a")
    assert first.ids_U[0] == "a/toy/000" and set(first.speakers_U) == {"a/s1", "a/s2", "a/s3", "a/s4"}
    np.testing.assert_array_equal(tables.named(first, "a").ids_U, first.ids_U)
    other = replace(toy, x_UxD=toy.x_UxD + 1)
    both = tables.join(first, tables.named(other, "b"))
    assert len(both.ids_U) == 2 * len(toy.ids_U) and both.names_D == toy.names_D
    np.testing.assert_array_equal(both.x_UxD[len(toy.ids_U) :], other.x_UxD)
    np.testing.assert_array_equal(both.emotions_U[: len(toy.ids_U)], toy.emotions_U)


def test_corpora_that_share_speakers_or_have_other_features_are_not_joined(toy):
    with pytest.raises(UserError, match=r"4 speakers are in both corpora \(s1, s2, s3 and 1 more\)"):
        tables.join(toy, replace(toy, ids_U=np.char.add(toy.ids_U, "x")))
    with pytest.raises(UserError, match=r"64 recordings are in both corpora \(b/toy/000, "):
        tables.join(toy, tables.named(toy, "b"))
    other = replace(tables.named(toy, "b"), names_D=tuple(f"g{i}" for i in range(6)))
    with pytest.raises(UserError, match="the second corpus: other feature columns"):
        tables.join(toy, other)


def file_of(ending):
    """The bytes of `TABLE` in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{ending}"
        write(replace(TABLE, sessions_U=TABLE.speakers_U), path)
        return path.read_bytes()


def assert_read_or_refused(path, columns=None):
    try:
        table = read(path, columns)
    except UserError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error)) < 2000
    else:
        check(table, path)
        assert table.x_UxD.dtype == np.float32


FILES = {ending: file_of(ending) for ending in table_files.ENDINGS}
PIECES = [
    b"{'descr':",
    b"(3, 2)",
    b"(3,)",
    b"()",
    b"(999999999999, 2)",
    b"'|O'",
    b"<f4",
    b"<U9999999",
    b"True",
]
PIECES += [b"PK\x03\x04", b"PAR1", b"-1", b"\n", b","]
NAMES = st.sampled_from(["id", "speaker", "emotion", "session", "extractor", "F0_mean", "x", ""])


def test_words_of_a_parquet_file_that_are_not_utf_8_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(FILES[".parquet"].replace(b"c/1", b"\x80/1"))
    with pytest.raises(UserError, match=rf"^{path}: damaged, or not a Parquet file \(.*UTF8"):
        read(path)


@pytest.mark.parametrize("ending", table_files.ENDINGS)
@fuzzed(60)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path, ending, data):
    path = tmp_path / f"t{ending}"
    path.write_bytes(data.draw(damaged(FILES[ending], PIECES, head=len(FILES[ending]))))
    assert_read_or_refused(path)


@fuzzed(60)
@given(data=st.data())
def test_an_npz_of_damaged_arrays_is_read_or_refused_by_name(tmp_path, data):
    """The archive is whole, so that what is in it is looked at."""
    with zipfile.ZipFile(io.BytesIO(FILES[".npz"])) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(arrays)))
    arrays[name] = data.draw(damaged(arrays[name], PIECES, head=len(arrays[name])))
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)
    assert_read_or_refused(tmp_path / "t.npz")


CELLS = [
    "1",
    "-2.5",
    "1e400",
    "nan",
    "NA",
    "",
    " ",
    '"',
    "'",
    "a",
    "\0",
    "\r",
    "True",
    "0x1",
    "9" * 400,
    "1_0",
]


@fuzzed(60)
@given(
    head=st.lists(NAMES | st.text(max_size=3), max_size=5) | st.just(["id", "speaker", "f"]),
    rows=st.lists(
        st.lists(st.sampled_from(CELLS) | st.text(max_size=4), max_size=5).map(",".join), max_size=5
    ),
    columns=st.dictionaries(st.sampled_from(tables.COLUMNS), NAMES, max_size=2),
)
def test_any_csv_is_read_or_refused_by_name(tmp_path, head, rows, columns):
    text = "\n".join([",".join(head), *rows])
    (tmp_path / "t.csv").write_bytes(text.encode(errors="surrogatepass"))
    assert_read_or_refused(tmp_path / "t.csv", columns)


KINDS = [[1, 2], [0.5, None], ["a", "b"], ["a", None], [True, False], [b"\xff", b""]]
KINDS += [[[1], [2]], [{"a": 1}, {}], [2**63, 1], [float("inf"), 1e300]]
KINDS += [[pd.Timestamp(0), pd.NaT], [pd.Timedelta(1), None], [None, None]]


@fuzzed(40)
@given(
    columns=st.dictionaries(NAMES, st.sampled_from(KINDS), max_size=5),
    own=st.dictionaries(st.sampled_from(tables.COLUMNS), NAMES, max_size=2),
    index=st.sampled_from([None, "id", "x"]),
)
def test_any_parquet_is_read_or_refused_by_name(tmp_path, columns, own, index):
    """Columns of kinds that no table of features has, also as an index."""
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame = frame.infer_objects()
    if index in frame:
        frame = frame.set_index(index)
    frame.to_parquet(tmp_path / "t.parquet")
    assert_read_or_refused(tmp_path / "t.parquet", own)


def test_a_row_is_known_whatever_the_rounding_and_another_is_not():
    rng = np.random.default_rng(0)
    known_UxD = (rng.normal(size=(300, 40)) * 10.0 ** rng.integers(-6, 6, 40)).astype(np.float32)
    known_UxD[:, 3] = 5.0
    places_N = rng.integers(300, size=2000)
    x_NxD = (known_UxD[places_N] * (1 + rng.uniform(-1e-6, 1e-6, (2000, 40)))).astype(np.float32)
    np.testing.assert_array_equal(tables.same_rows(x_NxD, known_UxD), places_N)
    moved_NxD = x_NxD.copy()
    column_N = rng.integers(40, size=2000)
    moved_NxD[np.arange(2000), column_N] += 1e-3 * np.abs(known_UxD[:, column_N]).max(axis=0)
    assert (tables.same_rows(moved_NxD, known_UxD) == -1).all()
    assert tables.same_rows(x_NxD[:0], known_UxD).tolist() == []
