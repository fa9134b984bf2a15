"""Named return types of networks: the same in training and in inference."""

from typing import NamedTuple

from torch import Tensor


class RestorerOutput(NamedTuple):
    """What every restorer returns."""

    image: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1] nominally; not clipped."""
    pyramid: tuple[Tensor, ...] = ()
    """Coarse-to-fine RGB previews; empty for networks without them."""
    parsing: Tensor | None = None
    """``(N, 19, h, w)`` logits of the classes in ``face_parser.CLASSES``; None for networks
    without a parser."""


class ParserOutput(NamedTuple):
    """What a face parser returns."""

    logits: Tensor
    """``(N, classes, H, W)``."""
    image: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1] nominally: the face as the parser would restore it."""


class DiscriminatorOutput(NamedTuple):
    """What a multi-scale patch discriminator returns, one entry per scale, finest first."""

    scores: tuple[Tensor, ...]
    """``(N, 1, h, w)`` each: high where a patch looks real."""
    features: tuple[tuple[Tensor, ...], ...]
    """For feature matching: the output of every layer before the score, shallow to deep."""
