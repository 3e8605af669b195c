"""What a recording is; any folder is unlabelled speech."""

import os
import shutil
from pathlib import Path

import pytest

from sergan.corpora.recordings import Recording, folder
from sergan.errors import UserError

CLIP = Path(__file__).parents[1] / "data" / "emodb" / "wav" / "12a02Ac.wav"


def test_a_recording_is_a_whole_file_without_a_session_unless_told():
    recording = Recording("a/1", CLIP, "a/b")
    assert (recording.emotion, recording.session, recording.start, recording.end) == ("", "", 0.0, None)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        folder(tmp_path)


def test_folder_finds_audio_at_any_depth(tmp_path):
    root = tmp_path / "talk"
    for name in (
        "b.WAV",
        "anna/2.wav",
        "anna/1.flac",
        "day1/ben/x.Flac",
        "._b.wav",
        ".trash/c.wav",
        "notes.txt",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLIP, path)
    found = [(r.id, r.speaker, r.emotion, r.path.relative_to(root).as_posix()) for r in folder(root)]
    assert found == [
        ("talk/anna/1", "talk/anna", "", "anna/1.flac"),
        ("talk/anna/2", "talk/anna", "", "anna/2.wav"),
        ("talk/b", "talk", "", "b.WAV"),
        ("talk/day1/ben/x", "talk/day1/ben", "", "day1/ben/x.Flac"),
    ]


def test_folder_goes_through_links_once_and_names_what_it_cannot_read(tmp_path, monkeypatch):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "src"
    for place in (elsewhere / "anna", root / "ben"):
        place.mkdir(parents=True)
        shutil.copy(CLIP, place / "a.wav")
    (root / "speech").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere / "anna")
    (elsewhere / "round").symlink_to(root)
    assert [r.id for r in folder(root)] == ["src/again/a", "src/ben/a"]
    walk = os.walk

    def shut(top, onerror, **more):
        onerror(PermissionError(13, "Permission denied", f"{top}/shut"))
        return walk(top, onerror=onerror, **more)

    monkeypatch.setattr(os, "walk", shut)
    with pytest.raises(UserError, match=r"src/shut: cannot be read \(Permission denied\)"):
        folder(root)


def test_a_name_that_is_no_text_is_refused_before_anything_is_read(tmp_path):
    shutil.copy(CLIP, os.fsencode(tmp_path / "m") + b"\xfc.wav")
    with pytest.raises(UserError, match=r"1 names of files or folders are not UTF-8 .*udcfc\.wav"):
        folder(tmp_path)


def test_folder_takes_its_name_from_the_real_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLIP, tmp_path / "a.wav")
    assert [r.id for r in folder(".")] == [f"{tmp_path.name}/a"]


def test_folder_with_one_name_twice(tmp_path):
    for ending in ("wav", "flac"):
        shutil.copy(CLIP, tmp_path / f"a.{ending}")
    with pytest.raises(UserError, match=r"a\.flac and a\.wav are both"):
        folder(tmp_path)


def test_folder_missing_empty_or_a_file(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("no audio")
    for path, reason in (
        ("none", "no such folder"),
        ("empty", "no wav or flac"),
        ("empty/readme.txt", "not a folder"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            folder(tmp_path / path)
        assert str(tmp_path / path) in str(caught.value)
