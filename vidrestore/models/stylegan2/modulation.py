"""Modulated convolution (StyleGAN2, section 2.2, equations 1 to 3) as one dense convolution.

The paper scales the weights by each sample's style, which makes a batch a grouped convolution
with as many groups as samples. Here the input is scaled instead, convolved once with the
weights all samples share, and the demodulation is a factor per sample and output channel:

    y_o = d_o * conv(s * x, W)_o,    d_o = 1 / sqrt(sum_i s_i^2 * sum_k W_oik^2 + eps)

The sum over the kernel does not depend on the style, so d is one small matrix product. Styles
are divided by their largest magnitude first. That cancels in d except for eps, and keeps half
precision from overflowing.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.inplace_ops import mul_inplace

_EPS = 1e-8


class Modulation(NamedTuple):
    """The scales of input and output that a style gives."""

    input_scale: Tensor
    """``(N, in_channels)`` float32 or better."""
    output_scale: Tensor
    """``(N, out_channels)`` float32 or better, or ``(N, 1)`` without demodulation."""


def _full(tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or in its own precision where that is higher."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


class ModulatedWeight(Fusible[Tensor]):
    """The shared weights of a modulated convolution, and the style's affine map.

    The weight is stored as ``(O, I, k, k)``, so that it can be in channels-last order; in the state
    dict it has the leading axis of published checkpoints, ``(1, O, I, k, k)``.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.
        kernel_size: Odd.
        modulation: Maps ``(N, style_dim)`` to ``(N, in_channels)``.
        demodulate: Whether outputs get unit variance.
        weight_init_std: Standard deviation of the initial weights.
        gain: Factor of the weights at every use.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        modulation: nn.Module,
        demodulate: bool,
        weight_init_std: float,
        gain: float,
    ) -> None:
        super().__init__()
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.gain = gain
        self.modulation = modulation
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, kernel_size, kernel_size) * weight_init_std
        )

    def modulate(self, style_NF: Tensor) -> Modulation:
        """Return the two scales of a style code, ``(N, style_dim)``."""
        style_NC = _full(self.modulation(style_NF))
        largest_N1 = style_NC.detach().abs().amax(dim=1, keepdim=True).clamp_min(1e-12)
        input_scale = style_NC * (self.gain / largest_N1)
        if not self.demodulate:
            return Modulation(input_scale, largest_N1)
        power_IO = self.fused()
        with _no_autocast(input_scale.device):
            # Half precision here would be an error of every sample of an output channel.
            power = input_scale.square() @ power_IO
        return Modulation(input_scale, torch.rsqrt(power + _EPS / largest_N1.square()))

    def compute_fused(self) -> Tensor:
        """Return the sum over the kernel of the squared weights, ``(I, O)``."""
        return _full(self.weight).square().sum(dim=(2, 3)).t().contiguous()

    def convolve(self, scaled_NCHW: Tensor) -> Tensor:
        """Return the convolution of features that have been scaled, size kept."""
        return F.conv2d(scaled_NCHW, self.weight, padding=self.padding)

    def _save_to_state_dict(
        self, destination: dict[str, Tensor], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"][None]

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and weight.ndim == 5 and weight.shape[0] == 1:
            state_dict[f"{prefix}weight"] = weight[0]
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )


def _no_autocast(device: torch.device) -> AbstractContextManager[object]:
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def scale_channels(feat_NCHW: Tensor, scale_NC: Tensor, *, reuse: bool) -> Tensor:
    """Return features with every channel of every sample scaled.

    Args:
        feat_NCHW: Features.
        scale_NC: ``(N, C)``, in any precision.
        reuse: Whether the features may be overwritten.
    """
    scale = scale_NC[:, :, None, None].to(feat_NCHW.dtype)
    return mul_inplace(feat_NCHW, scale) if reuse else feat_NCHW * scale


def to_rgb(feat_NCHW: Tensor, weight: ModulatedWeight, style_NF: Tensor) -> Tensor:
    """Return the modulated 1x1 convolution to a few channels, without demodulation.

    With so few outputs it is cheaper to scale the weights of every sample: one batched matrix
    product over the pixels, without a pass to scale the features.
    """
    scale_NI, largest_N1 = weight.modulate(style_NF)
    # The order of the factors keeps half precision in range.
    per_sample_NOI = _full(weight.weight[:, :, 0, 0]) * scale_NI[:, None, :]
    rgb = torch.einsum("noi,nihw->nohw", per_sample_NOI.to(feat_NCHW.dtype), feat_NCHW)
    return rgb * largest_N1[:, :, None, None].to(rgb.dtype)
