"""One update of one network without a synchronization.

``training.engine.optimizer_step`` reads every loss term to find values that are not finite, so its
host waits for the device in every step. Here the fused optimizer skips and counts steps with a
gradient that is not finite, and the logger reads the count.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.errors import NonFiniteLossError
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState


class DeviceOptimizerStep:
    """Updates networks whose optimizers are fused.

    Args:
        device: The networks' device.
        dtype: Precision of forward passes, float32 or bfloat16; updates are in float32.
        max_grad_norm: Gradients of a network with a larger norm are scaled down to it.
    """

    def __init__(self, *, device: torch.device, dtype: torch.dtype, max_grad_norm: float) -> None:
        self.device = device
        self.dtype = dtype
        self._max_grad_norm = max_grad_norm
        self._skipped = torch.zeros((), device=device)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of forward passes."""
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def apply(
        self, train_state: TrainState, terms: Mapping[str, Tensor], run_state: RunState
    ) -> dict[str, Tensor]:
        """Update a network, and its moving average, by the sum of ``terms``.

        Args:
            train_state: The network with its optimizer.
            terms: Weighted loss terms, scalars with gradients.
            run_state: State of the run at this step; sets the learning rate.

        Returns:
            The terms without gradients, on the device.
        """
        train_state.set_lr(run_state)
        optimizer = train_state.optimizer
        optimizer.zero_grad(set_to_none=True)
        torch.stack([term.float() for term in terms.values()]).sum().backward()
        parameters = [parameter for _, parameter in train_state.trained_parameters()]
        norm = nn.utils.clip_grad_norm_(parameters, self._max_grad_norm)
        skipped = (~torch.isfinite(norm)).float()
        self._skipped += skipped
        # The fused kernel reads this attribute, which ``torch.amp.GradScaler`` sets otherwise.
        setattr(optimizer, "found_inf", skipped)  # noqa: B010
        optimizer.step()
        train_state.update_ema(run_state)
        return {name: term.detach() for name, term in terms.items()}

    def take_skipped(self, *, updates: int, step: int) -> int:
        """Return and reset the number of skipped updates; synchronizes.

        Args:
            updates: Number of updates since the last call.
            step: Number of the step, for the message.

        Raises:
            NonFiniteLossError: At least half of the updates were skipped.
        """
        count = int(self._skipped)
        self._skipped.zero_()
        if count and 2 * count >= updates:
            raise NonFiniteLossError(
                f"step {step}: {count} of the last {updates} updates were skipped, because a "
                "gradient was not finite; lower the learning rates"
            )
        return count
