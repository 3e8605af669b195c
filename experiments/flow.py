"""A study on features from its config to its report, stage after stage."""

from typing import Any

import pandas as pd
from etils import epath

from experiments import choose, classify, hosts, quality, speech, storage, study, synthesise, train
from experiments.stages import Stages
from experiments.study import Study
from sergan import members, writers


def flow(stages: Stages, config: Any, profile: int) -> None:
    """Runs what is not done yet; `profile` steps of the training are traced."""
    run = stages.run
    with hosts.in_turn("the study is prepared"):
        resolved = stages.timed("features", lambda: _prepare(config, run))
        if hosts.first():
            _start(stages, resolved)
    own = writers.read_json(run / "config.json")["members_per_group"] if hosts.first() else 0
    size = int(hosts.as_first(own))  # the file may be older where others see it
    stages.timed("train", lambda: train.train(resolved, run, size, stages.smaller, profile))
    stages.timed("synthesise", lambda: synthesise.synthesise(resolved, run))
    tables = ("predictions", "choices", "inner", "quality")
    predicted, *chosen, measured = hosts.as_first([(run / f"{name}.csv").exists() for name in tables])
    if not predicted or (resolved.inner and not all(chosen)):
        choices = stages.timed("choose", lambda: choose.choose(resolved, run))
        if not predicted:
            stages.timed("classify", lambda: classify.classify(resolved, run, choices))
    if not measured:
        stages.timed("quality", lambda: quality.measure(resolved, run))
    if hosts.first():
        stages.timed("report", stages.report)
    hosts.meet("the report is written")


def _prepare(config: Any, run: epath.Path) -> Study:
    if speech.are_kept(run):
        return study.restore(config, run)
    with hosts.progress("features", 1) as progress, storage.faults(config.features.cache):
        resolved = study.prepare(config, progress)
        progress(1, 1)  # embedded tables have nothing to extract
        return resolved


def _start(stages: Stages, resolved: Study) -> None:
    """Leaves in the run folder what every later stage, and every other host, needs to begin."""
    at_most = resolved.config.training.members_per_group
    stages.begin(lambda: members.group_length(resolved.members, at_most))
    if not speech.are_kept(stages.run):
        speech.keep(resolved.rows, stages.run)
    if len(resolved.points) > 1:
        points = [{"point": i, **point} for i, point in enumerate(resolved.points)]
        writers.write_frame(stages.run / "points.csv", pd.DataFrame(points))
