"""Black-and-white and tinted footage, recognised once per shot."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from vidrestore.media.color.matrices import luma_weights
from vidrestore.media.color.region_rgb import region_sdr_rgb
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import FloatArray, Frame, Plane, TrackedFrame

_SIDE_PX = 32
_MOST_COLOUR = 2.5
"""Largest spread of chroma around its tint that still counts as one tone, of 255."""
_FRAMES_TO_DECIDE = 12


def chroma_spread(frame: Frame) -> float:
    """Return how far chroma strays from a function of luma, of 255; 0 for grey frames.

    A tint may follow luma (sepia is stronger in mid-tones), so chroma is first explained by
    a parabola in luma; what is left is colour.
    """
    if frame.pixel_format.model == "gray":
        return 0.0
    luma, first, second = _small_planes(frame)
    terms = np.stack([np.ones_like(luma), luma, luma**2], axis=1)
    chroma = np.stack([first, second], axis=1)
    fitted, *_ = np.linalg.lstsq(terms, chroma, rcond=None)
    left = np.abs(chroma - terms @ fitted)
    # A percentile, since colour may fill a small part of the picture only.
    return float(np.percentile(left, 98)) * 255.0


def _small_planes(frame: Frame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return luma and two chroma values in [0, 1], flattened, averaged over areas."""
    if frame.pixel_format.model == "rgb" and sdr_view(frame.color) is not None:
        # Steps of light or density say little of what is seen.
        planes = tuple(_small(plane) for plane in frame.planes)
        shown = region_sdr_rgb(frame.with_planes(planes), (0, 0, _SIDE_PX, _SIDE_PX))
        small = [shown[:, :, at].ravel() for at in (1, 2, 0)]
    else:
        top = np.float32(1 / frame.pixel_format.max_value)
        small = [_small(plane).astype(np.float32).ravel() * top for plane in frame.planes[:3]]
    if frame.pixel_format.model == "yuv":
        return small[0], small[1], small[2]
    green, blue, red = small
    weights = luma_weights(frame.color, frame.whole_hw)
    luma = (weights[0] * red + weights[1] * green + weights[2] * blue).astype(np.float32)
    return luma, (blue - luma) / 2, (red - luma) / 2


def _small(plane: Plane) -> Plane:
    return cast(Plane, cv2.resize(plane, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA))


def mark_monochrome(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame with ``is_monochrome`` set, in order.

    The first ``_FRAMES_TO_DECIDE`` frames of a shot are held until its tone is decided by their
    median; nothing later in the shot changes it, so colour cannot flicker.
    """
    held: list[TrackedFrame] = []
    spreads: list[float] = []
    decided: tuple[int, bool] | None = None
    for item in frames:
        if held and held[0].shot != item.shot:
            yield from _labelled(held, spreads)
            held, spreads = [], []
        if decided is not None and decided[0] == item.shot:
            yield replace(item, is_monochrome=decided[1])
            continue
        decided = None
        held.append(item)
        spreads.append(chroma_spread(item.frame))
        if len(held) == _FRAMES_TO_DECIDE:
            decided = (item.shot, float(np.median(spreads)) <= _MOST_COLOUR)
            yield from _labelled(held, spreads)
            held, spreads = [], []
    yield from _labelled(held, spreads)


def _labelled(held: list[TrackedFrame], spreads: list[float]) -> Iterator[TrackedFrame]:
    if held:
        is_monochrome = float(np.median(spreads)) <= _MOST_COLOUR
        yield from (replace(item, is_monochrome=is_monochrome) for item in held)
