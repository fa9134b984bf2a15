"""Values that cross stages: frozen, self-checking, with unit and space in every name.

Three pixel spaces appear in this package:

* *coded*: samples as the decoder gives them, before rotation and aspect correction;
* *display*: what a viewer sees, upright and with square pixels (see ``DisplayGeometry``);
* *crop*: the aligned face crop, ``CROP_SIZE_PX`` on a side.

Coordinates are continuous, x to the right and y down. The center of the first sample is (0, 0).
"""

from vidrestore.types.arrays import Affine, Box, FloatArray, Plane
from vidrestore.types.color import ColorTags, PixelFormat
from vidrestore.types.crop import (
    CROP_SIZE_PX,
    AlignedFace,
    AlignedFrame,
    Assessment,
    FinishedFace,
    FinishedFrame,
    RestoredCrops,
    RestoredFace,
    RestoredFrame,
)
from vidrestore.types.face import Detection, TrackedFace, TrackedFrame
from vidrestore.types.frame import DisplayGeometry, Frame, RgbView, Timestamp
from vidrestore.types.orientation import Orientation
from vidrestore.types.repair import CURVE_KNOTS, Repair, ToneCurve

__all__ = [
    "CROP_SIZE_PX",
    "CURVE_KNOTS",
    "Affine",
    "AlignedFace",
    "AlignedFrame",
    "Assessment",
    "Box",
    "ColorTags",
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
