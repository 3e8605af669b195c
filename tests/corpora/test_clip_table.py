"""Tables of clips: read as their owners write them, and refused with the line, the cell and what to do."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from sergan.corpora import clip_table
from sergan.errors import UserError
from tests.fuzzing import damaged, fuzzed

WAV = Path(__file__).parent.parent / "data" / "emodb" / "wav"
HEAD = "file,emotion,speaker\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with the clips a.wav and b.wav, of 1.23 s and more."""
    shutil.copy(WAV / "11a01Ab.wav", tmp_path / "a.wav")
    shutil.copy(WAV / "12a02Ac.wav", tmp_path / "b.wav")
    return tmp_path


def write(folder, content):
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_all_columns_in_any_order_and_others_are_left_alone(folder):
    content = (
        "text,speaker,file,end,start,emotion,session\n"
        '"Ja, ""so""\nist es",anna,./a.wav,1.0,0.25,Wut,eins\n'
        "\n"
        " x , ben , b.wav ,, 0 days 00:00:00.5 ,Freude,zwei\n"
        "x,ben,b.wav,,,Freude,zwei\n"
    )
    first, second, third = clip_table.read(write(folder, content))
    assert (first.id, first.path, first.speaker) == ("./a.wav 0.25-1", folder / "a.wav", "anna")
    assert (first.emotion, first.session, first.start, first.end) == ("Wut", "eins", 0.25, 1.0)
    assert (second.id, second.start, second.end, second.speaker) == ("b.wav 0.5-end", 0.5, None, "ben")
    assert (third.id, third.start, third.end) == ("b.wav", 0.0, None)


def test_columns_have_the_owners_names(folder):
    path = write(folder, "pfad,gefühl,wer\na.wav,Wut,1\n")
    columns = {"file": "pfad", "emotion": "gefühl", "speaker": "wer"}
    assert clip_table.is_one(path, columns) and not clip_table.is_one(path, {})
    assert clip_table.read(path, columns)[0].emotion == "Wut"


def test_paths_are_against_the_folder_of_the_table_or_absolute(folder):
    (folder / "tables").mkdir()
    path = write(folder / "tables", HEAD + f"../a.wav,x,1\n{folder / 'b.wav'},y,2\n")
    assert [recording.path for recording in clip_table.read(path)] == [folder / "a.wav", folder / "b.wav"]


def test_a_table_from_other_programs(folder):
    """With a byte order mark, carriage returns, and an umlaut of two characters."""
    path = write(
        folder, b"\xef\xbb\xbf" + (HEAD + "a.wav,U\u0308berdruss,1\n").replace("\n", "\r\n").encode()
    )
    assert clip_table.read(path)[0].emotion == "\u00dcberdruss"


def test_a_source_has_no_emotions(folder):
    path = write(folder, "file,speaker\na.wav,1\n")
    assert clip_table.read(path, labelled=False)[0].emotion == ""
    assert clip_table.read(write(folder, HEAD + "a.wav,,1\n"), labelled=False)[0].emotion == ""


def test_a_table_of_clips_has_the_column_of_files(folder):
    assert clip_table.is_one(write(folder, HEAD), {})
    assert clip_table.is_one(write(folder, '"file","emotion"\n'), {})
    assert clip_table.is_one(write(folder, "file;emotion\n"), {})
    assert not clip_table.is_one(folder / "t.csv", {"id": "file"})
    assert not clip_table.is_one(write(folder, "id,speaker,f0\n"), {})
    assert not clip_table.is_one(folder / "none.csv", {"file": "x"})
    assert not clip_table.is_one(folder / "a.wav", {"file": "x"})


