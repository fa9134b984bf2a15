"""Convolutions of PSFR-GAN: with spectral normalization, doubling and halving.

The arithmetic is that of the released code, rearranged where that gives the same numbers with less
work:

* a nearest-neighbor doubling and the 3x3 convolution after it are one transposed convolution
  with stride 2, whose 4x4 kernel holds the sums of the weights that meet the same sample (16
  products in place of 36);
* a 3x3 convolution and the 2x2 mean after it are one 4x4 convolution with stride 2 (likewise);
* in evaluation mode spectral normalization is part of the weights, and computed once after
  ``fuse``. The state dict does not show it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible

# Shape letters in this file: N crops, O/I channels out and in, H/W rows and columns.

_EPS = 1e-12


class Convolution(Fusible[Tensor]):
    """A 3x3 convolution padded with zeros, after a nearest-neighbor doubling if it ``doubles``.

    ``kernel`` gives the weights to modules that apply them in another way.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self, *, in_channels: int, out_channels: int, bias: bool = True, doubles: bool = False
    ) -> None:
        super().__init__()
        self.doubles = doubles
        weight = torch.empty(out_channels, in_channels, 3, 3)
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        self._hold(nn.Parameter(weight))
        bound = 1 / math.sqrt(in_channels * 9)
        bias_parameter = (
            nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None
        )
        self.register_parameter("bias", bias_parameter)

    def _hold(self, weight: nn.Parameter) -> None:
        self.weight = weight

    def raw_weight(self) -> nn.Parameter:
        """Return the trained weights, ``(O, I, 3, 3)``."""
        return self.weight

    def kernel(self) -> Tensor:
        """Return the kernel to apply, ``(O, I, 3, 3)``."""
        return self.weight

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` features, or twice the size."""
        if self.doubles:
            return F.conv_transpose2d(feat_NCHW, self.fused(), self.bias, stride=2, padding=1)
        return F.conv2d(feat_NCHW, self.fused(), self.bias, padding=1)

    def compute_fused(self) -> Tensor:
        """Return the kernel of the convolution in ``forward``."""
        kernel = self.kernel()
        return to_channels_last(doubling_kernel(kernel) if self.doubles else kernel)


class SpectralConvolution(Convolution):
    """Weights divided by their largest singular value.

    Miyato et al. 2018 (reference 26 of the paper), algorithm 1. As in torch's classic
    implementation, which the released checkpoints come from: the singular vectors are buffers,
    one power iteration is made at every use in training mode and none in evaluation mode.
    """

    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor

    def _hold(self, weight: nn.Parameter) -> None:
        self.weight_orig = weight
        for name, length in (("weight_u", weight.shape[0]), ("weight_v", weight[0].numel())):
            self.register_buffer(name, _normalize(torch.randn(length)))

    def raw_weight(self) -> nn.Parameter:
        """Return the trained weights, ``(O, I, 3, 3)``."""
        return self.weight_orig

    def kernel(self) -> Tensor:
        """Return the normalized weights; in training mode, improve the singular vectors first."""
        matrix = self.weight_orig.float().flatten(1)
        u, v = self.weight_u.float(), self.weight_v.float()
        if self.training:
            with torch.no_grad():
                v = _normalize(matrix.t().mv(u))
                u = _normalize(matrix.mv(v))
                self.weight_u.copy_(u)
                self.weight_v.copy_(v)
        sigma = torch.dot(u, matrix.mv(v))
        return (self.weight_orig.float() / sigma).to(self.weight_orig.dtype)


def _normalize(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=_EPS)


def convolution(
    *, in_channels: int, out_channels: int, spectral: bool, bias: bool = True, doubles: bool = False
) -> Convolution:
    """Return a convolution, spectrally normalized or plain."""
    kind = SpectralConvolution if spectral else Convolution
    return kind(in_channels=in_channels, out_channels=out_channels, bias=bias, doubles=doubles)


def doubling_kernel(kernel_OIkk: Tensor) -> Tensor:
    """Return the ``(I, O, 4, 4)`` kernel of doubling and convolving in one step."""

    def along(kernel: Tensor, dim: int) -> Tensor:
        first, middle, last = kernel.unbind(dim)
        return torch.stack([last, middle + last, first + middle, first], dim)

    return along(along(kernel_OIkk.float(), 2), 3).transpose(0, 1).to(kernel_OIkk.dtype)


def halving_kernel(kernel_OIkk: Tensor) -> Tensor:
    """Return the ``(O, I, 4, 4)`` kernel of convolving and averaging over 2x2 in one step."""
    padded = F.pad(kernel_OIkk.float(), (1, 1, 1, 1))
    summed = padded[..., 1:, 1:] + padded[..., 1:, :-1] + padded[..., :-1, 1:]
    return ((summed + padded[..., :-1, :-1]) / 4).to(kernel_OIkk.dtype)


def to_channels_last(kernel: Tensor) -> Tensor:
    """Return the kernel in channels-last order."""
    return kernel.contiguous(memory_format=torch.channels_last)


def concat_kernels(convs: Sequence[Convolution]) -> tuple[Tensor, Tensor]:
    """Return kernel and bias of one convolution that gives the outputs of several, in order."""
    biases: list[Tensor] = [conv.bias for conv in convs if conv.bias is not None]
    return to_channels_last(torch.cat([conv.kernel() for conv in convs])), torch.cat(biases)
