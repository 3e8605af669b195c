"""TED-LIUM's segments are read from its stm files, fast, and refused by file and line."""

import time

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sergan import inputs
from sergan.corpora import CORPORA, tedlium
from sergan.corpora.audio import read_audio
from sergan.corpora.recordings import Recording
from sergan.errors import UserError
from sergan.features import Extraction, extract
from tests.fuzzing import fuzzed

RNG = np.random.default_rng(0)
TALK = 0.3 * np.sin(2 * np.pi * 220 * np.arange(32000) / 16000) + RNG.normal(0, 0.05, 32000)  # 2 s
STM = """\
;; LABEL "o" "Overall" "Overall results"
AlGore_2009 1 inter_segment_gap 0 0.80 <o,,unknown> ignore_time_segment_in_scoring
AlGore_2009 1 AlGore_2009 0.80 1.25 <o,f0,male> more speech here
AlGore_2009 1 AlGore_2009 1.25 2 <o,f0,male>

AlGore_2009 1 AlGore_2009 0.05 0.8 <o,f0,male> out of order
"""
DEV = "Bee_2010 1 Bee_2010 0.5 0.7 <F0_F> a talk <sil> {NOISE} (2)\n"
RELEASE_1 = "Cat_2008 1 Cat_2008 0.10 0.40 <o,f0,female> words (Cat_2008-0.10-0.40-F0_F-S1)\n"
RELEASE_3 = "Dan_2015 1  Dan_2015 0.10\t0.40 <NA> words\n"  # with two spaces and a tab
EXPECTED = [
    ("tedlium/dev/Bee_2010/000050-000070", "tedlium/Bee_2010", 0.5, 0.7),
    ("tedlium/train/AlGore_2009/000005-000080", "tedlium/AlGore_2009", 0.05, 0.8),
    ("tedlium/train/AlGore_2009/000080-000125", "tedlium/AlGore_2009", 0.8, 1.25),
    ("tedlium/train/AlGore_2009/000125-000200", "tedlium/AlGore_2009", 1.25, 2.0),
]


def write(root, split, name, stm):
    for kind in ("stm", "sph"):
        (root / split / kind).mkdir(parents=True, exist_ok=True)
    (root / split / "stm" / f"{name}.stm").write_text(stm)
    soundfile.write(root / split / "sph" / f"{name}.sph", TALK, 16000, format="NIST", subtype="PCM_16")


def release_2(root):
    write(root, "train", "AlGore_2009", STM)
    write(root, "dev", "Bee_2010", DEV)
    return root


def segments(recordings):
    return [(r.id, r.speaker, r.start, r.end) for r in recordings]


@pytest.mark.parametrize("folder", ["TEDLIUM_release2", "other", "TEDLIUM_release-3/legacy"])
@pytest.mark.parametrize("parent", [True, False])
def test_layouts(tmp_path, folder, parent):
    release_2(tmp_path / folder)
    root = tmp_path / folder.split("/")[0]
    recordings = tedlium.read(str(tmp_path if parent and folder != "other" else root))
    assert segments(recordings) == EXPECTED
    assert {(r.emotion, r.session) for r in recordings} == {("", "")}
    path = tmp_path / folder / "dev" / "sph" / "Bee_2010.sph"
    assert recordings[0] == Recording(EXPECTED[0][0], path, "tedlium/Bee_2010", start=0.5, end=0.7)


def test_every_segment_has_its_samples(tmp_path):
    for r in tedlium.read(release_2(tmp_path)):
        want_T = TALK[round(16000 * r.start) : round(16000 * r.end)]
        np.testing.assert_allclose(read_audio(r.path, start=r.start, end=r.end), want_T, atol=1 / 32768)


def test_releases_1_and_3(tmp_path):
    write(tmp_path, "train", "Cat_2008", RELEASE_1)
    write(tmp_path, "train", "Dan_2015", RELEASE_3)
    assert [r.id for r in tedlium.read(tmp_path)] == [
        "tedlium/train/Cat_2008/000010-000040",
        "tedlium/train/Dan_2015/000010-000040",
    ]


