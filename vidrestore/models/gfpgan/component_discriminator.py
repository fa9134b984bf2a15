"""The facial component discriminator (GFP-GAN, section 3.5): one each for eyes and mouth.

Small, patch-wise and without a layer that fixes the size, so that components of any resolution
can be scored. It also gives the features whose Gram matrices the feature style loss compares
(equation 8); the paper does not say which, the released code takes those after each halving.
"""

from typing import NamedTuple

from torch import Tensor, nn

from vidrestore.models.stylegan2.layers import ConvLayer


class ComponentScores(NamedTuple):
    """Scores and the features that the style loss compares."""

    scores: Tensor
    """``(N, 1, H / 4, W / 4)``: one per patch."""
    features: tuple[Tensor, Tensor]
    """At half and at a quarter of the size, 128 and 256 channels."""


class FacialComponentDiscriminator(nn.Module):
    """Scores patches of one facial component; higher is more real."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(in_channels=3, out_channels=64, kernel_size=3)
        self.conv2 = ConvLayer(in_channels=64, out_channels=128, kernel_size=3, downsample=True)
        self.conv3 = ConvLayer(in_channels=128, out_channels=128, kernel_size=3)
        self.conv4 = ConvLayer(in_channels=128, out_channels=256, kernel_size=3, downsample=True)
        self.conv5 = ConvLayer(in_channels=256, out_channels=256, kernel_size=3)
        self.final_conv = ConvLayer(in_channels=256, out_channels=1, kernel_size=3, activated=False)

    def forward(self, image_NCHW: Tensor) -> ComponentScores:
        """Score ``(N, 3, H, W)`` RGB in [-1, 1]; sides multiples of four."""
        half = self.conv3(self.conv2(self.conv1(image_NCHW)))
        quarter = self.conv5(self.conv4(half))
        return ComponentScores(self.final_conv(quarter), (half, quarter))
