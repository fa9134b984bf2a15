"""Assigns detections to tracks: pure functions on detections."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportUnknownVariableType]

from vidrestore.faces.detection.boxes import intersection_over_union, overlap_of_smaller
from vidrestore.types import Detection

MAX_LANDMARK_DISTANCE = 0.6
"""Mean distance of landmarks, in face sizes, up to which two detections may be one face."""
MAX_SIZE_RATIO = 1.6
_IMPOSSIBLE = 1e6
_DUPLICATE_OVERLAP = 0.6


def face_size_px(face: Detection) -> float:
    """Return the geometric mean of the sides of a face's box."""
    left, top, right, bottom = face.box_xyxy
    return float(np.sqrt((right - left) * (bottom - top)))


def landmark_distance(first: Detection, second: Detection) -> float:
    """Return the mean distance of the five landmarks, in units of the larger face."""
    distances = np.linalg.norm(first.landmarks_xy - second.landmarks_xy, axis=1)
    return float(distances.mean()) / max(face_size_px(first), face_size_px(second))


def is_plausible_match(predicted: Detection, detected: Detection) -> bool:
    """Return whether a detection is near enough to a prediction, in position and size."""
    ratio = face_size_px(predicted) / face_size_px(detected)
    return (
        1 / MAX_SIZE_RATIO <= ratio <= MAX_SIZE_RATIO
        and landmark_distance(predicted, detected) <= MAX_LANDMARK_DISTANCE
    )


def is_duplicate(first: Detection, second: Detection) -> bool:
    """Return whether two faces of one frame overlap so much that they must be one."""
    return overlap_of_smaller(first.box_xyxy, second.box_xyxy) > _DUPLICATE_OVERLAP


def assign_detections(
    predicted: Sequence[Detection], detected: Sequence[Detection]
) -> dict[int, int]:
    """Pair predictions with detections at the least total cost.

    The cost of a pair is one minus the IoU of the boxes, plus the distance of the landmarks.
    Implausible pairs are left out.

    Returns:
        Position in ``predicted`` to position in ``detected``, for the pairs.
    """
    if not predicted or not detected:
        return {}
    cost: NDArray[np.float64] = np.full((len(predicted), len(detected)), _IMPOSSIBLE)
    for row, prediction in enumerate(predicted):
        for column, face in enumerate(detected):
            if is_plausible_match(prediction, face):
                overlap = intersection_over_union(prediction.box_xyxy, face.box_xyxy)
                cost[row, column] = 1 - overlap + landmark_distance(prediction, face)
    rows, columns = linear_sum_assignment(cost)  # pyright: ignore[reportUnknownVariableType]
    pairs = zip(map(int, rows), map(int, columns), strict=True)  # pyright: ignore[reportUnknownArgumentType]
    return {row: column for row, column in pairs if cost[row, column] < _IMPOSSIBLE}
