"""Dust and dirt that one frame shows and neither of its neighbors.

A pixel is dust if it is brighter, or darker, than all pixels near the same place in the frame
before and in the frame after, both moved along the motion (the rank order difference of Nadenau and
Mitra 1997, with a threshold on its smallest value). What is found is believed only where the two
neighbors agree with each other, and with the frame around the speck: where motion is missed they
do not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.optical_flow import Flow, dense_flow, flow_targets, sample_at
from vidrestore.repair.samples import (
    Mask,
    boxes_of,
    levels_of,
    neighbors,
    plane_masks,
    repaired,
    shot_of,
)
from vidrestore.sliding_window import sliding_window
from vidrestore.types import FloatArray, Frame, Plane, TrackedFrame

REACH_FRAMES = 1
"""Frames to each side that are compared with a frame."""

_FLOW_SIDE_PX = 640
"""Longer side of the images in which motion is searched."""
_MEDIAN_PX = 5
"""Side of the median that takes specks out of these images."""
_EIGHT_NEIGHBORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DustConfig:
    """What counts as dust; differences are in levels of 255."""

    core_levels: float = 12.0
    """By how much a speck differs at least, somewhere, from all pixels near it in both frames."""
    edge_levels: float = 5.0
    """By how much its edge differs from the mean of both."""
    edge_px: int = 2
    """How far an edge extends from what differs clearly."""
    margin_px: int = 4
    """Width of the ring around a speck in which the three frames must show the same."""
    ring_levels: float = 5.0
    """Largest mean difference in the ring, besides the noise of the frame."""
    max_share: float = 0.02
    """Share of a frame that dust covers at most; more is no dust, but a flash or a missed cut."""
    max_side_share: float = 0.25
    """Longest side of a speck, as a share of the frame's height."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """A frame as its neighbors need it."""

    shot: int | None
    frame: Frame
    levels: FloatArray
    small: NDArray[np.uint8]
    """Smaller, and without specks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moved:
    """A neighbor, and where it shows what the frame shows."""

    view: _View
    flow: Flow
    levels: FloatArray
    """Its levels, moved to their places in the frame."""


def remove_dust(frames: Iterable[TrackedFrame], *, config: DustConfig) -> Iterator[TrackedFrame]:
    """Yield every frame without the specks that only it shows, in order.

    Holds one later frame. The first and the last frame of a shot have one neighbor, and are left
    as they are.
    """
    items = ((each, _view_of(each)) for each in frames)
    for window in sliding_window(items, before=REACH_FRAMES, after=REACH_FRAMES):
        sides = [neighbors(window.value, side) for side in (window.before, window.after)]
        tracked = window.item
        if all(sides):
            pair = [_moved(window.value, side[0]) for side in sides]
            mask, count = find_dust(
                window.value.levels, pair[0].levels, pair[1].levels, config=config
            )
            if count:
                planes = _filled(tracked.frame, mask, pair)
                frame = repaired(tracked.frame, planes, dust_xyxy=boxes_of(mask), specks=count)
                tracked = replace(tracked, frame=frame)
        yield tracked


def _view_of(tracked: TrackedFrame) -> _View:
    levels = levels_of(tracked.frame)
    height, width = levels.shape
    ratio = min(1.0, _FLOW_SIDE_PX / max(height, width))
    size_wh = (max(16, round(width * ratio)), max(16, round(height * ratio)))
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    small = cv2.resize(cv2.medianBlur(rounded, _MEDIAN_PX), size_wh, interpolation=cv2.INTER_AREA)
    return _View(
        shot=shot_of(tracked.frame, tracked.shot),
        frame=tracked.frame,
        levels=levels,
        small=np.asarray(small, dtype=np.uint8),
    )


def _moved(current: _View, other: _View) -> _Moved:
    flow = dense_flow(current.small, other.small, quick=True)
    height, width = current.levels.shape
    levels = sample_at(other.levels, *flow_targets(flow, (height, width)))
    return _Moved(view=other, flow=flow, levels=levels)


def find_dust(
    levels: FloatArray, before: FloatArray, after: FloatArray, *, config: DustConfig
) -> tuple[Mask, int]:
    """Return the mask of the specks of a frame, and how many there are.

    Args:
        levels: Of the frame, ``(H, W)`` in [0, 255].
        before: Of the frame before, moved to the same places.
        after: Of the frame after, likewise.
        config: What counts as dust.
    """
    square = np.ones((3, 3), dtype=np.uint8)
    brightest = cv2.dilate(np.maximum(before, after), square)
    darkest = cv2.erode(np.minimum(before, after), square)
    outside = np.maximum(levels - brightest, darkest - levels)
    mean = (before + after) * np.float32(0.5)
    difference = np.abs(levels - mean)
    noise = float(np.median(difference))
    core = outside > config.core_levels + 2 * noise
    empty = np.zeros(levels.shape, dtype=np.bool_)
    if not core.any() or np.count_nonzero(core) > config.max_share * core.size:
        return empty, 0
    # What differs within reach of a core and in the same direction is its edge.
    reach = np.ones((2 * config.edge_px + 1,) * 2, dtype=np.uint8)
    near = cv2.dilate(core.astype(np.uint8), reach) > 0
    mask = near & (difference > config.edge_levels + noise)
    mask |= core
    wrong = np.maximum(np.abs(levels - before), np.abs(levels - after))
    return _believed(mask, wrong, np.abs(before - after), noise, config)


def _believed(
    mask: Mask, wrong: FloatArray, disagreement: FloatArray, noise: float, config: DustConfig
) -> tuple[Mask, int]:
    """Return the specks where neighbors agree with each other, and with the frame around."""
    kept, count = np.zeros_like(mask), 0
    height, width = mask.shape
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    specks, labels, boxes, _ = cv2.connectedComponentsWithStats(
        closed, connectivity=_EIGHT_NEIGHBORS
    )
    ring_reach = np.ones((2 * config.margin_px + 1,) * 2, dtype=np.uint8)
    limit = config.ring_levels + 2 * noise
    for label in range(1, specks):
        left, top, across, down, _ = boxes[label].tolist()
        if max(across, down) > config.max_side_share * height:
            continue
        rows = slice(max(0, top - config.margin_px), min(height, top + down + config.margin_px))
        columns = slice(
            max(0, left - config.margin_px), min(width, left + across + config.margin_px)
        )
        place = (rows, columns)
        speck = labels[place] == label
        wide = cv2.dilate(speck.astype(np.uint8), ring_reach) > 0
        ring = wide & ~(cv2.dilate(mask[place].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
        if not ring.any():
            continue
        if float(wrong[place][ring].mean()) > limit or (
            float(disagreement[place][speck].mean()) > limit
        ):
            continue
        kept[place] |= speck & mask[place]
        count += 1
    return kept, count


def _filled(frame: Frame, mask: Mask, pair: Sequence[_Moved]) -> Iterator[Plane]:
    """Yield the planes with the mean of the neighbors under a mask."""
    planes = [np.array(plane) for plane in frame.planes]
    for part in plane_masks(frame, mask):
        plane = planes[part.index]
        moved = (
            sample_at(
                other.view.frame.planes[part.index].astype(np.float32),
                *flow_targets(other.flow, (plane.shape[0], plane.shape[1])),
            )
            for other in pair
        )
        mean = np.rint(sum(moved) / np.float32(2))
        plane[part.mask_hw] = mean[part.mask_hw].astype(plane.dtype)
    yield from planes
