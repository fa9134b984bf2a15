"""The style transformation of PSFR-GAN: features take their statistics from the picture.

Chen et al. 2021, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
section 3.1, equations 2 and 3. Names of parameters and places where the text leaves room are those
of the released code: see ``psfrgan.py``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import affine, plus
from vidrestore.models.common.weight_cache import DerivedFrom
from vidrestore.models.psfrgan.blocks import LEAKY_SLOPE, Activation, instance_normalised
from vidrestore.models.psfrgan.convolution import convolution, joined

# Shape letters in this file: N crops, C channels, G guide channels, H/W rows and columns.

_GUIDE_FEATURES = 64
_NORM_TYPES = ("spade", "in")


class StyleTransformation(nn.Module):
    """Section 3.1, equations 2 and 3: ``normalised * factor(guide) + summand(guide)``.

    Args:
        channels: Of the features.
        guide_channels: Of picture and parsing map together.
        norm_type: ``spade``, or ``in`` for the normalisation alone.
        spectral: Whether convolutions are spectrally normalised.
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
            convolution(inputs=guide_channels, outputs=_GUIDE_FEATURES, spectral=spectral),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
        )
        self.gamma_conv = convolution(inputs=_GUIDE_FEATURES, outputs=channels, spectral=spectral)
        self.beta_conv = convolution(inputs=_GUIDE_FEATURES, outputs=channels, spectral=spectral)
        self._applied: DerivedFrom[tuple[Tensor, Tensor]] = DerivedFrom()

    def forward(self, feat_NCHW: Tensor, guide_NGHW: Tensor) -> Tensor:
        """Return styled features, ``(N, C, H, W)``.

        Args:
            feat_NCHW: Of as many samples as the guide, or one for all of them.
            guide_NGHW: Picture and parsing map in the size of the features.
        """
        normalised = instance_normalised(feat_NCHW)
        if not self.is_guided:
            return normalised
        weight, bias = self._both()
        both = F.conv2d(self.conv1(guide_NGHW), weight, bias, padding=1)
        gamma, beta = both.chunk(2, dim=1)
        if normalised.shape != gamma.shape:
            return torch.addcmul(beta, normalised, gamma)
        return affine(normalised, gamma, beta)

    def _both(self) -> tuple[Tensor, Tensor]:
        """Return the weights of factor and summand as one convolution."""
        convs = (self.gamma_conv, self.beta_conv)
        if self.training:
            return joined(convs)
        tensors = self.gamma_conv.tensors() + self.beta_conv.tensors()
        return self._applied.of(tensors, lambda: joined(convs))


class StyleBlock(nn.Module):
    """Twice: style transformation, activation, convolution; added to what came in."""

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

        self.conv_0 = convolution(inputs=channels, outputs=channels, spectral=spectral)
        self.conv_1 = convolution(inputs=channels, outputs=channels, spectral=spectral)
        self.norm_0 = style()
        self.norm_1 = style()
        self.relu = Activation(channels=channels, relu_type=relu_type)

    def forward(self, feat_NCHW: Tensor, guide_NGHW: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` features; see ``StyleTransformation``."""
        change = self.conv_0(self.relu(self.norm_0(feat_NCHW, guide_NGHW)))
        change: Tensor = self.conv_1(self.relu(self.norm_1(change, guide_NGHW)))
        return plus(change, feat_NCHW)
