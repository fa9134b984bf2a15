"""PSFR-GAN: generates a face from a learned constant, styled at every scale by the input.

Chen et al. 2021, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
section 3.1 (figure 2, equations 1 to 3): the degraded image and its parsing map are resized to
each scale; a small network computes from them a scale and a shift for every sample of the
features, which are normalized before the two are applied.

Where the released code, from which checkpoints come, differs from the text, it is followed:

* equation 1 transforms the style once, after a residual block; the code does it twice inside the
  block, before each activation and convolution, each time with its own small network;
* the first block gets a convolution of the constant;
* upsampling is nearest-neighbor with a plain convolution, outside the residual block;
* the scale is applied as it is, as in equation 3, not as one plus it, as in SPADE;
* statistics are those of each sample and channel (instance normalization, eps 1e-5);
* no noise is added at any scale, unlike in the StyleGAN that the design cites.

As in the text (section 3.3), every convolution is spectrally normalized, the one to RGB included.

For training: the released style loss (equations 4 and 5) also divides its Gram matrices by the
channel count; pixel losses are L1 where equation 6 has squares; the parser gets no gradients.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.common.state_shapes import Shapes, block_count, matches_state
from vidrestore.models.face_parser import FaceParser, build_face_parser
from vidrestore.models.psfrgan.blocks import (
    clamp_channels,
    doubling_steps,
)
from vidrestore.models.psfrgan.convolution import Convolution, convolution
from vidrestore.models.psfrgan.spade import StyleBlock

# Shape letters in this file: N crops, C channels, G guide channels, H/W rows and columns.

_FIRST_CHANNELS_AT_1_PX = 1024 * 16


class _UpStep(nn.ModuleList):
    """Doubling and convolution in one, then a style block.

    Checkpoints count the doubling, which has no parameters, as module 0.
    """

    def __init__(self, conv: Convolution, block: StyleBlock) -> None:
        super().__init__([nn.Identity(), conv, block])

    def upsample_2x(self, feat_NCHW: Tensor) -> Tensor:
        return self[1](feat_NCHW)

    def apply_style(self, feat_NCHW: Tensor, guide_NGHW: Tensor) -> Tensor:
        return self[2](feat_NCHW, guide_NGHW)


class PsfrganGenerator(Fusible[Tensor]):
    """Restores a face from the degraded image and its parsing map.

    Args:
        input_nc: Channels of the degraded image.
        output_nc: Channels of the result.
        in_size: Side in px of the degraded image and the map; any size works, as they are
            resized to every scale.
        out_size: Side in px of the result.
        min_feat_size: Side in px of the learned constant.
        parse_ch: Classes of the parsing map.
        relu_type: relu, leakyrelu, prelu, selu or none.
        ch_range: Minimum and maximum number of channels.
        norm_type: ``spade``, or ``in`` for normalization without the input.
        spectral_norm: Whether convolutions are spectrally normalized, as in all checkpoints.

    Raises:
        ValueError: Sizes do not differ by a power of two, or a kind is unknown.
    """

    def __init__(
        self,
        *,
        input_nc: int = 3,
        output_nc: int = 3,
        in_size: int = 512,
        out_size: int = 512,
        min_feat_size: int = 16,
        parse_ch: int = 19,
        relu_type: str = "LeakyReLU",
        ch_range: Sequence[int] = (32, 1024),
        norm_type: str = "spade",
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        min_channels, max_channels = ch_range
        self.in_size = in_size
        self.out_size = out_size
        self.parse_ch = parse_ch
        width = clamp_channels(_FIRST_CHANNELS_AT_1_PX // min_feat_size, min_channels, max_channels)

        def block(channels: int) -> StyleBlock:
            return StyleBlock(
                channels=channels,
                guide_channels=input_nc + parse_ch,
                relu_type=relu_type,
                norm_type=norm_type,
                spectral=spectral_norm,
            )

        self.const_input = nn.Parameter(torch.randn(1, width, min_feat_size, min_feat_size))
        first = convolution(in_channels=width, out_channels=width, spectral=spectral_norm)
        self.head = nn.ModuleList([first, block(width)])
        self.body = nn.ModuleList()
        for _ in range(doubling_steps(min_feat_size, out_size)):
            # The unclipped width is halved, as released.
            in_channels, out_channels = (
                clamp_channels(width, min_channels, max_channels),
                clamp_channels(width // 2, min_channels, max_channels),
            )
            conv = convolution(
                in_channels=in_channels,
                out_channels=out_channels,
                spectral=spectral_norm,
                doubles=True,
            )
            self.body.append(_UpStep(conv, block(out_channels)))
            width //= 2
        self.img_out = convolution(
            in_channels=clamp_channels(width, min_channels, max_channels),
            out_channels=output_nc,
            spectral=spectral_norm,
        )

    def forward(self, image_NCHW: Tensor, parsing_NCHW: Tensor) -> RestorerOutput:
        """Restore degraded faces, in the weights' precision; the result is float32 or better.

        Args:
            image_NCHW: ``(N, input_nc, H, W)`` in [-1, 1].
            parsing_NCHW: ``(N, parse_ch, H, W)``, 1 in the channel of a pixel's class and 0 in
                the others.

        Returns:
            The image, ``(N, output_nc, out_size, out_size)``.

        Raises:
            ValueError: The map has another size or other classes.
        """
        if parsing_NCHW.shape[1:] != (self.parse_ch, *image_NCHW.shape[2:]):
            raise ValueError(
                f"parsing must be (N, {self.parse_ch}, H, W) in the size of the image, "
                f"got {tuple(parsing_NCHW.shape)} for {tuple(image_NCHW.shape)}"
            )
        dtype = self.const_input.dtype
        guide = torch.cat([image_NCHW.to(dtype), parsing_NCHW.to(dtype)], dim=1)
        guide = guide.contiguous(memory_format=torch.channels_last)
        feat = self.fused()
        feat = self.head[1](feat, _resize_guide(guide, feat))
        for step in self.body:
            assert isinstance(step, _UpStep)
            feat = step.upsample_2x(feat)
            feat = step.apply_style(feat, _resize_guide(guide, feat))
        return RestorerOutput(image=self._to_rgb(feat))

    def compute_fused(self) -> Tensor:
        """Return the convolved constant of one sample; all samples share it."""
        return self.head[0](self.const_input.contiguous(memory_format=torch.channels_last))

    def _to_rgb(self, feat_NCHW: Tensor) -> Tensor:
        # In full precision: bf16 has too few levels for an image, and this layer is small.
        conv = self.img_out
        bias = None if conv.bias is None else conv.bias.float()
        return F.conv2d(feat_NCHW.float(), conv.fused().float(), bias, padding=1)


def _resize_guide(guide_NGHW: Tensor, like_NCHW: Tensor) -> Tensor:
    """Return the guide in the size of the features, bicubic as released."""
    size_hw = like_NCHW.shape[2:]
    if guide_NGHW.shape[2:] == size_hw:
        return guide_NGHW
    small = F.interpolate(guide_NGHW, size_hw, mode="bicubic", align_corners=False)
    return small.contiguous(memory_format=torch.channels_last)


class PsfrganRestorer(nn.Module):
    """Parser and generator: restores degraded faces without a given parsing map.

    As in the released test code, both get the degraded image in [-1, 1] at the same size, and
    the generator's map is one-hot: 1 where a class has the highest logit. (In the
    released code all classes with the highest logit are 1. Here only the first is, because half
    precision has many ties.) The parser runs once per face, and its logits are returned, too.

    The parser is trained before the generator (section 3.1): no gradient reaches it, and its
    statistics stay as they are.

    Args:
        parser: The parser.
        generator: The generator.
        uses_map: Whether the generator sees the map, or zeros (the paper's table 2).
    """

    def __init__(
        self, *, parser: FaceParser, generator: PsfrganGenerator, uses_map: bool = True
    ) -> None:
        super().__init__()
        self.parser = parser.requires_grad_(False).eval()
        self.generator = generator
        self._uses_map = uses_map

    def train(self, mode: bool = True) -> "PsfrganRestorer":
        """Set the generator's mode; the parser's is always evaluation."""
        super().train(mode)
        self.parser.eval()
        return self

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        """Restore ``(N, 3, S, S)`` RGB crops in [-1, 1], S the generator's ``in_size``.

        A parser of another size gets the crops resized, and its logits are resized back.

        Raises:
            ValueError: The crops have another size.
        """
        side = self.generator.in_size
        if tuple(image_NCHW.shape[2:]) != (side, side):
            height, width = image_NCHW.shape[2:]
            raise ValueError(f"crops must be {side} x {side} px, got {height} x {width}")
        logits, parsing = self.parse_faces(image_NCHW)
        if not self._uses_map:
            parsing = torch.zeros_like(parsing)
        restored = self.generator(image_NCHW, parsing)
        return restored._replace(parsing=logits)

    @torch.no_grad()
    def parse_faces(self, image_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the one-hot map of crops, each ``(N, classes, S, S)``."""
        resized = _resize(image_NCHW, self.parser.in_size)
        logits = _resize(self.parser(resized).logits, image_NCHW.shape[-1])
        labels = logits.argmax(dim=1, keepdim=True)
        return logits, torch.zeros_like(logits).scatter_(1, labels, 1.0)


def _resize(image_NCHW: Tensor, side_px: int) -> Tensor:
    if image_NCHW.shape[-1] == side_px:
        return image_NCHW
    return F.interpolate(image_NCHW, (side_px, side_px), mode="bilinear", antialias=True)


def build_psfrgan(
    *, parser: FaceParser | None = None, generator: PsfrganGenerator | None = None
) -> PsfrganRestorer:
    """Return parser and generator in one network, in their released sizes unless given."""
    return PsfrganRestorer(
        parser=build_face_parser() if parser is None else parser,
        generator=PsfrganGenerator() if generator is None else generator,
    )


def psfrgan_generator_from_shapes(shapes: Shapes) -> dict[str, Any] | None:
    """Return the constructor arguments of the generator that has exactly these tensors.

    Tensors show neither an activation without parameters nor the size of the input: leaky ReLU and
    the size of the output are assumed, as released, and an image of three channels.

    Returns:
        None where the tensors belong to something else.
    """
    constant = shapes.get("const_input", ())
    spectral = "img_out.weight_orig" in shapes
    suffix = "weight_orig" if spectral else "weight"
    last = shapes.get(f"img_out.{suffix}", ())
    if len(constant) != 4 or len(last) != 4:
        return None
    guide = shapes.get(f"head.1.norm_0.conv1.0.{suffix}", ())
    side = constant[2] << block_count(shapes, "body")
    arguments: dict[str, Any] = {
        "input_nc": 3,
        "output_nc": last[0],
        "in_size": side,
        "out_size": side,
        "min_feat_size": constant[2],
        "parse_ch": guide[1] - 3 if len(guide) == 4 else 19,
        "relu_type": "prelu" if "head.1.relu.func.weight" in shapes else "LeakyReLU",
        "ch_range": (min(last[1], constant[1]), constant[1]),
        "norm_type": "spade" if guide else "in",
        "spectral_norm": spectral,
    }
    return arguments if matches_state(lambda: PsfrganGenerator(**arguments), shapes) else None
