"""Named return types of networks: the same in training and in inference."""

from typing import NamedTuple

from torch import Tensor


class Restored(NamedTuple):
    """What every restorer returns."""

    image: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1] nominally; not clipped."""
    pyramid: tuple[Tensor, ...] = ()
    """Coarse-to-fine RGB previews; empty for networks without them."""
