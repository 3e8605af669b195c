"""The rival: N emotion CycleGANs in PyTorch, trained one after another in a Python loop.

The losses, sizes, batches and optimisers are those of sergan: critics are high on real rows, a step is
`generator_updates` of every (G, F) and of the shared classifier, then `critic_updates` of the critics.
PyTorch is no requirement of sergan; this module needs it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sergan.gan import GanConfig

Tensor = Any  # torch.Tensor


class Nets(NamedTuple):
    """One emotion's networks."""

    G: nn.Module
    F: nn.Module
    T: nn.Module
    S: nn.Module


class Rows(NamedTuple):
    """Min-max scaled rows on the device: the source, and the targets of each emotion."""

    source_SxD: Tensor
    target_KxRxD: list[Tensor]


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x_BxD: Tensor) -> Tensor:
        """x_BxD -> y_BxD."""
        return x_BxD + self.body(x_BxD)


def mlp(inputs: int, hidden: tuple[int, ...], outputs: int, slope: float, residual: bool = False) -> Any:
    """Dense layers with leaky ReLU between them; a residual net starts as the identity."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(slope)]
        inputs = width
    layers.append(nn.Linear(inputs, outputs))
    for layer in layers[::2]:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    if residual:
        nn.init.zeros_(layers[-1].weight)
    body = nn.Sequential(*layers)
    return Residual(body) if residual else body


def generator_loss(
    nets: Nets, cls: nn.Module, s_BxD: Tensor, t_BxD: Tensor, label_B: Tensor, config: GanConfig, hypers: Any
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss of one emotion's (G, F), its parts, and G(s)."""
    fake_t, fake_s = nets.G(s_BxD), nets.F(t_BxD)
    gen_t, gen_s = -nets.T(fake_t).mean(), -nets.S(fake_s).mean()
    cycle = squared(nets.F(fake_t), s_BxD, config) + squared(nets.G(fake_s), t_BxD, config)
    classed = functional.cross_entropy(cls(fake_t), label_B)
    total = gen_t + gen_s + hypers["lambda_cyc"] * cycle + hypers["lambda_cls"] * classed
    if config.identity:
        identity = squared(nets.G(t_BxD), t_BxD, config) + squared(nets.F(s_BxD), s_BxD, config)
        total = total + hypers["lambda_id"] * identity
    return total, {"gen_T": gen_t, "gen_S": gen_s, "cycle": cycle, "class": classed}, fake_t


def squared(y_BxD: Tensor, x_BxD: Tensor, config: GanConfig) -> Tensor:
    """Squared error, summed or averaged over the features, averaged over the rows."""
    error_BxD = (y_BxD - x_BxD).square()
    return (error_BxD.sum(1) if config.cycle_reduction == "sum" else error_BxD.mean(1)).mean()


def critic_loss(
    critic: nn.Module, real_BxD: Tensor, fake_BxD: Tensor, hypers: Mapping[str, float]
) -> tuple[Tensor, Tensor]:
    """Loss of one critic, and the penalty k * E |grad D|^p in it (Wasserstein divergence)."""
    real_B, fake_B = critic(torch.cat([real_BxD, fake_BxD]))[:, 0].chunk(2)
    epsilon_Bx1 = torch.rand(len(real_BxD), 1, device=real_BxD.device)
    x_BxD = (epsilon_Bx1 * real_BxD + (1 - epsilon_Bx1) * fake_BxD).requires_grad_()
    (gradient_BxD,) = torch.autograd.grad(critic(x_BxD).sum(), x_BxD, create_graph=True)
    norm_B = gradient_BxD.square().sum(1)
    penalty = hypers["penalty_k"] * (norm_B ** (hypers["penalty_p"] / 2)).mean()
    return fake_B.mean() - real_B.mean() + penalty, penalty


