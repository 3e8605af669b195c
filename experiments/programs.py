"""What is compiled of the CycleGANs of a config."""

from typing import Any

import numpy as np

from experiments import ranges
from sergan import features, logmel, methods
from sergan.errors import UserError
from sergan.folds import Fold
from sergan.gan import GanConfig, steps_per_epoch


def gan_config(
    config: Any, names_D: tuple[str, ...], splits: list[Fold], classes: tuple[str, ...], identity: bool
) -> GanConfig:
    """What is compiled of the CycleGANs. An epoch is a pass over the mean number of rows of an emotion.

    `identity` says whether the identity loss is computed at all.

    Raises:
      UserError: a number of steps that the chunk length does not divide; rows that are no spectrograms where
        the view asks for them.
    """
    gan = config.gan
    rows = np.mean([len(fold.train_R) for fold in splits]) / len(classes)
    epoch = steps_per_epoch(float(rows), gan.batch_size)
    steps = {
        "gan.pretrain_epochs": gan.pretrain_epochs * epoch,
        "gan.epochs": gan.epochs * epoch,
        "training.save_every": config.training.save_every,
    }
    if any(map(methods.from_noise, arms(config))):
        steps |= {f"gan.{name}": gan[name] * epoch for name in ("noise_pretrain_epochs", "noise_epochs")}
    ranges.multiples(steps, config.training.log_every)
    return GanConfig(
        features=len(names_D),
        emotions=len(classes),
        loss=gan.loss,
        generator=tuple(gan.generator),
        critic=tuple(gan.critic),
        heads=features.groups(names_D) if gan.critic_heads else (),
        classifier=tuple(gan.classifier),
        residual=gan.residual,
        precision=gan.precision,
        activations=gan.activations,
        slope=gan.slope,
        dropout=gan.dropout,
        cycle_reduction=gan.cycle_reduction,
        identity=identity,
        classifier_data=gan.classifier_data,
        batch_size=gan.batch_size,
        generator_updates=gan.generator_updates,
        critic_updates=gan.critic_updates,
        adam_b1=gan.adam_b1,
        adam_b2=gan.adam_b2,
        adam_eps=gan.adam_eps,
        ema_decay=gan.ema_decay,
        pretrain_steps=gan.pretrain_epochs * epoch,
        noise_pretrain_steps=gan.noise_pretrain_epochs * epoch,
        noise_steps=gan.noise_epochs * epoch,
        noise_rate=gan.noise_rate,
        steps=gan.epochs * epoch,
        decay_steps=gan.decay_epochs * epoch,
        decay_factor=gan.decay_factor,
        decay_floor=gan.decay_floor,
        shape=_shape(config, names_D),
    )


def _shape(config: Any, names_D: tuple[str, ...]) -> tuple[int, ...]:
    """Frames and filters of rows that are seen as spectrograms; raises UserError if they are none."""
    if not config.gan.view:
        return ()
    if names_D != logmel.names():
        raise UserError(
            f"config.gan.view={config.gan.view}: the columns are not those of config.features.set=logmel "
            f"(first {names_D[0]}); give recordings, or a table of such rows"
        )
    return logmel.ROW, logmel.FILTERS


def arms(config: Any) -> tuple[str, ...]:
    """`config.arms`, or the CycleGANs of `config.gan.loss`."""
    return tuple(config.arms) or (config.gan.loss,)
