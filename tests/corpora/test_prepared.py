"""Prepared sets: written, read again, whole or not at all, in bounded memory, without TensorFlow."""

import functools
import logging
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr

from sergan import features
from sergan.corpora import emodb, prepared
from sergan.corpora.audio import read_audio
from sergan.corpora.prepared import builder, prepare, read, sets, stock
from sergan.corpora.recordings import Recording
from sergan.errors import UserError

ROOT = Path(__file__).parent.parent.parent
EMODB = emodb.read(ROOT / "tests" / "data" / "emodb")
NAME = "sergan_emodb"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the twenty clips in shards of about six."""
    place = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "SHARD", 300_000)
        prepare(NAME, EMODB, place)
    return place


def noise(folder, count, seconds=0.2, rate=16000):
    """Recordings of white noise, a file each."""
    rng, recordings = np.random.default_rng(0), []
    folder.mkdir(exist_ok=True)
    for i in range(count):
        path = folder / f"{i:04d}.wav"
        soundfile.write(path, rng.normal(0, 0.1, int(seconds * rate)), rate)
        recordings.append(Recording(f"noise/{i:04d}", path, f"noise/{i % 3}", session=f"noise/{i % 2}"))
    return recordings


def hidden(store):
    """What was left of a set that was not finished."""
    return [path for path in store.iterdir() if path.name.startswith(".") and path.suffix != ".lock"]


def ids(clips):
    return [clip.id for clip in clips]


def refuse_audio(*_, **__):
    raise AssertionError("audio was read")


# what is written is read again


def test_round_trip(store):
    clips = read(store, NAME)
    assert len(clips) == len(EMODB)
    for clip, recording in zip(clips, EMODB, strict=True):
        assert (clip.id, clip.speaker, clip.session) == (recording.id, recording.speaker, "")
        assert clip.emotion == recording.emotion
        assert clip.pcm_T.dtype == np.int16
        np.testing.assert_array_equal(clip.pcm_T, soundfile.read(recording.path, dtype="int16")[0])
        assert clip.x_T.dtype == np.float32
        np.testing.assert_array_equal(clip.x_T, read_audio(recording.path))


def test_by_index(store):
    clips = read(store, NAME)
    assert [clips[i].id for i in (7, 0, -1, 13)] == [EMODB[i].id for i in (7, 0, -1, 13)]
    for index in (20, -21):
        with pytest.raises(IndexError):
            clips[index]


def test_several_shards_of_array_records(store):
    names = sorted(path.name for path in (store / NAME / prepared.VERSION).iterdir())
    shards = [name for name in names if "array_record" in name]
    assert len(shards) == 4
    assert set(names) - set(shards) == {"clips.csv", "dataset_info.json", "features.json"}


def test_order_is_that_of_the_recordings(tmp_path):
    recordings = [EMODB[i] for i in np.random.default_rng(1).permutation(20)]
    assert ids(prepare("any", recordings, tmp_path)) == [recording.id for recording in recordings]


def test_entries_need_no_audio(store, monkeypatch):
    monkeypatch.setattr(sets, "_open", refuse_audio)
    entries = read(store, NAME).entries()
    assert [(e.id, e.speaker, e.emotion) for e in entries] == [(r.id, r.speaker, r.emotion) for r in EMODB]
    assert len({entry.sha256 for entry in entries}) == 20


def test_segments_of_a_long_file(tmp_path):
    pcm_T = np.random.default_rng(0).integers(-9000, 9000, 16000 * 20).astype(np.int16)
    soundfile.write(tmp_path / "talk.wav", pcm_T, 16000)
    times = [(0.0, 1.5), (1.5, 2.25), (12.345, 12.6), (19.0, None)]
    recordings = [
        Recording(f"talk/{i}", tmp_path / "talk.wav", "talk/a", start=start, end=end)
        for i, (start, end) in enumerate(times)
    ]
    clips = prepare("talks", recordings, tmp_path / "store")
    for clip, (start, end) in zip(clips, times, strict=True):
        stop = None if end is None else round(16000 * end)
        np.testing.assert_array_equal(clip.pcm_T, pcm_T[round(16000 * start) : stop])


def test_other_rates_are_resampled_and_full_scale_is_cut_with_one_warning_each(tmp_path, caplog):
    x_T = soundfile.read(EMODB[0].path)[0]
    soundfile.write(tmp_path / "a.wav", soxr.resample(x_T, 16000, 44100), 44100)
    soundfile.write(tmp_path / "b.wav", 3 * x_T / np.abs(x_T).max(), 16000, subtype="FLOAT")
    recordings = [Recording(name, tmp_path / f"{name}.wav", "s") for name in "ab"]
    with caplog.at_level(logging.WARNING):
        resampled, loud = prepare("two", recordings, tmp_path / "store")
    assert np.abs(resampled.x_T - read_audio(tmp_path / "a.wav")).max() <= 0.5 / 32768
    assert (loud.pcm_T.min(), loud.pcm_T.max()) in {(-32768, 32767), (-32768, loud.pcm_T.max())}
    assert [r.getMessage() for r in caplog.records] == [
        f"1 of 2 clips are resampled to 16000 Hz (first {tmp_path / 'a.wav'}: 44100 Hz)",
        f"1 of 2 clips are cut off at full scale (first {tmp_path / 'b.wav'})",
    ]


def test_sessions_and_words_in_any_script(tmp_path):
    (recording,) = noise(tmp_path / "noise", 1)
    odd = replace(recording, id='söt/"1",\n2', emotion="грусть")
    (clip,) = prepare("words", [odd], tmp_path / "store")
    assert (clip.id, clip.emotion, clip.session) == (odd.id, odd.emotion, "noise/0")
    assert read(tmp_path / "store", "words").entries()[0][:4] == (
        odd.id,
        odd.speaker,
        odd.session,
        odd.emotion,
    )


def test_other_programs_can_read_a_set(store):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(store / NAME / prepared.VERSION)
    assert builder.info.splits["train"].num_examples == 20
    assert builder.as_data_source("train")[3]["id"] == EMODB[3].id.encode()


# the second call


def test_a_second_call_reads_no_audio(store, monkeypatch):
    monkeypatch.setattr("sergan.corpora.audio._decode", refuse_audio)
    assert len(prepare(NAME, EMODB, store)) == 20


def test_a_moved_corpus_is_the_same(tmp_path, monkeypatch):
    recordings = noise(tmp_path / "noise", 3)
    prepare("noise", recordings, tmp_path / "store")
    (tmp_path / "noise").rename(tmp_path / "moved")
    moved = [replace(r, path=tmp_path / "moved" / r.path.name) for r in recordings]
    monkeypatch.setattr("sergan.corpora.audio._decode", refuse_audio)
    assert len(prepare("noise", moved, tmp_path / "store")) == 3


def touched(recordings):
    os.utime(recordings[2].path, (1, 1))
    return recordings


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rs: rs[:-1], "1 removed"),
        (lambda rs: [replace(rs[0], id="noise/new"), *rs[1:]], "1 added, 1 removed"),
        (lambda rs: [replace(rs[0], emotion="fear"), *rs[1:]], "1 with other labels"),
        (lambda rs: [replace(rs[0], end=0.15), *rs[1:]], "1 with another file or segment"),
        (lambda rs: rs[::-1], "in another order"),
        (touched, "1 with another file or segment"),
    ],
)
def test_other_recordings_are_prepared_anew_with_a_warning(tmp_path, caplog, change, message):
    recordings = noise(tmp_path / "noise", 4)
    old = prepare("noise", recordings, tmp_path)
    assert len(old) == 4
    changed = change(recordings)
    with caplog.at_level(logging.WARNING):
        clips = prepare("noise", changed, tmp_path)
    assert f"/noise/1.0.0 was made from other recordings ({message}): it is made anew" in caplog.text
    assert ids(clips) == [recording.id for recording in changed]
    with pytest.raises(UserError, match="made anew while it was in use"):
        old[0]
    assert not hidden(tmp_path)


# whole or not at all

KILLED = """
import sys
from pathlib import Path
from sergan.corpora.prepared import builder, prepare
from sergan.corpora.recordings import folder

