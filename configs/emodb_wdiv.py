"""CycleGANs with Wasserstein divergence on EMO-DB (Shilandari et al. 2022; Bao et al. 2019).

python launch.py --config=configs/emodb_wdiv.py             about 12 min on two CPU cores
python launch.py --config=configs/emodb_wdiv.py:debug       about a minute, this study at debug size
python launch.py --config=configs/emodb_wdiv.py:paper       Shilandari's sizes and schedule; an accelerator
python launch.py --config=configs/emodb_wdiv.py:bao         Bao's sizes, schedule and loss; an accelerator
"""

from collections.abc import Callable
from typing import Any

import ml_collections

from configs.common import bao, base, papers_schedule, tiny


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The default study, or one of the presets debug, paper, bao."""
    config = base()
    presets = {"": lambda _: None, "debug": _debug, "paper": _paper, "bao": bao}
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/emodb_wdiv.py; there are {', '.join(presets)[2:]}")
    presets[arg](config)
    return config


def sweep(add: Callable[..., Any]) -> None:
    """The points of --sweep: λ_cyc × λ_cls around the papers' values."""
    for lambda_cyc in (0.5, 1.0, 5.0, 20.0):
        for lambda_cls in (0.0, 2.0, 5.0):
            add(lambda_cyc=lambda_cyc, lambda_cls=lambda_cls)


def _debug(config: ml_collections.ConfigDict) -> None:
    tiny(config)
    config.gan.residual = False
    config.gan.pretrain_epochs = 2
    config.training.save_every = 2
    config.seeds = 2
    config.amount = 2.0


def _paper(config: ml_collections.ConfigDict) -> None:
    gan = config.gan
    gan.generator = (1000, 500, 1000)
    gan.critic = gan.classifier = (800, 800)
    gan.residual = False
    gan.classifier_data = "fake"
    gan.batch_size = 128
    gan.pretrain_epochs = 5000
    gan.epochs = 2000
    gan.ema_decay = 0.0
    config.hypers.lambda_cyc = 1.0
    papers_schedule(config)
