"""Exponential moving average of a network's weights."""

import torch
from torch import Tensor, nn

_STATISTICS = ("running_mean", "running_var")
"""Buffers of batch norm that are averaged, too."""


class Ema:
    """Averages the parameters and the running statistics of a network; other buffers are copied.

    The singular vectors of a spectral norm must be copied: their mean is shorter than 1, and would
    give too small a norm.
    """

    def __init__(self, network: nn.Module) -> None:
        self.state: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in network.state_dict().items()
        }
        self._parameters = frozenset(name for name, _ in network.named_parameters())

    @torch.no_grad()
    def update(self, network: nn.Module, *, decay: float) -> None:
        """Move the average towards ``network`` by ``1 - decay``."""
        for name, value in network.state_dict().items():
            if name in self._parameters or name.endswith(_STATISTICS):
                self.state[name].lerp_(value, 1.0 - decay)
            else:
                self.state[name].copy_(value)