def progress(done, total):
    if done == 30:
        print("now", flush=True)
        sys.stdin.read()

builder.SHARD = 64000
prepare("noise", folder(sys.argv[1]), sys.argv[2], progress)
"""


def kill(code, *arguments):
    """Runs Python code until it says that now is the time, then kills it."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL


def test_a_killed_call_leaves_nothing_half_read(tmp_path):
    recordings, store = noise(tmp_path / "noise", 40), tmp_path / "store"
    kill(KILLED, tmp_path / "noise", store)
    assert hidden(store)
    with pytest.raises(UserError, match="no set 'noise'"):
        read(store, "noise")
    assert len(prepare("noise", recordings, store)) == 40
    assert not hidden(store)


def test_a_killed_change_leaves_the_old_set(tmp_path):
    recordings, store = noise(tmp_path / "noise", 40), tmp_path / "store"
    prepare("noise", recordings[:5], store)
    kill(KILLED, tmp_path / "noise", store)
    assert ids(read(store, "noise")) == [recording.id for recording in recordings[:5]]


def test_two_at_once_make_one_set(tmp_path):
    """The second waits for the first, and then decodes nothing."""
    noise(tmp_path / "noise", 20)
    code = """
import sys, time
from sergan.corpora import prepared
from sergan.corpora.recordings import folder

calls = []
def progress(done, total):
    calls.append(done)
    time.sleep(0.05)

prepared.prepare("noise", folder(sys.argv[1]), sys.argv[2], progress)
print(len(calls))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "noise"), str(tmp_path / "store")]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    assert sorted(process.communicate()[0] for process in both) == [b"0\n", b"20\n"]
    assert len(read(tmp_path / "store", "noise")) == 20


def test_faulty_files_are_named_and_no_set_is_made(tmp_path):
    recordings = noise(tmp_path / "noise", 9)
    for recording in recordings[1:8]:
        recording.path.write_text("not audio at all")
    with pytest.raises(UserError, match=r"^7 of 9 audio files cannot be used\n.*; and 2 more$") as caught:
        prepare("noise", recordings, tmp_path / "store")
    assert str(caught.value).count("not audio (wav") == 5
    assert not hidden(tmp_path / "store")
    assert not (tmp_path / "store" / "noise").exists()


def test_wrong_calls(tmp_path, store):
    recordings = noise(tmp_path / "noise", 2)
    with pytest.raises(UserError, match="no recordings for the set noise"):
        prepare("noise", [], tmp_path)
    with pytest.raises(UserError, match=r"called like sergan_emodb.*not '\.\./noise'"):
        prepare("../noise", recordings, tmp_path)
    with pytest.raises(UserError, match="are both 'noise/0000'"):
        prepare("noise", recordings[:1] * 2, tmp_path)
    with pytest.raises(UserError, match=rf"{tmp_path}/noise/0000\.wav and .* are both 'noise/0000'"):
        prepare("noise", recordings[:1] * 2, tmp_path / "store")
    with pytest.raises(UserError, match=r"no set 'sergan_emo_db' of version 1\.0\.0 \(only sergan_emodb\)"):
        read(store, "sergan_emo_db")
    recordings[1].path.unlink()
    with pytest.raises(UserError, match=r"0001\.wav: cannot be read \(No such file"):
        prepare("noise", recordings, tmp_path / "store")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot be written to"):
        prepare("noise", recordings[:1], tmp_path / "file")


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "missing shard", "missing list", "wrong list", "cut info", "empty features"]
)
def test_a_damaged_set_is_refused(tmp_path, damage):
    clips = prepare("noise", noise(tmp_path / "noise", 20), tmp_path)
    shard = next(clips.folder.glob("*array_record*"))
    content = shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        shard.write_bytes(content[:9000] + b"x" * 2000 + content[11000:])
    elif damage == "missing shard":
        shard.unlink()
    elif damage == "missing list":
        (clips.folder / "clips.csv").unlink()
    elif damage == "wrong list":
        (clips.folder / "clips.csv").write_text("id,speaker\na,b\n")
    else:
        name = {"cut info": "dataset_info.json", "empty features": "features.json"}[damage]
        info = (clips.folder / name).read_bytes()
        (clips.folder / name).write_bytes(info[: len(info) // 2] if "cut" in damage else b"{}")
    with pytest.raises(UserError, match=r"noise/1\.0\.0.*prepare it again"):
        clips = read(tmp_path, "noise")
        assert clips.entries()
        list(clips)


# processes and memory


def test_a_set_is_small_when_pickled(store):
    clips = read(store, NAME)
    assert clips[0].id
    assert clips.entries()
    content = pickle.dumps(clips)
    assert len(content) < 1000
    assert pickle.loads(content)[5].id == EMODB[5].id


def test_memory_is_bounded(tmp_path, monkeypatch):
    """2000 clips are 12.8 MB of samples, as int16; a shard is 1 MB."""
    recordings = noise(tmp_path / "noise", 2000)
    prepare("warm", recordings[:3], tmp_path)  # imports are not counted
    monkeypatch.setattr(builder, "SHARD", 1 << 20)
    bound = 6e6
    clips, writing = peak(lambda: prepare("noise", recordings, tmp_path))
    assert writing < bound
    total, reading = peak(lambda: sum(clip.pcm_T.nbytes for clip in clips))
    assert total == 2000 * 6400 > 2 * bound
    assert reading < bound / 6
    monkeypatch.setattr(builder, "SHARD", 1 << 30)
    assert peak(lambda: prepare("whole", recordings[:1000], tmp_path))[1] > bound


def peak(function):
    """(what it returns, most bytes in use while it ran)."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# features


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_those_of_the_files_to_the_bit(store, tmp_path, workers):
    expected = features.extract(EMODB, "IS09", tmp_path / "a", workers=1)
    calls = []
    table = features.extract_prepared(
        read(store, NAME), "is09", tmp_path / "b", workers, lambda *call: calls.append(call)
    )
    assert calls == [(done, 20) for done in range(21)]
    np.testing.assert_array_equal(table.x_UxD, expected.x_UxD)
    for name in ("ids_U", "speakers_U", "emotions_U"):
        assert getattr(table, name).tolist() == getattr(expected, name).tolist()
    assert (table.names_D, table.extractor) == (expected.names_D, expected.extractor)


