"""A study from its config to its report, stage after stage; run again, it continues where it stopped."""

import json
import os
import platform
import re
import subprocess
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import ml_collections
from etils import epath
from ml_collections import config_flags

from experiments import config_file, hosts, lock, storage
from sergan import shapes, writers
from sergan.errors import UserError
from sergan.run_folder import read_record

HARMLESS = (
    "features.cache",
    "features.store",
    "features.workers",
    "training.compilation_cache",
)  # a run folder may be continued with others
_MODES = {  # that look at a flag; all look at the others
    "out": ("synthesize", "report"),
    "per_class": ("synthesize",),
    "source": ("synthesize",),
    "sweep": ("run", "inspect"),
    "profile": ("run",),
    "hosts": ("run",),
    "config": ("run", "inspect"),
}
EMBEDDED = "emodb"  # the corpus of configs that name no other
PARTS = ("predictions", "choice", "quality")  # folders with parts of tables, until those are whole
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn", "opensmile")


def run(
    config: ml_collections.ConfigDict,
    overrides: dict[str, Any],
    command: str,
    workdir: epath.Path,
    profile: int = 0,
) -> str:
    """Runs what is not done yet in `workdir`; returns the table of results as text.

    `profile` steps of the training are traced.

    Raises:
      UserError: wrong input, a run folder that was made with another config or that another process uses, a
        damaged file in it, or a disk that is full or cannot be written to.
    """
    storage.check_place(workdir)
    with storage.faults(workdir):
        read = partial(_record, workdir, config, overrides, command)
        record = read()
        hosts.meet("the record is read")
        if hosts.as_first(_finished(workdir, record)):
            from experiments import stages

            return stages.closing(workdir, "was finished before; everything is found done")
        storage.check_writable(workdir)
        held = lock.hold(workdir) if hosts.first() and workdir.exists() else None
        record = read() if held else record  # as the process left it that had the lock before
        return _stages(workdir, record, read, held, config, profile)


def _stages(
    workdir: epath.Path,
    record: dict[str, Any],
    read: Callable[[], dict[str, Any]],
    held: TextIO | None,
    config: ml_collections.ConfigDict,
    profile: int,
) -> str:
    """All stages of a run, by the flow of its kind of study."""
    from experiments.stages import Stages, closing

    if config.kind == "recordings":
        from experiments.clips.flow import flow
    else:
        from experiments.flow import flow
    stages = Stages(workdir, record, read, held)
    try:
        _keep_compiled(config.training.compilation_cache)
        flow(stages, config, profile)
        return closing(workdir, "finished")
    finally:
        stages.release()


def _finished(run: epath.Path, record: dict[str, Any]) -> bool:
    """Whether nothing is to be done: the run ended, nothing that is made anew is gone since, and no part of
    a table is left."""
    parts = [run / f"{part}{ending}" for part in PARTS for ending in ("", ".partial")]
    if not record["ended"] or any(part.exists() for part in parts):
        return False
    config = record["config"]
    names = ["report.html", "results.csv", "contrasts.csv", "predictions.csv"]
    if config.get("kind") != "recordings":
        choice, sweep = config.get("choice", {}), config.get("sweep", ())
        several = any(point != sweep[0] for point in sweep)  # others are merged
        names += ["features.parquet", "source.parquet", "quality.csv"]
        names += ["points.csv"] * several
        if choice.get("speakers") and (choice.get("amounts") or several):
            names += ["choices.csv", "inner.csv"]
    elif config.get("arms"):
        names.append("quality.csv")
    if (run / "checkpoints").exists():  # else somebody wanted the space
        names.append("members.jsonl")
        groups = {line["group"] for line in writers.read_lines(run / "members.jsonl", {"group": int})}
        names += [f"checkpoints/generators_{number:03d}" for number in sorted(groups)]
    return all((run / name).exists() for name in names)


