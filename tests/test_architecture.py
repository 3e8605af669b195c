"""The rules that keep the flow one-directional, read from the imports."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Upstream first: a module may import those before it, never those after it.
ORDER = [
    "errors",
    "rngs",
    "shapes",
    "parquet",
    "corpora",
    "data",
    "mapping",
    "logmel",
    "features",
    "clips",
    "shifts",
    "spectra",
    "inputs",
    "folds",
    "covariance",
    "augment",
    "nets",
    "adam",
    "losses",
    "state",
    "gan",
    "cyclegan",
    "adversarial",
    "sounds",
    "methods",
    "memory",
    "members",
    "checksums",
    "checkpoint",
    "distances",
    "metrics",
    "writers",
    "synthesis",
    "sampler_files",
    "sampler",
    "classifiers",
    "published",
    "comparison",
    "run_folder",
    "events",
    "bao",
    "pham",
    "sweep",
    "samples",
    "figures",
    "sweep_figures",
    "feature_figures",
    "sound_figures",
    "fonts",
    "page",
    "runs",
    "cells",
    "card",
    "sections",
    "report",
]
DOORS = {
    "flax": {"sergan/nets"},
    "orbax": {"sergan/checkpoint.py"},
    "tensorflow_datasets": {"sergan/corpora/prepared"},
    "opensmile": {"sergan/features.py"},
    "librosa": {"sergan/shifts.py", "sergan/spectra.py"},
    "audformat": {"sergan/corpora/audformat.py", "sergan/synthesis.py"},
    "tensorboardX": {"sergan/events.py"},
    "imblearn": {"sergan/augment.py", "sergan/sampler.py", "experiments/sampler/"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources("sergan"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_upstream_only(path):
    def noun(parts):
        return parts[1].removesuffix(".py") if len(parts) > 1 else ""

    here = noun(path.relative_to(ROOT).parts)
    for name in imports(path):
        if name.startswith("sergan.") and here != "__init__":
            there = noun(name.split("."))
            assert ORDER.index(there) <= ORDER.index(here), f"{here} imports {there}"
        assert not name.startswith(("experiments", "configs", "absl.flags")), name


@pytest.mark.parametrize("library", DOORS)
def test_a_library_that_moves_is_imported_in_one_place(library):
    for path in sources("sergan", "experiments", "configs"):
        where = str(path.relative_to(ROOT))
        if any(name.split(".")[0] == library for name in imports(path)):
            assert any(where.startswith(door) for door in DOORS[library]), f"{where} imports {library}"


def test_configs_import_ml_collections_and_the_common_keys_only():
    for path in sources("configs"):
        others = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
        assert others <= {"ml_collections", "configs"}, path


def test_the_report_needs_no_accelerator_library():
    code = "import sys, sergan.report; print({'jax', 'orbax', 'flax', 'opensmile'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_every_folder_of_the_package_is_installed():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in sources("sergan")}
    assert set(named) == there


def test_launch_is_short_and_has_no_arrays():
    text = (ROOT / "launch.py").read_text()
    assert len(text.splitlines()) < 80
    assert not any(name.split(".")[0] in ("numpy", "jax") for name in imports(ROOT / "launch.py"))


def test_no_torch_and_no_tensorflow_is_required():
    wanted = (ROOT / "requirements.txt").read_text().splitlines()
    names = {line.split(">")[0].split("[")[0].strip() for line in wanted if line and not line.startswith("#")}
    assert not names & {"torch", "tensorflow", "tensorflow-cpu"}
    assert {
        "jax",
        "flax",
        "optax",
        "orbax-checkpoint",
        "scikit-learn",
        "opensmile",
        "ml-collections",
    } <= names
