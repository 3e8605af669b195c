"""Clips of every arm, fold and seed, each as a file that knows its parent clip or its GAN."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile
from etils import epath

from experiments.clips.study import Study
from experiments.clips.train import Generators
from sergan import clips, shifts, writers
from sergan.corpora.audio import RATE
from sergan.folds import Fold, check_rows
from sergan.nets.sound import KINDS

WORDS = ("file", "emotion", "arm", "parent", "speaker")


class Job(NamedTuple):
    """Clips that are made and kept at once."""

    arm: str
    fold: int
    seed: int

    def folder(self, run: epath.Path) -> epath.Path:
        """Where they are."""
        return run / "synthetic" / self.arm / f"fold_{self.fold}_seed_{self.seed}"


class Made(NamedTuple):
    """Clips x_T and their lines of metadata.csv."""

    clips: list[np.ndarray]
    lines: pd.DataFrame


def make(study: Study, run: epath.Path) -> None:
    """Writes the clips of every arm, fold and seed, none of GANs that diverged; what is there is not made
    again."""
    generators = Generators(study, run)
    seeds = range(study.config.sound.seeds)
    jobs = [Job(arm, fold.index, seed) for arm in study.arms for seed in seeds for fold in study.folds]
    with writers.Progress("clips", len(jobs)) as progress:
        for number, job in enumerate(jobs):
            if not (job.folder(run) / "metadata.csv").exists():
                job.folder(run).rmtree(missing_ok=True)
                write(job.folder(run), _made(study, generators, job))
            progress(number + 1)


def read(study: Study, run: epath.Path, job: Job) -> Made:
    """What `make` wrote; a duplicate is its parent's samples."""
    folder = job.folder(run)
    lines = writers.read_frame(folder / "metadata.csv", WORDS)
    places = {name: u for u, name in enumerate(study.corpus.ids_U.tolist())}
    samples = [
        study.clips[places[line.parent]] if pd.isna(line.file) else clips.samples(folder / str(line.file))
        for line in lines.itertuples()
    ]
    return Made(samples, lines)


def write(folder: epath.Path, made: Made, tables: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Writes clips with 16 bits as their files' endings say, metadata.csv and further tables; all or none."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.rmtree(missing_ok=True)  # of a command that was killed
    partial.mkdir(parents=True)
    for x_T, file in zip(made.clips, made.lines["file"], strict=True):
        if file:
            with (partial / file).open("wb") as out:
                soundfile.write(out, x_T, RATE, "PCM_16", format=file.rpartition(".")[2].upper())
    for name, table in {"metadata.csv": made.lines, **(tables or {})}.items():
        writers.write_frame(partial / name, table)
    partial.rename(folder)


def of_noise(
    study: Study, generators: Generators, job: Job, count_C: np.ndarray, stream: str, ending: str = "flac"
) -> Made:
    """Clips that the GANs of an arm, fold and seed make of noise, `count_C` of each class.

    Args:
      stream: of random numbers; the same gives the same clips.
    """
    made, lines = list[np.ndarray](), list[dict[str, Any]]()
    for member in generators.members(job.arm, job.fold, job.seed):
        counts = [int(count_C[study.classes.index(emotion)]) for emotion in member.emotions]
        made += _at_level(study, generators.clips(member, np.repeat(np.arange(len(counts)), counts), stream))
        origin = {"member": member.index, "step": generators.step(member)}
        for emotion, count in zip(member.emotions, counts, strict=True):
            for _ in range(count):
                lines.append(_line(job, emotion, file_name(len(lines), emotion, ending)) | origin)
    return Made(made, _frame(lines))


def file_name(number: int, words: str, ending: str) -> str:
    """A clip's file: its number, which no other has, then the user's words as far as a name may have them."""
    return f"{number:05d}_{re.sub('[^A-Za-z0-9]+', '_', words)[:60]}.{ending}"


def _made(study: Study, generators: Generators, job: Job) -> Made:
    fold = study.folds[job.fold]
    count_C = study.missing(fold)
    if generators.fault(*job, count_C):
        return Made([], _frame([]))
    if job.arm in KINDS:
        return of_noise(study, generators, job, count_C, "clips")
    return _of_clips(study, fold, job)


def _of_clips(study: Study, fold: Fold, job: Job) -> Made:
    """Copies of training clips: as they are, or shifted."""
    config, corpus, rows_R = study.config, study.corpus, fold.train_R
    check_rows(fold, corpus, rows_R)
    plan = shifts.plan(study.label_U[rows_R], study.missing(fold), job.seed)
    given, ids = [study.clips[u] for u in rows_R], corpus.ids_U[rows_R].tolist()
    if job.arm == "duplicate":
        made = [given[parent] for parent in plan.parent_N]
    elif job.arm == "time_shift":
        made = shifts.time_shifted(given, ids, plan, job.seed, config.shifts.samples)
    else:
        spec = config.shifts
        most, fft, hop, keep = spec.half_steps, spec.fft, spec.hop, spec.keep_level
        made = shifts.pitch_shifted(given, ids, plan, job.seed, most, fft, hop, keep)
        made = _at_level(study, made)
    lines = list[dict[str, Any]]()
    for parent, copy in zip(plan.parent_N, plan.copy_N, strict=True):
        name = file_name(len(lines), ids[parent], "flac") if job.arm != "duplicate" else ""
        own = {"parent": ids[parent], "speaker": corpus.speakers_U[rows_R[parent]], "copy": copy}
        lines.append(_line(job, study.classes[study.label_U[rows_R[parent]]], name) | own)
    return Made(made, _frame(lines))


def _at_level(study: Study, made: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Clips as loud as the study has the real ones."""
    return [clips.levelled(x_T) for x_T in made] if study.config.loudness == "normalised" else list(made)


def _line(job: Job, emotion: str, file: str) -> dict[str, Any]:
    return {"file": file, "emotion": emotion, "arm": job.arm, "fold": job.fold, "seed": job.seed}


def _frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines with all columns, whatever of them there is."""
    columns = ["file", "emotion", "arm", "fold", "seed", "member", "step", "parent", "speaker", "copy"]
    return pd.DataFrame(lines, columns=columns)
