"""What a run folder says of itself in config.json: of which config, command, code and machine it is."""

import hashlib
import json
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import ml_collections
from etils import epath

from experiments import config_file, hosts, lock, storage
from sergan import shapes
from sergan.corpora.table_files import ENDINGS
from sergan.errors import UserError
from sergan.run_folder import read_record

HARMLESS = (
    "features.cache",
    "features.store",
    "features.workers",
    "training.compilation_cache",
)  # a run folder may be continued with others
PARTS = ("predictions", "choice", "quality")  # folders with parts of tables, until those are whole
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn", "opensmile")


def record_of(
    workdir: epath.Path, config: ml_collections.ConfigDict, overrides: dict[str, Any], command: str
) -> dict[str, Any]:
    """config.json of this run folder: the one that is there, if it is of the same config."""
    values = json.loads(config.to_json())
    path = workdir / "config.json"
    new = {
        "config": values,
        "overrides": overrides,
        "command": command,
        "versions": {"python": platform.python_version()} | {p: metadata.version(p) for p in PACKAGES},
        "machine": f"{cpu()}, {platform.machine()}, {platform.system()}, {hosts.cores()} cores",
        "devices": [],
        "commit": commit(),
        "continued_at": [],  # other commits that went on with the run
        "inputs": _digests(values),
        "members_per_group": 0,
        "started": None,
        "ended": None,
        "stages": {},
    }
    if not path.exists():
        if workdir.exists() and any(not _passing(file.name) for file in workdir.iterdir()):
            raise UserError(f"{workdir}: not empty and not a run folder; name another with --workdir")
        return new
    record = new | read_record(path)
    others = record["continued_at"]
    if commit() not in (record["commit"], *others):
        others.append(commit())
    defaults = json.loads(config_file.defaults(values["kind"]).to_json())
    old, now = _completed(record["config"], defaults), _completed(values, defaults)  # keys that are read
    different = [f"config.{k}" for k in _differences(old, now) if k not in HARMLESS]
    if different:
        raise UserError(
            f"{workdir}: made with another config ({', '.join(different[:5])} differ); "
            "name another folder with --workdir, or leave --workdir away"
        )
    changed = [name for name, digest in new["inputs"].items() if record["inputs"].get(name, digest) != digest]
    if changed:
        raise UserError(
            f"{changed[0]}: has changed since {workdir} was begun with it; name another folder with "
            "--workdir, or delete that one"
        )
    return record


def _digests(config: dict[str, Any]) -> dict[str, str]:
    """The sha256 of each table that a config names and that is there."""
    named = [config.get(key, {}).get("table", "") for key in ("corpus", "target")] + [
        config.get("source", "")
    ]
    paths = {name: Path(name).expanduser() for name in named if name.lower().endswith(ENDINGS)}
    found = {name: path for name, path in paths.items() if path.is_file()}
    return {name: _sha256(path, path.stat().st_mtime_ns) for name, path in found.items()}


@lru_cache
def _sha256(path: Path, _changed: int) -> str:
    """Of a file that was changed at a time, which is read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_run(workdir: epath.Path) -> tuple[ml_collections.ConfigDict, dict[str, Any]]:
    """Config and record of a run folder.

    Raises:
      UserError: there is no run there.
    """
    storage.check_place(workdir)
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"{workdir}: no config.json there; name a run folder with --workdir")
    record = read_record(path)
    defaults = json.loads(config_file.defaults(record["config"].get("kind", "features")).to_json())
    shape = shapes.of(defaults) | {"sweep?": (list, str)}  # which was text once
    if fault := shapes.fault(record["config"], shape, "config"):
        raise UserError(f"{path}: damaged, {fault}; restore it, or name another folder")
    config = _completed(record["config"], defaults)
    return ml_collections.ConfigDict(config, convert_dict=True), record


@lru_cache
def commit() -> str:
    """The commit of this code, with -dirty where files differ from it; unknown outside a repository."""
    root = Path(__file__).parent
    try:
        git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(git, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu() -> str:
    """The processor's name as its maker has it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _passing(name: str) -> bool:
    """Whether a file is left by a run that never began."""
    return name.endswith(".partial") or name == lock.NAME


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Names of the keys that differ."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [prefix]
    names = {key: f"{prefix}.{key}" if prefix else key for key in [*old, *new]}
    return [d for key, name in names.items() for d in _differences(old.get(key), new.get(key), name)]


def _completed(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The config of an older version, with the keys that it did not have."""
    both = {key: value for key, value in config.items() if key in defaults}
    for key, value in defaults.items():
        if isinstance(value, dict):
            both[key] = _completed(both.get(key, {}), value) if value else both.get(key, {})
        elif type(both.get(key)) is str and type(value) is not str:
            both[key] = value  # a sweep
        else:
            both.setdefault(key, value)
    return both
