"""FPN, the parser of degraded faces of PSFR-GAN.

Chen et al. 2021, "Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
section 3 and appendix A.1 (figure 9): an encoder that halves the size, residual blocks, a decoder
that doubles it, and two heads, one for the parsing map and one for the restored image, which
is there to improve the parsing (equation 11).

Where the released code, from which checkpoints come, differs from the text, it is followed:

* the heads are bare convolutions, without normalization and activation, and so is the first;
* the activation is missing after the second convolution of a block;
* the body has its own residual connection: its result is added to the encoder's;
* convolutions pad by reflection;
* the image is trained with L1, not the L2 of equation 11.

facexlib distributes the same network, with the same parameter names, as ``parsenet``.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.common.outputs import ParserOutput
from vidrestore.models.common.state_shapes import Shapes, block_count, matches_state
from vidrestore.models.psfrgan.blocks import (
    ConvUnit,
    ResidualUnit,
    clamp_channels,
    doubling_steps,
)
from vidrestore.models.psfrgan.convolution import concat_kernels

PARSING_CLASSES = (
    "background",
    *("skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow"),
    *("left ear", "right ear", "mouth", "upper lip", "lower lip"),
    *("hair", "hat", "earring", "necklace", "neck", "clothes"),
)
"""The order of CelebAMask-HQ (Lee et al. 2020) as the released PSFR-GAN has it in its list of
labels (``utils/utils.py``), background first."""

FACE_CLASSES = (
    *("skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow"),
    *("mouth", "upper lip", "lower lip"),
)
"""Classes that are replaced where only the face is restored."""

HEAD_CLASSES = (
    *FACE_CLASSES,
    *("left ear", "right ear", "hair", "hat", "earring", "necklace", "neck"),
)
"""Classes that are replaced where the head is restored. Clothes continue beyond the crop."""


def class_probability(logits_NCHW: Tensor, classes: Sequence[str]) -> Tensor:
    """Return ``(N, H, W)`` float32 in [0, 1]: the probability that a pixel is of ``classes``.

    Args:
        logits_NCHW: ``(N, len(PARSING_CLASSES), H, W)``, as ``FaceParser`` gives them.
        classes: Some of ``PARSING_CLASSES``.

    Raises:
        ValueError: The logits are of other classes.
    """
    if logits_NCHW.shape[1] != len(PARSING_CLASSES):
        raise ValueError(
            f"logits must be of {len(PARSING_CLASSES)} classes, got {logits_NCHW.shape[1]}"
        )
    chosen = [PARSING_CLASSES.index(name) for name in classes]
    return logits_NCHW.float().softmax(dim=1)[:, chosen].sum(dim=1).clamp_(0.0, 1.0)


class FaceParser(Fusible[tuple[Tensor, Tensor]]):
    """Labels every pixel of a face crop, and also restores it.

    Args:
        in_size: Side of the input in px.
        out_size: Side in px of the outputs for such an input.
        min_feat_size: Side in px at the bottom.
        base_ch: Channels of the first convolution; doubled at every step down.
        parsing_ch: Classes.
        res_depth: Residual blocks at the bottom.
        relu_type: relu, leakyrelu, prelu, selu or none.
        norm_type: bn, in, gn, pixel or none.
        ch_range: Minimum and maximum number of channels.

    Raises:
        ValueError: ``base_ch`` is outside ``ch_range``, or sizes do not differ by a power of two.
    """

    def __init__(
        self,
        *,
        in_size: int = 512,
        out_size: int = 512,
        min_feat_size: int = 32,
        base_ch: int = 64,
        parsing_ch: int = 19,
        res_depth: int = 10,
        relu_type: str = "LeakyReLU",
        norm_type: str = "bn",
        ch_range: Sequence[int] = (32, 256),
    ) -> None:
        super().__init__()
        min_channels, max_channels = ch_range
        if not min_channels <= base_ch <= max_channels:
            raise ValueError(
                f"base_ch must be in ch_range {min_channels} to {max_channels}, got {base_ch}"
            )
        self.in_size = in_size
        min_feat_size = min(in_size, min_feat_size)
        steps_down = doubling_steps(min_feat_size, in_size)
        widths = [min(base_ch * 2**index, max_channels) for index in range(steps_down + 1)]
        encoder: list[nn.Module] = [ConvUnit(in_channels=3, out_channels=base_ch)]
        for in_channels, out_channels in pairwise(widths):
            encoder.append(
                ResidualUnit(
                    in_channels=in_channels,
                    out_channels=out_channels,
                    norm_type=norm_type,
                    relu_type=relu_type,
                    scale="down",
                )
            )
        body = [
            ResidualUnit(
                in_channels=widths[-1],
                out_channels=widths[-1],
                norm_type=norm_type,
                relu_type=relu_type,
            )
            for _ in range(res_depth)
        ]
        decoder: list[nn.Module] = []
        # The unclipped width is halved, as released: the decoder widens and narrows late.
        width = base_ch * 2**steps_down
        for _ in range(doubling_steps(min_feat_size, out_size)):
            out_channels = clamp_channels(width // 2, min_channels, max_channels)
            decoder.append(
                ResidualUnit(
                    in_channels=clamp_channels(width, min_channels, max_channels),
                    out_channels=out_channels,
                    norm_type=norm_type,
                    relu_type=relu_type,
                    scale="up",
                )
            )
            width //= 2
        self.multiple_px = 2**steps_down
        self.encoder = nn.Sequential(*encoder)
        self.body = nn.Sequential(*body)
        self.decoder = nn.Sequential(*decoder)
        last = clamp_channels(width, min_channels, max_channels)
        self.out_img_conv = ConvUnit(in_channels=last, out_channels=3)
        self.out_mask_conv = ConvUnit(in_channels=last, out_channels=parsing_ch)

    def forward(self, image_NCHW: Tensor) -> ParserOutput:
        """Parse ``(N, 3, H, W)`` RGB crops in [-1, 1], in the weights' precision.

        Raises:
            ValueError: A side is not a multiple of ``multiple_px``.
        """
        height, width = image_NCHW.shape[-2:]
        if height % self.multiple_px or width % self.multiple_px:
            raise ValueError(
                f"sides must be multiples of {self.multiple_px} px, got {height} x {width}"
            )
        weight, bias = self.fused()
        feat = self.encoder(image_NCHW.to(weight.dtype))
        feat = self.decoder(add_inplace(self.body(feat), feat))
        both = F.conv2d(F.pad(feat, (1, 1, 1, 1), mode="reflect"), weight, bias)
        return ParserOutput(logits=both[:, 3:], image=both[:, :3])

    def compute_fused(self) -> tuple[Tensor, Tensor]:
        """Return the weights of both heads as one convolution: the features are read once."""
        return concat_kernels((self.out_img_conv.conv2d, self.out_mask_conv.conv2d))


def build_face_parser() -> FaceParser:
    """Return the parser in its released size."""
    return FaceParser()


def face_parser_from_shapes(shapes: Shapes) -> dict[str, Any] | None:
    """Return the constructor arguments of the parser that has exactly these tensors.

    Tensors show neither the size of the bottom in training nor an activation without parameters:
    the released 32 px and leaky ReLU are assumed. Checkpoints whose normalization has no parameters
    are not recognized.

    Returns:
        None where the tensors belong to something else.
    """
    first = shapes.get("encoder.0.conv2d.weight", ())
    mask = shapes.get("out_mask_conv.conv2d.weight", ())
    if len(first) != 4 or len(mask) != 4:
        return None
    widths = [shape[0] for key, shape in shapes.items() if len(shape) == 4 and "_conv." not in key]
    has_mean = any(key.endswith("running_mean") for key in shapes)
    if not any(key.endswith("norm.norm.weight") for key in shapes):
        return None
    arguments: dict[str, Any] = {
        "in_size": 32 << (block_count(shapes, "encoder") - 1),
        "out_size": 32 << block_count(shapes, "decoder"),
        "min_feat_size": 32,
        "base_ch": first[0],
        "parsing_ch": mask[0],
        "res_depth": block_count(shapes, "body"),
        "relu_type": "prelu" if any(".relu.func." in key for key in shapes) else "LeakyReLU",
        "norm_type": "bn" if has_mean else "gn",
        "ch_range": (min(widths), max(widths)),
    }
    return arguments if matches_state(lambda: FaceParser(**arguments), shapes) else None
