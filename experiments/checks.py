"""Values of a config that cannot work, each named by its key before anything else is done."""

from collections.abc import Callable
from typing import Any

from sergan import augment, inputs, mapping
from sergan.corpora import CORPORA
from sergan.errors import UserError
from sergan.gan import ACTIVATIONS, LOSSES, PRECISIONS
from sergan.methods import METHODS

NORMALISATIONS = ("train", "speaker", "corpus")
PROTOCOLS = ("speaker", "speaker_groups", "session", "speaker_text", "across")
PARTS = ("improvised", "scripted")


def check(config: Any) -> None:
    """Raises UserError for a value that cannot work, naming its key."""
    choices: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "normalisations": (tuple(config.normalisations), NORMALISATIONS),
        "protocol": ((config.protocol,), PROTOCOLS),
        "corpus.part": (tuple(filter(None, [config.corpus.part])), PARTS),
        "target.dev_split": ((config.target.dev_split,), ("speaker", "clip")),
        "arms": (tuple(config.arms), (*augment.ARMS, *METHODS)),
        "gan.loss": ((config.gan.loss,), LOSSES),
        "gan.precision": ((config.gan.precision,), PRECISIONS),
        "gan.activations": ((config.gan.activations,), ACTIVATIONS),
        "gan.cycle_reduction": ((config.gan.cycle_reduction,), ("sum", "mean")),
        "gan.classifier_data": ((config.gan.classifier_data,), ("real", "fake", "both")),
    }
    for key, (values, known) in choices.items():
        for value in values:
            if value not in known:
                raise UserError(f"config.{key}: {value!r} is none of {', '.join(known)}")
        if len(set(values)) < len(values):
            raise UserError(f"config.{key} names one twice: {values}")
    _check_corpora(config)
    mapping.parse(config.corpus.labels, "corpus.labels")
    for key in ("corpus", "target"):
        inputs.check_columns(mapping.parse(config[key].columns, f"{key}.columns"), f"{key}.columns")
    positive = {
        "seeds": config.seeds,
        "gan.seeds": config.gan.seeds,
        "gan.batch_size": config.gan.batch_size,
        "gan.epochs": config.gan.epochs,
        "gan.noise_epochs": config.gan.noise_epochs,
        "gan.noise_rate": config.gan.noise_rate,
        "gan.decay_epochs": config.gan.decay_epochs,
        "gan.generator_updates": config.gan.generator_updates,
        "gan.critic_updates": config.gan.critic_updates,
        "training.log_every": config.training.log_every,
        "training.save_every": config.training.save_every,
        "svm.C": config.svm.C,
        "dnn.steps": config.dnn.steps,
        "dnn.batch_size": config.dnn.batch_size,
        "normalisations": len(config.normalisations),
        "dnn.learning_rate": config.dnn.learning_rate,
        "gan.decay_factor": config.gan.decay_factor,
        "mixup": config.mixup,
        "target.dev_share": config.target.dev_share,
    } | _several(config, "curve", "choice.amounts", "choice.mixup", "choice.C", "choice.steps")
    shares = {
        "real_share": config.real_share,
        "target.dev_share": config.target.dev_share,
        "gan.dropout": config.gan.dropout,
        "gan.ema_decay": config.gan.ema_decay,
        "dnn.dropout": config.dnn.dropout,
    } | _several(config, "choice.real_share", "choice.dropout")
    widths = {f"gan.{name}": config.gan[name] for name in ("generator", "critic", "classifier")}
    widths |= {"dnn.hidden": config.dnn.hidden} | _several(config, "choice.hidden")
    for key, hidden in widths.items():
        if not all(isinstance(width, int) and width > 0 for width in hidden):
            raise UserError(f"config.{key} are widths of hidden layers, above 0, not {tuple(hidden)}")
    zero_or_more = {
        "amount": config.amount,
        "choice.speakers": config.choice.speakers,
        "noise": config.noise,
        "synthetic_seeds": config.synthetic_seeds,
        "gan.pretrain_epochs": config.gan.pretrain_epochs,
        "gan.noise_pretrain_epochs": config.gan.noise_pretrain_epochs,
        "training.members_per_group": config.training.members_per_group,
        "dnn.l2": config.dnn.l2,
    } | _several(config, "choice.noise", "choice.l2")
    zero_or_more |= {f"hypers.{name}": value for name, value in config.hypers.items()}
    _in_range(positive, lambda value: value > 0, "be above 0")
    _in_range(shares, lambda value: 0 <= value < 1, "lie between 0 and 1")
    _in_range(zero_or_more, lambda value: 0 <= value < float("inf"), "be 0 or more")


def _check_corpora(config: Any) -> None:
    """Raises UserError for what the corpus cannot do, or what two corpora are needed for."""
    if config.protocol == "across" and config.target.name in ("", config.corpus.name):
        raise UserError("config.target.name: protocol across needs the name of another corpus to test on")
    for key in ("corpus", "target") if config.protocol == "across" else ():
        if "/" in config[key].name:
            raise UserError(
                f"config.{key}.name: {config[key].name!r} has a slash, which ends a corpus's name"
            )
    if "corpus" in config.normalisations and config.protocol != "across":
        raise UserError("config.normalisations: 'corpus' is for config.protocol=across, where there are two")
    name = config.corpus.name
    sessions = [known for known, corpus in CORPORA.items() if corpus.session]
    own = bool(config.corpus.table) or name == "audformat"  # may have the column session
    if config.protocol == "session" and name not in sessions and not own:
        raise UserError(
            f"config.protocol: {name} has no sessions (only {', '.join(sessions)} have); use protocol "
            "speaker or speaker_groups"
        )
    if config.protocol == "speaker_text" and name == "audformat":
        raise UserError("config.protocol: texts of audformat are not known; use protocol speaker")
    parts = [known for known, corpus in CORPORA.items() if corpus.part]
    if config.corpus.part and name not in parts:
        raise UserError(
            f"config.corpus.part: {name} has no part {config.corpus.part} (only {', '.join(parts)} has); "
            "leave it empty"
        )


def _in_range(values: dict[str, Any], right: Callable[[Any], bool], words: str) -> None:
    for key, value in values.items():
        if not right(value):
            raise UserError(f"config.{key} must {words}, it is {value}")


def _several(config: Any, *keys: str) -> dict[str, Any]:
    """The values of keys that hold several, each by its place.

    Raises UserError if a key of the grid holds none while something is to be chosen.
    """
    named: dict[str, Any] = {}
    for key in keys:
        values: Any = config
        for part in key.split("."):
            values = values[part]
        if not len(values) and key.startswith("choice.") and config.choice.amounts:
            raise UserError(f"config.{key} is empty: nothing to choose from")
        named |= {f"{key}[{i}]": value for i, value in enumerate(values)}
    return named
