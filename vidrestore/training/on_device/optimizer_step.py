"""One update of one network without a synchronization.

``training.engine.optimizer_step`` reads every loss term and names what is not finite, so the host
waits for the device in every step. Here the fused optimizer skips a step whose gradient is not
finite, and counts it; the logger reads the count.
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
        device: Of the networks.
        dtype: Of forward passes, float32 or bfloat16; weights and their updates are float32.
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
            train_state: Of the network.
            terms: Weighted loss terms, scalars with gradient.
            run_state: Of the step; sets the learning rate.

        Returns:
            The terms without gradient, on the device.
        """
        train_state.set_lr(run_state)
        optimizer = train_state.optimizer
        optimizer.zero_grad(set_to_none=True)
        torch.stack([term.float() for term in terms.values()]).sum().backward()
        trained = [parameter for _, parameter in train_state.trained_parameters()]
        norm = nn.utils.clip_grad_norm_(trained, self._max_grad_norm)
        skipped = (~torch.isfinite(norm)).float()
        self._skipped += skipped
        # The fused kernel reads this as it does for ``torch.amp.GradScaler``.
        setattr(optimizer, "found_inf", skipped)  # noqa: B010
        optimizer.step()
        train_state.update_ema(run_state)
        return {name: term.detach() for name, term in terms.items()}

    def take_skipped(self, *, of: int, step: int) -> int:
        """Return the number of updates skipped since the last call; synchronizes.

        Args:
            of: Updates since the last call.
            step: For the message.

        Raises:
            NonFiniteLossError: At least half of the updates were skipped.
        """
        count = int(self._skipped)
        self._skipped.zero_()
        if count and 2 * count >= of:
            raise NonFiniteLossError(
                f"step {step}: {count} of the last {of} updates were skipped, because a gradient "
                "was not finite; lower the learning rates"
            )
        return count
