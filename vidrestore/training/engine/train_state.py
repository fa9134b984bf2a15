"""A network in training, with everything that training adds to it."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.optimizers import AdamConfig, adam
from vidrestore.training.engine.run_state import Moment


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One trained network and its optimiser.

    Raises:
        ConfigError: A pace of ``rates`` fits no parameter.
    """

    network: nn.Module
    rates: AdamConfig
    ema: Ema | None = None
    """The moving average of its weights, where it is what will be used."""
    fused: bool = False
    """As ``adam`` takes it."""
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimiser = adam(self.network, self.rates, fused=self.fused)

    def set_lr(self, moment: Moment) -> None:
        """Set the learning rate that every group has at a step."""
        lr = self.rates.lr_at(moment.step, steps=moment.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)

    def trained(self) -> Iterable[tuple[str, nn.Parameter]]:
        """Yield the parameters that the optimiser moves, by name."""
        moved = {id(each) for group in self.optimiser.param_groups for each in group["params"]}
        return (pair for pair in self.network.named_parameters() if id(pair[1]) in moved)

    def averaged(self) -> nn.Module:
        """Return a copy of the network with its averaged weights, for measuring.

        Raises:
            ValueError: No average is kept.
        """
        if self.ema is None:
            raise ValueError("no moving average is kept of this part")
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.ema.state)
        return network.eval().requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on."""
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.ema is not None:
            state["params_ema"] = self.ema.state
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.ema is not None:
            for name, value in state["params_ema"].items():
                self.ema.state[name].copy_(value)
