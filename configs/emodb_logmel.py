"""CycleGANs with Wasserstein divergence on log-Mel spectrograms of EMO-DB's recordings, by convolutions.

python launch.py --config=configs/emodb_logmel.py --config.corpus.root=DIR       half an hour on two CPU cores
python launch.py --config=configs/emodb_logmel.py:debug                          a minute, on twenty clips

DIR is EMO-DB as distributed. The source is the training speakers' own clips, unless other speech is named by
--config.source=DIR. A row has the middle 1.3 s of a clip, as 128 frames of 40 Mel filters.
"""

from pathlib import Path

import ml_collections

from configs.common import base, tiny


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The study at sizes for two CPU cores, or the preset debug."""
    config = base()
    config.features.set = "logmel"
    config.source = "corpus"
    config.normalisations = ("train",)
    config.seeds = 2
    config.gan.view = "spectrogram"
    config.gan.generator = config.gan.critic = (8, 16)
    config.gan.seeds = 1
    config.gan.batch_size = 16
    config.gan.generator_updates = 1
    config.gan.epochs = 12
    config.gan.decay_epochs = 4
    config.training.members_per_group = 2
    config.training.log_every, config.training.save_every = 12, 120  # as many as epochs: fits any corpus
    presets = {"": lambda _: None, "debug": _debug}
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/emodb_logmel.py; there is debug")
    presets[arg](config)
    return config


def _debug(config: ml_collections.ConfigDict) -> None:
    tiny(config)
    config.corpus.root = str(Path(__file__).parents[1] / "tests" / "data" / "emodb")
    config.protocol, config.groups = "speaker_groups", 3
    config.gan.generator = config.gan.critic = (2,)
    config.gan.batch_size = 4
    config.training.members_per_group = 0
