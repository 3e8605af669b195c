"""Values of a config that cannot work, each named by its key before anything else is done."""

from collections.abc import Mapping
from typing import Any

from experiments import ranges
from experiments.settings import CLASSIFIERS
from sergan import adversarial, augment, inputs, logmel, mapping, nets
from sergan.corpora import CORPORA
from sergan.errors import UserError
from sergan.features import LOGMEL
from sergan.gan import ACTIVATIONS, LOSSES, PRECISIONS
from sergan.methods import METHODS

MOST = {  # of what takes memory or processes before anything could be said
    "seeds": 1000,
    "gan.seeds": 1000,
    "gan.batch_size": 1_000_000,
    "gan.epochs": 10_000_000,
    "gan.pretrain_epochs": 10_000_000,
    "gan.noise_epochs": 10_000_000,
    "gan.noise_pretrain_epochs": 10_000_000,
    "gan.generator_updates": 1000,
    "gan.critic_updates": 1000,
    "dnn.batch_size": 1_000_000,
    "features.workers": 1024,
    "training.log_every": 1_000_000,
    "amount": 10_000,
    "curve": 10_000,
    "choice.amounts": 10_000,
}
WIDEST = 100_000  # hidden layer
NORMALISATIONS = ("train", "speaker", "corpus")
PROTOCOLS = ("speaker", "speaker_groups", "session", "speaker_text", "across")
VIEWS = ("spectrogram",)  # of rows by the CycleGANs, beside rows as such
PARTS = ("improvised", "scripted")


def check(config: Any) -> None:
    """Raises UserError for a value that cannot work, naming its key."""
    _check_kinds(config)
    _check_words(config)
    _check_corpora(config)
    _check_view(config)
    for key in ("corpus", "target"):
        mapping.parse(config[key].labels, f"{key}.labels")
        inputs.check_columns(mapping.parse(config[key].columns, f"{key}.columns"), f"{key}.columns")
    _check_ranges(config)
    ranges.check_sizes(config, MOST)


def _check_words(config: Any) -> None:
    """Raises UserError for a word that is none of those of its key, or that is there twice."""
    choices: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "normalisations": (tuple(config.normalisations), NORMALISATIONS),
        "protocol": ((config.protocol,), PROTOCOLS),
        "corpus.part": (tuple(filter(None, [config.corpus.part])), PARTS),
        "target.dev_split": ((config.target.dev_split,), ("speaker", "clip")),
        "classifiers": (tuple(config.classifiers), tuple(CLASSIFIERS)),
        "arms": (tuple(config.arms), (*augment.ARMS, *METHODS)),
        "gan.loss": ((config.gan.loss,), LOSSES),
        "gan.view": (tuple(filter(None, [config.gan.view])), VIEWS),
        "gan.precision": ((config.gan.precision,), PRECISIONS),
        "gan.activations": ((config.gan.activations,), ACTIVATIONS),
        "gan.cycle_reduction": ((config.gan.cycle_reduction,), ("sum", "mean")),
        "gan.classifier_data": ((config.gan.classifier_data,), ("real", "fake", "both")),
    }
    for key, (values, known) in choices.items():
        ranges.check_words(key, values, known)


def _check_ranges(config: Any) -> None:
    """Raises UserError for a number out of the range of its key."""
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
        "normalisations": len(config.normalisations),
        "classifiers": len(config.classifiers),
        "gan.decay_factor": config.gan.decay_factor,
        "gan.adam_eps": config.gan.adam_eps,
        "hypers.smoothing": config.hypers.smoothing,
        "mixup": config.mixup,
        "target.dev_share": config.target.dev_share,
    } | _several(config, "curve", "choice.amounts", "choice.mixup", "choice.C", "choice.steps")
    shares = {
        "svm.real_share": config.svm.real_share,
        "dnn.real_share": config.dnn.real_share,
        "target.dev_share": config.target.dev_share,
        "gan.dropout": config.gan.dropout,
        "gan.ema_decay": config.gan.ema_decay,
        "gan.adam_b1": config.gan.adam_b1,
        "gan.adam_b2": config.gan.adam_b2,
        "gan.slope": config.gan.slope,
    } | _several(config, "choice.real_share", "choice.dropout")
    widths = {f"gan.{name}": config.gan[name] for name in ("generator", "critic", "classifier")}
    widths |= _several(config, "choice.hidden")
    zero_or_more = {
        "amount": config.amount,
        "choice.speakers": config.choice.speakers,
        "features.workers": config.features.workers,
        "gan.decay_floor": config.gan.decay_floor,
        "noise": config.noise,
        "synthetic_seeds": config.synthetic_seeds,
        "gan.pretrain_epochs": config.gan.pretrain_epochs,
        "gan.noise_pretrain_epochs": config.gan.noise_pretrain_epochs,
        "training.members_per_group": config.training.members_per_group,
    } | _several(config, "choice.noise", "choice.l2")
    zero_or_more |= {f"hypers.{name}": value for name, value in config.hypers.items()}
    ranges_of = {"hidden": widths, "dropout": shares, "real_share": shares, "l2": zero_or_more}
    ranges_of["decay"] = {}  # true or false
    for part in ("dnn", "dnn_alone", "dnn_both"):
        for name, value in config[part].items():
            if name not in config.dnn:
                raise UserError(
                    f"config.{part}.{name}: no key of config.dnn, which has {', '.join(config.dnn)}"
                )
            ranges_of.get(name, positive)[f"{part}.{name}"] = value
    for key, hidden in widths.items():
        if not all(type(width) is int and 0 < width <= WIDEST for width in hidden):
            raise UserError(
                f"config.{key} are widths of hidden layers, above 0 and at most {WIDEST}, not {tuple(hidden)}"
            )
    if config.hypers.smoothing > 1:
        raise UserError(f"config.hypers.smoothing must be at most 1, it is {config.hypers.smoothing}")
    ranges.positive(positive)
    ranges.share(shares)
    ranges.zero_or_more(zero_or_more)


