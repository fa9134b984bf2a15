"""Compute losses in full precision, whatever the precision of the networks.

In bfloat16, means over millions of samples, squares and Gram matrices lose their signal; in
float16, gradients of gradients overflow.
"""

import torch
from torch import Tensor


def without_autocast(device: torch.device) -> torch.autocast:
    """Return a context in which operations run in the precision of their arguments."""
    return torch.autocast(device.type, enabled=False)


def to_float32(tensor: Tensor) -> Tensor:
    """Return a half-precision tensor as float32, and any other unchanged."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
