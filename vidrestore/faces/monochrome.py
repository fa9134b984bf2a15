"""Stage: marks shots in black and white or in a single tint."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice
from typing import cast

import cv2
import numpy as np

from vidrestore.media.color.matrices import luma_weights
from vidrestore.media.color.region_rgb import region_sdr_rgb
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import FloatArray, Frame, Plane, TrackedFrame

_SIDE_PX = 32
_MAX_SPREAD = 2.5
"""Largest ``chroma_spread`` of a monochrome shot."""
_FRAMES_TO_DECIDE = 12


def chroma_spread(frame: Frame) -> float:
    """Return how far chroma deviates from a function of luma, of 255; 0 for gray frames.

    A tint may depend on luma (sepia is stronger in mid-tones), so chroma is fitted by a parabola
    in luma. The residual is color.
    """
    if frame.pixel_format.model == "gray":
        return 0.0
    luma, first, second = _small_planes(frame)
    terms = np.stack([np.ones_like(luma), luma, luma**2], axis=1)
    chroma = np.stack([first, second], axis=1)
    fitted, *_ = np.linalg.lstsq(terms, chroma, rcond=None)
    residual = np.abs(chroma - terms @ fitted)
    # A percentile, because color may fill only a small part of the picture.
    return float(np.percentile(residual, 98)) * 255.0


def _small_planes(frame: Frame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return luma and two chroma values in [0, 1], flattened, averaged over areas."""
    if frame.pixel_format.model == "rgb" and sdr_view(frame.color) is not None:
        # Linear light and density say little about what is seen.
        planes = tuple(_small(plane) for plane in frame.planes)
        rgb_hwc = region_sdr_rgb(frame.with_planes(planes), (0, 0, _SIDE_PX, _SIDE_PX))
        small = [rgb_hwc[:, :, channel].ravel() for channel in (1, 2, 0)]
    else:
        scale = np.float32(1 / frame.pixel_format.max_value)
        small = [_small(plane).astype(np.float32).ravel() * scale for plane in frame.planes[:3]]
    if frame.pixel_format.model == "yuv":
        return small[0], small[1], small[2]
    green, blue, red = small
    weights = luma_weights(frame.color, frame.whole_hw)
    luma = (weights[0] * red + weights[1] * green + weights[2] * blue).astype(np.float32)
    return luma, (blue - luma) / 2, (red - luma) / 2


def _small(plane: Plane) -> Plane:
    height, width = plane.shape
    while min(height, width) >= 4 * _SIDE_PX:
        # In steps, because OpenCV's area filter is fast only for halves.
        height, width = height // 2, width // 2
        trimmed = plane[: 2 * height, : 2 * width]
        plane = cast(Plane, cv2.resize(trimmed, (width, height), interpolation=cv2.INTER_AREA))
    return cast(Plane, cv2.resize(plane, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA))


def mark_monochrome(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame with ``is_monochrome`` set, in order.

    The median of the first ``_FRAMES_TO_DECIDE`` frames decides for the whole shot, so that color
    does not flicker. These frames are buffered until then.
    """
    for _, group in groupby(frames, key=lambda item: item.shot):
        shot = iter(group)
        buffer = deque(islice(shot, _FRAMES_TO_DECIDE))
        spread = float(np.median([chroma_spread(item.frame) for item in buffer]))
        is_monochrome = spread <= _MAX_SPREAD
        while buffer:
            yield replace(buffer.popleft(), is_monochrome=is_monochrome)
        for item in shot:
            yield replace(item, is_monochrome=is_monochrome)
