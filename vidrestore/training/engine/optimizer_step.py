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
LoggedTerms: TypeAlias = dict[str, Tensor | float]
"""Name of a loss term -> its value without gradient, float64, on the device until it is needed."""


class OptimizerStep:
    """Updates networks.

    Args:
        device: The networks' device.
        dtype: Precision of forward passes; weights and their updates are float32.
        max_grad_norm: Gradients of a network with a larger norm are scaled down to it.
        context: The processes of the run.
        defers_checks: Whether terms and gradients that are not finite are reported by ``check``
            instead of at once, so that the host never waits for the device; their updates are
            skipped. It needs fused optimizers; by default it is so on a GPU.
    """

    def __init__(
        self,
        *,
        device: torch.device,
        dtype: torch.dtype,
        max_grad_norm: float = float("inf"),
        context: DistributedContext | None = None,
        defers_checks: bool | None = None,
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._max_grad_norm = max_grad_norm
        self._context = context or DistributedContext()
        # Gradients underflow in float16; bfloat16 has the exponents of float32.
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._uses_loss_scale = dtype is torch.float16
        self.defers_checks = device.type == "cuda" if defers_checks is None else defers_checks
        self._not_finite: dict[str, Tensor] = {}
        """Network and term, or its gradient -> how often it was not finite since ``check``."""

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
    ) -> LoggedTerms:
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
                With ``defers_checks``, ``check`` raises it.
        """
        train_state.set_lr(run_state)
        train_state.optimizer.zero_grad(set_to_none=True)
        scaler = self._scaler(name)
        sums: dict[str, Tensor] = {}
        for micro_batch in micro_batches:
            with self.autocast():
                terms = loss_terms(micro_batch)
            self._check_terms(terms, name, run_state.step)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
            scaler.scale(loss / len(micro_batches)).backward()
            for key, term in terms.items():
                sums[key] = sums.get(key, torch.zeros_like(term.detach().double())) + term.detach()
        self._step(name, train_state, scaler, run_state.step)
        train_state.update_ema(run_state)
        means = self._context.mean(torch.stack([*sums.values()]) / len(micro_batches))
        return dict(zip(sums, means, strict=True))

    def check(self, step: int) -> None:
        """Raise what ``defers_checks`` put off; the host waits for the device.

        Raises:
            NonFiniteLossError: A term or a gradient was not finite since the last call.
        """
        names = [name for name, count in self._not_finite.items() if float(count)]
        self._not_finite.clear()
        if names:
            raise NonFiniteLossError(
                f"before step {step}: {names[0]} was not finite; lower the learning rates"
            )

    def _note(self, name: str, is_finite: Tensor) -> Tensor:
        """Count what is not finite, for ``check``; return 1 where it is not."""
        missing = (~is_finite).float()
        self._not_finite[name] = self._not_finite.get(name, torch.zeros_like(missing)) + missing
        return missing

    def _check_terms(self, terms: LossTerms, name: str, step: int) -> None:
        if not terms:
            raise ValueError(f"{name}: no loss term to update the network with")
        for key, term in terms.items():
            is_finite = torch.isfinite(term.detach())
            if self.defers_checks:
                self._note(f"{name}: the loss term {key!r}", is_finite)
            elif not bool(is_finite):
                raise NonFiniteLossError(
                    f"step {step}: {name}: the loss term {key!r} is {term.item()}; the network was "
                    "not updated"
                )

    def _step(
        self, name: str, train_state: TrainState, scaler: torch.amp.GradScaler, step: int
    ) -> None:
        parameters = dict(train_state.trained_parameters())
        self._context.average_gradients(parameters.values())
        scaler.unscale_(train_state.optimizer)
        norm = nn.utils.clip_grad_norm_(list(parameters.values()), self._max_grad_norm)
        # With a loss scale, an overflow is expected now and then: the scaler skips that step.
        if self.defers_checks and not self._uses_loss_scale:
            skipped = self._note(f"{name}: a gradient", torch.isfinite(norm))
            # The fused kernel reads this attribute, which the scaler sets otherwise.
            setattr(train_state.optimizer, "found_inf", skipped)  # noqa: B010
        elif not self._uses_loss_scale and not bool(torch.isfinite(norm)):
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
