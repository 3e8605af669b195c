"""openSMILE's functionals: the embedded rows again, a cache trusted only when whole, refused input."""

import logging
import shutil
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile

from sergan import data, features, logmel
from sergan.corpora import emodb
from sergan.corpora.audio import read_audio
from sergan.corpora.recordings import Recording, folder
from sergan.errors import UserError
from sergan.features import extract, feature_set
from sergan.inputs import corpus_table, source_table

ROOT = Path(__file__).parent / "data" / "emodb"
CLIP = ROOT / "wav" / "12a02Ac.wav"
NOISE = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


@pytest.fixture
def no_extraction(monkeypatch):
    """openSMILE raises, and so does the start of a process."""

    def refuse(*_, **__):
        raise AssertionError("something was extracted")

    monkeypatch.setattr(opensmile.Smile, "process_signal", refuse)
    monkeypatch.setattr(features, "ProcessPoolExecutor", refuse)


def kept(cache):
    return sorted(cache.rglob("*.npy"))


# the embedded tables


def test_the_clips_give_the_embedded_rows(cache, no_extraction):
    embedded = data.load("emodb", "IS10")
    table = extract(emodb.read(ROOT), "IS10", cache)
    rows = [embedded.ids_U.tolist().index(name) for name in table.ids_U.tolist()]
    np.testing.assert_allclose(table.x_UxD, embedded.x_UxD[rows], rtol=1e-6, atol=0)
    assert table.emotions_U.tolist() == embedded.emotions_U[rows].tolist()
    assert table.speakers_U.tolist() == embedded.speakers_U[rows].tolist()
    assert table.names_D == embedded.names_D


def test_embedded_tables():
    corpus, speech = data.load("emodb", "IS10"), data.load("speech", "IS10")
    assert corpus.x_UxD.shape == (535, 1582)
    assert speech.x_UxD.shape == (1019, 1582)
    assert speech.names_D == corpus.names_D
    assert corpus.names_D == tuple(opensmile.Smile(opensmile.FeatureSet.IS10).feature_names)
    assert len(set(speech.speakers_U.tolist())) == 128
    assert speech.ids_U[0] == "speech/000240010"
    assert speech.speakers_U[0] == "speech/0024"
    assert set(speech.emotions_U.tolist()) == {""}
    assert corpus.extractor.startswith("IS10 opensmile 2.")
    assert sum(path.stat().st_size for path in Path(data.__file__).parent.glob("*.npz")) < 12e6


def test_no_embedded_table():
    with pytest.raises(UserError, match=r"'emodb' with 'IS09'.*emodb with IS10, speech with IS10"):
        data.load("emodb", "IS09")


# feature sets


def test_every_set_in_any_case():
    for name in (*opensmile.FeatureSet.__members__, "logmel"):
        assert feature_set(name) == feature_set(name.upper()) == feature_set(name.lower()) == name


@pytest.mark.parametrize(
    "wrong, nearest", [("IS-10", "IS10"), ("egemaps02", "eGeMAPSv02"), ("compare2016", "ComParE_2016")]
)
def test_misspelt_sets(wrong, nearest):
    with pytest.raises(UserError, match=f"no set '{wrong}'.*IS09, IS10.*did you mean {nearest}"):
        feature_set(wrong)


def test_a_set_like_no_other():
    with pytest.raises(UserError) as caught:
        feature_set("wav2vec")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "name, width", [("is09", 384), ("eGeMAPSv02", 88), ("emobase", 988), ("ComParE_2016", 6373)]
)
def test_other_sets(tmp_path, name, width):
    table = extract([Recording("x/1", CLIP, "x/a", "fear")], name, tmp_path)
    assert table.x_UxD.shape == (1, width)
    assert len(table.names_D) == width
    assert table.extractor.startswith(f"{feature_set(name)} opensmile ")


@pytest.mark.parametrize("name", ["IS10", "eGeMAPSv02", "ComParE_2016"])
def test_the_shortest_clip_has_finite_functionals(tmp_path, name):
    soundfile.write(tmp_path / "x.wav", soundfile.read(CLIP)[0][4000:5600], 16000)
    assert np.isfinite(extract(folder(tmp_path), name, tmp_path / "cache").x_UxD).all()


# the cache


def test_second_run_extracts_nothing(cache, no_extraction):
    calls = []
    table = extract(emodb.read(ROOT), "is10", cache, progress=lambda *call: calls.append(call))
    assert len(table.ids_U) == 20
    assert calls == [(20, 20)]


