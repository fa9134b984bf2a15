"""Small pictures for the page: faces before and after, and one view of every shot."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.region_rgb import preview_rgb
from vidrestore.types import DisplayGeometry, Frame

Rgb = NDArray[np.uint8]
"""``(h, w, 3)``, gamma-encoded RGB."""

FACE_SIDE_PX = 384
FACE_BYTES = 48 << 10
VIEW_SIDE_PX = 640
VIEW_BYTES = 96 << 10
_MARGIN = 0.3
"""Around the box of a face, as a share of its longer side."""
_QUALITIES = (90, 80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """A picture as a page holds it."""

    data: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePair:
    """A face in the source and in the result, and how much they differ."""

    before: Jpeg
    after: Jpeg
    change: float
    """Mean absolute difference inside the box of the face, 0 to 255."""


def frame_rgb(frame: Frame, geometry: DisplayGeometry) -> Rgb:
    """Return the whole frame as a viewer sees it, in display pixels."""
    return preview_rgb(frame, geometry, max(geometry.display_hw)).rgb_hwc


def face_pair(before: Rgb, after: Rgb, box_xyxy: NDArray[np.float32]) -> FacePair:
    """Cut a face with some of its surroundings out of both pictures.

    Args:
        before: The source's frame.
        after: The result's, which may be larger.
        box_xyxy: The face in pixels of ``before``.
    """
    around, face = _square(box_xyxy, _MARGIN), tuple(float(side) for side in box_xyxy)
    return FacePair(
        before=jpeg(_cut(before, around, before), max_side_px=FACE_SIDE_PX, max_bytes=FACE_BYTES),
        after=jpeg(_cut(after, around, before), max_side_px=FACE_SIDE_PX, max_bytes=FACE_BYTES),
        change=_difference(_cut(before, face, before), _cut(after, face, before)),
    )


def jpeg(rgb: Rgb, *, max_side_px: int, max_bytes: int) -> Jpeg:
    """Return ``rgb`` with full chroma, shrunk where it is larger, never enlarged.

    The quality is lowered, and then the size, until it fits: pages stay small whatever they show.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    while True:
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = rgb if scale == 1.0 else cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)
        bgr = np.ascontiguousarray(np.asarray(small, dtype=np.uint8)[:, :, ::-1])
        for quality in _QUALITIES:
            data = _encoded(bgr, quality)
            if len(data) <= max_bytes or size_wh == (1, 1):
                return Jpeg(data=data, width=size_wh[0], height=size_wh[1])
        scale *= 0.7


def _encoded(bgr: NDArray[np.uint8], quality: int) -> bytes:
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", bgr, options)
    if not done:
        raise ValueError(f"no JPEG could be made of a picture of {bgr.shape}")
    return data.tobytes()


def _difference(before: Rgb, after: Rgb) -> float:
    height, width = before.shape[:2]
    same_size = cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.abs(same_size.astype(np.float32) - before.astype(np.float32)).mean())


def _square(box_xyxy: NDArray[np.float32], margin: float) -> tuple[float, ...]:
    """Return a square around the middle of a box, larger than its longer side by the margin."""
    left, top, right, bottom = (float(side) for side in box_xyxy)
    reach = max(right - left, bottom - top) * (0.5 + margin)
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    return centre_x - reach, centre_y - reach, centre_x + reach, centre_y + reach


def _cut(picture: Rgb, box_xyxy: tuple[float, ...], reference: Rgb) -> Rgb:
    """Return what lies in a box, as far as there is picture.

    Whole pixels of ``reference`` bound it, so that both pictures show the same.
    """
    height, width = reference.shape[:2]
    left, top, right, bottom = box_xyxy
    x0 = int(np.clip(np.floor(left), 0, width - 1))
    y0 = int(np.clip(np.floor(top), 0, height - 1))
    x1 = int(np.clip(np.ceil(right), x0 + 1, width))
    y1 = int(np.clip(np.ceil(bottom), y0 + 1, height))
    ratio_y, ratio_x = picture.shape[0] / height, picture.shape[1] / width
    rows = slice(round(y0 * ratio_y), round(y1 * ratio_y))
    columns = slice(round(x0 * ratio_x), round(x1 * ratio_x))
    return np.ascontiguousarray(picture[rows, columns])
