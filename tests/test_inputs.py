"""The corpus and the source, from wherever the config names them; what is both keeps its speaker."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sergan import data
from sergan.corpora import emodb, prepared, table_files
from sergan.corpora.prepared import stock
from sergan.errors import UserError
from sergan.features import Extraction, Outlook
from sergan.inputs import corpus_table, source_table

ROOT = Path(__file__).parent / "data" / "emodb"


@pytest.fixture
def extraction(cache):
    return Extraction("IS10", cache)


def test_corpus_embedded_from_audio_and_from_a_table(cache, extraction, tmp_path, caplog):
    embedded = corpus_table("emodb", "", "", Extraction("is10", cache))
    assert len(embedded.ids_U) == 535
    with caplog.at_level(logging.WARNING):
        audio = corpus_table("emodb", str(ROOT), "", extraction)
    assert len(caplog.records) == 1
    assert "20 files instead of 535" in caplog.text
    table_files.write(audio, tmp_path / "t.csv")
    table = corpus_table("mine", "", str(tmp_path / "t.csv"), extraction)
    np.testing.assert_array_equal(table.x_UxD, audio.x_UxD)
    assert table.emotions_U.tolist() == audio.emotions_U.tolist()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("emo-db", "", "", "IS10"), r"corpus\.name: there is no corpus 'emo-db' \(only emodb"),
        (("emodb", "a", "b", "IS10"), r"corpus\.root and config\.corpus\.table are both given"),
        (("emodb", "", "", "IS09"), r"'emodb' with 'IS09'.*; give --config\.corpus\.root=DIR"),
        (("emodb", "", "", "IS99"), r"features\.set: there is no set 'IS99'"),
        (
            ("tedlium", "a", "", "IS10"),
            "corpus.name: tedlium has no emotions; use it as config.source=tedlium:F",
        ),
        (("tedlium", "tfds:tedlium", "", "IS10"), "corpus.name: tedlium has no emotions"),
        (("emodb", "/nowhere", "", "IS10"), "/nowhere: no such folder"),
        (("emodb", "", "/nowhere.csv", "IS10"), r"/nowhere\.csv: no such file"),
        (("audformat", "", "", "IS10"), r"config\.corpus\.root is empty; audformat needs the folder"),
    ],
)
def test_wrong_corpora(cache, arguments, message):
    with pytest.raises(UserError, match=message):
        corpus_table(*arguments[:3], Extraction(arguments[3], cache))


def test_a_corpus_of_one_speaker(cache, extraction, tmp_path):
    for path in (ROOT / "wav").glob("03*.wav"):
        shutil.copy(path, tmp_path)
    with pytest.raises(UserError, match=r"only one speaker \(emodb/03\)"):
        corpus_table("emodb", str(tmp_path), "", extraction)


def test_a_corpus_without_emotions(cache, extraction, tmp_path):
    table_files.write(data.load("speech", "IS10").select(slice(5)), tmp_path / "t.npz")
    with pytest.raises(UserError, match=r"t\.npz: no row has an emotion"):
        corpus_table("emodb", "", str(tmp_path / "t.npz"), extraction)


def test_sources(cache, extraction, tmp_path):
    corpus = data.load("emodb", "IS10")
    speech = source_table("speech", corpus, extraction)
    assert len(speech.ids_U) == 1019
    part = speech.select(slice(3))
    table_files.write(replace(part, emotions_U=np.array(["fear"] * 3)), tmp_path / "t.parquet")
    table = source_table(str(tmp_path / "t.parquet"), corpus, extraction)
    np.testing.assert_array_equal(table.x_UxD, part.x_UxD)
    assert table.emotions_U.tolist() == [""] * 3


def test_corpus_clips_in_a_source_keep_their_speaker(extraction, caplog):
    """A folder knows nothing of EMO-DB's names; the folds must still be able to hold the speaker out."""
    source = source_table(str(ROOT), data.load("emodb", "IS10"), extraction)
    assert source.ids_U[0] == "emodb/wav/03a02Nc"
    assert source.speakers_U.tolist() == [r.speaker for r in emodb.read(ROOT)]
    assert set(source.emotions_U.tolist()) == {""}
    assert f"source {ROOT}: 20 of 20 rows are clips of the corpus, and are left out" in caplog.text


def test_wrong_sources(cache, extraction, tmp_path):
    corpus = data.load("emodb", "IS10")
    with pytest.raises(UserError, match=r"config\.source: 'speach' is neither speech nor corpus"):
        source_table("speach", corpus, extraction)
    with pytest.raises(UserError, match="no wav or flac"):
        source_table(str(tmp_path), corpus, extraction)
    with pytest.raises(UserError, match=r"'speech' with 'IS09'.*give --config\.source=DIR"):
        source_table("speech", corpus, Extraction("IS09", cache))
    other = replace(corpus, names_D=("x", *corpus.names_D[1:]))
    table_files.write(other, tmp_path / "t.npz")
    with pytest.raises(UserError, match=r"t\.npz: other feature columns.*1 missing \(.*\); 1 extra \(x\)"):
        source_table(str(tmp_path / "t.npz"), corpus, extraction)


