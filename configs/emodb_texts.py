"""Leave one speaker and one text out of EMO-DB, whose ten sentences are shared by all its speakers.

python launch.py --config=configs/emodb_texts.py             5 classes, train normalisation, 100 folds
python launch.py --config=configs/emodb_texts.py:debug       every code path in about a minute
"""

import ml_collections

from configs.common import base, tiny


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The second protocol: what leave-one-speaker-out on shared texts hides."""
    if arg not in ("", "debug"):
        raise ValueError(f"no preset {arg!r} in configs/emodb_texts.py; there is debug")
    config = base()
    config.protocol = "speaker_text"
    config.arms = ("moments", "wdiv")
    config.normalisations = ("train",)
    config.gan.seeds = 1
    config.amount = 10.0
    config.synthetic_seeds = 1
    config.dnn.dropout = 0.2  # as in the study
    if arg == "debug":
        tiny(config)
        config.arms = ("moments",)
    return config
