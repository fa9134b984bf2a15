"""Thumbnails as JPEG: faces before and after, and one view of each shot."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.images.jpeg import jpeg_parameters
from vidrestore.types import DisplayGeometry, Frame

Rgb = NDArray[np.uint8]
"""``(h, w, 3)``, gamma-encoded RGB."""

FACE_SIDE_PX = 384
FACE_BYTES = 48 << 10
VIEW_SIDE_PX = 640
VIEW_BYTES = 96 << 10
_MARGIN = 0.3
"""Margin around the box of a face, as a share of its longer side."""
_QUALITIES = (90, 80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """A JPEG image inside a page."""

    data: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The image as a ``data:`` URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePair:
    """A face in the source and in the result, and their difference."""

    before: Jpeg
    after: Jpeg
    change: float
    """Mean absolute difference inside the box of the face, 0 to 255."""


def frame_rgb(frame: Frame, geometry: DisplayGeometry) -> Rgb:
    """Return a frame as a viewer sees it, in display pixels."""
    return preview_rgb(frame, geometry, max(geometry.display_hw)).rgb_hwc


def face_pair(before: Rgb, after: Rgb, box_xyxy: NDArray[np.float32]) -> FacePair:
    """Crop a face with a margin from both frames.

    Args:
        before: Frame of the source.
        after: Frame of the result, which may be larger.
        box_xyxy: The face in pixels of ``before``.
    """
    square, face = _square(box_xyxy, _MARGIN), tuple(float(side) for side in box_xyxy)
    return FacePair(
        before=jpeg(_crop(before, square, before), max_side_px=FACE_SIDE_PX, max_bytes=FACE_BYTES),
        after=jpeg(_crop(after, square, before), max_side_px=FACE_SIDE_PX, max_bytes=FACE_BYTES),
        change=_difference(_crop(before, face, before), _crop(after, face, before)),
    )


def jpeg(rgb: Rgb, *, max_side_px: int, max_bytes: int) -> Jpeg:
    """Return ``rgb`` with full chroma, reduced to ``max_side_px`` but never enlarged.

    The quality is lowered, and then the size, until the file has at most ``max_bytes``: a page
    stays small whatever its content.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    while True:
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = rgb if scale == 1.0 else cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)
        bgr = np.ascontiguousarray(np.asarray(small, dtype=np.uint8)[:, :, ::-1])
        for quality in _QUALITIES:
            data = _encode(bgr, quality)
            if len(data) <= max_bytes or size_wh == (1, 1):
                return Jpeg(data=data, width=size_wh[0], height=size_wh[1])
        scale *= 0.7


def _encode(bgr: NDArray[np.uint8], quality: int) -> bytes:
    is_encoded, data = cv2.imencode(".jpg", bgr, jpeg_parameters(quality))
    if not is_encoded:
        raise ValueError(f"OpenCV cannot encode an image of {bgr.shape} as JPEG")
    return data.tobytes()


def _difference(before: Rgb, after: Rgb) -> float:
    height, width = before.shape[:2]
    same_size = cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.abs(same_size.astype(np.float32) - before.astype(np.float32)).mean())


def _square(box_xyxy: NDArray[np.float32], margin: float) -> tuple[float, ...]:
    """Return a square around the center of a box, its longer side enlarged by the margin."""
    left, top, right, bottom = (float(side) for side in box_xyxy)
    half_side = max(right - left, bottom - top) * (0.5 + margin)
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    return (
        center_x - half_side,
        center_y - half_side,
        center_x + half_side,
        center_y + half_side,
    )


def _crop(image: Rgb, box_xyxy: tuple[float, ...], reference: Rgb) -> Rgb:
    """Return the part of an image inside a box.

    The box is extended to whole pixels of ``reference``, so that both images show the same.
    """
    height, width = reference.shape[:2]
    left, top, right, bottom = box_xyxy
    x0 = int(np.clip(np.floor(left), 0, width - 1))
    y0 = int(np.clip(np.floor(top), 0, height - 1))
    x1 = int(np.clip(np.ceil(right), x0 + 1, width))
    y1 = int(np.clip(np.ceil(bottom), y0 + 1, height))
    ratio_y, ratio_x = image.shape[0] / height, image.shape[1] / width
    rows = slice(round(y0 * ratio_y), round(y1 * ratio_y))
    columns = slice(round(x0 * ratio_x), round(x1 * ratio_x))
    return np.ascontiguousarray(image[rows, columns])