def _keep_compiled(folder: str) -> None:
    """Programs are compiled once for all runs, unless the environment says where or that they are not."""
    import jax

    if folder and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(Path(folder).expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def cpu() -> str:
    """The processor's name as its maker has it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _record(
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
    return record


def _passing(name: str) -> bool:
    """Whether a file is left by a run that never began."""
    return name.endswith(".partial") or name == lock.NAME


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Names of the keys that differ."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [prefix]
    names = {key: f"{prefix}.{key}" if prefix else key for key in [*old, *new]}
    return [d for key, name in names.items() for d in _differences(old.get(key), new.get(key), name)]


@lru_cache
def commit() -> str:
    """The commit of this code, with -dirty where files differ from it; unknown outside a repository."""
    root = Path(__file__).parent
    try:
        git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(git, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


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


def synthesize(workdir: epath.Path, out: epath.Path, per_class: int, source: str) -> str:
    """Rows on demand from a run folder's generators; see `experiments.synthesise.synthesise_more`."""
    from experiments import speech, study, synthesise
    from sergan import card, synthesis
    from sergan.run_folder import Run

    config, _ = open_run(workdir)
    if config.kind == "recordings":
        from experiments.clips import more

        if source:
            raise UserError("--source is for studies on features; the GANs of this run make clips of noise")
        with storage.faults(out.parent):
            return more.synthesize(config, workdir, out, per_class)
    synthesis.check_ending(out)
    resolved = study.restore(config, workdir)
    table = resolved.source
    if source == "corpus":
        raise UserError("--source=corpus: name other speech; the run's own source needs no --source")
    if source:
        with writers.Progress("features", 1) as progress:
            table = resolved.other_speech(source, speech.extraction(config, progress))
    rows = synthesise.synthesise_more(resolved, workdir, per_class, table)
    command = f"python launch.py --mode=synthesize --workdir={workdir.name} --out={out.name}"
    command += f" --per_class={per_class}" + f" --source={Path(source).name}" * bool(source)
    source = Path(source or config.source).name
    text = card.text(Run(workdir), rows, len(table.names_D), source, command)
    with storage.faults(out.parent):
        synthesis.write(out, rows, table.names_D, text)
    return f"{out}: {len(rows)} rows, {per_class} of each of {', '.join(resolved.classes)}, with a data card"


def inspect(config: ml_collections.ConfigDict) -> str:
    """What would be run on which data; extracts and trains nothing."""
    hosts.use_every_core()
    if config.kind == "recordings":
        from experiments.clips.inspection import inspect as look
    else:
        from experiments.inspection import inspect as look
    with storage.faults(epath.Path(config.corpus.root or config.corpus.table)):
        return look(config)


def report(names: str, out: str) -> str:
    """Writes the report of a run folder anew, finished or not; of several the page that compares them.

    `names` are folders with commas between them, or one whose name has commas, as that of a sweep. `out` is
    the folder of that page, the first run folder if empty.
    """
    from sergan import report

    workdirs = [epath.Path(name) for name in ([names] if epath.Path(names).exists() else names.split(","))]
    several = len(workdirs) > 1
    if out and not several:
        raise UserError(f"--out={out}: is for several run folders; the report of one is written into it")
    for workdir in workdirs:
        open_run(workdir)
    place = epath.Path(out or workdirs[0])
    with storage.faults(place):
        page = report.compare(workdirs, place) if several else report.write(place)
    return str(page)


def check_flags(given: Any, rest: list[str]) -> None:
    """Raises UserError for words that are no flags, and for flags that the mode does not look at."""
    if rest:
        raise UserError(f"not a flag: {rest[0]}")
    mode = given["mode"].value
    for name, modes in _MODES.items():
        if given[name].present and mode not in modes:
            own = "; the study's own speech is --config.source" if name == "source" and mode == "run" else ""
            own = "; the run folder has its config" if name == "config" else own
            raise UserError(f"--{name} is for --mode={' or '.join(modes)}, not {mode}{own}")
    if given["sweep"].present and not given["sweep"].value:
        raise UserError('--sweep= is empty; give a grid like "lambda_cyc=1,5;lambda_cls=0,2"')


def overrides(flag: Any, sweep: str) -> dict[str, Any]:
    """What the command line changes in the config of the flag --config; points of --sweep are put into it.

    A table of one's own in place of EMO-DB is named after its file, unless a name is given: what is known of
    EMO-DB does not hold for it.

    Raises:
      UserError: there is no config, `sweep` is no grid, the config has no sweep of its own, or its kind is to
        be another one.
    """
    from experiments import points

    if flag.value is None:
        raise UserError("--config is missing, for example --config=configs/emodb_wdiv.py")
    found = dict(config_flags.get_override_values(flag))
    if "kind" in found:
        raise UserError(
            "--config.kind: belongs to the config's file; configs/emodb_wdiv.py works on features, "
            "configs/emodb_hda.py on recordings"
        )
    if "gan.loss" in found and flag.value.arms:
        raise UserError(
            f"--config.gan.loss: this study's arms are {', '.join(flag.value.arms)}; name others with "
            "--config.arms"
        )
    corpus = flag.value.corpus
    if found.get("corpus.table") and "corpus.name" not in found and corpus.name == EMBEDDED:
        corpus.name = Path(corpus.table).stem
    if sweep and "sweep" not in flag.value:
        raise UserError(f"--sweep={sweep[:80]}: a study on {flag.value.kind} has no CycleGANs to sweep")
    if sweep:
        flag.value.sweep = tuple(points.asked(sweep, config_flags.get_config_filename(flag)))
        found["sweep"] = sweep
    return found


def default_workdir(flag: Any, overrides: dict[str, Any]) -> epath.Path:
    """runs/<config>-<preset and overrides> of the flag --config."""
    file, _, preset = config_flags.get_config_filename(flag).partition(":")
    parts = [Path(file).stem, preset, *(f"{key}={value}" for key, value in sorted(overrides.items()))]
    name = re.sub(r"[^\w.,=+-]+", "_", "-".join(part for part in parts if part))
    return epath.Path("runs") / (name if len(name) < 120 else f"{name[:110]}-{zlib.crc32(name.encode()):08x}")


def in_words(error: Exception, wrong_input: bool) -> str:
    """An exception as one or two lines: a UserError as it stands, others with their kind."""
    return "\n".join(map(_shortened, _said(error, wrong_input).splitlines()))


def _said(error: Exception, wrong_input: bool) -> str:
    if isinstance(error, UserError):
        return str(error)
    if wrong_input and isinstance(error, AttributeError | KeyError):  # from the config's own flags
        near = re.search(r"mean .(\w+). instead of .(\w+).", str(error))
        if near:
            return f"no such config key: {near[2]}; did you mean {near[1]}?"
        return "no such config key: " + str(error).strip("\"'")
    if wrong_input and isinstance(error, MemoryError | RecursionError):
        return "a key or value is nested too deeply"
    lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
    if wrong_input and "Traceback" in str(error):  # of a config's file
        return lines[-1].removeprefix("ValueError: ")
    if wrong_input:
        return " ".join(str(error).split()) or lines[0]
    return f"{type(error).__name__}: {lines[0][:500]} (--debug_errors shows where)"


def _shortened(line: str) -> str:
    """A line without its middle, where that is long: what was given may be of any length."""
    return line if len(line) <= 2000 else f"{line[:1000]} … {line[-1000:]}"
