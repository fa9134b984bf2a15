"""The style transformation of PSFR-GAN: features get their statistics from the input.

Chen et al. 2021, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
section 3.1, equations 2 and 3. Names of parameters and places where the text leaves room are those
of the released code: see ``generator.py``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.inplace_ops import add_inplace, scale_shift_inplace
from vidrestore.models.psfrgan.blocks import LEAKY_SLOPE, Activation, instance_norm
from vidrestore.models.psfrgan.convolution import concat_kernels, convolution

# Shape letters in this file: N crops, C channels, G guide channels, H/W rows and columns.

_GUIDE_FEATURES = 64
_NORM_TYPES = ("spade", "in")


class StyleTransformation(Fusible[tuple[Tensor, Tensor]]):
    """Section 3.1, equations 2 and 3: ``normalized * scale(guide) + shift(guide)``.

    Args:
        channels: Number of feature channels.
        guide_channels: Number of channels of image and parsing map together.
        norm_type: ``spade``, or ``in`` for the normalization alone.
        spectral: Whether convolutions are spectrally normalized.
    """

    def __init__(
        self, *, channels: int, guide_channels: int, norm_type: str, spectral: bool
    ) -> None:
        super().__init__()
        if norm_type not in _NORM_TYPES:
            raise ValueError(f"norm_type {norm_type!r} is none of: {', '.join(_NORM_TYPES)}")
        self.is_guided = norm_type == "spade"
        if not self.is_guided:
            return
        self.conv1 = nn.Sequential(
            convolution(
                in_channels=guide_channels, out_channels=_GUIDE_FEATURES, spectral=spectral
            ),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
        )
        self.gamma_conv = convolution(
            in_channels=_GUIDE_FEATURES, out_channels=channels, spectral=spectral
        )
        self.beta_conv = convolution(
            in_channels=_GUIDE_FEATURES, out_channels=channels, spectral=spectral
        )

    def forward(self, feat_NCHW: Tensor, guide_NGHW: Tensor) -> Tensor:
        """Return styled features, ``(N, C, H, W)``.

        Args:
            feat_NCHW: Features; one sample, or as many as the guide has.
            guide_NGHW: Image and parsing map in the size of the features.
        """
        normalized = instance_norm(feat_NCHW)
        if not self.is_guided:
            return normalized
        weight, bias = self.fused()
        both = F.conv2d(self.conv1(guide_NGHW), weight, bias, padding=1)
        gamma, beta = both.chunk(2, dim=1)
        if normalized.shape != gamma.shape:
            return torch.addcmul(beta, normalized, gamma)
        return scale_shift_inplace(normalized, gamma, beta)

    def compute_fused(self) -> tuple[Tensor, Tensor]:
        """Return the weights of scale and shift as one convolution."""
        return concat_kernels((self.gamma_conv, self.beta_conv))


class StyleBlock(nn.Module):
    """Twice style transformation, activation and convolution, added to the input."""

    def __init__(
        self, *, channels: int, guide_channels: int, relu_type: str, norm_type: str, spectral: bool
    ) -> None:
        super().__init__()

        def style() -> StyleTransformation:
            return StyleTransformation(
                channels=channels,
                guide_channels=guide_channels,
                norm_type=norm_type,
                spectral=spectral,
            )

        self.conv_0 = convolution(in_channels=channels, out_channels=channels, spectral=spectral)
        self.conv_1 = convolution(in_channels=channels, out_channels=channels, spectral=spectral)
        self.norm_0 = style()
        self.norm_1 = style()
        self.relu = Activation(channels=channels, relu_type=relu_type)

    def forward(self, feat_NCHW: Tensor, guide_NGHW: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` features; see ``StyleTransformation``."""
        residual = self.conv_0(self.relu(self.norm_0(feat_NCHW, guide_NGHW)))
        residual: Tensor = self.conv_1(self.relu(self.norm_1(residual, guide_NGHW)))
        return add_inplace(residual, feat_NCHW)
