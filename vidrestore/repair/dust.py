"""Dust and dirt: specks that are in one frame, and not in its neighbors.

A pixel is dust if it is brighter, or darker, than all pixels around the same place in the previous
and in the next frame, both warped along the motion (the rank order difference of Nadenau and Mitra
1997, with a threshold on its smallest value). A speck is accepted only where the two neighbors
agree with each other, and with the frame around the speck; where the estimated motion is wrong,
they do not.
"""

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
from vidrestore.sliding_window import sliding_window
from vidrestore.types import FloatArray, Frame, Plane, TrackedFrame

RADIUS_FRAMES = 1
"""Frames to each side with which a frame is compared."""

_FLOW_SIDE_PX = 640
"""Longer side of the images in which motion is estimated."""
_MEDIAN_PX = 5
"""Size of the median filter that removes specks from these images."""
_EIGHT_NEIGHBORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DustConfig:
    """Thresholds of dust; differences are in levels of 255."""

    core_levels: float = 12.0
    """Minimum difference of a speck's core from all pixels near it in both neighbors."""
    edge_levels: float = 5.0
    """Minimum difference of a speck's edge from the mean of both neighbors."""
    edge_px: int = 2
    """How far an edge extends from the core."""
    margin_px: int = 4
    """Width of the ring around a speck in which the three frames must agree."""
    ring_levels: float = 5.0
    """Maximum mean difference in the ring, on top of the noise of the frame."""
    max_area_ratio: float = 0.02
    """Maximum fraction of a frame that dust covers; more is a flash or a missed shot change."""
    max_side_ratio: float = 0.25
    """Maximum side of a speck relative to the frame's height."""


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


def remove_dust(frames: Iterable[TrackedFrame], *, config: DustConfig) -> Iterator[TrackedFrame]:
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
            mask, count = find_dust(
                window.value.levels, pair[0].levels, pair[1].levels, config=config
            )
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


def find_dust(
    levels: FloatArray, before: FloatArray, after: FloatArray, *, config: DustConfig
) -> tuple[Mask, int]:
    """Return the mask of the specks of a frame, and their number.

    Args:
        levels: Luma of the frame, ``(H, W)`` in [0, 255].
        before: Luma of the previous frame, warped to the frame.
        after: Luma of the next frame, warped to the frame.
        config: Thresholds.
    """
    square = np.ones((3, 3), dtype=np.uint8)
    brightest = cv2.dilate(np.maximum(before, after), square)
    darkest = cv2.erode(np.minimum(before, after), square)
    excess = np.maximum(levels - brightest, darkest - levels)
    mean = (before + after) * np.float32(0.5)
    difference = np.abs(levels - mean)
    noise = float(np.median(difference))
    core = excess > config.core_levels + 2 * noise
    empty = np.zeros(levels.shape, dtype=np.bool_)
    if not core.any() or np.count_nonzero(core) > config.max_area_ratio * core.size:
        return empty, 0
    # Pixels that differ near a core are its edge.
    near_core = np.ones((2 * config.edge_px + 1,) * 2, dtype=np.uint8)
    near = cv2.dilate(core.astype(np.uint8), near_core) > 0
    mask = near & (difference > config.edge_levels + noise)
    mask |= core
    error = np.maximum(np.abs(levels - before), np.abs(levels - after))
    return _accept_specks(mask, error, np.abs(before - after), noise, config)


def _accept_specks(
    mask: Mask, error: FloatArray, disagreement: FloatArray, noise: float, config: DustConfig
) -> tuple[Mask, int]:
    """Return the specks where neighbors agree with each other, and with the frame around."""
    accepted, count = np.zeros_like(mask), 0
    height, width = mask.shape
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    specks, labels, boxes, _ = cv2.connectedComponentsWithStats(
        closed, connectivity=_EIGHT_NEIGHBORS
    )
    ring_kernel = np.ones((2 * config.margin_px + 1,) * 2, dtype=np.uint8)
    limit = config.ring_levels + 2 * noise
    for label in range(1, specks):
        left, top, box_width, box_height, _ = boxes[label].tolist()
        if max(box_width, box_height) > config.max_side_ratio * height:
            continue
        rows = slice(
            max(0, top - config.margin_px), min(height, top + box_height + config.margin_px)
        )
        columns = slice(
            max(0, left - config.margin_px), min(width, left + box_width + config.margin_px)
        )
        place = (rows, columns)
        speck = labels[place] == label
        wide = cv2.dilate(speck.astype(np.uint8), ring_kernel) > 0
        ring = wide & ~(cv2.dilate(mask[place].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
        if not ring.any():
            continue
        if float(error[place][ring].mean()) > limit or (
            float(disagreement[place][speck].mean()) > limit
        ):
            continue
        accepted[place] |= speck & mask[place]
        count += 1
    return accepted, count


def _fill(frame: Frame, mask: Mask, pair: Sequence[_Warped]) -> Iterator[Plane]:
    """Yield the planes, filled with the mean of the neighbors under a mask."""
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
        mean = np.rint(sum(warped) / np.float32(2))
        plane[plane_mask.mask_hw] = mean[plane_mask.mask_hw].astype(plane.dtype)
    yield from planes
