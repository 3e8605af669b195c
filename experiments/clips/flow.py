"""A study on recordings from its config to its report, stage after stage."""

from typing import Any

from experiments import hosts
from experiments.clips import classify, examples, make, quality, study, train
from experiments.clips.study import Study
from experiments.stages import Stages
from sergan import writers
from sergan.errors import UserError


def flow(stages: Stages, config: Any, profile: int) -> None:
    """Runs what is not done yet; `profile` steps of the training are traced.

    Raises:
      UserError: several hosts, which studies on recordings do not have.
    """
    run = stages.run
    if hosts.count() > 1:
        raise UserError("--hosts is for studies on features; leave it away for recordings")
    resolved = stages.timed("clips", lambda: _prepare(config))
    stages.begin(lambda: train.group_length(resolved))
    study.keep_clips(run, resolved)
    size = writers.read_json(run / "config.json")["members_per_group"]
    stages.timed("train", lambda: train.train(resolved, run, size, stages.smaller, profile))
    stages.timed("make", lambda: make.make(resolved, run))
    stages.timed("examples", lambda: examples.write(resolved, run))
    if not (run / "predictions.csv").exists():
        stages.timed("classify", lambda: classify.classify(resolved, run))
    if resolved.arms and not (run / "quality.csv").exists():
        stages.timed("quality", lambda: quality.measure(resolved, run))
    stages.timed("report", stages.report)


def _prepare(config: Any) -> Study:
    with writers.Progress("clips", 1) as progress:
        return study.prepare(config, progress)
