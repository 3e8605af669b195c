"""What a study on recordings would run on which clips, as text: nothing is trained or written."""

from typing import Any

import numpy as np

from experiments.clips import study
from experiments.clips.study import Study
from experiments.inspection import counts, heard
from sergan import clips
from sergan.errors import UserError


def inspect(config: Any) -> str:
    """Counts, durations and problems of the corpus, then folds, GANs and classifiers.

    Where the data cannot be used, what was found is printed all the same.

    Raises:
      UserError: whatever the user can mend.
    """
    study.check(config)
    found = study.recordings(config, files=False)
    corpus = clips.labels(found, np.zeros(len(found), np.float32))
    lines = [counts(corpus), "", *heard("corpus", found, {})]
    try:
        return "\n".join([*lines, "", *_plan(study.assemble(config, corpus, []))])
    except UserError:
        print("\n".join(lines), flush=True)
        raise


def _plan(resolved: Study) -> list[str]:
    """Lines with what would be trained."""
    config = resolved.config
    made = np.mean([resolved.missing(fold) for fold in resolved.folds], axis=0).round(1)
    each = zip(resolved.classes, made, strict=True)
    wanted = ", ".join(f"{name} {count:g}" for name, count in each if count)
    gans = [
        f"{arm}: {sum(m.arm == arm for m in resolved.members)} GANs of {config.sound[f'{arm}_steps']} steps"
        for arm in dict.fromkeys(member.arm for member in resolved.members)
    ]
    kind = {"clip": "random, speaker-dependent", "speaker": "one for each held-out speaker"}
    folds = kind.get(config.protocol, "one for each held-out group of speakers")
    runs = len(resolved.classifiers) * (1 + len(resolved.arms)) * config.sound.seeds * config.seeds
    return [
        f"folds: {len(resolved.folds)}, {folds}",
        f"made for each arm and fold, on average: {wanted or 'none'}",
        f"GANs: {'; '.join(gans) or 'none'}",
        f"arms: real, {', '.join(resolved.arms)}".rstrip(", "),
        f"classifiers: {', '.join(f'{name} ({s})' for name, s in resolved.classifiers.items())}",
        f"trained: {runs * len(resolved.folds)} classifiers",
    ]
