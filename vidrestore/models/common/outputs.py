"""Named return types of networks: the same in training and in inference."""

from typing import NamedTuple

from torch import Tensor


class RestorerOutput(NamedTuple):
    """The output of a restorer."""

    image: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1] nominally; not clipped."""
    pyramid: tuple[Tensor, ...] = ()
    """RGB images of the coarser scales, coarse to fine; empty for networks without them."""
    parsing: Tensor | None = None
    """``(N, 19, h, w)`` logits of the classes in ``face_parser.PARSING_CLASSES``; None for networks
    without a parser."""
    styles: Tensor | None = None
    """``(N, L, F)`` codes in W+ that the generator drew from; None where nothing asks for them."""


class ParserOutput(NamedTuple):
    """The output of a face parser."""

    logits: Tensor
    """``(N, classes, H, W)``."""
    image: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1] nominally: the face as the parser would restore it."""


class DiscriminatorOutput(NamedTuple):
    """The output of a multi-scale patch discriminator, one entry per scale, finest first."""

    scores: tuple[Tensor, ...]
    """``(N, 1, h, w)`` each: high where a patch looks real."""
    features: tuple[tuple[Tensor, ...], ...]
    """For feature matching: the output of every layer before the score, shallow to deep."""
