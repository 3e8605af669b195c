"""One choice of the method varied at a time: sweeps of batched members, or another structure.

python launch.py --config=configs/emodb_ablations.py:lambda_cyc      and so for every preset below
python launch.py --config=configs/emodb_ablations.py:debug           every code path in about a minute

Sweeps: lambda_cyc, lambda_cls, lambda_id, penalty, smoothing, precision. Structures: default, pretrained,
plain, heads, updates_1_1, updates_1_4, corpus. All on 5 classes with train normalisation.
"""

import ml_collections

from configs.common import base, grid, tiny


def get_config(arg: str = "default") -> ml_collections.ConfigDict:
    """The study of one preset; all share members' sizes, schedule, amounts and classifiers."""
    presets = {
        "default": lambda _: None,
        "lambda_cyc": _lambda_cyc,
        "lambda_cls": _lambda_cls,
        "lambda_id": _lambda_id,
        "penalty": _penalty,
        "smoothing": _smoothing,
        "precision": _precision,
        "pretrained": _pretrained,
        "plain": _plain,
        "heads": _heads,
        "updates_1_1": _updates_1_1,
        "updates_1_4": _updates_1_4,
        "corpus": _corpus,
        "debug": _debug,
    }
    if arg not in presets:
        raise ValueError(f"no preset {arg!r} in configs/emodb_ablations.py; there are {', '.join(presets)}")
    config = base()
    config.normalisations = ("train",)
    config.gan.seeds = 1
    config.amount = 5.0
    config.choice.speakers = 0  # every point is shown, none is chosen
    config.distances = True
    config.synthetic_seeds = 1
    config.dnn.dropout = 0.2  # as in the study
    presets[arg](config)
    return config


def _lambda_cyc(config: ml_collections.ConfigDict) -> None:
    config.sweep = grid(lambda_cyc=(0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0))


def _lambda_cls(config: ml_collections.ConfigDict) -> None:
    config.sweep = grid(lambda_cls=(0.0, 0.5, 1.0, 2.0, 5.0))


def _lambda_id(config: ml_collections.ConfigDict) -> None:
    config.sweep = grid(lambda_id=(0.0, 0.5, 2.5, 5.0))


def _penalty(config: ml_collections.ConfigDict) -> None:
    config.sweep = grid(penalty_k=(1.0, 2.0, 10.0), penalty_p=(2.0, 6.0))


def _smoothing(config: ml_collections.ConfigDict) -> None:
    config.arms = ("gan",)
    config.sweep = grid(smoothing=(0.8, 0.9, 1.0))


def _precision(config: ml_collections.ConfigDict) -> None:
    config.sweep = grid(
        precision=("float32", "tensorfloat32", "bfloat16"), activations=("float32", "bfloat16")
    )


def _pretrained(config: ml_collections.ConfigDict) -> None:
    config.gan.residual = False
    config.gan.pretrain_epochs = 200


def _plain(config: ml_collections.ConfigDict) -> None:
    config.gan.residual = False


def _heads(config: ml_collections.ConfigDict) -> None:
    config.gan.critic_heads = True


def _updates_1_1(config: ml_collections.ConfigDict) -> None:
    config.gan.generator_updates = 1


def _updates_1_4(config: ml_collections.ConfigDict) -> None:
    config.gan.generator_updates = 1
    config.gan.critic_updates = 4


def _corpus(config: ml_collections.ConfigDict) -> None:
    config.source = "corpus"


def _debug(config: ml_collections.ConfigDict) -> None:
    tiny(config)
    config.distances = False
    config.sweep = grid(lambda_cyc=(0.5, 5.0), lambda_cls=(0.0, 2.0))