FAULTS = [
    (b"", "the file is empty"),
    (b" \n\n", "the file is empty"),
    (",,\n", "the file is empty"),
    (HEAD, "no rows below the names of the columns"),
    (HEAD.encode() + b"a.wav,\xdcberdruss,1\n", r"line 2: not UTF-8; save the table as CSV in UTF-8"),
    (HEAD.encode("utf-16"), "line 1: not UTF-8"),
    (HEAD + 'a.wav,"x,1\n', r"line 2: cannot be read as CSV \(unexpected end"),
    (HEAD + 'a.wav,"x"y,1\n', "line 2: cannot be read as CSV"),
    (HEAD + "a.wav,x,1\nb.wav,x\n", r"t\.csv line 3: 2 cells, but 3 columns; put text with commas in quotes"),
    (HEAD + "a.wav,x,1,z\n", "line 2: 4 cells, but 3 columns"),
    ("file;emotion;speaker\na.wav;x;1\n", "columns are not separated by commas"),
    ("file\temotion\tspeaker\na.wav\tx\t1\n", "columns are not separated by commas"),
    ("file,label,speaker\na.wav,x,1\n", r"no column 'emotion' \(emotion\); there are 'file', 'label', 'spe"),
    (
        "file,label,speaker\na.wav,x,1\n",
        r"name yours with --config\.corpus\.columns=\"\{'emotion': 'NAME'\}\"",
    ),
    ("file,emotion\na.wav,x\n", r"no column 'speaker' \(speaker\)"),
    ("path,emotion,speaker\na.wav,x,1\n", r"no column 'file' \(file\); there are 'path', 'emotion'"),
    ("file,emotion,speaker,speaker\na.wav,x,1,1\n", "there are 2 columns 'speaker'; leave one"),
    (HEAD + ",x,1\n", "line 2: file is empty"),
    (HEAD + "a.wav, ,1\n", "line 2: emotion is empty"),
    (HEAD + "a.wav,x,\n", "line 2: speaker is empty"),
    (HEAD + "c.wav,x,1\n", r"line 2: .*/c\.wav: no such file"),
    (HEAD + ".,x,1\n", "line 2: .*: not a file"),
    (HEAD + "t.csv,x,1\n", r"line 2: .*t\.csv: not audio"),
    (HEAD + "a\0.wav,x,1\n", r"line 2: file cannot be 'a\\x00\.wav': it has control characters"),
    (HEAD + 'a.wav,"x\ny",1\n', r"line 2: emotion cannot be 'x\\ny': it has control"),
    (HEAD + "a" * 5000 + ",x,1\n", "line 2: .*cannot be read"),
    (HEAD + "a.wav,x,1\na.wav,y,2\n", r"line 3: a\.wav is the clip of line 2; remove one"),
    (HEAD + "a.wav,x,1\n./a.wav,x,1\n", r"line 3: \./a\.wav is the clip of line 2"),
    (
        HEAD + "a.wav,,1\nb.wav,,1\n,x,1\na.wav,x,\n",
        r"4 faulty lines: line 2: emotion.*; line 3.*; and 1 more",
    ),
    (HEAD + "".join(f"{i}.wav,x,1\n" for i in range(9)), "9 faulty lines: line 2: .*; and 6 more"),
]
PARTS = [
    ("1,1", r"line 2: start is 1 s and end 1 s; a part ends after its start"),
    ("1,0.5", "line 2: start is 1 s and end 0.5 s"),
    (",0", "line 2: start is 0 s and end 0 s"),
    ("-1,1", "line 2: start is '-1', not seconds from 0 on like 1.5"),
    ("nan,1", "start is 'nan', not seconds"),
    ("0,inf", "end is 'inf', not seconds"),
    ("0,soon", "end is 'soon', not seconds"),
    ("NaT,", "start is 'NaT', not seconds"),
    ("0:5:x,", "start is '0:5:x', not seconds"),
    ('"0,5",1', "start is '0,5', not seconds"),
    ("-1 days,1", "start is '-1 days', not seconds"),
    ("0,999999999 days", "end is '999999999 days', not seconds"),
    ("0,9", r"line 2: .*a\.wav from 0 to 9 s: the segment ends after the file, which is 1\.\d+ s long"),
    ("9,", r"line 2: .*a\.wav from 9 s: the segment ends after the file"),
]
FAULTS += [("file,emotion,speaker,start,end\na.wav,x,1," + part + "\n", message) for part, message in PARTS]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_faults_are_named(folder, content, message):
    path = write(folder, content)
    with pytest.raises(UserError, match=message) as caught:
        clip_table.read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 7000


