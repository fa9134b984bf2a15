"""The network for pose-varied faces (Hu et al. 2022): GPEN with a codec of MMRB layers.

Section 3.1: an asymmetric codec gives a code in Z and reconstructed features at every scale
(equation 1); an 8-layer mapping turns the code into W (equation 2); the features take the place
of the noise in StyleGAN2 and are concatenated (equation 3). Section 3.2: mixed multi-path
residual blocks (equations 4 to 10), one per scale of the encoder, none at its first and last.
Section 4.2: generator, encoder convolutions and discriminator start from GPEN's.

No code was released. Read into the text, where it is silent: the second paths see all channels
and give as many, so that the 1x1 convolution halves them; the decoder doubles as GFP-GAN's does
(bilinear, then a 3x3 convolution) and the encoder's features are added at every scale; a block's
last convolution starts at zero, so that a network that starts from GPEN starts as GPEN's encoder.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import plus
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gpen import GpenGenerator, branches, encoder_stage
from vidrestore.models.stylegan2.fir import FIR_TAPS
from vidrestore.models.stylegan2.layers import (
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    UpConv,
    channels_by_size,
)
from vidrestore.models.stylegan2.synthesis import scale_count


class MixedMultiPathBlock(nn.Module):
    """The MMRB (section 3.2, figure 3): two paths of different reach that exchange features.

    Args:
        channels: In and out; even.
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


def _conv_prelu(inputs: int, outputs: int, *, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel_size=kernel_size, padding=kernel_size // 2)
    nn.init.kaiming_normal_(conv.weight, a=0.25)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.PReLU(outputs))


class MMRB(nn.Module):
    """Codec and generator; arguments as those of ``GPEN``, whose keys are a subset of these.

    ``prior`` takes the generator's place: one that takes features for noise, of this size.
    """

    def __init__(
        self,
        *,
        size: int = 512,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        blur_kernel: Sequence[float] = FIR_TAPS,
        lr_mlp: float = 0.01,
        narrow: float = 1,
        prior: GenerativePrior | None = None,
    ) -> None:
        super().__init__()
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        if prior is None:
            prior = GpenGenerator(
                size=size,
                style_dim=style_dim,
                n_mlp=n_mlp,
                channel_multiplier=channel_multiplier,
                blur_kernel=blur_kernel,
                lr_mlp=lr_mlp,
                isconcat=True,
                narrow=narrow,
            )
        self.generator = prior
        self.size = size
        self.scales = scale_count(size) + 1
        for at in range(self.scales):
            self.add_module(f"ecd{at}", encoder_stage(at, size, channels, blur_kernel))
        self.mmrb = nn.ModuleList(
            MixedMultiPathBlock(channels=channels[size >> at]) for at in range(1, self.scales - 1)
        )
        self.final_linear = nn.Sequential(
            EqualLinear(inputs=channels[4] * 16, outputs=style_dim, activated=True)
        )
        sides = [4 << at for at in range(self.scales)]
        stages: list[nn.Module] = [
            ConvLayer(inputs=channels[4], outputs=channels[4], kernel_size=3)
        ]
        stages += [
            UpConv(
                inputs=channels[side // 2], outputs=channels[side], kernel_size=3, activated=True
            )
            for side in sides[1:]
        ]
        self.dcd = nn.ModuleList(stages)
        self.toRGB = nn.ModuleList(
            EqualConv2d(inputs=channels[side], outputs=3, kernel_size=1) for side in sides
        )

    def forward(self, image_NCHW: Tensor, *, with_pyramid: bool = False) -> RestorerOutput:
        """Restore ``(N, 3, size, size)`` RGB crops in [-1, 1].

        Args:
            image_NCHW: In any precision; the weights' is used inside.
            with_pyramid: Whether to give a picture per decoder scale, 4 pixels first, for the
                L1 loss of every scale.

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.size)
        code, encoded = self._encoded(image_NCHW)
        features: list[Tensor] = []
        feat = encoded[-1]
        for stage, skip in zip(self.dcd, reversed(encoded), strict=True):
            feat = plus(stage(feat), skip)
            features.append(feat)
        pyramid: tuple[Tensor, ...] = ()
        if with_pyramid:
            pyramid = tuple(rgb(each) for rgb, each in zip(self.toRGB, features, strict=True))
        styles = self.generator.broadcast(self.generator.style_mlp(code))
        image = self.generator.synthesise(styles, noise=branches(features))
        return RestorerOutput(image=image.to(image_NCHW.dtype), pyramid=pyramid)

    def _encoded(self, image_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return codes in Z and the encoder's features, fine to coarse."""
        feat = image_NCHW.to(next(self.final_linear.parameters()).dtype)
        features: list[Tensor] = []
        for at in range(self.scales):
            feat = self.get_submodule(f"ecd{at}")(feat)
            if 0 < at < self.scales - 1:
                feat = self.mmrb[at - 1](feat)
            features.append(feat)
        return self.final_linear(feat.flatten(1)), features


def start_from_gpen(network: MMRB, gpen_state: Mapping[str, Tensor]) -> None:
    """Give ``network`` the encoder, mapping and generator of a GPEN of its size (section 4.2).

    Raises:
        ValueError: The state is not that of a GPEN of this size.
    """
    own = network.state_dict()
    wanted = {
        key: tensor.shape
        for key, tensor in own.items()
        if key.startswith(("generator.", "ecd", "final_linear."))
    }
    given = {key: tensor.shape for key, tensor in gpen_state.items()}
    wrong = sorted(key for key in wanted.keys() | given if wanted.get(key) != given.get(key))
    if wrong:
        raise ValueError(
            f"not a GPEN of this size: {len(wrong)} tensors are missing, superfluous or of another "
            f"shape: {', '.join(wrong[:3])}" + (" ..." if len(wrong) > 3 else "")
        )
    network.load_state_dict(own | dict(gpen_state), strict=True)


def discriminator_state_from_gpen(gpen_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of ``StyleGAN2Discriminator`` from that of GPEN's discriminator.

    It is the same network; only the blocks have another name, and the filters are stored.
    """
    return {
        f"conv_body.{key.removeprefix('convs.')}" if key.startswith("convs.") else key: tensor
        for key, tensor in gpen_state.items()
        if not key.endswith(".kernel")
    }
