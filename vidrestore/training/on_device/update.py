"""One update of one part without asking the device for anything.

``training.update.Updater`` reads every loss term and names what is not finite, which makes the host
wait for the device in every step. Here a step whose gradient is not finite is left out by the fused
optimiser itself, and counted; who logs looks at the count.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.errors import NonFiniteLossError
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.train_state import Part


class DeviceUpdater:
    """Applies updates to parts whose optimisers are fused.

    Args:
        device: Where the parts are.
        dtype: Of forward passes, float32 or bfloat16; weights and their updates are float32.
        clip_norm: Longest gradient of a part; longer ones are shortened.
    """

    def __init__(self, *, device: torch.device, dtype: torch.dtype, clip_norm: float) -> None:
        self.device = device
        self.dtype = dtype
        self._clip_norm = clip_norm
        self._left_out = torch.zeros((), device=device)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of forward passes."""
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def apply(self, part: Part, terms: Mapping[str, Tensor], moment: Moment) -> dict[str, Tensor]:
        """Update ``part`` once by the sum of ``terms``.

        Args:
            part: Its moving average is the caller's to update.
            terms: Weighted loss terms, scalars with gradient.
            moment: The step, which the learning rate depends on.

        Returns:
            The terms without gradient, on the device.
        """
        part.set_lr(moment)
        optimiser = part.optimiser
        optimiser.zero_grad(set_to_none=True)
        torch.stack([each.float() for each in terms.values()]).sum().backward()
        moved = [each for _, each in part.trained()]
        norm = nn.utils.clip_grad_norm_(moved, self._clip_norm)
        bad = (~torch.isfinite(norm)).float()
        self._left_out += bad
        # The fused kernel takes it from here, as from ``torch.amp.GradScaler``.
        setattr(optimiser, "found_inf", bad)  # noqa: B010
        optimiser.step()
        return {name: each.detach() for name, each in terms.items()}

    def take_left_out(self, *, of: int, step: int) -> int:
        """Return how many updates were left out since the last call; asks the device.

        Args:
            of: Updates since then.
            step: For the message.

        Raises:
            NonFiniteLossError: Half of them were, or more.
        """
        count = int(self._left_out)
        self._left_out.zero_()
        if count and 2 * count >= of:
            raise NonFiniteLossError(
                f"step {step}: {count} of the last {of} updates had no finite gradient and were "
                "left out; lower the learning rates"
            )
        return count
