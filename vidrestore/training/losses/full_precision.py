"""Losses are computed in full precision, whatever the networks before them ran in.

Means over millions of samples, squares and Gram matrices lose what they measure in bfloat16, and
gradients of gradients overflow float16.
"""

import torch
from torch import Tensor


def without_autocast(device: torch.device) -> torch.autocast:
    """Return a context in which operations run in the precision of their arguments."""
    return torch.autocast(device.type, enabled=False)


def to_float32(tensor: Tensor) -> Tensor:
    """Return a half-precision tensor as float32, any other as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
