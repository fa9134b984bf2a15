"""``realesrgan``: Real-ESRGAN (Wang et al. 2021) as a restorer of aligned faces.

A face from old footage has a lower resolution than its crop. It is reduced to a working size first,
which removes noise and blur, and the network enlarges it again.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.types import CROP_SIZE_PX

_WORKING_RATIO = 4
"""Crop over working size: the network then outputs the crop's size."""


class RealEsrganFaces(RRDBNet):
    """RRDBNet over crops of faces; its tensors are those of ``RRDBNet``.

    Args:
        size_px: Side of the crops.
        arguments: Arguments of ``RRDBNet``.
    """

    def __init__(self, *, size_px: int = CROP_SIZE_PX, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.size_px = size_px

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Restore ``(N, 3, size_px, size_px)`` float32 RGB crops in [-1, 1].

        Raises:
            ValueError: The crops have another shape.
        """
        check_input_size(image_NCHW, self.size_px)
        side = self.size_px // _WORKING_RATIO
        small = F.interpolate(image_NCHW * 0.5 + 0.5, (side, side), mode="area")
        return RestorerOutput(image=super().forward(small) * 2.0 - 1.0)
