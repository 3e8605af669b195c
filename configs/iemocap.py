"""Emotion style transfer on IEMOCAP and on to MSP-IMPROV (Bao et al. 2019), for owners of the corpora.

python launch.py --config=configs/iemocap.py --config.corpus.root=IEMOCAP --config.source=tedlium:TEDLIUM
    leave one session out, four classes
python launch.py --config=configs/iemocap.py:to_msp --config.corpus.root=IEMOCAP --config.target.root=MSP ...
    train on IEMOCAP, choose on 30 % of MSP-IMPROV's speakers, test on the others
python launch.py --config=configs/iemocap.py:bao ...             the paper's sizes, schedules and classifiers;
python launch.py --config=configs/iemocap.py:to_msp_bao ...      an accelerator
python launch.py --config=configs/iemocap.py:debug --config.corpus.table=FILE --config.source=FILE
    every code path in about a minute

--config.corpus.part=improvised leaves scripted clips out. The paper's two values of lambda_cls are points.
"""

import ml_collections

from configs.common import bao, base, grid, tiny

CLASSES = ("anger", "happiness", "neutral", "sadness")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The study within IEMOCAP or across to MSP-IMPROV, with our classifiers or the paper's."""
    presets = ("", "to_msp", "bao", "to_msp_bao", "debug")
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/iemocap.py; there are {', '.join(presets)[2:]}")
    config = base()
    config.corpus.name = "iemocap"
    config.corpus.classes = CLASSES
    config.protocol = "session"
    config.normalisations = ("train",)
    config.gan.seeds = 5
    config.seeds = 1
    config.arms = ("moments", "sahu_gan", "gan", "wdiv")
    config.amount = 3.0
    config.curve = config.choice.amounts = (1.0, 3.0, 10.0)
    config.sweep = grid(lambda_cls=(0.0, 2.0))
    config.synthetic_seeds = 1
    if arg.startswith("to_msp"):
        config.protocol = "across"
        config.normalisations = ("corpus",)
        config.target.name = "msp_improv"
    if arg.endswith("bao"):
        _bao(config, across=config.protocol == "across")
    if arg == "debug":
        tiny(config)
        config.arms = ("gan",)
        config.curve = config.choice.amounts = (1.0, 2.0)
    return config


def _bao(config: ml_collections.ConfigDict, across: bool) -> None:
    """The paper's networks, and its classifiers with their epochs as steps: 4400 real rows in a fold, four
    times the 92,973 rows of S as synthetic ones."""
    bao(config)
    config.arms = ("sahu_gan", "gan")
    config.classifiers = ("dnn",)  # an SVM of 376,000 rows takes hours
    config.gan.seeds = 5
    config.choice.speakers = 0
    config.choice.amounts = ()
    config.amount = 0.0  # all of S
    config.curve = ()
    config.svm.real_share = config.dnn.real_share = 0.0  # every row counts once
    config.dnn.dropout = 0.2
    config.dnn.l2 = 0.0
    config.dnn.learning_rate = 1e-5
    config.dnn.decay = False
    config.dnn.steps = 4800  # 70 epochs
    alone, both = config.dnn_alone, config.dnn_both
    alone.batch_size = both.batch_size = 256
    if across:
        alone.hidden = both.hidden = (200, 200)
        alone.dropout = both.dropout = 0.8
        alone.steps = both.steps = 29_000  # 20 epochs
        config.target.dev_split = "clip"
    else:
        alone.hidden, both.hidden = (200, 200), (1000, 1000)
        alone.dropout = both.dropout = 0.5
        both.learning_rate = 5e-6
        alone.steps, both.steps = 7300, 44_000  # 5 and 30 epochs