# prepared sets


def no_audio(*_, **__):
    raise AssertionError("audio was read")


def test_with_a_store_corpus_and_source_are_prepared_first_and_have_the_same_rows(
    extraction, tmp_path, monkeypatch
):
    stored = Extraction("IS10", tmp_path / "cache", tmp_path / "store")
    corpus = corpus_table("emodb", str(ROOT), "", stored)
    plain = corpus_table("emodb", str(ROOT), "", extraction)
    np.testing.assert_array_equal(corpus.x_UxD, plain.x_UxD)
    assert corpus.emotions_U.tolist() == plain.emotions_U.tolist()
    shutil.copytree(ROOT / "wav", tmp_path / "a" / "Some Speech!" / "x")
    source = source_table(str(tmp_path / "a" / "Some Speech!"), corpus, stored)
    np.testing.assert_array_equal(source.x_UxD, corpus.x_UxD)
    names = sorted(path.name for path in (tmp_path / "store").iterdir() if not path.name.startswith("."))
    assert names[0] == "sergan_emodb"
    assert names[1].startswith("sergan_some_speech_") and len(names) == 2
    monkeypatch.setattr("sergan.corpora.audio._decode", no_audio)
    assert len(corpus_table("emodb", str(ROOT), "", stored).ids_U) == 20


def test_folders_of_one_name_are_sets_of_their_own(extraction, tmp_path):
    stored = replace(extraction, store=tmp_path / "store")
    for place, clip in (("a", "03a02Nc.wav"), ("b", "12a02Ac.wav")):
        (tmp_path / place / "1").mkdir(parents=True)
        shutil.copy(ROOT / "wav" / clip, tmp_path / place / "1")
        source_table(str(tmp_path / place / "1"), data.load("emodb", "IS10"), stored)
    assert len(list((tmp_path / "store").glob("sergan_1_*"))) == 2


def test_stock_sets(extraction, tmp_path, monkeypatch):
    calls = []

    def opened(name, store):
        calls.append((name, store))
        return prepared.prepare("stock", emodb.read(ROOT), tmp_path / "stock")

    monkeypatch.setattr(stock, "opened", opened)
    corpus = corpus_table("any", "tfds:any/set", "", extraction)
    assert len(corpus.ids_U) == 20 and set(corpus.emotions_U.tolist()) >= {"anger", "fear"}
    source = source_table("tfds:any", corpus, replace(extraction, store=tmp_path / "store"))
    assert set(source.emotions_U.tolist()) == {""}
    home = Path("~/tensorflow_datasets").expanduser()
    assert calls == [("tfds:any/set", home), ("tfds:any", tmp_path / "store")]


# corpora as sources


def test_a_corpus_as_a_source_has_its_own_names_and_no_emotions(extraction, caplog):
    source = source_table(f"emodb:{ROOT}", data.load("emodb", "IS10"), extraction)
    assert source.ids_U.tolist() == [recording.id for recording in emodb.read(ROOT)]
    assert set(source.emotions_U.tolist()) == {""}
    assert "20 files instead of 535" in caplog.text


def test_tedlium_is_a_source(extraction, tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, 32000)
    for kind in ("stm", "sph"):
        (tmp_path / "train" / kind).mkdir(parents=True)
    (tmp_path / "train" / "stm" / "Bee.stm").write_text("Bee 1 Bee 0.2 0.9 <o> a\nBee 1 Bee 1 1.8 <o> b\n")
    soundfile.write(tmp_path / "train" / "sph" / "Bee.sph", samples, 16000, format="NIST", subtype="PCM_16")
    local = replace(extraction, cache=tmp_path / "cache", store=tmp_path / "store")
    source = source_table(f"tedlium:{tmp_path}", data.load("emodb", "IS10"), local)
    assert source.ids_U.tolist() == ["tedlium/train/Bee/000020-000090", "tedlium/train/Bee/000100-000180"]
    assert (tmp_path / "store" / "sergan_tedlium").is_dir()


def test_a_corpus_of_no_name_is_no_source(extraction):
    with pytest.raises(UserError, match=r"'tedlum:/x' is neither .* NAME:FOLDER with one of emodb, iemocap"):
        source_table("tedlum:/x", data.load("emodb", "IS10"), extraction)


def test_speakers_with_the_corpus_own_names_are_no_strangers(extraction):
    """The corpus has some of their clips only; the folds leave the others out by the speaker's name."""
    embedded = data.load("emodb", "IS10")
    some = embedded.select(np.flatnonzero(embedded.emotions_U != "neutral"))
    assert len(source_table(f"emodb:{ROOT}", some, extraction).ids_U) == 20
    with pytest.raises(UserError, match=r"of its 20 rows are clips of the corpus, and .* cannot be told"):
        source_table(str(ROOT), some, extraction)


