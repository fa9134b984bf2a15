"""Finds dust and dirt: specks that are in one frame, and not in its neighbors.

A pixel is dust if it is brighter, or darker, than all pixels around the same place in the previous
and in the next frame, both warped along the motion (the rank order difference of Nadenau and Mitra
1997, with a threshold on its smallest value). A speck is accepted only where the two neighbors
agree with each other, and with the frame around the speck, and where the frame is smoother without
it; where the estimated motion is wrong, this is not so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.repair.samples import Mask
from vidrestore.types import FloatArray

_EIGHT_NEIGHBORS = 8
_SURROUNDINGS_PX = 15
"""Side of the square in which a fill is as bright as the frame."""
_MIN_SURROUNDINGS = 0.05
"""Minimum share of such a square outside the specks; with less, the fill fades to the neighbors."""
_SEAM_SIGMA_PX = 1.0
"""Standard deviation of the blur that removes grain before edges are compared."""
_CORE_RATIO = 0.7
"""Pixels of a speck that differ this much from the neighbors, relative to its maximum, are its
core."""
_SQUARE = np.ones((3, 3), dtype=np.uint8)

# Differences are in levels of 255.
_CORE_LEVELS = 12.0
"""Minimum difference of a speck's core from all pixels near it in both neighbors."""
_EDGE_LEVELS = 5.0
"""Minimum difference of a speck's edge from the mean of both neighbors."""
_EDGE_PX = 2
"""How far an edge extends from the core."""
_MARGIN_PX = 4
"""Width of the ring around a speck in which the three frames must agree."""
_RING_LEVELS = 5.0
"""Maximum mean difference in the ring, on top of the noise of the frame."""
_MAX_SEAM_RATIO = 0.8
"""Maximum edge that a filled speck leaves, relative to the edge that it had. Where the motion
is wrong, the fill is what does not fit into the frame."""
_MAX_NEIGHBOR_RATIO = 0.3
"""Maximum contrast of the place in the neighbors, relative to that of the speck. A highlight
that only becomes brighter, as in an eye, is there too."""
_MAX_AREA_RATIO = 0.02
"""Maximum fraction of a frame that dust covers; more is a flash or a missed shot change."""
_MAX_SIDE_RATIO = 0.25
"""Maximum side of a speck relative to the frame's height."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Evidence:
    """What a frame, or the part of it around a speck, and its neighbors show; ``(H, W)`` each."""

    levels: FloatArray
    mean: FloatArray
    """Of both neighbors."""
    filled: FloatArray
    error: FloatArray
    """Largest difference of the frame from a neighbor."""
    disagreement: FloatArray
    """Difference of the neighbors."""

    def at(self, place: tuple[slice, slice]) -> "_Evidence":
        return _Evidence(
            levels=self.levels[place],
            mean=self.mean[place],
            filled=self.filled[place],
            error=self.error[place],
            disagreement=self.disagreement[place],
        )


def find_dust(levels: FloatArray, before: FloatArray, after: FloatArray) -> tuple[Mask, int]:
    """Return the mask of the specks of a frame, and their number.

    Args:
        levels: Luma of the frame, ``(H, W)`` in [0, 255].
        before: Luma of the previous frame, warped to the frame.
        after: Luma of the next frame, warped to the frame.
    """
    brightest = cv2.dilate(np.maximum(before, after), _SQUARE)
    darkest = cv2.erode(np.minimum(before, after), _SQUARE)
    excess = np.maximum(levels - brightest, darkest - levels)
    mean = (before + after) * np.float32(0.5)
    difference = np.abs(levels - mean)
    noise = float(np.median(difference))
    core = excess > _CORE_LEVELS + 2 * noise
    accepted, count = np.zeros(levels.shape, dtype=np.bool_), 0
    if not core.any() or np.count_nonzero(core) > _MAX_AREA_RATIO * core.size:
        return accepted, count
    # Pixels that differ near a core are its edge.
    near_core = np.ones((2 * _EDGE_PX + 1,) * 2, dtype=np.uint8)
    near = cv2.dilate(core.astype(np.uint8), near_core) > 0
    mask = near & (difference > _EDGE_LEVELS + noise)
    mask |= core
    evidence = _Evidence(
        levels=levels,
        mean=mean,
        filled=fill_levels(levels, mean, mask),
        error=np.maximum(np.abs(levels - before), np.abs(levels - after)),
        disagreement=np.abs(before - after),
    )
    max_error = _RING_LEVELS + 2 * noise
    for place, speck, ring in _specks(mask):
        if _is_dust(evidence.at(place), speck, ring, max_error):
            accepted[place] |= speck & mask[place]
            count += 1
    return accepted, count


def fill_levels(levels: FloatArray, mean: FloatArray, mask: Mask) -> FloatArray:
    """Return the neighbors' mean, as bright as the frame around the specks.

    Args:
        levels: A plane of the frame, ``(H, W)``.
        mean: Of its neighbors, warped to the frame.
        mask: The specks.
    """
    outside = (cv2.dilate(mask.astype(np.uint8), _SQUARE) == 0).astype(np.float32)
    size = (_SURROUNDINGS_PX, _SURROUNDINGS_PX)
    share = np.asarray(cv2.blur(outside, size), dtype=np.float32)
    total = np.asarray(cv2.blur((levels - mean) * outside, size), dtype=np.float32)
    offset = total / np.maximum(share, np.float32(_MIN_SURROUNDINGS))
    return np.asarray(mean + offset, dtype=np.float32)


def _specks(mask: Mask) -> Iterator[tuple[tuple[slice, slice], Mask, Mask]]:
    """Yield the place of each speck, its mask there, and the ring around it."""
    height, width = mask.shape
    margin = _MARGIN_PX
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, _SQUARE)
    specks, labels, boxes, _ = cv2.connectedComponentsWithStats(
        closed, connectivity=_EIGHT_NEIGHBORS
    )
    ring_kernel = np.ones((2 * margin + 1,) * 2, dtype=np.uint8)
    for label in range(1, specks):
        left, top, box_width, box_height, _ = boxes[label].tolist()
        if max(box_width, box_height) > _MAX_SIDE_RATIO * height:
            continue
        place = (
            slice(max(0, top - margin), min(height, top + box_height + margin)),
            slice(max(0, left - margin), min(width, left + box_width + margin)),
        )
        speck = labels[place] == label
        wide = cv2.dilate(speck.astype(np.uint8), ring_kernel) > 0
        ring = wide & ~(cv2.dilate(mask[place].astype(np.uint8), _SQUARE) > 0)
        if ring.any():
            yield place, speck, ring


def _is_dust(evidence: _Evidence, speck: Mask, ring: Mask, max_error: float) -> bool:
    if float(evidence.error[ring].mean()) > max_error:
        return False
    if float(evidence.disagreement[speck].mean()) > max_error:
        return False
    filled = np.where(speck, evidence.filled, evidence.levels)
    if _seam(filled, speck) > _MAX_SEAM_RATIO * _seam(evidence.levels, speck):
        return False
    difference = np.where(speck, evidence.levels - evidence.mean, 0)
    peak = float(difference.flat[np.abs(difference).argmax()])
    core = difference / peak >= _CORE_RATIO
    own, neighbors = (
        (float(shown[core].mean()) - float(np.median(shown[ring]))) / peak
        for shown in (evidence.levels, evidence.mean)
    )
    return neighbors < _MAX_NEIGHBOR_RATIO * own


def _seam(levels: FloatArray, speck: Mask) -> float:
    """Return the mean edge along the outline of a speck."""
    smooth = cv2.GaussianBlur(levels, (0, 0), _SEAM_SIGMA_PX)
    edges = cv2.dilate(smooth, _SQUARE) - cv2.erode(smooth, _SQUARE)
    image = speck.astype(np.uint8)
    outline = (cv2.dilate(image, _SQUARE) > 0) & (cv2.erode(image, _SQUARE) == 0)
    return float(edges[outline].mean())
