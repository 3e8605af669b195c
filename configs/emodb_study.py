"""Every arm on EMO-DB with settings chosen on inner speaker folds (both EMO-DB papers' tables and curves).

python launch.py --config=configs/emodb_study.py                 5 classes, train normalisation
python launch.py --config=configs/emodb_study.py:speaker         5 classes, speaker normalisation
python launch.py --config=configs/emodb_study.py:seven           7 classes, train normalisation
python launch.py --config=configs/emodb_study.py:seven_speaker   7 classes, speaker normalisation
python launch.py --config=configs/emodb_study.py:debug           every code path in a few minutes
"""

import ml_collections

from configs.common import base, tiny


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The study of one class set and normalisation, or its debug version."""
    presets = ("", "speaker", "seven", "seven_speaker", "debug")
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/emodb_study.py; there are {', '.join(presets)[2:]}")
    config = base()
    config.arms = (
        "duplicate",
        "noise",
        "smote",
        "mixup",
        "moments",
        "coral",
        "gaussian",
        "gan",
        "wdiv",
    )
    config.normalisations = ("speaker",) if "speaker" in arg else ("train",)
    if "seven" in arg:
        config.corpus.classes = ()
    config.gan.seeds = 5
    config.amount = 10.0
    config.curve = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    config.choice.speakers = 9  # all others
    config.choice.amounts = (1.0, 3.0, 10.0)
    config.distances = True
    config.synthetic_seeds = 1
    config.dnn.dropout = 0.2  # of the curve, whose settings are fixed
    if arg == "debug":
        _debug(config)
    return config


def _debug(config: ml_collections.ConfigDict) -> None:
    tiny(config)
    config.arms = ("noise", "mixup", "moments", "gan", "wdiv")
    config.gan.seeds = 2
    config.amount = 2.0
    config.curve = config.choice.amounts = (1.0, 2.0)
    config.choice.speakers = 2
