"""From one corpus to another, and by groups of speakers within one (Bao et al. 2019), on free corpora.

python launch.py --config=configs/cross_corpus.py --config.target.root=RAVDESS              EMO-DB to RAVDESS
python launch.py --config=configs/cross_corpus.py:ravdess_to_emodb --config.corpus.root=RAVDESS
python launch.py --config=configs/cross_corpus.py:ravdess --config.corpus.root=RAVDESS      groups of actors
python launch.py --config=configs/cross_corpus.py:debug --config.target.table=FILE          every code path

Four classes; --config.corpus.classes="('anger','fear','happiness','neutral','sadness')" has five.
"""

import ml_collections

from configs.common import base, tiny

CLASSES = ("anger", "happiness", "neutral", "sadness")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The study of one direction, or within RAVDESS."""
    presets = ("", "ravdess_to_emodb", "ravdess", "debug")
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/cross_corpus.py; there are {', '.join(presets)[2:]}")
    config = base()
    config.corpus.classes = CLASSES
    config.protocol = "across"
    config.normalisations = ("corpus",)
    config.target.name = "ravdess"
    config.arms = ("smote", "moments", "sahu_cgan", "adan", "gan", "wdiv")
    config.gan.seeds = 5
    config.amount = 3.0
    config.curve = (1.0, 3.0, 10.0)
    config.choice.amounts = (1.0, 3.0, 10.0)
    config.distances = True
    config.synthetic_seeds = 1
    if arg.startswith("ravdess"):  # an epoch has three steps instead of one
        config.gan.epochs, config.gan.decay_epochs = 80, 10
        config.gan.noise_pretrain_epochs, config.gan.noise_epochs = 140, 320
    if arg == "ravdess_to_emodb":
        config.corpus.name, config.target.name = "ravdess", "emodb"
        config.curve = config.choice.amounts = (1.0, 3.0)  # ten sets need more rows than S has
    if arg == "ravdess":
        config.corpus.name, config.target.name = "ravdess", ""
        config.protocol = "speaker_groups"
        config.normalisations = ("train", "speaker")
        config.amount = 1.0
        config.curve = config.choice.amounts = (1.0, 3.0)
    if arg == "debug":
        _debug(config)
    return config


def _debug(config: ml_collections.ConfigDict) -> None:
    tiny(config)
    config.target.name = "other"
    config.arms = ("moments", "adan", "wdiv")
    config.curve = config.choice.amounts = (1.0, 2.0)
