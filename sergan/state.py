"""What a member carries from step to step, and what steers it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Hypers(NamedTuple):
    """Settings that a compiled step takes as data, so that a sweep is one compile.

    Every field is a float32 array: a scalar for one member, [M] for a batch of members.
    """

    lambda_cyc: jax.Array  # weight of the cycle loss
    lambda_cls: jax.Array  # weight of the class loss
    lambda_id: jax.Array  # weight of the identity loss
    penalty_k: jax.Array  # W-div penalty: factor
    penalty_p: jax.Array  # W-div penalty: power of the gradient norm
    smoothing: jax.Array  # JS loss: the discriminator's target for real rows
    lr_g: jax.Array  # learning rate of the generators
    lr_c: jax.Array  # learning rate of the critics
    lr_cls: jax.Array  # learning rate of the auxiliary classifier


class GanState(NamedTuple):
    """One member: N CycleGANs and their shared classifier, with everything that a restart needs.

    `params` and `opt_state` map "gen", "critic" and "cls" to networks by name: of CycleGANs {"G", "F"} and
    {"T", "S"}, with a leading axis K, and the classifier.
    """

    step: jax.Array  # int32; a diverged member stops here
    finite: jax.Array  # bool; False freezes the member
    params: dict[str, Any]
    opt_state: dict[str, Any]
    ema: Any  # moving average of params["gen"]; empty where none is kept
    key: jax.Array  # the member's root key, never advanced

    @property
    def generators(self) -> Any:
        """What synthesis uses: the moving average, or without one the parameters themselves."""
        return self.ema or self.params["gen"]


def hypers(**values: float) -> Hypers:
    """Scalars of strong float32 (a weakly typed array would compile a second time)."""
    return Hypers(**{name: jnp.asarray(value, jnp.float32) for name, value in values.items()})


def stack(trees: list[Any]) -> Any:
    """Members as one tree with a leading member axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