def test_hidden_files_are_not_read(tmp_path):
    release_2(tmp_path)
    (tmp_path / "train" / "stm" / "._AlGore_2009.stm").write_bytes(b"\x00\x05\x16\x07")
    assert segments(tedlium.read(tmp_path)) == EXPECTED


def test_every_sph_is_opened_once(tmp_path, monkeypatch):
    opened, info = [], soundfile.info
    release_2(tmp_path)
    monkeypatch.setattr(soundfile, "info", lambda path: (opened.append(path.name), info(path))[1])
    tedlium.read(tmp_path)
    assert sorted(opened) == ["AlGore_2009.sph", "Bee_2010.sph"]


def test_segments_after_the_end_are_left_out_and_counted(tmp_path, caplog):
    late = "x 1 x 1.00 2.02 <NA> late\nx 1 x 1.90 2.5 <NA> later\nx 1 x 1.5 2.01 <NA> rounded\n"
    write(tmp_path, "test", "x", late)
    assert segments(tedlium.read(tmp_path)) == [("tedlium/test/x/000150-000201", "tedlium/x", 1.5, 2.0)]
    assert (
        f"{tmp_path}: segments that end after their file left out: 2 (tedlium/test/x/000100-000202, "
        "tedlium/test/x/000190-000250)"
    ) in caplog.text


def test_audio_without_an_stm_is_counted(tmp_path, caplog):
    release_2(tmp_path)
    (tmp_path / "dev" / "stm" / "Bee_2010.stm").unlink()
    assert len(tedlium.read(tmp_path)) == 3
    assert "audio files without an stm left out: 1 (dev/Bee_2010)" in caplog.text


def test_missing_and_unreadable_audio_is_named(tmp_path):
    release_2(tmp_path)
    (tmp_path / "dev" / "sph" / "Bee_2010.sph").unlink()
    (tmp_path / "train" / "sph" / "AlGore_2009.sph").write_text("no audio")
    with pytest.raises(UserError, match="the audio of 2 of 2 talks cannot be used") as caught:
        tedlium.read(tmp_path)
    assert "AlGore_2009.sph: not audio" in str(caught.value)
    assert "Bee_2010.sph: no such file" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_roots_that_are_none(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        tedlium.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no stm files in train/stm.*give the folder of TED-LIUM"):
        tedlium.read(tmp_path)
    for name in ("TEDLIUM_release1", "TEDLIUM_release2"):
        release_2(tmp_path / name)
    with pytest.raises(
        UserError, match=r"2 releases \(TEDLIUM_release1, TEDLIUM_release2\); give the folder of"
    ):
        tedlium.read(tmp_path)


@pytest.mark.parametrize(
    "bad, message",
    [
        (
            "x 1 x 2.0 1.0 <NA> a",
            r"f\.stm, line 2: bad times '2.0' to '1.0'; a segment starts at 0 s or later",
        ),
        ("x 1 x 2.0 2.0 <NA> a", "bad times"),
        ("x 1 x -1.0 2.0 <NA> a", "bad times '-1.0' to '2.0'"),
        ("x 1 x nan 2.0 <NA> a", "bad times 'nan'"),
        ("x 1 x 1.0 inf <NA> a", "bad times '1.0' to 'inf'"),
        (f"x 1 x 1.0 {'9' * 400} <NA> a", "bad times"),
        ("x 1 x 1_0 20 <NA> a", "bad times '1_0'"),
        ("x 1 x one 2.0 <NA> a", "bad times 'one'"),
        ("x 1 x 1.0 2.0", "line 2: 5 fields instead of 6 and a text"),
        ("x 1 x 0.1 0.2 <NA> b", "line 2: the segment of line 1 again"),
    ],
)
def test_bad_lines_are_named(bad, message):
    with pytest.raises(UserError, match=message):
        tedlium.parse(f"x 1 x 0.1 0.2 <NA> a\n{bad}\n", "f.stm")


def test_a_bad_line_is_named_by_its_file(tmp_path):
    write(tmp_path, "train", "x", STM.replace("1.25 2 ", "1.25 1 "))
    with pytest.raises(UserError, match=r"train/stm/x\.stm, line 4: bad times '1.25' to '1'"):
        tedlium.read(tmp_path)


PIECES = st.sampled_from(
    [
        "x 1 x ",
        "0.80 ",
        "1.25 ",
        "2 ",
        "-1 ",
        "nan ",
        "1e400 ",
        ".",
        ". ",
        "<NA> ",
        "text",
        "\n",
        ";;",
        "\u0661 ",
        "ignore_time_segment_in_scoring",
        "\r\n",
        "\x1c",
        f"{'9' * 5000} ",
    ]
)


@fuzzed(100)
@given(st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join))
def test_any_text_gives_segments_or_a_user_error(text):
    try:
        found = tedlium.parse(text, "f")
    except UserError as error:
        assert str(error).startswith("f, line ")
        return
    assert all(0 <= start < end < np.inf for start, end in found)


