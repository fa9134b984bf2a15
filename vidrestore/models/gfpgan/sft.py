"""Channel-split spatial feature transform (GFP-GAN, section 3.4, equations 4 and 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidrestore.models.common.inplace_ops import scale_shift_inplace
from vidrestore.models.stylegan2.synthesis import FeatureHook

Conditions = Sequence[tuple[Tensor, Tensor]]
"""(scale, shift) per scale of the prior, coarse to fine, each ``(N, C or C / 2, S, S)``."""


def sft_hook(conditions: Conditions, *, split: bool) -> FeatureHook:
    """Return the hook that scales and shifts the prior's features.

    Args:
        conditions: Scale and shift for every scale above 4 pixels.
        split: Whether the first half of the channels passes unchanged (equation 5).
    """

    def hook(scale: int, feat_NCHW: Tensor) -> Tensor:
        gain, shift = conditions[scale]
        if not split:
            return scale_shift_inplace(feat_NCHW, gain, shift)
        kept, changed = feat_NCHW.chunk(2, dim=1)
        transformed_half = scale_shift_inplace(changed, gain, shift)
        if torch.is_grad_enabled():
            return torch.cat([kept, transformed_half], dim=1)
        return feat_NCHW  # the half was changed in place

    return hook
