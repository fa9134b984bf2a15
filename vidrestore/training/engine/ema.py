"""Exponential moving average of a network's weights."""

import torch
from torch import Tensor, nn


class Ema:
    """Averages every floating-point tensor of a network's state; others are copied."""

    def __init__(self, network: nn.Module) -> None:
        self.state: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module, *, decay: float) -> None:
        """Move the average towards ``network`` by ``1 - decay``."""
        for name, value in network.state_dict().items():
            average = self.state[name]
            if average.is_floating_point():
                average.lerp_(value, 1.0 - decay)
            else:
                average.copy_(value)
