"""A run that is killed again and again, saves among the moments, ends as one that never was."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from etils import epath

import launch as program
from experiments import study
from experiments.record import open_run
from experiments.train import restore_generators

ROOT = Path(__file__).parent.parent
KILLS = 20
SAVING = (".orbax-checkpoint-tmp", ".partial")  # what a save under way is called


def command(folder, run):
    """A study of a few seconds that saves more often than it does anything else."""
    settings = {
        "corpus.table": folder / "corpus.parquet",
        "source": folder / "source.parquet",
        "corpus.classes": "()",
        "normalisations": "('train',)",
        "gan.epochs": 80,
        "training.log_every": 2,
        "training.save_every": 2,
        "training.members_per_group": 2,
        "amount": 1.0,
    }
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    return [sys.executable, "launch.py", "--config=configs/emodb_wdiv.py:debug", *flags, f"--workdir={run}"]


def saving(run):
    """What saves have begun and not ended; unlike glob, os.walk is content with folders that vanish."""
    places = ((place, name) for place, *parts in os.walk(run) for names in parts for name in names)
    return {os.path.join(place, name) for place, name in places if any(part in name for part in SAVING)}


def launch(argv, said):
    """The command in a process that has imported it, its words in a file."""
    with open(said, "a") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
        sys.argv = argv  # where the flags of a config look
        sys.exit(program.main(argv))


def begun(folder, run):
    """A process with the command, forked from one that has done all imports and nothing else."""
    servers = multiprocessing.get_context("forkserver")
    servers.set_forkserver_preload([__name__])
    process = servers.Process(target=launch, args=(command(folder, run)[1:], f"{run}.txt"))
    process.start()
    return process


def kill_once(folder, run, rng, number):
    """Starts the command and kills it, at once when a save is under way or at a random moment.

    Returns whether it came too late, and whether it cut off a save.
    """
    before = saving(run)  # of the kill before, until their group is trained again
    process = begun(folder, run)
    process.join(rng.uniform(0.4, 2.0))
    while number % 2 and process.is_alive() and not saving(run) - before:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0), Path(f"{run}.txt").read_text()
    return process.exitcode == 0, bool(saving(run) - before)


def kill_often(folder, run, seed):
    """Kills a run ten times, then lets it end; returns how many kills came too late, and how many cut off a
    save."""
    rng = random.Random(seed)
    kills = [kill_once(folder, run, rng, number) for number in range(KILLS // 2)]
    subprocess.run(command(folder, run), cwd=ROOT, check=True, capture_output=True)
    return np.sum(kills, axis=0)


def test_twenty_kills_change_nothing(toy_folder):
    folder = toy_folder
    straight, runs = folder / "straight", [folder / "killed", folder / "killed too"]
    subprocess.run(command(folder, straight), cwd=ROOT, check=True, capture_output=True)
    with ThreadPoolExecutor(len(runs)) as pool:
        late, cut = sum(pool.map(lambda seed: kill_often(folder, runs[seed], seed), range(len(runs))))
    assert late <= KILLS // 4, "the runs were over before they were killed often enough"
    assert cut >= KILLS // 4, "hardly a kill cut off a save"
    for run in runs:
        assert_same(run, straight)
        assert not saving(run)


def assert_same(run, straight):
    """Predictions, results, quality, losses and final parameters, bit for bit."""
    for name in ("predictions.csv", "results.csv", "quality.csv"):
        assert (run / name).read_bytes() == (straight / name).read_bytes(), name
    assert metrics(run) == metrics(straight)
    for ours, theirs in zip(generators(run), generators(straight), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def metrics(run):
    """metrics.jsonl without the times, in one order."""
    lines = pd.read_json(run / "metrics.jsonl", lines=True).drop(columns="seconds")
    lines = lines.sort_values(["member", "step", "emotion"])
    return lines.to_csv(index=False)


def generators(run):
    """Every parameter of every trained group."""
    config, record = open_run(epath.Path(run))
    gan = study.restore(config, epath.Path(run)).members[0].gan
    size = record["members_per_group"]
    groups = len(list((run / "checkpoints").glob("generators_*")))
    trees = [restore_generators(gan, epath.Path(run), number, size) for number in range(groups)]
    return [np.asarray(leaf) for tree in trees for leaf in jax.tree.leaves(tree)]
