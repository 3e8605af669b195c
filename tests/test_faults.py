"""Faults of disks, files and people: each is said in words, and the same command ends in the same result."""

import contextlib
import copy
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from etils import epath

from experiments import choose, classify, run, storage, study, synthesise, train
from experiments.record import open_run
from sergan import checkpoint, checksums, report, synthesis, writers
from sergan.corpora import table_files
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from tests.commands import launch

ROOT = Path(__file__).parent.parent
FULL = "no space is left on its disk; make room and run the same command again, which goes on"
RESULTS = ("predictions.csv", "results.csv", "quality.csv", "choices.csv", "inner.csv", "members.jsonl")
SETTINGS = {
    "corpus.classes": "()",
    "normalisations": "('train',)",
    "gan.epochs": 8,
    "training.log_every": 2,
    "training.save_every": 2,
    "gan.pretrain_epochs": 0,
    "amount": 1.0,
    "seeds": 1,
    "choice.amounts": "(1.0,)",
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of four speakers and two emotions, and other speech, in files with names as people give them."""
    folder, rng = tmp_path_factory.mktemp("rows") / "Stimmen \u00e9 1", np.random.default_rng(0)
    what, who = np.repeat(["anger", "sadness"], 32), np.tile(np.repeat(["s1", "s2", "s3", "s4"], 8), 2)
    x_UxD = rng.normal(size=(64, 6)) + 4.0 * (what == "sadness")[:, None]
    ids_U = np.array([f"toy/{i:03d}" for i in range(64)])
    corpus = FeatureTable(x_UxD.astype(np.float32), ids_U, who, what, tuple("abcdef"), "toy")
    other = FeatureTable(corpus.x_UxD + 1, ids_U, np.full(64, "\u00fc"), what, corpus.names_D, "toy")
    table_files.write(corpus, folder / "k\u00f6rper.parquet")
    table_files.write(other.unlabelled(), folder / "sp\u00e4ch.parquet")
    return folder


@pytest.fixture(scope="module")
def command(rows):
    """The flags of a small study."""
    files = {"corpus.table": rows / "k\u00f6rper.parquet", "source": rows / "sp\u00e4ch.parquet"}
    flags = [f"--config.{key}={value}" for key, value in (SETTINGS | files).items()]
    return ["--config=configs/emodb_wdiv.py:debug", *flags]


@pytest.fixture(scope="module")
def straight(command, tmp_path_factory, undrawn_module):
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("runs") / "l\u00e4uf \u00e9 1"
    code, out, err = launch(*command, f"--workdir={folder}")
    assert code == 0 and f"Report: {folder / 'report.html'}" in out, err
    return folder


@pytest.fixture
def copied(straight, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(straight, tmp_path / "copied run"))


def assert_same(folder, straight):
    """Results, losses and generators, bit for bit, and nothing left over."""
    for name in RESULTS:
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name
    assert_same_training(folder, straight)
    assert not [*folder.rglob("*.partial"), *folder.rglob("*.orbax-checkpoint-tmp*")]


def assert_same_training(folder, straight):
    tables = (pd.read_json(place / "metrics.jsonl", lines=True) for place in (folder, straight))
    keys = ["member", "step", "emotion"]
    ours, theirs = (t.drop(columns="seconds").sort_values(keys, ignore_index=True) for t in tables)
    pd.testing.assert_frame_equal(ours, theirs)
    for a, b in zip(generators(folder), generators(straight), strict=True):
        np.testing.assert_array_equal(a, b)


def generators(folder):
    import jax

    config, record = open_run(epath.Path(folder))
    gan = study.restore(config, epath.Path(folder)).members[0].gan
    count = len(list((folder / "checkpoints").glob("generators_*")))
    size = record["members_per_group"]
    trees = [train.restore_generators(gan, epath.Path(folder), number, size) for number in range(count)]
    return [np.asarray(leaf) for tree in trees for leaf in jax.tree.leaves(tree)]


@contextlib.contextmanager
def interrupted(place, name, after=1):
    """Ctrl-C at the given call of a function."""
    work, calls = getattr(place, name), []

    def stopping(*args, **kwargs):
        calls.append(name)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)
        return work(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, stopping)
        yield
    assert len(calls) >= after


# people


def test_ctrl_c_at_each_stage_loses_nothing(command, straight, tmp_path):
    folder = tmp_path / "run"
    stages = [(study, "prepare", 1), (train._Group, "advance", 3), (synthesis, "frame", 2)]
    stages += [(choose._Trials, "all", 2), (classify._Part, "predictions", 3), (report, "write", 1)]
    for place, name, after in stages:
        with interrupted(place, name, after):
            code, out, err = launch(*command, f"--workdir={folder}")
        assert (code, out) == (3, ""), (name, err)
        assert "launch.py: interrupted; what is done is saved, the same command goes on" in err
        assert folder.exists() == (name != "prepare")
    assert launch(*command, f"--workdir={folder}")[0] == 0
    assert_same(folder, straight)


def test_two_commands_on_a_new_folder_are_one_run(command, straight, tmp_path, monkeypatch):
    """One runs from start to end while another prepares; a third comes while that one trains."""
    folder, prepare, advance, said = tmp_path / "run", study.prepare, train._Group.advance, []

    def slowly(config, progress):
        monkeypatch.setattr(study, "prepare", prepare)
        monkeypatch.setattr(train._Group, "advance", third)
        said.append(run.run(config, {}, "the first", epath.Path(folder)))
        return prepare(config, progress)

    def third(group):
        monkeypatch.setattr(train._Group, "advance", advance)
        words = [sys.executable, "launch.py", *command, f"--workdir={folder}"]
        said.append(subprocess.run(words, cwd=ROOT, capture_output=True, text=True))
        return advance(group)

    monkeypatch.setattr(study, "prepare", slowly)
    code, _, err = launch(*command, f"--workdir={folder}")
    assert code == 0, err
    refused, first = said
    assert (refused.returncode, refused.stdout) == (2, "")
    words = f"process {os.getpid()} on {os.uname().nodename} works there; wait until it ends"
    assert words in refused.stderr and "Traceback" not in refused.stderr
    assert f"{folder} finished" in first
    assert_same(folder, straight)
    assert writers.read_json(folder / "config.json")["command"] == "the first"


def test_another_config_that_began_a_new_folder_first_is_not_mixed_in(command, tmp_path, monkeypatch):
    folder, prepare = tmp_path / "run", study.prepare

    def slowly(config, progress):
        monkeypatch.setattr(study, "prepare", prepare)
        other = copy.deepcopy(config)
        other.svm.C = 0.5
        with interrupted(train._Group, "advance"), pytest.raises(KeyboardInterrupt):
            run.run(other, {}, "another", epath.Path(folder))
        return prepare(config, progress)

    monkeypatch.setattr(study, "prepare", slowly)
    code, _, err = launch(*command, f"--workdir={folder}")
    assert code == 2 and "made with another config (config.svm.C differ)" in err, err
    assert writers.read_json(folder / "config.json")["config"]["svm"]["C"] == 0.5


# disks


@contextlib.contextmanager
def disk(folder, size):
    """A disk of `size`; skips where this user may mount none: then no disk is full or read-only in tests."""
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("mounting needs root: full and read-only disks are not tested")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@pytest.mark.parametrize("size", ["60k", "850k"])
def test_a_full_disk_is_named_and_the_same_command_goes_on(command, straight, tmp_path, size):
    """Full in the first save of a checkpoint, and after the training."""
    with disk(tmp_path / "disk", size):
        folder = tmp_path / "disk" / "run"
        code, out, err = launch(*command, f"--workdir={folder}")
        assert (code, out) == (2, "") and err.endswith(f"launch.py: {folder}: {FULL}\n"), err
        assert "ERROR" not in err and json.loads((folder / "config.json").read_text())["started"]
        assert not list(folder.rglob("*.partial"))
        remount(tmp_path / "disk", "size=30m")
        assert launch(*command, f"--workdir={folder}")[0] == 0
        assert_same(folder, straight)


def test_a_full_disk_leaves_what_was_exported_before(straight, tmp_path):
    with disk(tmp_path / "disk", "500k"):
        out = tmp_path / "disk" / "rows.npz"
        at = ["--mode=synthesize", f"--workdir={straight}", f"--out={out}"]
        assert launch(*at, "--per_class=5")[0] == 0
        before = out.read_bytes()
        with contextlib.suppress(OSError), (tmp_path / "disk" / "other").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        code, _, err = launch(*at, "--per_class=30")
        assert code == 2 and f"{out.parent}: {FULL}" in err
        assert out.read_bytes() == before and not list((tmp_path / "disk").glob("*.partial"))


def test_a_read_only_disk_is_named_and_what_is_there_still_answers(command, straight, tmp_path):
    with disk(tmp_path / "disk", "30m"):
        folder = Path(shutil.copytree(straight, tmp_path / "disk" / "run"))
        (folder / "report.html").unlink()
        remount(tmp_path / "disk", "ro")
        code, _, err = launch(*command, f"--workdir={folder}")
        assert code == 2 and f"{folder}: nothing can be written to {folder}; name another --workdir" in err
        new = tmp_path / "disk" / "new" / "run"
        code, _, err = launch(*command, f"--workdir={new}")
        assert code == 2 and f"{new}: nothing can be written to {tmp_path / 'disk'}; name another" in err
        code, _, err = launch("--mode=report", f"--workdir={folder}")
        assert code == 2 and f"{folder}: cannot be written to; allow it, or name another folder" in err
        at = ["--mode=synthesize", f"--workdir={folder}", "--per_class=5"]
        code, _, err = launch(*at, f"--out={folder / 'rows.csv'}")
        assert code == 2 and f"{folder}: cannot be written to" in err
        assert launch(*at, f"--out={tmp_path / 'rows.csv'}")[0] == 0
        remount(tmp_path / "disk", "rw")
        assert launch(*command, f"--workdir={folder}")[0] == 0
        remount(tmp_path / "disk", "ro")
        code, out, _ = launch(*command, f"--workdir={folder}")
        assert code == 0 and "everything is found done" in out


# files


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorter(path):
    path.write_bytes(path.read_bytes()[:-9])


def gone(path):
    path.unlink()


DAMAGES = (half, empty, flip, gone)


@pytest.fixture(scope="module")
def stopped(command, tmp_path_factory):
    """A run that was stopped in its training, with two checkpoints."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with interrupted(train._Group, "advance", 4):
        assert launch(*command, f"--workdir={folder}")[0] == 3
    assert sorted(path.name for path in states(folder).glob("*")) == ["6", "8"]
    return folder


def states(folder):
    """Where the states of the first group are, which was stopped."""
    (found,) = (folder / "checkpoints").glob("group_000_*")
    return found


def test_states_are_not_taken_for_those_of_other_members(stopped, straight, command, tmp_path):
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    states(folder).rename(folder / "checkpoints" / "group_000_00000000")  # of other folds, of the same shapes
    with interrupted(synthesise, "synthesise"):
        assert launch(*command, f"--workdir={folder}")[0] == 3
    assert_same_training(folder, straight)
    assert not list((folder / "checkpoints").glob("group_*"))


def test_generators_of_which_nothing_says_the_members_are_trained_again(straight, copied, command):
    (copied / "members.jsonl").unlink()
    with interrupted(synthesise, "synthesise"):
        code, _, err = launch(*command, f"--workdir={copied}")
    assert code == 3 and "members.jsonl has no line of it" in err, err
    assert_same_training(copied, straight)


def test_tables_that_are_gone_are_made_anew(straight, copied, command):
    config, record = open_run(epath.Path(copied))
    assert config.choice.amounts and run._finished(epath.Path(copied), record)
    for name in ("choices.csv", "inner.csv", "quality.csv", "contrasts.csv", "results.csv"):
        (copied / name).unlink()
        assert not run._finished(epath.Path(copied), record), name
        shutil.copy(straight / name, copied)
    assert run._finished(epath.Path(copied), record)
    for name in ("choices.csv", "inner.csv", "quality.csv", "contrasts.csv"):
        (copied / name).unlink()
    code, _, err = launch(*command, f"--workdir={copied}")
    assert code == 0, err
    assert (copied / "contrasts.csv").read_bytes() == (straight / "contrasts.csv").read_bytes()
    assert_same(copied, straight)


def test_a_run_whose_report_was_cut_off_is_not_finished(straight, copied, command):
    """With an older report, of before its end, in its place."""
    record = open_run(epath.Path(copied))[1]
    with interrupted(report, "write"):
        (copied / "contrasts.csv").unlink()
        assert launch(*command, f"--workdir={copied}")[0] == 3
    assert not run._finished(epath.Path(copied), record)
    (copied / "report.html").write_text("made again")
    for part in ("predictions", "predictions.partial"):  # of a clean-up that was cut short
        (copied / part).mkdir()
        assert not run._finished(epath.Path(copied), record)
        (copied / part).rmdir()
    assert run._finished(epath.Path(copied), record)


def test_every_damage_of_every_file_of_a_checkpoint_is_noticed(stopped, tmp_path):
    whole = states(stopped)
    names = [path.relative_to(whole) for path in (whole / "8").rglob("*") if path.is_file()]
    assert len(names) > 8
    for number, (name, damage) in enumerate((name, damage) for name in names for damage in DAMAGES):
        if damage is not gone and not (whole / name).stat().st_size:
            continue
        group = Path(shutil.copytree(whole, tmp_path / str(number)))
        damage(group / name)
        (said,) = checkpoint.drop_damaged(group)
        assert said.startswith(f"{group / '8'}: not whole (") and said.endswith("), and deleted"), said
        assert name.name in said or name.name == checksums.NAME
        assert [path.name for path in group.iterdir()] == ["6"]


@pytest.mark.parametrize(("steps", "damage"), [("8", flip), ("8", gone), ("68", half)])
def test_a_training_goes_on_from_the_newest_whole_checkpoint(
    stopped, straight, command, tmp_path, steps, damage
):
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    group = states(folder)
    for step in steps:
        damage(max((group / step).rglob("d/*"), key=lambda path: path.stat().st_size))
    with interrupted(synthesise, "synthesise"):
        code, _, err = launch(*command, f"--workdir={folder}")
    assert code == 3
    assert all(f"{group / step}: not whole (" in err for step in steps)
    how = "goes on from the one at step 6" if steps == "8" else "is trained anew"
    assert f"{group.name}: {how}" in err
    assert_same_training(folder, straight)


@pytest.mark.parametrize("damage", [half, flip])
def test_damaged_generators_are_named_and_trained_again(straight, copied, command, tmp_path, damage):
    place = copied / "checkpoints" / "generators_000"
    damage(max(place.rglob("d/*"), key=lambda path: path.stat().st_size))
    at = ["--mode=synthesize", f"--workdir={copied}", "--per_class=5"]
    code, _, err = launch(*at, f"--out={tmp_path / 'r.csv'}")
    assert code == 2 and f"{place}: a damaged checkpoint (" in err
    assert "delete it and run the run folder's own command again: its group is trained anew" in err
    if damage is flip:  # as it says
        shutil.rmtree(place)
    else:
        (copied / "report.html").unlink()
    with interrupted(synthesise, "synthesise"):
        assert launch(*command, f"--workdir={copied}")[0] == 3
    assert_same_training(copied, straight)


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("config.json", half, "config.json: damaged, no JSON"),
        ("config.json", empty, "config.json: damaged, no JSON"),
        ("members.jsonl", lambda path: path.write_text("{\n"), "members.jsonl line 1: damaged"),
        ("results.csv", shorter, "its last line has no end"),
        ("results.csv", empty, "results.csv: damaged"),
        ("predictions.csv", shorter, "predictions.csv: damaged (its last line"),
        ("features.parquet", half, "features.parquet: damaged, or not a Parquet file"),
        ("features.parquet", empty, "features.parquet: the file is empty"),
        ("source.parquet", half, "source.parquet: damaged, or not a Parquet file"),
        ("metrics.jsonl", lambda path: path.write_bytes(b"\xff\n"), "metrics.jsonl line 1: damaged"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(copied, straight, command, tmp_path, name, damage, words):
    damage(copied / name)
    rows = ["--mode=synthesize", f"--out={tmp_path / 'r.csv'}", "--per_class=5"]
    mode = rows if name.endswith(".parquet") else ["--mode=report"]
    code, _, err = launch(*mode, f"--workdir={copied}")
    assert code == 2 and f"launch.py: {copied / name}" in err and words in err, err
    if name == "config.json":
        assert "restore it, or name another folder" in err
        assert launch(*command, f"--workdir={copied}")[0] == 2
        return
    what = "this line" if name.endswith(".jsonl") else "it"
    assert f"delete {what} and run the" in err
    if (name, damage) in (("predictions.csv", shorter), ("features.parquet", half)):
        (copied / name).unlink()
        assert launch(*command, f"--workdir={copied}")[0] == 0
        for result in RESULTS:
            assert (copied / result).read_bytes() == (straight / result).read_bytes(), result


def test_rows_are_exported_whole_or_not_at_all(straight, tmp_path):
    at = ["--mode=synthesize", f"--workdir={straight}", "--per_class=5"]
    missing, folder, old = tmp_path / "no" / "r.csv", tmp_path / "f.csv", tmp_path / "z\u00fc ge.csv"
    code, _, err = launch(*at, f"--out={missing}")
    assert code == 2 and f"{missing}: the folder {missing.parent} does not exist" in err
    folder.mkdir()
    code, _, err = launch(*at, f"--out={folder}")
    assert code == 2 and f"{folder}: is a folder; name a file" in err
    old.write_text("the user's")
    assert launch(*at, "--per_class=10000", f"--out={old}")[0] == 2
    assert old.read_text() == "the user's"
    assert launch(*at, f"--out={old}")[0] == 0 and len(pd.read_csv(old)) == 10
    code, _, err = launch("--mode=report", f"--workdir={straight},{straight}", f"--out={old}")
    assert code == 2 and f"{old}: " in err and "name another folder" in err
    assert len(pd.read_csv(old)) == 10 and not missing.parent.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "no", "/else/f"),
            "/else/f: is not to be read or written by this user;",
        ),
        (OSError(errno.EROFS, "no", "/here/f"), "/here: cannot be written to; allow it"),
        (OSError(errno.ENOSPC, "no"), f"/here: {FULL}"),
        (ValueError("No space left on device"), f"/here: {FULL}"),
        (OSError(errno.ENAMETOOLONG, "no"), "/here: the name is too long for this disk"),
        (OSError(errno.ESTALE, "no", "/here/f"), "/here: cannot be read or written just now; run the same"),
        (OSError(errno.EMFILE, "no"), "/here: too many files are open; allow more"),
        (PermissionError(errno.EACCES, "no", "/here_too/f"), "/here_too/f: is not to be read"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_of_the_disk_names_the_place_and_what_to_do(error, words):
    with pytest.raises(UserError) as said, storage.faults("/here"):
        raise error
    assert str(said.value).startswith(words)


def test_a_file_that_cannot_be_read_just_now_is_no_damage(tmp_path, monkeypatch):
    """Or training that took hours would be deleted."""
    folder, digest = epath.Path(tmp_path), checksums._digest
    (folder / "a").write_text("a")
    checksums.write(folder)

    def failing(number):
        def raising(path):
            raise OSError(number, "no", str(path))

        return raising

    monkeypatch.setattr(checksums, "_digest", failing(errno.EIO))
    with pytest.raises(OSError, match="no"):
        checksums.fault(folder)
    monkeypatch.setattr(checksums, "_digest", digest)
    assert checksums.fault(folder) == ""
    (folder / "a").unlink()
    assert checksums.fault(folder) == "a is missing"


def test_other_faults_are_not_taken_for_the_disks():
    with pytest.raises(ValueError, match="of the program"), storage.faults("/here"):
        raise ValueError("of the program")
