"""Audio is read as it is or refused with a reason, also in segments."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sergan.corpora.audio import read_audio, sampling_rate, seconds
from sergan.corpora.recordings import Recording
from sergan.corpora.survey import survey
from sergan.errors import UserError
from tests.fuzzing import damaged, fuzzed

CLIPS = Path(__file__).parents[1] / "data" / "emodb" / "wav"
CLIP = CLIPS / "12a02Ac.wav"
NOISE = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


def refusal(path):
    """The message with which a file is refused; it must name the file."""
    with pytest.raises(UserError) as caught:
        read_audio(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_real_clips_are_read_to_the_last_sample():
    for path in sorted(CLIPS.iterdir()):
        x_T = read_audio(path)
        assert x_T.dtype == np.float32
        assert len(x_T) == soundfile.info(path).frames
        pcm = np.frombuffer(path.read_bytes()[-200:], "<i2")
        np.testing.assert_array_equal(x_T[-100:], pcm.astype(np.float32) / 32768)


def test_flac_gives_the_samples_of_the_wav(tmp_path):
    samples, rate = soundfile.read(CLIP, dtype="int16")
    soundfile.write(tmp_path / "x.flac", samples, rate)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.flac"), read_audio(CLIP))


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_keep_pitch_and_length(tmp_path, rate):
    time_T = np.arange(rate) / rate
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * time_T), rate)
    assert sampling_rate(tmp_path / "x.wav") == rate
    x_T = read_audio(tmp_path / "x.wav")
    assert abs(len(x_T) - 16000) <= 1
    want_T = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(x_T[1000:15000], want_T[1000:15000], atol=1e-3)


def test_missing(tmp_path):
    assert "no such file" in refusal(tmp_path / "x.wav")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "x.wav").mkdir()
    assert "not a file" in refusal(tmp_path / "x.wav")


def test_not_audio(tmp_path):
    (tmp_path / "x.wav").write_text("file,emotion\n")
    assert "not audio" in refusal(tmp_path / "x.wav")


def test_empty_file(tmp_path):
    (tmp_path / "x.wav").touch()
    assert "empty" in refusal(tmp_path / "x.wav")


def test_lfs_pointer(tmp_path):
    (tmp_path / "x.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert "git lfs pull" in refusal(tmp_path / "x.wav")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.999])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_truncated(tmp_path, ending, kept):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, soundfile.read(CLIP, dtype="int16")[0], 16000)
    read_audio(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x24\xf0\xff\x7f"])  # as ffmpeg and sox write it
def test_a_wav_that_was_streamed_has_no_size_and_is_read(tmp_path, size):
    content = bytearray(CLIP.read_bytes())
    content[4:8] = size
    (tmp_path / "x.wav").write_bytes(content)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.wav"), read_audio(CLIP))


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_silent(tmp_path, offset):
    soundfile.write(tmp_path / "x.wav", np.full(16000, offset), 16000)
    assert "silent" in refusal(tmp_path / "x.wav")


def test_quiet_is_not_silent(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE * 0.01, 16000)
    assert np.ptp(read_audio(tmp_path / "x.wav")) > 0


@pytest.mark.parametrize("rate", [16000, 44100])
def test_too_short(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", NOISE[: rate // 20], rate)
    message = refusal(tmp_path / "x.wav")
    assert "50 ms" in message
    assert "minimum is 100 ms" in message


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE[:0], 16000)
    assert "0 ms" in refusal(tmp_path / "x.wav")


def test_the_shortest_is_read(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE[:1600], 16000)
    assert len(read_audio(tmp_path / "x.wav")) == 1600


def test_stereo(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.stack([NOISE, NOISE], axis=1), 16000)
    soundfile.write(tmp_path / "mono.wav", NOISE, 16000)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.wav"), read_audio(tmp_path / "mono.wav"))
    other = NOISE.copy()
    other[-1] += 0.01
    soundfile.write(tmp_path / "x.wav", np.stack([NOISE, other], axis=1), 16000)
    assert re.search("2 channels that differ.*mono", refusal(tmp_path / "x.wav"))


def test_numbers_of_16_bit_in_a_file_of_floats(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE * 32768, 16000, subtype="FLOAT")
    assert re.search(r"samples up to 1\d{4}; scale them", refusal(tmp_path / "x.wav"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_samples(tmp_path, value):
    samples = NOISE.copy()
    samples[100] = value
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    assert "NaN or infinite" in refusal(tmp_path / "x.wav")


@pytest.mark.parametrize("ending, form", [("wav", "WAV"), ("flac", "FLAC"), ("sph", "NIST")])
def test_a_segment_has_the_samples_of_its_times(tmp_path, ending, form):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, NOISE, 16000, subtype="PCM_16", format=form)
    whole_T = read_audio(path)
    np.testing.assert_allclose(whole_T, NOISE, atol=1 / 32768)
    np.testing.assert_array_equal(read_audio(path, start=0.25, end=0.5), whole_T[4000:8000])
    np.testing.assert_array_equal(read_audio(path, start=0.25), whole_T[4000:])
    np.testing.assert_array_equal(read_audio(path, end=0.10003), whole_T[:1600])  # nearest sample
    np.testing.assert_array_equal(read_audio(path, end=1.0), whole_T)
    assert seconds(path) == 1.0


def test_only_the_segment_is_decoded(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.sph", np.tile(NOISE, 20), 16000, subtype="PCM_16", format="NIST")
    decoded, decode = [], soundfile.SoundFile.read

    def counted(file, *args, **kwargs):
        samples = decode(file, *args, **kwargs)
        decoded.append(len(samples))
        return samples

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    read_audio(tmp_path / "x.sph", start=15.0, end=15.5)
    assert decoded == [8000]


def test_a_segment_is_resampled(tmp_path):
    time_T = np.arange(48000) / 48000
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * time_T), 48000)
    x_T = read_audio(tmp_path / "x.wav", start=0.25, end=0.75)
    assert abs(len(x_T) - 8000) <= 1
    want_T = 0.5 * np.sin(2 * np.pi * 440 * (0.25 + np.arange(8000) / 16000))
    np.testing.assert_allclose(x_T[1000:7000], want_T[1000:7000], atol=1e-3)


@pytest.mark.parametrize(
    "start, end, message",
    [
        (0.5, 1.02, r"x\.wav from 0\.5 to 1\.02 s: the segment ends after the file, which is 1 s long"),
        (1.5, None, r"x\.wav from 1\.5 s: the segment ends after the file"),
        (0.5, 0.5, "from 0.5 to 0.5 s: no segment; it must start at 0 s or later and end after its start"),
        (0.5, 0.2, "no segment"),
        (-0.1, 0.5, "no segment"),
        (np.nan, 0.5, "no segment"),
        (0.0, np.inf, "no segment"),
        (0.5, 0.55, r"x\.wav from 0\.5 to 0\.55 s: 50 ms long; the minimum is 100 ms"),
        (0.0, 0.2, r"x\.wav from 0 to 0\.2 s: silent"),
    ],
)
def test_segments_are_refused_by_name(tmp_path, start, end, message):
    samples = NOISE.copy()
    samples[:4000] = 0
    soundfile.write(tmp_path / "x.wav", samples, 16000)
    with pytest.raises(UserError, match=message):
        read_audio(tmp_path / "x.wav", start=start, end=end)


def test_a_segment_may_end_after_its_file_by_the_rounding_of_its_times(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE, 16000)
    x_T = read_audio(tmp_path / "x.wav", start=0.5, end=1.01)
    np.testing.assert_array_equal(x_T, read_audio(tmp_path / "x.wav", start=0.5))


def test_sph_that_is_none(tmp_path):
    (tmp_path / "x.sph").write_bytes(b"NIST_1A\n   1024\nno header")
    assert "not audio (wav, flac or sph)" in refusal(tmp_path / "x.sph")


HEADS = {"wav": 44, "flac": 42, "sph": 200}  # bytes


def clip_as(ending):
    """The bytes of 0.3 s of a real clip in a format."""
    samples, rate = soundfile.read(CLIPS / "11a01Ab.wav", frames=4800, dtype="int16")
    file, kind = io.BytesIO(), {"wav": "WAV", "flac": "FLAC", "sph": "NIST"}[ending]
    soundfile.write(file, samples, rate, format=kind, subtype="PCM_16")
    return file.getvalue()


def flac_of(samples, rate=16000):
    """The real clip as flac whose header claims a number of samples, 0 being unknown, and a rate."""
    content = clip_as("flac")
    kinds = int.from_bytes(content[18:26], "big") >> 36 & 0xFF  # channels and bits between the two
    return content[:18] + (rate << 44 | kinds << 36 | samples).to_bytes(8, "big") + content[26:]


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        ("wav", clip_as("wav").replace(b"\x80>\0\0", b"\1\0\0\0", 1), "1 Hz; 4000 Hz is the lowest sampling"),
        ("sph", clip_as("sph").replace(b"-i 16000", b"-i 3999 "), "3999 Hz; 4000 Hz is the lowest"),
        ("flac", flac_of(4800, 1), "1 Hz; 4000 Hz is the lowest"),
        ("flac", flac_of(0), "its header does not say how long it is; encode it anew"),
        ("flac", flac_of(2**36 - 1), "truncated or damaged, it cannot be decoded to its end"),
    ],
)
def test_a_header_that_claims_what_would_fill_the_memory_is_refused(tmp_path, ending, content, message):
    (tmp_path / f"x.{ending}").write_bytes(content)
    assert message in refusal(tmp_path / f"x.{ending}")


# sizes, counts, rates, kinds of samples and tags as headers have them
NUMBERS = (0, 1, 2, 2**31 - 1, 2**32 - 1)
PIECES = [number.to_bytes(4, order) for number in NUMBERS for order in ("little", "big")]
PIECES += [kind.to_bytes(2, "little") for kind in (2, 3, 6, 7, 17, 49, 0xFFFE)]
PIECES += b"RIFF RF64 WAVE fmt  data fact LIST fLaC NIST_1A -i 9999999 \n".split(b" ")


@pytest.mark.parametrize("ending", HEADS)
@fuzzed(60)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path, ending, data):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(data.draw(damaged(clip_as(ending), PIECES, head=HEADS[ending])))
    found = survey([Recording("x", path, "y")])
    try:
        x_T = read_audio(path)
        assert x_T.dtype == np.float32 and np.isfinite(x_T).all()
        assert 0 < len(x_T) < 1e7 and seconds(path) > 0 and sampling_rate(path) > 0
        assert not found.problems.keys() - {"resampled to 16000 Hz"}
    except UserError as error:
        assert str(error).startswith(f"{path}") and "\n" not in str(error)
        assert found.problems or not found.decoded
