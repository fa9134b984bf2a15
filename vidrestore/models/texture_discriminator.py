"""Judges the fine texture of a restored picture beside the degraded one that it was made from.

Our own, for training ``lite`` on processors: patches of about 60 pixels (Isola et al. 2017,
"Image-to-image translation with conditional adversarial networks", section 3.2) are enough for
skin, lashes and hair, and seeing the degraded picture it learns which texture belongs to what is
there. Convolutions are spectrally normalised (Miyato et al. 2018), which needs no second
derivatives as R1 does.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2


class TextureDiscriminator(nn.Module):
    """One score for every 8 x 8 pixels; higher is more real.

    Args:
        base_ch: Channels at half the size; doubled at every halving.
    """

    def __init__(self, *, base_ch: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 6
        for outputs in (base_ch, 2 * base_ch, 4 * base_ch):
            layers += _filtered(inputs, outputs, kernel_size=4, stride=2)
            inputs = outputs
        layers += _filtered(inputs, inputs, kernel_size=3, stride=1)
        layers.append(spectral_norm(nn.Conv2d(inputs, 1, kernel_size=3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture_NCHW: Tensor, degraded_NCHW: Tensor) -> Tensor:
        """Return ``(N, 1, H / 8, W / 8)`` scores of RGB pictures in [-1, 1], sides of 8 px."""
        both = torch.cat([picture_NCHW, degraded_NCHW], dim=1)
        return self.layers(both.contiguous(memory_format=torch.channels_last))


def _filtered(inputs: int, outputs: int, *, kernel_size: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel_size=kernel_size, stride=stride, padding=1)
    return [spectral_norm(conv), nn.LeakyReLU(_SLOPE, inplace=True)]
