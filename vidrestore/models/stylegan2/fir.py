"""Up- and downsampling by zero insertion, a small FIR filter and decimation (StyleGAN2).

The filter is separable, ``[1, 3, 3, 1]`` in every published network. Two paddings are fixed by
those networks: one for resampling images, one for the filter that follows a transposed convolution
or precedes a strided one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(*, gain: float = 1.0) -> Tensor:
    """Return the ``(4, 4)`` filter, with sum ``gain``."""
    row = torch.tensor(FIR_TAPS)
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


class _Fir(nn.Module):
    """A filter; ``in_state_dict`` is whether published checkpoints contain it."""

    kernel: Tensor

    def __init__(self, *, gain: float, in_state_dict: bool) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain=gain), persistent=in_state_dict)

    def _per_channel(self, channels: int) -> Tensor:
        # torch correlates; a filter is convolved with, hence the flip.
        return self.kernel.flip((0, 1)).expand(channels, 1, -1, -1)


class FirUpsample(_Fir):
    """Twice the size: ``(N, C, H, W)`` to ``(N, C, 2H, 2W)``."""

    def __init__(self, *, in_state_dict: bool = False) -> None:
        super().__init__(gain=4.0, in_state_dict=in_state_dict)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return the filtered features."""
        channels = feat_NCHW.shape[1]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        full = F.conv_transpose2d(feat_NCHW, kernel, stride=2, groups=channels)
        # The full response is a sample longer on every side than the published padding keeps.
        return full[..., 1:-1, 1:-1]


class FirSmooth(_Fir):
    """The filter around a convolution that changes the size by two.

    Args:
        kernel_size: Kernel size of that convolution.
        up: Whether it is a transposed one that came before; else a strided one that follows.
        stride: Samples of the result that are kept: every first, or every second.
        in_state_dict: Whether checkpoints hold the filter.
    """

    def __init__(
        self,
        *,
        kernel_size: int,
        up: bool,
        stride: int = 1,
        in_state_dict: bool = False,
    ) -> None:
        super().__init__(gain=4.0 if up else 1.0, in_state_dict=in_state_dict)
        self.stride = stride
        self.padding = (5 - kernel_size) // 2 if up else (kernel_size + 1) // 2

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return the filtered features, at the size that padding and stride give."""
        channels = feat_NCHW.shape[1]
        return F.conv2d(
            feat_NCHW,
            self._per_channel(channels),
            stride=self.stride,
            padding=self.padding,
            groups=channels,
        )
