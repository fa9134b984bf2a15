"""Optimisers and learning rates from a config."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from vidrestore.errors import ConfigError
from vidrestore.training.engine.schedules import piecewise_lr, warmup_cosine_lr


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceConfig:
    """A group of parameters with its own learning rate."""

    names: str
    """Of the parameters, with ``*`` for any letters: ``generator.*.noise.weight``."""
    scale: float
    """Of the learning rate; 0 leaves the parameters as they are."""

    def __post_init__(self) -> None:
        if self.scale < 0:
            raise ConfigError(f"scale must be >= 0, got {self.scale}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamConfig:
    """Adam with a schedule; one per trained network."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    schedule: Literal["constant", "cosine", "piecewise"] = "constant"
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    """Steps at which a piecewise schedule multiplies the rate by ``factor``."""
    factor: float = 0.5
    paces: tuple[PaceConfig, ...] = ()

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.warmup_steps < 0:
            raise ConfigError("lr must be > 0 and warmup_steps >= 0")
        if self.milestones and self.schedule != "piecewise":
            raise ConfigError('milestones need schedule = "piecewise"')

    def lr_at(self, step: int, *, steps: int) -> float:
        """Return the learning rate of a step."""
        if self.schedule == "cosine":
            return warmup_cosine_lr(
                step, peak_lr=self.lr, warmup_steps=self.warmup_steps, steps=steps
            )
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return rise * piecewise_lr(step, lr=self.lr, milestones=self.milestones, factor=self.factor)


def adam(network: nn.Module, config: AdamConfig, *, fused: bool = False) -> torch.optim.Adam:
    """Return Adam over the parameters that require gradients, grouped by pace.

    Args:
        network: To train.
        config: Rates and paces; the first pace that fits a name decides.
        fused: One kernel for all parameters, which leaves a step out where the optimiser's
            ``found_inf`` is 1, without asking the device. It is AdamW without weight decay,
            which is Adam.

    Raises:
        ConfigError: A pace fits no parameter.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    unused = {pace.names for pace in config.paces}
    for name, parameter in network.named_parameters():
        pace = next((each for each in config.paces if fnmatchcase(name, each.names)), None)
        if pace is not None:
            unused.discard(pace.names)
        scale = 1.0 if pace is None else pace.scale
        if scale == 0.0:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            groups.setdefault(scale, []).append(parameter)
    if unused:
        raise ConfigError(f"paces: no parameter is called {sorted(unused)[0]!r}")
    split = [{"params": each, "lr_scale": scale} for scale, each in groups.items()]
    betas = (config.beta1, config.beta2)
    if fused:
        return torch.optim.AdamW(split, lr=config.lr, betas=betas, weight_decay=0.0, fused=True)
    return torch.optim.Adam(split, lr=config.lr, betas=betas)