# own data


@pytest.mark.parametrize(("name", "table"), [("any", "rows.npz"), ("emodb", "")])
def test_columns_are_refused_where_none_are_looked_for(extraction, name, table):
    with pytest.raises(UserError, match=r"config\.corpus\.columns: .* has its own names; columns are for"):
        corpus_table(name, "", table, extraction, columns={"emotion": "label"})


def clips(folder, columns="file,emotion,speaker"):
    """The twenty clips as a table of clips, and the recordings that it has."""
    recordings = emodb.read(ROOT)
    lines = [f"{r.path},{r.emotion},{r.speaker}" for r in recordings]
    (folder / "t.csv").write_text("\n".join([columns, *lines]))
    return folder / "t.csv", recordings


def test_a_table_of_clips_has_the_rows_of_its_audio(extraction, tmp_path):
    path, recordings = clips(tmp_path, "path,label,speaker")
    columns = {"file": "path", "emotion": "label"}
    table = corpus_table("any", "", str(path), extraction, columns=columns)
    plain = corpus_table("emodb", str(ROOT), "", extraction)
    np.testing.assert_array_equal(table.x_UxD, plain.x_UxD)
    assert table.emotions_U.tolist() == plain.emotions_U.tolist()
    assert table.ids_U.tolist() == [str(r.path) for r in recordings] and table.sessions_U is None


def test_a_table_of_clips_is_a_source(extraction, tmp_path):
    source = source_table(str(clips(tmp_path)[0]), data.load("emodb", "IS10"), extraction)
    assert set(source.emotions_U.tolist()) == {""} and len(source.ids_U) == 20


def test_parts_of_a_clip_have_rows_of_their_own(extraction, tmp_path):
    clip = ROOT / "wav" / "03a02Nc.wav"
    lines = ["file,emotion,speaker,session,start,end", f"{clip},x,1,a,0,0.6", f"{clip},y,2,b,0.6,"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    table = corpus_table("any", "", str(tmp_path / "t.csv"), extraction)
    assert table.sessions_U.tolist() == ["a", "b"]
    assert (table.x_UxD[0] != table.x_UxD[1]).any()


def test_messages_name_columns_by_the_key_that_names_them(extraction, tmp_path):
    (tmp_path / "t.csv").write_text("file,who\na.wav,s\n")
    (tmp_path / "rows.csv").write_text("clip,speaker,f0\na,s,1\n")
    (tmp_path / "more.csv").write_text("id,who,f0\na,s,1\n")
    for name, column in (("t.csv", "emotion"), ("rows.csv", "id"), ("more.csv", "speaker")):
        with pytest.raises(UserError, match=f"name yours with --config.target.columns=.*'{column}': 'NAME'"):
            corpus_table("any", "", str(tmp_path / name), extraction, "target")
    table = corpus_table("emodb", "", "", extraction)
    with pytest.raises(UserError, match=r"no column 'speaker' .*; call yours 'speaker'"):
        source_table(str(tmp_path / "t.csv"), table, extraction)


def test_an_outlook_has_labels_and_no_values(extraction, tmp_path, monkeypatch):
    monkeypatch.setattr("sergan.corpora.audio._decode", no_audio)
    outlook = Outlook("IS10", tmp_path / "other")
    table = corpus_table("emodb", str(ROOT), "", outlook)
    assert not table.extracted and len(table.names_D) == 1582 and len(outlook.found) == 20
    source = source_table(str(ROOT), table, outlook)
    assert set(source.speakers_U.tolist()) == {"emodb/wav"} and len(outlook.found) == 40
    assert source_table("speech", table, outlook).extracted
    assert not (tmp_path / "other").exists()


def test_a_database_in_audformat_has_the_rows_of_its_audio(extraction, tmp_path):
    (tmp_path / "db.yaml").write_text(
        "name: x\nsource: y\nusage: research\nschemes: {emotion: {dtype: str}}\n"
        "tables: {clips: {type: filewise, columns: {emotion: {scheme_id: emotion}, speaker: {}}}}\n"
    )
    recordings = emodb.read(ROOT)
    lines = [f"{r.path},{r.emotion},{r.speaker}" for r in recordings]
    (tmp_path / "db.clips.csv").write_text("\n".join(["file,emotion,speaker", *lines]))
    table = corpus_table("audformat", str(tmp_path), "", extraction)
    np.testing.assert_array_equal(table.x_UxD, corpus_table("emodb", str(ROOT), "", extraction).x_UxD)
    assert table.emotions_U.tolist() == [r.emotion for r in recordings]
    assert len(source_table(f"audformat:{tmp_path}", data.load("emodb", "IS10"), extraction).ids_U) == 20
