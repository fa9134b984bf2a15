"""Up- and downsampling by zero insertion, a small FIR filter and decimation (StyleGAN2).

The filter is separable and given as a short row of taps, ``[1, 3, 3, 1]`` in every published
network. Two paddings are fixed by those networks: one for resampling images, one for the
filter that follows a transposed convolution or precedes a strided one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(taps: Sequence[float], *, gain: float = 1.0) -> Tensor:
    """Return the ``(k, k)`` filter of separable ``taps``, with sum ``gain``."""
    row = torch.tensor(list(taps), dtype=torch.float32)
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


class _Fir(nn.Module):
    """A filter; ``in_state_dict`` is whether published checkpoints contain it."""

    kernel: Tensor

    def __init__(self, *, taps: Sequence[float], gain: float, in_state_dict: bool) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(taps, gain=gain), persistent=in_state_dict)

    def _per_channel(self, channels: int) -> Tensor:
        # torch correlates; a filter is convolved with, hence the flip.
        return self.kernel.flip((0, 1)).expand(channels, 1, -1, -1)


class FirUpsample(_Fir):
    """Twice the size: ``(N, C, H, W)`` to ``(N, C, 2H, 2W)``."""

    def __init__(self, *, taps: Sequence[float] = FIR_TAPS, in_state_dict: bool = False) -> None:
        super().__init__(taps=taps, gain=4.0, in_state_dict=in_state_dict)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return the filtered features."""
        channels, size = feat_NCHW.shape[1], self.kernel.shape[0]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        full = F.conv_transpose2d(feat_NCHW, kernel, stride=2, groups=channels)
        # The full response begins (size - 1) samples early; the published padding keeps this.
        padding = size - 2
        first = size - 1 - ((padding + 1) // 2 + 1)
        height, width = feat_NCHW.shape[-2:]
        return full[..., first : first + 2 * height, first : first + 2 * width]


class FirSmooth(_Fir):
    """The filter around a convolution that changes the size by two.

    Args:
        kernel_size: Kernel size of that convolution.
        up: Whether it is a transposed one that came before; else a strided one that follows.
        stride: Samples of the result that are kept: every first, or every second.
        taps: Taps of the filter.
        in_state_dict: Whether checkpoints hold the filter.
    """

    def __init__(
        self,
        *,
        kernel_size: int,
        up: bool,
        stride: int = 1,
        taps: Sequence[float] = FIR_TAPS,
        in_state_dict: bool = False,
    ) -> None:
        super().__init__(taps=taps, gain=4.0 if up else 1.0, in_state_dict=in_state_dict)
        self.stride = stride
        if up:
            spare = (len(taps) - 2) - (kernel_size - 1)
            self.padding = ((spare + 1) // 2 + 1, spare // 2 + 1)
        else:
            spare = (len(taps) - 2) + (kernel_size - 1)
            self.padding = ((spare + 1) // 2, spare // 2)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return the filtered features, at the size that padding and stride give."""
        first, last = self.padding
        channels = feat_NCHW.shape[1]
        padding = first if first == last else 0
        if first != last:
            feat_NCHW = F.pad(feat_NCHW, (first, last, first, last))
        return F.conv2d(
            feat_NCHW,
            self._per_channel(channels),
            stride=self.stride,
            padding=padding,
            groups=channels,
        )
