"""Values of a config of a study on recordings that cannot work, each named by its key."""

from typing import Any

from experiments import ranges
from sergan import inputs, logmel, mapping
from sergan.classifiers.adcrnn import chunk_length
from sergan.clips import LOUDNESS
from sergan.errors import UserError
from sergan.gan import PRECISIONS
from sergan.nets.sound import KINDS, STRIDES
from sergan.sounds import LOSSES

ARMS = ("duplicate", "time_shift", "pitch_shift", *KINDS)
PROTOCOLS = ("clip", "speaker", "speaker_groups")
MOST = {  # of what takes memory or processes before anything could be said
    "seeds": 1000,
    "sound.seeds": 1000,
    "sound.batch_size": 100_000,
    "sound.size": 1024,
    "sound.critic_updates": 1000,
    "sound.shuffle": 100,
    "adcrnn.batch_size": 100_000,
    "adcrnn.mask_frames": logmel.SEGMENT,
    "adcrnn.mask_filters": logmel.FILTERS,
    "balance.factor": 1000,
    "training.log_every": 1_000_000,
    "shifts.fft": 65536,
    "shifts.half_steps": 48,
}


_POSITIVE = (
    *("seeds", "size", "penalty", "penalty_k", "penalty_p", "batch_size", "critic_updates", "learning_rate"),
    *("wavegan_steps", "specgan_steps"),
)


def check(config: Any) -> None:
    """Raises UserError for a value that cannot work, naming its key."""
    ranges.check_kinds(config, {"arms": (str,), "classifiers": (str,), "corpus.classes": (str,)})
    ranges.check_words("arms", tuple(config.arms), ARMS)
    ranges.check_words("protocol", (config.protocol,), PROTOCOLS)
    ranges.check_words("loudness", (config.loudness,), LOUDNESS)
    ranges.check_words("sound.loss", (config.sound.loss,), LOSSES)
    for name in ("sound", "adcrnn"):
        ranges.check_words(f"{name}.precision", (config[name].precision,), PRECISIONS)
    mapping.parse(config.corpus.labels, "corpus.labels")
    inputs.check_columns(mapping.parse(config.corpus.columns, "corpus.columns"), "corpus.columns")
    sound, adcrnn, shifts, training = config.sound, config.adcrnn, config.shifts, config.training
    ranges.positive({f"sound.{name}": sound[name] for name in _POSITIVE})
    ranges.positive({f"adcrnn.{name}": adcrnn[name] for name in ("steps", "batch_size", "learning_rate")})
    ranges.positive({f"shifts.{name}": shifts[name] for name in ("samples", "half_steps", "fft", "hop")})
    if "pitch_shift" in config.arms and shifts.hop > shifts.fft // 4:
        raise UserError(
            f"config.shifts.hop={shifts.hop}: at most a quarter of config.shifts.fft={shifts.fft}, or "
            "windows overlap unevenly"
        )
    ranges.positive({f"training.{name}": training[name] for name in ("log_every", "save_every")})
    ranges.positive({"seeds": config.seeds})
    ranges.share({f"sound.{name}": sound[name] for name in ("adam_b1", "adam_b2")})
    ranges.share({"adcrnn.dropout": adcrnn.dropout})
    if adcrnn.center_rate > 1:
        raise UserError(f"config.adcrnn.center_rate must be at most 1, it is {adcrnn.center_rate}")
    ranges.zero_or_more(
        {
            "balance.factor": config.balance.factor,
            "sound.shuffle": sound.shuffle,
            "adcrnn.center_weight": adcrnn.center_weight,
            "adcrnn.contrastive_weight": adcrnn.contrastive_weight,
            "adcrnn.center_rate": adcrnn.center_rate,
            "adcrnn.mask_frames": adcrnn.mask_frames,
            "adcrnn.mask_filters": adcrnn.mask_filters,
            "adcrnn.look_every": adcrnn.look_every,
            "training.members_per_group": training.members_per_group,
        }
    )
    ranges.check_sizes(config, MOST)
    if sound.samples not in STRIDES:
        lengths = ", ".join(map(str, STRIDES))
        raise UserError(f"config.sound.samples is {sound.samples}; it must be one of {lengths}")
    if chunk_length(adcrnn.steps) < min(adcrnn.steps, 10):
        raise UserError(
            f"config.adcrnn.steps={adcrnn.steps} has no divisor from 10 to 50; take a multiple of 10"
        )
    if config.protocol != "speaker" and config.groups < 2:
        raise UserError(f"config.groups={config.groups}: folds are 2 or more")