class Loop:
    """One member: its networks, optimisers and the moving average of its generators.

    `compile` compiles the generators' loss; the penalty of the critics is differentiated twice, which stays
    eager.
    """

    def __init__(
        self, config: GanConfig, hypers: Mapping[str, float], rows: Rows, compile: bool = False
    ) -> None:
        self._config, self._hypers, self._rows = config, hypers, rows
        self._device = rows.source_SxD.device
        self.emotions = [self._nets() for _ in range(config.emotions)]
        self.cls = mlp(config.features, config.classifier, config.emotions, config.slope).to(self._device)
        self._average = [[p.detach().clone() for p in _parameters(e.G, e.F)] for e in self.emotions]
        self._gen = [self._adam(hypers["lr_g"], e.G, e.F) for e in self.emotions]
        self._critic = [self._adam(hypers["lr_c"], e.T, e.S) for e in self.emotions]
        self._cls = self._adam(hypers["lr_cls"], self.cls)
        self._generator_loss: Callable = torch.compile(generator_loss) if compile else generator_loss

    def step(self) -> dict[str, Tensor]:
        """One step; returns the losses by name, one for each emotion."""
        losses: dict[str, list[Tensor]] = {}
        for _ in range(self._config.generator_updates):
            losses |= self._update_generators()
        for _ in range(self._config.critic_updates):
            losses |= self._update_critics()
        if self._config.ema_decay:
            self._update_average()
        return {name: torch.stack(values) for name, values in losses.items()}

    def _update_generators(self) -> dict[str, list[Tensor]]:
        losses: list[dict[str, Tensor]] = []
        real: list[Tensor] = []
        fake: list[Tensor] = []
        label: list[Tensor] = []
        updates = list(zip(self.emotions, self._gen, strict=True))
        for number, (nets, adam) in enumerate(updates):
            s, t = self._batch(number)
            label_B = torch.full((len(t),), number, device=self._device)
            parameters = _parameters(nets.G, nets.F)
            total, parts, fake_t = self._generator_loss(
                nets, self.cls, s, t, label_B, self._config, self._hypers
            )
            _assign(parameters, torch.autograd.grad(total, parameters))
            adam.step()
            losses.append(_detached(parts))
            real.append(t)
            fake.append(fake_t.detach())
            label.append(label_B)
        rows = {"real": [real], "fake": [fake], "both": [real, fake]}[self._config.classifier_data]
        self._cls.zero_grad()
        sum(functional.cross_entropy(self.cls(torch.cat(x)), torch.cat(label)) for x in rows).backward()
        self._cls.step()
        return _by_name(losses)

    def _update_critics(self) -> dict[str, list[Tensor]]:
        losses: list[dict[str, Tensor]] = []
        for number, (nets, adam) in enumerate(zip(self.emotions, self._critic, strict=True)):
            s, t = self._batch(number)
            with torch.no_grad():
                fake_t, fake_s = nets.G(s), nets.F(t)
            loss_t, penalty_t = critic_loss(nets.T, t, fake_t, self._hypers)
            loss_s, penalty_s = critic_loss(nets.S, s, fake_s, self._hypers)
            adam.zero_grad()
            (loss_t + loss_s).backward()
            adam.step()
            parts = {"critic_T": loss_t, "critic_S": loss_s, "penalty_T": penalty_t, "penalty_S": penalty_s}
            losses.append(_detached(parts))
        return _by_name(losses)

    @torch.no_grad()
    def _update_average(self) -> None:
        for nets, average in zip(self.emotions, self._average, strict=True):
            new = _parameters(nets.G, nets.F)
            torch._foreach_lerp_(average, new, 1 - self._config.ema_decay)

    def _batch(self, emotion: int) -> tuple[Tensor, Tensor]:
        return tuple(
            rows[torch.randint(len(rows), (self._config.batch_size,), device=self._device)]
            for rows in (self._rows.source_SxD, self._rows.target_KxRxD[emotion])
        )

    def _nets(self) -> Nets:
        config = self._config
        generator = (config.features, config.generator, config.features, config.slope, config.residual)
        critic = (config.features, config.critic, 1, config.slope)
        nets = (mlp(*generator), mlp(*generator), mlp(*critic), mlp(*critic))
        return Nets(*(net.to(self._device) for net in nets))

    def _adam(self, rate: float, *nets: nn.Module) -> Any:
        config = self._config
        betas = (config.adam_b1, config.adam_b2)
        return torch.optim.Adam(_parameters(*nets), rate, betas, config.adam_eps, fused=True)


def rows_on(device: str, source_SxD: np.ndarray, target_KxRxD: list[np.ndarray]) -> Rows:
    """Rows as tensors on `device`."""
    return Rows(
        torch.as_tensor(source_SxD, device=device),
        [torch.as_tensor(x_RxD, device=device) for x_RxD in target_KxRxD],
    )


def load(net: nn.Module, params: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Copies sergan's parameters of a net, by layer, into the PyTorch one."""
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for number, layer in enumerate(linear):
            layer.weight.copy_(torch.tensor(np.asarray(params[f"Dense_{number}"]["kernel"]).T))
            layer.bias.copy_(torch.tensor(np.asarray(params[f"Dense_{number}"]["bias"])))


def _parameters(*nets: nn.Module) -> list[Tensor]:
    return [parameter for net in nets for parameter in net.parameters()]


def _assign(parameters: list[Tensor], gradients: Any) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _detached(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in parts.items()}


def _by_name(losses: list[dict[str, Tensor]]) -> dict[str, list[Tensor]]:
    return {name: [parts[name] for parts in losses] for name in losses[0]}
