"""Values that cross stages: frozen, self-checking, with unit and space in every name.

Three pixel spaces appear in this package:

* *coded*: samples as the decoder gives them, before rotation and aspect correction;
* *display*: what a viewer sees, upright and with square pixels (see ``DisplayGeometry``);
* *crop*: the aligned face, ``CROP_SIZE_PX`` on a side. The crop of a small face has fewer pixels
  than this space (see ``AlignedFace``).

Coordinates are continuous, x to the right and y down. The center of the first sample is (0, 0).
"""

from vidrestore.types.arrays import Affine, Box, FloatArray, Plane
from vidrestore.types.color import ColorTags, PixelFormat
from vidrestore.types.crop import (
    AlignedFace,
    AlignedFrame,
    Assessment,
    CropPart,
    FinishedFace,
    FinishedFrame,
    RestoredCrops,
    RestoredFace,
    RestoredFrame,
)
from vidrestore.types.face import (
    CROP_SIZE_PX,
    CROP_SIZES_PX,
    SMALL_CROP_SIZE_PX,
    TINY_CROP_SIZE_PX,
    Detection,
    TrackedFace,
    TrackedFrame,
)
from vidrestore.types.frame import DisplayGeometry, Frame, RgbView, Timestamp
from vidrestore.types.orientation import Orientation
from vidrestore.types.repair import CURVE_KNOTS, Repair, ToneCurve

__all__ = [
    "CROP_SIZES_PX",
    "CROP_SIZE_PX",
    "CURVE_KNOTS",
    "SMALL_CROP_SIZE_PX",
    "TINY_CROP_SIZE_PX",
    "Affine",
    "AlignedFace",
    "AlignedFrame",
    "Assessment",
    "Box",
    "ColorTags",
    "CropPart",
    "Detection",
    "DisplayGeometry",
    "FinishedFace",
    "FinishedFrame",
    "FloatArray",
    "Frame",
    "Orientation",
    "PixelFormat",
    "Plane",
    "Repair",
    "RestoredCrops",
    "RestoredFace",
    "RestoredFrame",
    "RgbView",
    "Timestamp",
    "ToneCurve",
    "TrackedFace",
    "TrackedFrame",
]
