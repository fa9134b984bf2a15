"""Scores the fine texture of a restored image, given the degraded one.

Our own, for training ``lite`` on CPUs: patches of about 60 pixels (Isola et al. 2017,
"Image-to-image translation with conditional adversarial networks", section 3.2) are enough for
skin, lashes and hair. From the degraded image it learns which texture belongs where. Convolutions
are spectrally normalized (Miyato et al. 2018), which needs no second derivatives as R1 does.

With a gain, the discriminator also sees detail finer than 5 x 5 pixels, amplified: such detail is a
hundredth of a face's contrast and would be lost otherwise. The first and last layers are then not
normalized, which would divide out the gain.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2


class TextureDiscriminator(nn.Module):
    """One score for every 8 x 8 pixels; higher is more real.

    Args:
        base_ch: Channels at half the size; doubled at every halving.
        detail_gain: Factor of the fine detail in the input; 0 leaves it out.
    """

    def __init__(self, *, base_ch: int = 32, detail_gain: float = 0.0) -> None:
        super().__init__()
        self._detail_gain = detail_gain
        layers: list[nn.Module] = []
        in_channels = 9 if detail_gain else 6
        for out_channels in (base_ch, 2 * base_ch, 4 * base_ch):
            conv = nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1)
            is_normalized = bool(layers) or not detail_gain
            layers += [spectral_norm(conv) if is_normalized else conv, _activation()]
            in_channels = out_channels
        layers += [spectral_norm(nn.Conv2d(in_channels, in_channels, 3, padding=1)), _activation()]
        last = nn.Conv2d(in_channels, 1, kernel_size=3, padding=1)
        layers.append(last if detail_gain else spectral_norm(last))
        self.layers = nn.Sequential(*layers)

    def forward(self, image_NCHW: Tensor, degraded_NCHW: Tensor) -> Tensor:
        """Return ``(N, 1, H / 8, W / 8)`` scores of RGB images in [-1, 1], sides multiples of 8."""
        return self.layers(self.network_input(image_NCHW, degraded_NCHW))

    def network_input(self, image_NCHW: Tensor, degraded_NCHW: Tensor) -> Tensor:
        """Return ``(N, 6 or 9, H, W)``: both images, and the fine detail of the first."""
        inputs = [image_NCHW, degraded_NCHW]
        if self._detail_gain:
            smooth = F.avg_pool2d(image_NCHW, 5, stride=1, padding=2, count_include_pad=False)
            inputs.append(self._detail_gain * (image_NCHW - smooth))
        return torch.cat(inputs, dim=1).contiguous(memory_format=torch.channels_last)


def _activation() -> nn.Module:
    return nn.LeakyReLU(_SLOPE, inplace=True)
