"""The network for pose-varied faces (Hu et al. 2022): GPEN with a codec of MMRB layers.

Section 3.1: an asymmetric codec gives a code in Z and reconstructed features at every scale
(equation 1); an 8-layer mapping turns the code into W (equation 2); the features take the place
of the noise in StyleGAN2 and are concatenated (equation 3). Section 3.2: mixed multi-path
residual blocks (equations 4 to 10), one per scale of the encoder, none at its first and last.
Section 4.2: generator, encoder convolutions and discriminator start from GPEN's.

No code was released. Where the text is silent, this module assumes: the second paths keep all
channels, which the 1x1 convolution then halves; the decoder upsamples as GFP-GAN's does (bilinear,
then a 3x3 convolution) and adds the encoder's features at every scale; the last convolution of a
block is zero at first, so a network initialized from GPEN behaves as GPEN's encoder.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gpen import branches, encoder_stage
from vidrestore.models.gpen_generator import GpenGenerator
from vidrestore.models.stylegan2.layers import (
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    UpConv,
    channels_by_size,
)
from vidrestore.models.stylegan2.synthesis import scale_count


class MixedMultiPathBlock(nn.Module):
    """The MMRB (section 3.2, figure 3): two paths of different kernel size exchange features.

    Args:
        channels: Number of channels in and out; even.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"the channels are split into halves, got {channels}")
        half = channels // 2
        self.near1 = _conv_prelu(half, half, kernel_size=3)
        self.far1 = _conv_prelu(half, half, kernel_size=5)
        self.near2 = _conv_prelu(channels, channels, kernel_size=3)
        self.far2 = _conv_prelu(channels, channels, kernel_size=5)
        self.fuse = _conv_prelu(2 * channels, channels, kernel_size=1)
        last = self.fuse[0]
        if isinstance(last, nn.Conv2d):
            nn.init.zeros_(last.weight)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        near, far = feat_NCHW.chunk(2, dim=1)  # equation 4
        mixed = torch.cat([self.near1(near), self.far1(far)], dim=1)  # equations 5 and 6
        mixed = torch.cat([self.near2(mixed), self.far2(mixed)], dim=1)  # equations 7 and 8
        return feat_NCHW + self.fuse(mixed)  # equations 9 and 10


def _conv_prelu(in_channels: int, out_channels: int, *, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=kernel_size, padding=kernel_size // 2)
    nn.init.kaiming_normal_(conv.weight, a=0.25)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.PReLU(out_channels))


class MMRB(nn.Module):
    """Codec and generator; arguments and tensors as those of ``GPEN``, and more.

    ``prior`` replaces the generator: one of this size that takes features instead of noise. Without
    ``has_blocks`` the encoder has no MMRB layers (table 5 of the paper).
    """

    def __init__(
        self,
        *,
        size: int = 512,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
        prior: GenerativePrior | None = None,
        has_blocks: bool = True,
    ) -> None:
        super().__init__()
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        if prior is None:
            prior = GpenGenerator(
                size=size,
                style_dim=style_dim,
                n_mlp=n_mlp,
                channel_multiplier=channel_multiplier,
                narrow=narrow,
            )
        self.generator = prior
        self.size = size
        self.scales = scale_count(size) + 1
        for index in range(self.scales):
            self.add_module(f"ecd{index}", encoder_stage(index, size, channels))
        self.mmrb = nn.ModuleList(
            MixedMultiPathBlock(channels=channels[size >> index])
            for index in range(1, self.scales - 1 if has_blocks else 1)
        )
        self.final_linear = nn.Sequential(
            EqualLinear(in_features=channels[4] * 16, out_features=style_dim, activated=True)
        )
        sides = [4 << index for index in range(self.scales)]
        stages: list[nn.Module] = [
            ConvLayer(in_channels=channels[4], out_channels=channels[4], kernel_size=3)
        ]
        stages += [
            UpConv(
                in_channels=channels[side // 2],
                out_channels=channels[side],
                kernel_size=3,
                activated=True,
            )
            for side in sides[1:]
        ]
        self.dcd = nn.ModuleList(stages)
        self.toRGB = nn.ModuleList(
            EqualConv2d(in_channels=channels[side], out_channels=3, kernel_size=1) for side in sides
        )

    def forward(self, image_NCHW: Tensor, *, with_pyramid: bool = False) -> RestorerOutput:
        """Restore ``(N, 3, size, size)`` RGB crops in [-1, 1].

        Args:
            image_NCHW: In any precision; the weights' is used inside.
            with_pyramid: Whether to return an image per decoder scale, 4 pixels first, for the
                L1 loss of every scale.

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.size)
        code, skips = self._encode(image_NCHW)
        features: list[Tensor] = []
        feat = skips[-1]
        for stage, skip in zip(self.dcd, reversed(skips), strict=True):
            feat = add_inplace(stage(feat), skip)
            features.append(feat)
        pyramid: tuple[Tensor, ...] = ()
        if with_pyramid:
            pyramid = tuple(rgb(tensor) for rgb, tensor in zip(self.toRGB, features, strict=True))
        styles = self.generator.to_w_plus(self.generator.style_mlp(code))
        image = self.generator.synthesize(styles, noise=branches(features))
        return RestorerOutput(image=image.to(image_NCHW.dtype), pyramid=pyramid)

    def _encode(self, image_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return codes in Z and the encoder's features, fine to coarse."""
        feat = image_NCHW.to(next(self.final_linear.parameters()).dtype)
        features: list[Tensor] = []
        for index in range(self.scales):
            feat = self.get_submodule(f"ecd{index}")(feat)
            if 0 < index <= len(self.mmrb):
                feat = self.mmrb[index - 1](feat)
            features.append(feat)
        return self.final_linear(feat.flatten(1)), features


def start_from_gpen(network: MMRB, gpen_state: Mapping[str, Tensor]) -> None:
    """Load the encoder, mapping and generator of a GPEN of this size (section 4.2).

    Raises:
        ValueError: The state is not that of a GPEN of this size.
    """
    own = network.state_dict()
    expected = {
        key: tensor.shape
        for key, tensor in own.items()
        if key.startswith(("generator.", "ecd", "final_linear."))
    }
    shapes = {key: tensor.shape for key, tensor in gpen_state.items()}
    wrong = sorted(key for key in expected.keys() | shapes if expected.get(key) != shapes.get(key))
    if wrong:
        raise ValueError(
            f"not a GPEN of this size: {len(wrong)} tensors are missing, unexpected or of the "
            f"wrong shape: {', '.join(wrong[:3])}" + (" ..." if len(wrong) > 3 else "")
        )
    network.load_state_dict(own | dict(gpen_state), strict=True)


def discriminator_state_from_gpen(gpen_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of ``StyleGAN2Discriminator`` from that of GPEN's discriminator.

    It is the same network, with other names of the blocks and with stored filters.
    """
    return {
        f"conv_body.{key.removeprefix('convs.')}" if key.startswith("convs.") else key: tensor
        for key, tensor in gpen_state.items()
        if not key.endswith(".kernel")
    }
