"""Elementwise steps that reuse their first argument's memory while nothing is trained.

At 512 pixels a feature map is tens of megabytes. A fresh one costs a CPU up to ten times the
arithmetic, because the system hands out its pages one by one. The first argument must belong to
the caller and must not be needed again. The result has its precision, whether gradients are
recorded or not: a bias in full precision does not make a feature map of half precision full.
"""

import torch
from torch import Tensor


def plus(feat: Tensor, other: Tensor) -> Tensor:
    """Return ``feat + other``, ``other`` broadcast to the shape of ``feat``."""
    return feat + other.to(feat.dtype) if torch.is_grad_enabled() else feat.add_(other)


def times(feat: Tensor, other: Tensor | float) -> Tensor:
    """Return ``feat * other``, ``other`` broadcast to the shape of ``feat``."""
    return feat * other if torch.is_grad_enabled() else feat.mul_(other)


def affine(feat: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Return ``feat * gain + shift``, all of one shape."""
    if torch.is_grad_enabled():
        return torch.addcmul(shift, feat, gain)
    return torch.addcmul(shift, feat, gain, out=feat)
