"""Strict numerics for every test: four CPU devices, no silent change of rank."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"  # compiled quickly; `users_programs` are as usual

import jax
import numpy as np
import pytest
from etils import epath
from matplotlib.figure import Figure
from PIL import Image

from sergan import data, figures
from sergan.corpora import emodb, table_files
from sergan.corpora.tables import FeatureTable
from sergan.features import extract

CACHE = "JAX_COMPILATION_CACHE_DIR"
DEVICES = "--xla_force_host_platform_device_count=4"
QUICKLY, FLAGS = "--xla_cpu_use_fusion_emitters=false", "SERGAN_TESTS_XLA_FLAGS"

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Programs compile in half the time; what one test, worker or command compiled, the others find."""
    if FLAGS not in os.environ:
        asked = [sys.executable, "-c", "import jax; jax.devices()"]  # ends where XLA does not know the flag
        known = subprocess.run(asked, env=os.environ | {"XLA_FLAGS": QUICKLY}, capture_output=True)
        os.environ[FLAGS] = "" if known.returncode else QUICKLY
    os.environ["XLA_FLAGS"] = f"{DEVICES} {os.environ[FLAGS]}"
    if CACHE not in os.environ:
        config.own_cache = os.environ[CACHE] = tempfile.mkdtemp(prefix="sergan_tests_")
    jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_unconfigure(config):
    if hasattr(config, "own_cache"):
        shutil.rmtree(config.own_cache, ignore_errors=True)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    """Feature caches go to a folder of the test session, never to the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """(name, function that makes the folder it is given) -> a copy of that folder: a whole run is made by one
    worker, and the others wait for it."""

    def folder_of(name, make):
        own_place = tmp_path_factory.getbasetemp()
        shared = (
            own_place.parent if "PYTEST_XDIST_WORKER" in os.environ else own_place
        ) / f"made once {name}"
        with open(f"{shared}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not shared.exists():
                own = tmp_path_factory.mktemp("making") / name
                make(own)
                own.rename(shared)
        return Path(shutil.copytree(shared, tmp_path_factory.mktemp("runs") / name))

    return folder_of


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache with the IS10 rows of the twenty clips."""
    place = tmp_path_factory.mktemp("cache")
    extract(emodb.read(Path(__file__).parent / "data" / "emodb"), "IS10", place, workers=2)
    return place


@pytest.fixture(scope="module")
def users_programs():
    """Programs compiled as they are for a user, in processes that are started; here without `QUICKLY`'s
    fusions."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
        patch.setenv("XLA_FLAGS", DEVICES)
        yield
    jax.config.update("jax_disable_most_optimizations", before)


def without_drawing():
    """Figures are made, and saved as a single point: to draw them takes most of a report's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda self, file, **_: Image.new("RGB", (1, 1)).save(file, "PNG"))
        patch.setattr(figures, "_tsne", lambda z_NxP: z_NxP[:, :2])
        yield


undrawn = pytest.fixture(without_drawing)
undrawn_module = pytest.fixture(without_drawing, scope="module")


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """A folder with EMO-DB as corpus.parquet and the unlabelled speech as source.parquet, with every twelfth
    feature: all clips and speakers, and a tenth of the work."""
    folder = tmp_path_factory.mktemp("narrow")
    for name, kept in (("emodb", "corpus"), ("speech", "source")):
        table = data.load(name, "IS10")
        fewer = replace(table, x_UxD=np.ascontiguousarray(table.x_UxD[:, ::12]), names_D=table.names_D[::12])
        table_files.write(fewer, epath.Path(folder / f"{kept}.parquet"))
    return folder


@pytest.fixture(scope="session")
def half(narrow, tmp_path_factory):
    """The same with five of the speakers."""
    folder = tmp_path_factory.mktemp("half")
    table = table_files.read(narrow / "corpus.parquet")
    kept_U = np.isin(table.speakers_U, [f"emodb/{name}" for name in ("03", "08", "11", "14", "16")])
    table_files.write(table.select(np.flatnonzero(kept_U)), epath.Path(folder / "corpus.parquet"))
    shutil.copy(narrow / "source.parquet", folder)
    return folder


@pytest.fixture
def toy():
    """A corpus with a known answer: two emotions 4 deviations apart, speakers with offsets of their own."""
    rng = np.random.default_rng(0)
    speakers, emotions, width = ("s1", "s2", "s3", "s4"), ("anger", "sadness"), 6
    rows, who, what = [], [], []
    for s, speaker in enumerate(speakers):
        for e, emotion in enumerate(emotions):
            rows.append(rng.normal(size=(8, width)) + 0.3 * s + 4.0 * e)
            who += [speaker] * 8
            what += [emotion] * 8
    return FeatureTable(
        x_UxD=np.concatenate(rows).astype(np.float32),
        ids_U=np.array([f"toy/{i:03d}" for i in range(len(who))]),
        speakers_U=np.array(who),
        emotions_U=np.array(what),
        names_D=tuple(f"f{i}" for i in range(width)),
        extractor="toy",
    )


@pytest.fixture
def toy_folder(toy, tmp_path):
    """A folder with `toy` as corpus.parquet and its rows without labels as source.parquet."""
    table_files.write(toy, epath.Path(tmp_path / "corpus.parquet"))
    table_files.write(toy.unlabelled(), epath.Path(tmp_path / "source.parquet"))
    return tmp_path
