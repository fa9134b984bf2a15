"""Removes dust: specks are filled from the previous and the next frame, warped along the motion."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.optical_flow import Flow, dense_flow, flow_targets, sample_at
from vidrestore.repair.samples import (
    Mask,
    boxes_from_mask,
    comparable_shot,
    luma_levels,
    neighbors,
    plane_masks,
    with_repair,
)
from vidrestore.repair.specks import fill_levels, find_dust
from vidrestore.sliding_window import sliding_window
from vidrestore.types import FloatArray, Frame, Plane, TrackedFrame

RADIUS_FRAMES = 1
"""Frames to each side with which a frame is compared."""

_FLOW_SIDE_PX = 640
"""Longer side of the images in which motion is estimated."""
_MIN_CHROMA_LEVELS = 2.0
"""Minimum change of a sample of chroma, of 255 levels."""
_MEDIAN_PX = 5
"""Size of the median filter that removes specks from these images."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """A frame, prepared for comparison with its neighbors."""

    shot: int | None
    frame: Frame
    levels: FloatArray
    small: NDArray[np.uint8]
    """Downscaled, without specks: for the estimation of motion."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Warped:
    """A neighbor, and its motion relative to the frame."""

    view: _View
    flow: Flow
    levels: FloatArray
    """Its levels, warped to the frame."""


def remove_dust(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame without its dust, in order.

    Buffers one later frame. The first and the last frame of a shot, which have one neighbor, stay
    as they are.
    """
    items = ((tracked, _make_view(tracked)) for tracked in frames)
    for window in sliding_window(items, before=RADIUS_FRAMES, after=RADIUS_FRAMES):
        sides = [neighbors(window.value, side) for side in (window.before, window.after)]
        tracked = window.item
        if all(sides):
            pair = [_warp_to(window.value, side[0]) for side in sides]
            mask, count = find_dust(window.value.levels, pair[0].levels, pair[1].levels)
            if count:
                planes = _fill(tracked.frame, mask, pair)
                frame = with_repair(
                    tracked.frame, planes, dust_xyxy=boxes_from_mask(mask), specks=count
                )
                tracked = replace(tracked, frame=frame)
        yield tracked


def _make_view(tracked: TrackedFrame) -> _View:
    levels = luma_levels(tracked.frame)
    height, width = levels.shape
    ratio = min(1.0, _FLOW_SIDE_PX / max(height, width))
    size_wh = (max(16, round(width * ratio)), max(16, round(height * ratio)))
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    small = cv2.resize(cv2.medianBlur(rounded, _MEDIAN_PX), size_wh, interpolation=cv2.INTER_AREA)
    return _View(
        shot=comparable_shot(tracked.frame, tracked.shot),
        frame=tracked.frame,
        levels=levels,
        small=np.asarray(small, dtype=np.uint8),
    )


def _warp_to(current: _View, other: _View) -> _Warped:
    flow = dense_flow(current.small, other.small, quick=True)
    height, width = current.levels.shape
    levels = sample_at(other.levels, *flow_targets(flow, (height, width)))
    return _Warped(view=other, flow=flow, levels=levels)


def _fill(frame: Frame, mask: Mask, pair: Sequence[_Warped]) -> Iterator[Plane]:
    """Yield the planes, filled from the neighbors under a mask."""
    planes = [np.array(plane) for plane in frame.planes]
    for plane_mask in plane_masks(frame, mask):
        plane = planes[plane_mask.index]
        warped = (
            sample_at(
                other.view.frame.planes[plane_mask.index].astype(np.float32),
                *flow_targets(other.flow, (plane.shape[0], plane.shape[1])),
            )
            for other in pair
        )
        mean = np.asarray(sum(warped) / np.float32(2), dtype=np.float32)
        samples = plane.astype(np.float32)
        filled = fill_levels(samples, mean, plane_mask.mask_hw)
        covered = plane_mask.mask_hw
        if frame.pixel_format.model == "yuv" and plane_mask.index > 0:
            # Dust often has next to no color, and a sample of chroma is wider than an edge of it.
            max_value = frame.pixel_format.max_value
            covered = covered & (np.abs(filled - samples) > _MIN_CHROMA_LEVELS * max_value / 255)
        filled = np.clip(np.rint(filled[covered]), 0, frame.pixel_format.max_value)
        plane[covered] = filled.astype(plane.dtype)
    yield from planes