_KINDS = {  # of the values of keys that hold several
    "normalisations": (str,),
    "classifiers": (str,),
    "arms": (str,),
    "corpus.classes": (str,),
    "sweep": (Mapping,),
    "curve": (float, int),
    "choice.amounts": (float, int),
    "choice.real_share": (float, int),
    "choice.noise": (float, int),
    "choice.mixup": (float, int),
    "choice.C": (float, int),
    "choice.l2": (float, int),
    "choice.dropout": (float, int),
    "choice.steps": (int,),
    "choice.hidden": (tuple, list),
}


def _check_kinds(config: Any) -> None:
    """Raises UserError for a value of another kind in a key that holds several."""
    ranges.check_kinds(config, _KINDS)
    if not config.source:
        raise UserError("config.source is empty; name speech, corpus, a folder or a table")
    if not config.features.cache:
        raise UserError("config.features.cache is empty; name a folder, which may be a new one")


def _check_corpora(config: Any) -> None:
    """Raises UserError for what the corpus cannot do, or what two corpora are needed for."""
    if config.protocol == "across" and config.target.name in ("", config.corpus.name):
        raise UserError("config.target.name: protocol across needs the name of another corpus to test on")
    for key in ("corpus", "target") if config.protocol == "across" else ():
        if "/" in config[key].name:
            raise UserError(
                f"config.{key}.name: {config[key].name!r} has a slash, which ends a corpus's name"
            )
    for key in ("root", "table", "columns", "labels", "name") if config.protocol != "across" else ():
        if config.target[key]:
            raise UserError(
                f"config.target.{key}={config.target[key]}: is for config.protocol=across, this one is "
                f"{config.protocol}"
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


def _check_view(config: Any) -> None:
    """Raises UserError for what does not go with convolutional CycleGANs."""
    gan = config.gan
    if not gan.view:
        return
    if config.features.set.lower() != LOGMEL:
        raise UserError(
            f"config.gan.view={gan.view} is for config.features.set={LOGMEL}, not {config.features.set}"
        )
    if gan.critic_heads:
        raise UserError(f"config.gan.critic_heads: with config.gan.view={gan.view} a critic has no heads")
    dense = [arm for arm in config.arms if arm in adversarial.KINDS]
    if dense:
        raise UserError(
            f"config.arms: {', '.join(dense)} have dense layers only; leave them out with "
            f"config.gan.view={gan.view}"
        )
    most = nets.halvings((logmel.ROW, logmel.FILTERS))
    for name in ("generator", "critic"):
        if not 1 <= len(gan[name]) <= most:
            raise UserError(
                f"config.gan.{name}: with config.gan.view={gan.view} it has the maps of 1 to {most} halvings "
                f"of {logmel.ROW} frames and {logmel.FILTERS} filters, not {len(gan[name])}"
            )


def _several(config: Any, *keys: str) -> dict[str, Any]:
    """The values of keys that hold several, each by its place.

    Raises UserError if a key of the grid holds none while something is to be chosen, or one twice.
    """
    named: dict[str, Any] = {}
    for key in keys:
        values = ranges.at(config, key)
        if not len(values) and key.startswith("choice.") and config.choice.amounts:
            raise UserError(f"config.{key} is empty: nothing to choose from")
        twice = [value for i, value in enumerate(values) if value in values[:i]]
        if twice:
            raise UserError(f"config.{key} has {twice[0]} twice; name each value once")
        named |= {f"{key}[{i}]": value for i, value in enumerate(values)}
    return named
