"""Hybrid data augmentation of EMO-DB's recordings, and ADCRNN on 3-D log-Mel (Pham et al. 2021).

python launch.py --config=configs/emodb_hda.py --config.corpus.root=DIR             augmentations (Table V)
python launch.py --config=configs/emodb_hda.py:losses --config.corpus.root=DIR      losses (Table IV)
python launch.py --config=configs/emodb_hda.py:networks --config.corpus.root=DIR    networks (Table VI)
python launch.py --config=configs/emodb_hda.py:paper --config.corpus.root=DIR       the paper's sizes; a GPU
python launch.py --config=configs/emodb_hda.py:debug                                a minute, on twenty clips

At the paper's sizes `:paper_losses` and `:paper_networks` are Tables IV and VI.

DIR is EMO-DB as distributed. The first three take hours on two CPU cores; folds are random, as in the
paper, unless --config.protocol=speaker leaves speakers out.
"""

from pathlib import Path

import ml_collections

from configs.recordings import base

_LOSSES = ("L_f1 without attention", "L_f2", "L_f1", "L_f3", "L_f4")
_NETWORKS = ("adcrnn L_f1", "adcrnn L_f4", "adrnn L_f3", "acrnn_3d L_f2", "acrnn_2d L_f2")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The augmentations, or one of the presets, which the file's head has."""
    config = base()
    presets = {
        "": lambda _: None,
        "losses": _losses,
        "networks": _networks,
        "paper": _paper,
        "paper_losses": _paper_losses,
        "paper_networks": _paper_networks,
        "debug": _debug,
    }
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/emodb_hda.py; there are {', '.join(presets)[2:]}")
    presets[arg](config)
    return config


def _losses(config: ml_collections.ConfigDict) -> None:
    config.arms = ("wavegan",)
    config.classifiers = tuple(f"small adcrnn {loss}" for loss in _LOSSES)


def _networks(config: ml_collections.ConfigDict) -> None:
    config.arms = ("wavegan",)
    config.classifiers = tuple(f"small {words}" for words in _NETWORKS)


def _paper(config: ml_collections.ConfigDict) -> None:
    config.sound.size = config.sound.batch_size = 64
    config.sound.wavegan_steps = 90_000
    config.sound.specgan_steps = 35_000
    config.sound.learning_rate = config.adcrnn.learning_rate = 1e-4
    config.adcrnn.steps, config.adcrnn.decay = 10_000, False
    config.classifiers = ("adcrnn L_f1",)
    config.shifts.keep_level = False  # as librosa leaves it
    config.training.log_every, config.training.save_every = 100, 1000


def _paper_losses(config: ml_collections.ConfigDict) -> None:
    _paper(config)
    config.arms = ("wavegan",)
    config.classifiers = tuple(f"adcrnn {loss}" for loss in _LOSSES)


def _paper_networks(config: ml_collections.ConfigDict) -> None:
    _paper(config)
    config.arms = ("wavegan",)
    config.classifiers = _NETWORKS


def _debug(config: ml_collections.ConfigDict) -> None:
    config.corpus.root = str(Path(__file__).parents[1] / "tests" / "data" / "emodb")
    config.corpus.classes = ("anger", "fear", "happiness", "neutral", "sadness")  # of others there are two
    config.groups = 3
    config.classifiers = ("tiny adcrnn L_f1", "tiny adrnn L_f4 without attention")
    config.balance.factor = 0.5
    config.sound.samples = 16384
    config.sound.size = 1
    config.sound.batch_size = 2
    config.sound.critic_updates = 2
    config.sound.wavegan_steps = config.sound.specgan_steps = 4
    config.adcrnn.steps = config.adcrnn.look_every = 4
    config.adcrnn.mask_frames, config.adcrnn.mask_filters = 30, 5
    config.adcrnn.batch_size = 4
    config.training.log_every = config.training.save_every = 2
