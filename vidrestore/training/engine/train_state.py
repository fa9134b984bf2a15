"""A trained network, its optimizer and its moving average."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from vidrestore.training.engine.ema import Ema
from vidrestore.training.engine.optimizers import AdamConfig, build_adam
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.schedules import ema_decay


@dataclass(slots=True, kw_only=True, eq=False)
class TrainState:
    """One trained network, its optimizer and its moving average.

    Raises:
        ConfigError: A parameter group of ``optimizer_config`` matches no parameter.
    """

    network: nn.Module
    optimizer_config: AdamConfig
    ema_decay: float | None = None
    """Decay of the moving average of the weights; None keeps no average."""
    fused: bool | None = None
    """See ``build_adam``; None is so on a GPU."""
    optimizer: torch.optim.Optimizer = field(init=False)
    ema: Ema | None = field(init=False)

    def __post_init__(self) -> None:
        is_on_gpu = any(parameter.is_cuda for parameter in self.network.parameters())
        fused = is_on_gpu if self.fused is None else self.fused
        self.optimizer = build_adam(self.network, self.optimizer_config, fused=fused)
        self.ema = None if self.ema_decay is None else Ema(self.network)

    def set_lr(self, run_state: RunState) -> None:
        """Set the learning rates of a step."""
        lr = self.optimizer_config.lr_at(run_state.step, steps=run_state.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)

    def update_ema(self, run_state: RunState) -> None:
        """Move the average towards the weights after a step, if there is an average."""
        if self.ema is not None and self.ema_decay is not None:
            self.ema.update(self.network, decay=ema_decay(run_state.step, decay=self.ema_decay))

    def trained_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """Yield name and parameter of everything that the optimizer updates."""
        groups = self.optimizer.param_groups
        trained = {id(parameter) for group in groups for parameter in group["params"]}
        return (pair for pair in self.network.named_parameters() if id(pair[1]) in trained)

    def ema_network(self) -> nn.Module:
        """Return a copy of the network with the averaged weights, in evaluation mode.

        Raises:
            ValueError: The network has no moving average.
        """
        if self.ema is None:
            raise ValueError("this network has no moving average")
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.ema.state)
        return network.eval().requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to resume."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.ema is not None:
            state["params_ema"] = self.ema.state
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            for name, value in state["params_ema"].items():
                self.ema.state[name].copy_(value)
