"""Elementwise operations, in place when gradients are off.

At 512 pixels a feature map is tens of megabytes. Allocating one costs a CPU up to ten times the
arithmetic, because the system provides its pages one by one. The first argument is overwritten, so
the caller must own it. The result has its precision, with gradients or without: a bias in full
precision does not turn a feature map of half precision into full precision.
"""

import torch
from torch import Tensor


def add_inplace(feat: Tensor, other: Tensor) -> Tensor:
    """Return ``feat + other``, ``other`` broadcast to the shape of ``feat``."""
    return feat + other.to(feat.dtype) if torch.is_grad_enabled() else feat.add_(other)


def mul_inplace(feat: Tensor, other: Tensor | float) -> Tensor:
    """Return ``feat * other``, ``other`` broadcast to the shape of ``feat``."""
    return feat * other if torch.is_grad_enabled() else feat.mul_(other)


def scale_shift_inplace(feat: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Return ``feat * gain + shift``, all of one shape."""
    if torch.is_grad_enabled():
        return torch.addcmul(shift, feat, gain)
    return torch.addcmul(shift, feat, gain, out=feat)
