"""The multi-scale patch discriminator of PSFR-GAN.

Chen et al. 2021, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
section 3.3, equations 6 to 8: several equal discriminators score patches of an image and of
smaller copies of it (after Wang et al. 2018, reference 32). What the text leaves open is as in the
released code: the image has its one-hot parsing map as further channels; a convolution at
full size, then convolutions each followed by a mean over 2x2, an instance normalization and a leaky
ReLU; last a convolution without padding to one score per patch. Copies are halved by a mean over
3x3. In training every convolution is spectrally normalized, and weights start as N(0, 0.02) with
zero biases.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.outputs import DiscriminatorOutput
from vidrestore.models.psfrgan.blocks import ConvUnit
from vidrestore.models.psfrgan.convolution import Convolution

_MAX_CHANNELS = 1024
_INIT_STD = 0.02


class PatchDiscriminator(nn.Module):
    """One scale: features, halved ``depth`` times, and a score per patch."""

    def __init__(
        self,
        *,
        input_ch: int,
        base_ch: int,
        depth: int,
        norm_type: str,
        relu_type: str,
        spectral_norm: bool,
    ) -> None:
        super().__init__()
        widths = [min(base_ch * 2**index, _MAX_CHANNELS) for index in range(depth + 1)]
        layers = [
            ConvUnit(
                in_channels=input_ch,
                out_channels=widths[0],
                relu_type=relu_type,
                spectral=spectral_norm,
            )
        ]
        for in_channels, out_channels in pairwise(widths):
            layers.append(
                ConvUnit(
                    in_channels=in_channels,
                    out_channels=out_channels,
                    scale="down_avg",
                    norm_type=norm_type,
                    relu_type=relu_type,
                    spectral=spectral_norm,
                )
            )
        self.model = nn.ModuleList(layers)
        self.score_out = ConvUnit(
            in_channels=widths[-1], out_channels=1, padded=False, spectral=spectral_norm
        )

    def forward(self, image_NCHW: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return ``(N, 1, h, w)`` scores and the features of every layer before."""
        feat = image_NCHW
        features: list[Tensor] = []
        for layer in self.model:
            feat = layer(feat)
            features.append(feat)
        return self.score_out(feat), tuple(features)


class MultiScaleDiscriminator(nn.Module):
    """Scores patches of an image at several sizes.

    Args:
        input_ch: Channels of the image and its parsing map together: 3 + 19.
        base_ch: Channels of the first layer; doubled at every halving, 1024 at most.
        n_layers: Halvings within a scale.
        norm_type: bn, in, gn, pixel or none.
        relu_type: relu, leakyrelu, prelu, selu or none.
        num_D: Scales.
        spectral_norm: Whether convolutions are spectrally normalized, as in training.
    """

    def __init__(
        self,
        *,
        input_ch: int = 22,
        base_ch: int = 64,
        n_layers: int = 4,
        norm_type: str = "in",
        relu_type: str = "LeakyReLU",
        num_D: int = 3,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.D_pool = nn.ModuleList(
            PatchDiscriminator(
                input_ch=input_ch,
                base_ch=base_ch,
                depth=n_layers,
                norm_type=norm_type,
                relu_type=relu_type,
                spectral_norm=spectral_norm,
            )
            for _ in range(num_D)
        )
        for module in self.modules():
            if isinstance(module, Convolution):
                nn.init.normal_(module.raw_weight(), std=_INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image_NCHW: Tensor) -> DiscriminatorOutput:
        """Score ``(N, input_ch, H, W)``: RGB in [-1, 1] and the one-hot parsing map.

        Returns:
            Scores and features of each scale, finest first.
        """
        dtype = next(self.parameters()).dtype
        image = image_NCHW.to(dtype).contiguous(memory_format=torch.channels_last)
        scores: list[Tensor] = []
        features: list[tuple[Tensor, ...]] = []
        for index, scale in enumerate(self.D_pool):
            if index:
                image = F.avg_pool2d(
                    image, kernel_size=3, stride=2, padding=1, count_include_pad=False
                )
            score, layer_features = scale(image)
            scores.append(score)
            features.append(layer_features)
        return DiscriminatorOutput(scores=tuple(scores), features=tuple(features))
