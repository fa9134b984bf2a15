"""Matches faces between frames: pure functions on detections."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportUnknownVariableType]

from vidrestore.faces.detection.boxes import overlap_of_smaller
from vidrestore.types import Detection

MAX_POINTS_DISTANCE = 0.6
"""Mean distance of the points, in face sizes, up to which two sightings may be one face."""
MAX_SIZE_RATIO = 1.6
_GATED = 1e6
_DUPLICATE_SHARE = 0.6


def face_size_px(face: Detection) -> float:
    """Return the geometric mean of a face box's sides."""
    left, top, right, bottom = face.box_xyxy
    return float(np.sqrt((right - left) * (bottom - top)))


def landmark_distance(one: Detection, other: Detection) -> float:
    """Return the mean distance of the five points, in units of the larger face."""
    distances = np.linalg.norm(one.landmarks_xy - other.landmarks_xy, axis=1)
    return float(distances.mean()) / max(face_size_px(one), face_size_px(other))


def intersection_over_union(one: Detection, other: Detection) -> float:
    """Return the common area of two boxes as a share of their union."""
    width = min(one.box_xyxy[2], other.box_xyxy[2]) - max(one.box_xyxy[0], other.box_xyxy[0])
    height = min(one.box_xyxy[3], other.box_xyxy[3]) - max(one.box_xyxy[1], other.box_xyxy[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (face_size_px(one) ** 2 + face_size_px(other) ** 2 - common)


def is_plausible_match(expected: Detection, seen: Detection) -> bool:
    """Return whether position and size of a sighting are close enough to the expected face."""
    ratio = face_size_px(expected) / face_size_px(seen)
    return (
        1 / MAX_SIZE_RATIO <= ratio <= MAX_SIZE_RATIO
        and landmark_distance(expected, seen) <= MAX_POINTS_DISTANCE
    )


def is_duplicate(one: Detection, other: Detection) -> bool:
    """Return whether two faces of one frame overlap so much that they must be one."""
    return overlap_of_smaller(one.box_xyxy, other.box_xyxy) > _DUPLICATE_SHARE


def assign_detections(expected: Sequence[Detection], seen: Sequence[Detection]) -> dict[int, int]:
    """Pair expected faces with seen ones at the least total cost.

    The cost of a pair is what their boxes lack in overlap plus the distance of their points;
    pairs that cannot be one face are left out.

    Returns:
        Position in ``expected`` to position in ``seen``, for the pairs.
    """
    if not expected or not seen:
        return {}
    cost: NDArray[np.float64] = np.full((len(expected), len(seen)), _GATED)
    for row, one in enumerate(expected):
        for column, other in enumerate(seen):
            if is_plausible_match(one, other):
                overlap = intersection_over_union(one, other)
                cost[row, column] = 1 - overlap + landmark_distance(one, other)
    rows, columns = linear_sum_assignment(cost)  # pyright: ignore[reportUnknownVariableType]
    pairs = zip(map(int, rows), map(int, columns), strict=True)  # pyright: ignore[reportUnknownArgumentType]
    return {row: column for row, column in pairs if cost[row, column] < _GATED}