def test_as_many_segments_as_release_2_has_are_parsed_fast():
    text = "".join(f"x 1 x {i:.2f} {i + 0.99:.2f} <o,f0,male> some words of a talk\n" for i in range(92973))
    began = time.perf_counter()
    assert len(tedlium.parse(text, "f")) == 92973
    assert time.perf_counter() - began < 5


def test_ids_sort_by_time():
    assert tedlium._span(9.99, 10.0) == "000999-001000"
    assert tedlium._span(1.1, 1.15) == "000110-000115"


def whole():
    """Recordings in the published numbers of release 2."""
    rows = [
        (split, i % talks)
        for split, talks in tedlium.TALKS.items()
        for i in range(tedlium.SEGMENTS.get(split, 1155))
    ]
    return [
        Recording(f"tedlium/{split}/{talk}/{i}", "x", f"tedlium/{talk}")
        for i, (split, talk) in enumerate(rows)
    ]


def test_differences():
    recordings = whole()
    assert CORPORA["tedlium"].differences(recordings) == []
    few = [r for r in recordings if r.id.split("/")[1:3] not in (["dev", "3"], ["test", "10"])]
    assert tedlium.differences(few) == [
        "segments per split: dev 444 instead of 507",
        "talks per split: dev 7 instead of 8, test 10 instead of 11",
    ]
    one = [r for r in recordings if r.id.startswith("tedlium/test")]
    assert tedlium.differences(one)[0] == "segments per split: train 0 instead of 92973, dev 0 instead of 507"


def silence(root, *talks):
    """Talks of one segment each in which nothing is heard."""
    for name in talks:
        write(root, "train", name, f"{name} 1 {name} 0.1 1.5 <o,f0,male> nothing\n")
        path = root / "train" / "sph" / f"{name}.sph"
        soundfile.write(path, np.zeros(32000), 16000, format="NIST", subtype="PCM_16")


@pytest.mark.parametrize("stored", [True, False])
def test_segments_that_cannot_be_used_are_left_out_of_a_source_and_counted(tmp_path, caplog, stored):
    root = release_2(tmp_path / "TEDLIUM")
    silence(root, "Bat_2011", "Eve_2012")
    settings = Extraction("eGeMAPSv02", tmp_path / "cache", tmp_path / "store" if stored else "", workers=1)
    corpus = settings.recordings("sergan_corpus", tedlium.read(release_2(tmp_path / "corpus"))[:1])
    for _ in range(2):  # the second time from what was kept
        caplog.clear()
        rows = inputs.source_table(f"tedlium:{root}", corpus, settings)
        assert rows.ids_U.tolist() == [name for name, *_ in EXPECTED]
        np.testing.assert_array_equal(rows.x_UxD[0], corpus.x_UxD[0])
    if stored:
        assert "2 clips could not be used when it was made, and are left out" in caplog.text
    else:
        assert "2 of 6 clips cannot be used and are left out (first " in caplog.text
        assert "Bat_2011.sph from 0.1 to 1.5 s: silent" in caplog.text


def test_a_source_of_which_nothing_can_be_used_is_refused(tmp_path):
    silence(tmp_path, "Eve_2012")
    with pytest.raises(UserError, match=r"0\.1 to 1.5 s: silent"):
        extract(tedlium.read(tmp_path), "eGeMAPSv02", tmp_path / "cache", workers=1, skip=True)
