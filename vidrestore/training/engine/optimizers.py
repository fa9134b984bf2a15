"""Adam and its learning rates, built from a config."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from vidrestore.errors import ConfigError
from vidrestore.training.engine.schedules import piecewise_lr, warmup_cosine_lr, warmup_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamGroupConfig:
    """A group of parameters with its own learning rate."""

    pattern: str = field(metadata={"alias": "names"})
    """Pattern of parameter names; ``*`` matches any letters: ``generator.*.noise.weight``."""
    lr_scale: float = field(metadata={"alias": "scale"})
    """Factor of the learning rate; 0 freezes the parameters."""

    def __post_init__(self) -> None:
        if self.lr_scale < 0:
            raise ConfigError(f"lr_scale must be >= 0, got {self.lr_scale}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamConfig:
    """Adam and the schedule of its learning rate, for one network."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    schedule: Literal["constant", "cosine", "piecewise"] = "constant"
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    """Steps at which a piecewise schedule multiplies the learning rate by ``factor``."""
    factor: float = 0.5
    param_groups: tuple[ParamGroupConfig, ...] = field(default=(), metadata={"alias": "paces"})

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.warmup_steps < 0:
            raise ConfigError("lr must be > 0 and warmup_steps >= 0")
        if self.milestones and self.schedule != "piecewise":
            raise ConfigError('milestones need schedule = "piecewise"')

    def lr_scale_of(self, name: str) -> float:
        """Return the factor of the learning rate of the parameter ``name``."""
        groups = (group for group in self.param_groups if fnmatchcase(name, group.pattern))
        group = next(groups, None)
        return 1.0 if group is None else group.lr_scale

    def lr_at(self, step: int, *, steps: int) -> float:
        """Return the learning rate of a step."""
        if self.schedule == "cosine":
            return warmup_cosine_lr(
                step, peak_lr=self.lr, warmup_steps=self.warmup_steps, steps=steps
            )
        lr = piecewise_lr(step, lr=self.lr, milestones=self.milestones, factor=self.factor)
        return lr * warmup_factor(step, warmup_steps=self.warmup_steps)


def build_adam(network: nn.Module, config: AdamConfig, *, fused: bool = False) -> torch.optim.Adam:
    """Return Adam over the parameters that require gradients, in their parameter groups.

    Args:
        network: The network to train.
        config: Settings. A parameter is in the first group whose pattern matches its name.
        fused: Use one kernel for all parameters, which skips a step if the optimizer's
            ``found_inf`` is 1, without a synchronization. It is AdamW without weight decay,
            which is Adam.

    Raises:
        ConfigError: A pattern matches no parameter.
    """
    parameters: dict[float, list[nn.Parameter]] = {}
    unused = {group.pattern for group in config.param_groups}
    for name, parameter in network.named_parameters():
        matching = (group for group in config.param_groups if fnmatchcase(name, group.pattern))
        group = next(matching, None)
        if group is not None:
            unused.discard(group.pattern)
        lr_scale = 1.0 if group is None else group.lr_scale
        if lr_scale == 0.0:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            parameters.setdefault(lr_scale, []).append(parameter)
    if unused:
        raise ConfigError(f"param_groups: no parameter matches {sorted(unused)[0]!r}")
    groups = [{"params": group, "lr_scale": scale} for scale, group in parameters.items()]
    betas = (config.beta1, config.beta2)
    if fused:
        return torch.optim.AdamW(groups, lr=config.lr, betas=betas, weight_decay=0.0, fused=True)
    return torch.optim.Adam(groups, lr=config.lr, betas=betas)