def test_segments_have_rows_of_their_own(tmp_path):
    path = EMODB[0].path
    whole = Recording("a", path, "s")
    parts = [replace(whole, id=str(i), start=0.4 * i, end=0.4 * i + 0.4) for i in range(3)]
    recordings = [whole, *parts]
    table = features.extract(recordings, "IS09", tmp_path / "a")
    assert len(np.unique(table.x_UxD, axis=0)) == 4
    clips = prepare("parts", recordings, tmp_path)
    again = features.extract_prepared(clips, "IS09", tmp_path / "b")
    np.testing.assert_array_equal(again.x_UxD, table.x_UxD)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_extraction_goes_on_where_it_was(store, tmp_path, monkeypatch, workers):
    """No process outlives the killed one: `kill` waits until all have let go of its output."""
    code = """
import sys
from sergan import features
from sergan.corpora import prepared

def progress(done, total):
    if done == 13:
        print("now", flush=True)
        sys.stdin.read()

features._BLOCK = 5
clips = prepared.read(sys.argv[1], "sergan_emodb")
features.extract_prepared(clips, "IS09", sys.argv[2], int(sys.argv[3]), progress)
"""
    monkeypatch.setattr(features, "_BLOCK", 5)
    expected = features.extract(EMODB, "IS09", tmp_path / "files", workers=1)
    calls = []
    kill(code, store, tmp_path / "cache", workers)
    extracted = counted(monkeypatch)
    table = features.extract_prepared(
        read(store, NAME), "IS09", tmp_path / "cache", 1, lambda *call: calls.append(call)
    )
    assert calls[0] == (10, 20)
    assert len(extracted) == 10
    np.testing.assert_array_equal(table.x_UxD, expected.x_UxD)