def test_no_table_and_no_column_of_a_given_name(tmp_path, folder):
    with pytest.raises(UserError, match=r"none\.csv: cannot be read \(No such file"):
        clip_table.read(tmp_path / "none.csv")
    with pytest.raises(
        UserError, match=r"no column 'sitzung' \(session\); there are 'file', 'emotion', 'speaker'"
    ):
        clip_table.read(write(folder, HEAD + "a.wav,x,1\n"), {"session": "sitzung"})


def test_audio_is_not_looked_for_where_that_is_asked(folder):
    assert len(clip_table.read(write(folder, HEAD + "c.wav,x,1\n"), files=False)) == 1


cells = st.sampled_from(
    ["a.wav", "b.wav", "x", "1", "", '"', "\0", "0.5", "\r", "..", "1 days", "\n", "é"]
) | st.text(max_size=6)
grids = st.lists(st.lists(cells, max_size=6).map(",".join), max_size=6).map("\n".join)


@fuzzed(100)
@given(
    head=st.sampled_from([HEAD, "file,emotion,speaker,start,end\n", ""]),
    rows=grids,
    more=st.binary(max_size=8),
)
@example("file,emotion,speaker,start,end\n", "a.wav,x,1," + "1" * 100000 + ",", b"")
@example(HEAD, "\ud7ff.wav,x,1", b"")
def test_any_text_is_read_or_refused(folder, head, rows, more):
    path = write(folder, (head + rows).encode() + more)
    clip_table.is_one(path, {})
    try:
        recordings = clip_table.read(path)
    except UserError as error:
        assert str(error).startswith(str(path))
        return
    assert recordings and all(r.speaker and r.emotion and r.path.is_file() for r in recordings)
    assert all(0 <= r.start < (r.end or np.inf) for r in recordings)
    assert len({(r.path, r.start, r.end) for r in recordings}) == len(recordings)


OWN = (
    HEAD.strip()
    + ',session,start,end,"t,x"\na.wav,Wut,anna,1,0.25,1.0,"a ""b"" c"\nb.wav,Überdruss,ben,2,,1,\n'
)


@fuzzed(60)
@given(
    content=damaged(
        OWN.encode(), [b",", b"\n", b'"', b"\0", b"\r", b"\xff", b";", b"1 days", b"nan"], head=len(OWN)
    ),
    columns=st.dictionaries(st.sampled_from(clip_table.COLUMNS), st.sampled_from([*clip_table.COLUMNS, "x"])),
    files=st.booleans(),
)
def test_a_damaged_table_with_any_names_of_columns_is_read_or_refused(folder, content, columns, files):
    path = write(folder, content)
    clip_table.is_one(path, columns)
    try:
        assert clip_table.read(path, columns, files=files)
    except UserError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error) and len(str(error)) < 7000


@fuzzed(100)
@given(st.text(max_size=12) | st.floats().map(str) | st.timedeltas().map(str))
def test_any_time_is_seconds_or_refused(text):
    try:
        value = clip_table.seconds(text, "start")
    except UserError as error:
        assert str(error).startswith("start is ")
    else:
        assert (value is None) == (text == "") and (value is None or 0 <= value < np.inf)


def test_many_columns_that_are_not_looked_at_are_said(folder, caplog):
    features = [f"f{i}" for i in range(30)]
    head, cells = ",".join(["file,emotion,speaker", *features]), ",".join(["a.wav,x,1", *["0.5"] * 30])
    clip_table.read(write(folder, f"{head}\n{cells}\n"))
    assert "30 columns are not looked at (first 'f0'); for features of your own" in caplog.text


@fuzzed(100)
@given(st.floats(0, 1e12))
@example(5e-05)
@example(1e-300)
def test_seconds_that_a_program_wrote_are_these_seconds(value):
    assert clip_table.seconds(str(value), "start") == value


def test_ten_thousand_lines_are_quick(folder):
    soundfile.write(folder / "long.wav", np.random.default_rng(0).normal(0, 0.1, 16000 * 100), 16000)
    lines = [f"long.wav,x,{i % 7},{i / 101},{i / 101 + 0.5}\n" for i in range(10000)]
    assert len(clip_table.read(write(folder, "file,emotion,speaker,start,end\n" + "".join(lines)))) == 10000
