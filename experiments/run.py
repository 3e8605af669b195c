"""A study from its config to its report, stage after stage; run again, it continues where it stopped."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import ml_collections
from etils import epath

from experiments import hosts, lock, storage
from experiments.record import PARTS, open_run, record_of
from sergan import writers
from sergan.errors import UserError


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
        read = partial(record_of, workdir, config, overrides, command)
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
    else:
        names += ["examples/metadata.csv", *(["quality.csv"] if config.get("arms") else [])]
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
    with storage.faults(workdir):
        rows = synthesise.synthesise_more(resolved, workdir, per_class, table)
    command = f"python launch.py --mode=synthesize --workdir={workdir.name} --out={out.name}"
    command += f" --per_class={per_class}" + f" --source={Path(source).name}" * bool(source)
    given = source or config.source
    named = given if Path(given).name == "corpus" else Path(given).name  # "corpus" alone is the run's own
    text = card.text(Run(workdir), rows, len(table.names_D), named, command)
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

    alone = epath.Path(names).expanduser().exists()
    workdirs = [epath.Path(name).expanduser() for name in ([names] if alone else names.split(","))]
    several = len(workdirs) > 1
    if out and not several:
        raise UserError(f"--out={out}: is for several run folders; the report of one is written into it")
    for workdir in workdirs:
        open_run(workdir)
    place = epath.Path(out or workdirs[0]).expanduser()
    with storage.faults(place):
        page = report.compare(workdirs, place) if several else report.write(place)
    return str(page)
