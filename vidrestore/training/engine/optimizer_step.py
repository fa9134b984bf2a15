"""One update of one network: loss terms, gradients and optimizer step, in any precision."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from vidrestore.errors import NonFiniteLossError
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState

M = TypeVar("M")

LossTerms: TypeAlias = Mapping[str, Tensor]
"""Name of a loss term -> its weighted value, a scalar with gradient."""


class OptimizerStep:
    """Updates networks.

    Args:
        device: The networks' device.
        dtype: Precision of forward passes; weights and their updates are float32.
        max_grad_norm: Gradients of a network with a larger norm are scaled down to it.
        context: The processes of the run.
    """

    def __init__(
        self,
        *,
        device: torch.device,
        dtype: torch.dtype,
        max_grad_norm: float = float("inf"),
        context: DistributedContext | None = None,
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._max_grad_norm = max_grad_norm
        self._context = context or DistributedContext()
        # Gradients underflow in float16; bfloat16 has the exponents of float32.
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._uses_loss_scale = dtype is torch.float16

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of forward passes."""
        if self._dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._dtype)

    def apply(
        self,
        name: str,
        train_state: TrainState,
        micro_batches: Sequence[M],
        loss_terms: Callable[[M], LossTerms],
        run_state: RunState,
    ) -> dict[str, float]:
        """Update a network, and its moving average, by the mean gradient over micro-batches.

        Args:
            name: The network's name, for errors and the loss scale.
            train_state: The network with its optimizer.
            micro_batches: Batches of equal size; their gradients are accumulated.
            loss_terms: Returns the loss terms of a micro-batch; runs in ``autocast``.
            run_state: State of the run at this step; sets the learning rate.

        Returns:
            The mean of every term over micro-batches and processes.

        Raises:
            NonFiniteLossError: A term or a gradient is not finite; the network is not updated.
        """
        train_state.set_lr(run_state)
        train_state.optimizer.zero_grad(set_to_none=True)
        scaler = self._scaler(name)
        sums: dict[str, Tensor] = {}
        for micro_batch in micro_batches:
            with self.autocast():
                terms = loss_terms(micro_batch)
            _check_terms(terms, name, run_state.step)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
            scaler.scale(loss / len(micro_batches)).backward()
            for key, term in terms.items():
                sums[key] = sums.get(key, torch.zeros_like(term.detach().float())) + term.detach()
        self._step(name, train_state, scaler, run_state.step)
        train_state.update_ema(run_state)
        means = {key: self._context.mean(total / len(micro_batches)) for key, total in sums.items()}
        return {key: float(mean) for key, mean in means.items()}

    def _step(
        self, name: str, train_state: TrainState, scaler: torch.amp.GradScaler, step: int
    ) -> None:
        parameters = dict(train_state.trained_parameters())
        self._context.average_gradients(parameters.values())
        scaler.unscale_(train_state.optimizer)
        norm = nn.utils.clip_grad_norm_(list(parameters.values()), self._max_grad_norm)
        # With a loss scale, an overflow is expected now and then: the scaler skips that step.
        if not self._uses_loss_scale and not bool(torch.isfinite(norm)):
            culprit = next(
                key
                for key, parameter in parameters.items()
                if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all())
            )
            raise NonFiniteLossError(
                f"step {step}: {name}: the gradient of {culprit} is not finite"
            )
        scaler.step(train_state.optimizer)
        scaler.update()

    def _scaler(self, name: str) -> torch.amp.GradScaler:
        if name not in self._scalers:
            self._scalers[name] = torch.amp.GradScaler(
                self._device.type, enabled=self._uses_loss_scale
            )
        return self._scalers[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the loss scales."""
        return {name: scaler.state_dict() for name, scaler in self._scalers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the loss scales that ``state_dict`` returned."""
        for name, scale in state.items():
            self._scaler(name).load_state_dict(scale)


def _check_terms(terms: LossTerms, name: str, step: int) -> None:
    if not terms:
        raise ValueError(f"{name}: no loss term to update the network with")
    for key, term in terms.items():
        if not bool(torch.isfinite(term)):
            raise NonFiniteLossError(
                f"step {step}: {name}: the loss term {key!r} is {term.item()}; the network was not "
                "updated"
            )
