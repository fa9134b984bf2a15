"""Losses on pixels."""

import torch
from torch import Tensor


def log_error(restored_NCHW: Tensor, target_NCHW: Tensor, *, floor: float = 0.02) -> Tensor:
    """Return ``log(mean |error| + floor)`` of each crop, ``(N,)``.

    The logarithm of each crop's own L1 error weighs every crop by what it could gain: a
    nearly clean face that gets 10 % worse costs as much as a ruined one that does. The plain mean
    would let the ruined ones decide, and the clean ones would be harmed.

    Args:
        restored_NCHW: float, any range.
        target_NCHW: Same shape.
        floor: Error that is as good as none, in units of the range. Without it the few untouched
            crops, whose error begins at zero, would outweigh all others.
    """
    error_N = (restored_NCHW - target_NCHW).abs().mean(dim=(1, 2, 3))
    return torch.log(error_N + floor)