def counted(monkeypatch):
    """A list that grows with each clip that is extracted in this process."""
    calls, original = [], features._functionals

    def functionals(set_name, x_T):
        calls.append(len(x_T))
        return original(set_name, x_T)

    monkeypatch.setattr(features, "_functionals", functionals)
    return calls


def test_labels_cost_no_extraction_and_damaged_blocks_are_made_again(store, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_BLOCK", 8)
    cache = tmp_path / "cache"
    table = features.extract_prepared(read(store, NAME), "IS09", cache, 1)
    files = sorted(cache.rglob("*.npy"))
    assert len(files) == 3
    other = prepare(NAME, [replace(r, emotion="fear") for r in EMODB], tmp_path / "store")
    extracted = counted(monkeypatch)
    again = features.extract_prepared(other, "IS09", cache, 1)
    assert not extracted
    np.testing.assert_array_equal(again.x_UxD, table.x_UxD)
    assert set(again.emotions_U.tolist()) == {"fear"}
    files[0].write_bytes(files[0].read_bytes()[:500])
    features.extract_prepared(other, "IS09", cache, 1)
    assert len(extracted) in (4, 8)


def test_a_row_that_is_not_finite_names_the_clip(store, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_functionals", lambda *_: np.full(384, np.nan, np.float32))
    with pytest.raises(UserError, match=r"emodb/03a02Nc: IS09 opensmile .* gives NaN"):
        features.extract_prepared(read(store, NAME), "IS09", tmp_path, 1)
    assert not list(tmp_path.rglob("*.npy"))


# TensorFlow and the stock sets


def test_neither_tensorflow_nor_its_datasets_are_imported_until_they_are_needed(store):
    code = (
        "import sys, sergan.features as f; assert 'tensorflow_datasets' not in sys.modules\n"
        "from sergan.corpora import prepared\n"
        "print(len(prepared.read(sys.argv[1], 'sergan_emodb')), 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(store)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("20 False\n", "")


def test_preparing_prints_nothing(tmp_path, capfd):
    prepare("noise", noise(tmp_path / "noise", 3), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_stock_set_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(stock.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"^tfds:crema_d: .*TensorFlow; pip install -r requirements-tf\.txt$"):
        read(tmp_path, "tfds:crema_d")
    assert (ROOT / "requirements-tf.txt").exists()


class Label:
    def int2str(self, value):
        return ["anger", "fear"][value]


def fake(monkeypatch, features, splits):
    """tensorflow-datasets with one set, as if TensorFlow were there."""
    import tensorflow_datasets as tfds

    def builder(name, data_dir):
        if name.split("/")[0] != "fake":
            raise tfds.core.DatasetNotFoundError(name)
        return SimpleNamespace(
            info=SimpleNamespace(features=features),
            download_and_prepare=lambda file_format: None,
            as_data_source=lambda: splits,
        )

    monkeypatch.setattr(stock.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(tfds, "builder", builder)
    stock._opened.cache_clear()


def samples(count=4000, dtype=np.int64):
    return np.random.default_rng(0).integers(-9000, 9000, count).astype(dtype)


def test_a_stock_set(tmp_path, monkeypatch):
    kinds = {"speech": SimpleNamespace(sample_rate=16000), "speaker_id": 0, "label": Label(), "id": 0}
    rows = [
        {"speech": samples(), "speaker_id": b"1001", "label": np.int64(1), "id": b"x-1"},
        {"speech": samples(5000), "speaker_id": np.int64(7), "label": np.int64(0), "id": b"x-2"},
    ]
    fake(monkeypatch, kinds, {"train": rows, "test": rows[:1]})
    clips = read(tmp_path, "tfds:fake/clean")
    assert [(c.id, c.speaker, c.emotion, c.session) for c in clips][:2] == [
        ("fake/x-1", "fake/1001", "fear", ""),
        ("fake/x-2", "fake/7", "anger", ""),
    ]
    np.testing.assert_array_equal(clips[1].pcm_T, samples(5000))
    assert len(clips) == 3
    assert len({entry.sha256 for entry in clips.entries()}) == 2
    assert pickle.loads(pickle.dumps(clips)) == clips
    fake(monkeypatch, kinds, {"train": rows})
    table = features.extract_prepared(read(tmp_path, "tfds:fake"), "IS09", tmp_path, workers=1)
    assert table.emotions_U.tolist() == ["fear", "anger"]


def test_a_stock_set_without_labels_and_at_another_rate(tmp_path, monkeypatch):
    kinds = {"voice": SimpleNamespace(sample_rate=48000), "speaker": Label()}
    rows = [{"voice": samples(9000, np.int16), "speaker": 1}, {"voice": samples(6000)}]
    fake(monkeypatch, kinds, {"train": rows[:1], "test": rows[1:]})
    first, second = read(tmp_path, "tfds:fake")
    assert (first.id, first.speaker, first.emotion) == ("fake/train-000000", "fake/fear", "")
    assert (second.id, second.speaker) == ("fake/test-000000", "")
    assert (len(first.pcm_T), len(second.pcm_T)) == (3000, 2000)


@pytest.mark.parametrize(
    "rate, values, message",
    [
        (None, samples(), "does not say at what rate"),
        (16000, samples().reshape(-1, 2), "not mono"),
        (16000, samples().astype(np.float32), "float32"),
        (16000, 99999 * samples(), "no audio of 16 bit"),
    ],
)
def test_stock_audio_that_is_refused(tmp_path, monkeypatch, rate, values, message):
    fake(monkeypatch, {"audio": SimpleNamespace(sample_rate=rate)}, {"train": [{"audio": values}]})
    with pytest.raises(UserError, match=f"^tfds:fake: .*{message}"):
        read(tmp_path, "tfds:fake")[0]


def test_wrong_stock_sets(tmp_path, monkeypatch):
    fake(monkeypatch, {"image": 0}, {"train": [{"image": 0}]})
    with pytest.raises(UserError, match=r"^tfds:fake: has no audio \(only image\)"):
        read(tmp_path, "tfds:fake")[0]
    with pytest.raises(UserError, match=r"^tfds:creme_d: tensorflow-datasets has no such set"):
        read(tmp_path, "tfds:creme_d")
    import tensorflow_datasets as tfds

    def builder(error, *_, **__):
        raise error

    lacking = ModuleNotFoundError(name="apache_beam")
    monkeypatch.setattr(tfds, "builder", functools.partial(builder, lacking))
    with pytest.raises(UserError, match=r"tfds:tedlium/release2: needs the package apache_beam; pip install"):
        read(tmp_path, "tfds:tedlium/release2")
    monkeypatch.setattr(tfds, "builder", functools.partial(builder, NotImplementedError()))
    with pytest.raises(UserError, match="in another format than array_record"):
        read(tmp_path, "tfds:savee")
