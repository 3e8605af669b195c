"""A study on recordings from its config to its report, stage after stage."""

from typing import Any

import pandas as pd
from etils import epath

from experiments import hosts
from experiments.clips import classify, examples, make, quality, study, train
from experiments.clips.study import Study
from experiments.stages import Stages
from sergan import writers
from sergan.errors import UserError


def flow(stages: Stages, config: Any, profile: int) -> None:
    """Runs what is not done yet.

    Raises:
      UserError: several hosts, or steps to trace, which studies on recordings do not have.
    """
    run = stages.run
    if hosts.count() > 1 or profile:
        raise UserError("--hosts and --profile are for studies on features; leave them away for recordings")
    resolved = stages.timed("clips", lambda: _prepare(config))
    stages.begin(lambda: train.group_length(resolved))
    _keep_clips(run, resolved)
    size = writers.read_json(run / "config.json")["members_per_group"]
    stages.timed("train", lambda: train.train(resolved, run, size, stages.smaller))
    stages.timed("make", lambda: make.make(resolved, run))
    stages.timed("examples", lambda: examples.write(resolved, run))
    if not (run / "predictions.csv").exists():
        stages.timed("classify", lambda: classify.classify(resolved, run))
    if resolved.arms and not (run / "quality.csv").exists():
        stages.timed("quality", lambda: quality.measure(resolved, run))
    stages.timed("report", stages.report)


def _keep_clips(run: epath.Path, resolved: Study) -> None:
    """Writes clips.csv, which clips the run is of: GANs, made clips and predictions are of folds of these.

    Raises:
      UserError: it is there, and was written of others.
    """
    corpus, path = resolved.corpus, run / "clips.csv"
    columns = {"clip": corpus.ids_U, "speaker": corpus.speakers_U, "emotion": corpus.emotions_U}
    clips = pd.DataFrame(columns).assign(samples=[len(x_T) for x_T in resolved.clips]).astype(str)
    if not path.exists():
        writers.write_frame(path, clips)
    kept = writers.read_frame(path, list(clips)).fillna("")
    if kept.to_numpy().tolist() != clips.to_numpy().tolist():
        old, new = (set(map(tuple, frame.to_numpy().tolist())) for frame in (kept, clips))
        raise UserError(
            f"{path}: the run began with other clips: {len(old - new)} of {len(kept)} are gone or changed, "
            f"{len(new - old)} are new; name another folder with --workdir"
        )


def _prepare(config: Any) -> Study:
    with writers.Progress("clips", 1) as progress:
        return study.prepare(config, progress)