def test_workers_and_order_do_not_matter(cache, tmp_path):
    recordings = emodb.read(ROOT)[::-2]
    calls = []
    alone = extract(recordings, "IS10", tmp_path, workers=1, progress=lambda *call: calls.append(call))
    assert calls == [(done, 10) for done in range(11)]
    together = extract(emodb.read(ROOT), "IS10", cache)
    np.testing.assert_array_equal(alone.x_UxD, together.x_UxD[::-2])


def test_cache_is_by_content_not_by_name(cache, tmp_path, no_extraction):
    shutil.copy(CLIP, tmp_path / "other.wav")
    shutil.copy(CLIP, tmp_path / "same.wav")
    table = extract(folder(tmp_path), "IS10", cache)
    expected = extract([Recording("x", CLIP, "s")], "IS10", cache)
    np.testing.assert_array_equal(table.x_UxD, np.repeat(expected.x_UxD, 2, axis=0))


def test_progress_counts_clips_with_the_same_content(tmp_path):
    recordings = [Recording(str(i), CLIP, "s") for i in range(3)]
    calls = []
    extract(recordings, "IS09", tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [(0, 3), (3, 3)]


def test_a_cache_that_cannot_be_written_to_is_found_before_any_clip_is_read(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr("sergan.corpora.audio._decode", None)
    with pytest.raises(FileExistsError):
        extract(emodb.read(ROOT), "IS10", tmp_path / "cache")


def test_cache_layout(cache):
    assert len(kept(cache)) >= 20  # other tests may have had clips of their own
    for path in kept(cache):
        set_folder, start, name = path.relative_to(cache).parts
        assert set_folder == f"IS10-opensmile-{opensmile.__version__}"
        assert name.startswith(start)
        assert len(path.stem) == 64
    assert not [path for path in cache.rglob("*") if path.suffix == ".partial"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(b"x" * 7000),
        lambda path: np.save(path, np.zeros(3, np.float32)),
        lambda path: np.save(path, np.full(1582, np.nan, np.float32)),
        lambda path: np.save(path, np.array([{"a": 1}], dtype=object)),
    ],
)
def test_damaged_cache_files_are_rebuilt(cache, tmp_path, damage):
    place = tmp_path / "cache"
    shutil.copytree(cache, place)
    before = [path.read_bytes() for path in kept(place)]
    damage(kept(place)[3])
    table = extract(emodb.read(ROOT), "IS10", place)
    np.testing.assert_array_equal(table.x_UxD, extract(emodb.read(ROOT), "IS10", cache).x_UxD)
    assert [path.read_bytes() for path in kept(place)] == before


# faulty audio


def faulty(root):
    """One file of each fault in a folder, and a good one; name -> the reason that must be given."""
    shutil.copy(CLIP, root / "good.wav")
    (root / "cut.wav").write_bytes(CLIP.read_bytes()[:20000])
    soundfile.write(root / "silent.wav", 0 * NOISE, 16000)
    soundfile.write(root / "short.wav", NOISE[:800], 16000)
    soundfile.write(root / "stereo.wav", np.stack([NOISE, -NOISE], 1), 16000)
    (root / "text.wav").write_text("not audio at all")
    (root / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    return {
        "cut.wav": "truncated",
        "silent.wav": "silent",
        "short.wav": "50 ms",
        "stereo.wav": "2 channels",
        "text.wav": "not audio",
        "pointer.wav": "git lfs pull",
    }


def test_faulty_audio_is_named_before_anything_is_extracted(tmp_path, no_extraction):
    root, place = tmp_path / "clips", tmp_path / "cache"
    root.mkdir()
    for name, reason in faulty(root).items():
        recordings = [Recording("good", root / "good.wav", "s"), Recording("bad", root / name, "s")]
        with pytest.raises(UserError, match=f"^{root / name}: .*{reason}"):
            extract(recordings, "IS10", place)
    assert not kept(place)


def test_the_first_five_faulty_files_are_named(tmp_path, no_extraction):
    reasons = faulty(tmp_path)
    with pytest.raises(UserError, match=r"^6 of 7 audio files cannot be used\n") as caught:
        extract(folder(tmp_path), "IS10", tmp_path / "cache")
    message = str(caught.value)
    assert message.endswith("; and 1 more")
    assert message.count("\n") == 1
    for name in sorted(reasons)[:5]:
        assert name in message
        assert reasons[name] in message


def test_missing_files(tmp_path):
    recordings = [Recording(str(i), tmp_path / f"{i}.wav", "s") for i in range(2)]
    with pytest.raises(UserError, match=r"2 of 2 .*\n.*0\.wav: cannot be read \(No such file"):
        extract(recordings, "IS10", tmp_path / "cache")
    with pytest.raises(UserError, match="no recordings"):
        extract([], "IS10", tmp_path / "cache")


def test_nan_from_opensmile_names_the_clip_and_is_not_kept(tmp_path, monkeypatch):
    """The product's own minimum length is taken away, so that a real 50 ms clip reaches openSMILE."""
    soundfile.write(tmp_path / "short.wav", NOISE[:800], 16000)
    monkeypatch.setattr("sergan.corpora.audio.SHORTEST", 0.0)
    with pytest.raises(UserError, match=r"short\.wav: IS10 opensmile .* gives NaN"):
        extract(folder(tmp_path), "IS10", tmp_path / "cache")
    assert kept(tmp_path) == []


def test_another_sampling_rate_is_resampled_with_one_warning(cache, tmp_path, caplog):
    import soxr

    x_T, rate = soundfile.read(CLIP)
    for name in ("a", "b"):
        soundfile.write(
            tmp_path / f"{name}.wav", soxr.resample(x_T, rate, 44100) * (1 - 1e-3 * (name == "b")), 44100
        )
    with caplog.at_level(logging.WARNING):
        table = extract(folder(tmp_path), "eGeMAPSv02", tmp_path / "cache")
    assert [r.getMessage() for r in caplog.records] == [
        f"2 of 2 clips are resampled to 16000 Hz (first {tmp_path / 'a.wav'}: 44100 Hz)"
    ]
    original = extract([Recording("x", CLIP, "s")], "eGeMAPSv02", tmp_path / "cache")
    pitch = original.names_D.index("F0semitoneFrom27.5Hz_sma3nz_amean")
    assert abs(table.x_UxD[0, pitch] - original.x_UxD[0, pitch]) < 0.1


def test_is10_has_four_groups_of_features():
    names = data.load("emodb", "IS10").names_D
    parts = features.groups(names)
    assert sorted(map(len, parts)) == [280, 336, 336, 630]
    assert sorted(i for part in parts for i in part) == list(range(1582))
    assert all("mfcc" in names[i] for i in next(part for part in parts if len(part) == 630))
    assert any("F0final" in names[i] for i in parts[-1])


# log-Mel rows


@pytest.fixture(scope="module")
def spectrograms(tmp_path_factory):
    """(the twenty clips' table, its cache)"""
    place = tmp_path_factory.mktemp("logmel")
    calls = []
    table = extract(emodb.read(ROOT), "LogMel", place, progress=lambda *call: calls.append(call))
    assert calls == [(done, 20) for done in range(21)]
    return table, place


def test_log_mel_rows_are_coefficients_at_the_place_of_their_name(spectrograms):
    table, _ = spectrograms
    assert table.x_UxD.shape == (20, 5120) and table.extractor == "logmel 1"
    seen = set()
    for recording, x_D in zip(emodb.read(ROOT), table.x_UxD, strict=True):
        (x_TxFx3,) = logmel.extract([read_audio(recording.path)], ["a"])
        frames, shift = len(x_TxFx3), (128 - len(x_TxFx3)) // 2 if len(x_TxFx3) < 128 else 0
        start = max(0, frames - 128) // 2
        seen.add(frames < 128)
        for t, f in ((0, 0), (3, 12), (64, 39), (127, 20)):
            place = table.names_D.index(f"logmel_t{t:03d}_f{f:02d}")
            inside = shift <= t < shift + frames
            expected = x_TxFx3[start + t - shift, f, 0] if inside else x_TxFx3[:, f, 0].min()
            assert x_D[place] == expected
    assert seen == {False, True}  # clips that are cut, and clips that are padded


def test_log_mel_rows_do_not_depend_on_their_company(spectrograms, tmp_path):
    table, _ = spectrograms
    alone = extract(emodb.read(ROOT)[13:14], "logmel", tmp_path, workers=2)
    np.testing.assert_array_equal(alone.x_UxD[0], table.x_UxD[13])


def test_a_second_run_makes_no_spectrogram(spectrograms, monkeypatch):
    table, place = spectrograms
    assert {path.relative_to(place).parts[0] for path in kept(place)} == {"logmel-1"}
    monkeypatch.setattr(logmel, "extract", None)
    monkeypatch.setattr("sergan.corpora.audio._decode", None)
    again = extract(emodb.read(ROOT)[::-1], "logmel", place)
    np.testing.assert_array_equal(again.x_UxD[::-1], table.x_UxD)


def test_no_log_mel_rows_are_embedded(tmp_path):
    settings = features.Extraction("logmel", tmp_path)
    with pytest.raises(UserError, match=r"'emodb' with 'logmel' .*give --config.corpus.root=DIR, the corpus"):
        corpus_table("emodb", "", "", settings)
    with pytest.raises(UserError, match=r"'speech' with 'logmel' .*give --config.source=DIR, a folder"):
        source_table("speech", data.load("emodb", "IS10"), settings)
