"""Every arm on EMO-DB with settings chosen on inner speaker folds (both EMO-DB papers' tables and curves).

python launch.py --config=configs/emodb_study.py                 5 classes, train normalisation
python launch.py --config=configs/emodb_study.py:speaker         5 classes, speaker normalisation
python launch.py --config=configs/emodb_study.py:seven           7 classes, train normalisation
python launch.py --config=configs/emodb_study.py:seven_speaker   7 classes, speaker normalisation
python launch.py --config=configs/emodb_study.py:debug           every code path in a few minutes
"""

import ml_collections

from configs.common import base


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
    config.arms = ("noise", "mixup", "moments", "gan", "wdiv")
    config.gan.seeds = 2
    config.gan.generator = config.gan.critic = config.gan.classifier = (8,)
    config.gan.epochs = 4
    config.gan.noise_pretrain_epochs = 2
    config.training.log_every = 2
    config.training.save_every = 4
    config.seeds = 2
    config.amount = 2.0
    config.curve = (1.0, 2.0)
    config.choice.speakers = 2
    config.choice.amounts = (1.0, 2.0)
    config.choice.noise = (0.1, 0.3)
    config.choice.mixup = (0.2,)
    config.choice.real_share = (0.5,)
    config.choice.C = (1e-3, 1e-2)
    config.choice.l2 = (1e-3,)
    config.choice.hidden = ((8,),)
    config.choice.dropout = (0.0,)
    config.choice.steps = (20,)
    config.dnn.hidden = (8,)
    config.dnn.steps = 20
