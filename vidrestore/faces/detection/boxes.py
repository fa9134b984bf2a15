"""Arithmetic on candidate windows: boxes, squares, and the detections they become."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.faces.detection.rotated_crops import Squares, distinct
from vidrestore.faces.template import landmark_roll_radians
from vidrestore.types import Detection, FloatArray

# Shape letters in this file: N windows. Tensors hold edge coordinates (the first sample covers
# 0 to 1), detections the coordinates of sample centres: half a pixel less.

_EDGE_PX = 0.5
_CONTAINED = 0.7
"""Share of the smaller box inside the larger one from which both are one face."""


def boxes_of(squares: Squares) -> Tensor:
    """Return ``(N, 4)`` corners of squares that are not turned."""
    half = squares.side[:, None] / 2
    return torch.cat([squares.centre_xy - half, squares.centre_xy + half], dim=1)


def apply_offsets(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Move the ``(N, 4)`` sides of boxes by ``(N, 4)`` offsets in units of the boxes."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * torch.cat([size, size], dim=1)


def to_squares(boxes: Tensor, picture: Tensor) -> Squares:
    """Return the upright squares with the centres and the longer sides of ``(N, 4)`` boxes."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(dim=1).values.clamp(min=1.0) if len(boxes) else size[:, 0]
    centre_xy = (boxes[:, :2] + boxes[:, 2:]) / 2
    return Squares(picture, centre_xy, side, torch.zeros_like(side))


def no_squares(device: torch.device) -> Squares:
    """Return an empty set."""
    return to_squares(
        torch.zeros(0, 4, device=device), torch.zeros(0, dtype=torch.long, device=device)
    )


def first_of_each_group(group: Tensor, limit: int) -> Tensor:
    """Return the positions of the first ``limit`` members of every group, in order."""
    keep = [(group == value).nonzero()[:limit, 0] for value in distinct(group)]
    return torch.cat(keep).sort().values if keep else group


def squares_around(
    faces: Sequence[Detection], pictures: Sequence[int], device: torch.device
) -> Squares:
    """Return a square for every face, turned as the face is turned."""
    box = torch.tensor([face.box_xyxy for face in faces], device=device) + _EDGE_PX
    roll = [landmark_roll_radians(face.landmarks_xy) for face in faces]
    upright = to_squares(box, torch.tensor(pictures, device=device))
    return upright._replace(roll=torch.tensor(roll, device=device))


def upright_boxes(centre_xy: Tensor, width: Tensor, height: Tensor, roll: Tensor) -> Tensor:
    """Return ``(N, 4)`` axis-aligned boxes of faces that are turned by ``roll`` radians.

    The bounding box of the ellipse in the turned box: unlike the bounding box of its
    corners it does not grow when a square is taken around it and boxed again.
    """
    cos, sin = roll.cos(), roll.sin()
    half_x = torch.hypot(width * cos, height * sin) / 2
    half_y = torch.hypot(width * sin, height * cos) / 2
    half = torch.stack([half_x, half_y], dim=1)
    return torch.cat([centre_xy - half, centre_xy + half], dim=1)


def detections(boxes: Tensor, scores: Tensor, points: Tensor) -> list[Detection | None]:
    """Turn ``(N, 4)``, ``(N,)`` and ``(N, 5, 2)`` into detections; None where one collapsed."""
    corners: NDArray[np.float32] = (boxes - _EDGE_PX).cpu().numpy()
    landmarks_xy: FloatArray = (points - _EDGE_PX).float().cpu().numpy()
    return [
        _detection(*each)
        for each in zip(corners, map(float, scores.cpu()), landmarks_xy, strict=True)
    ]


def _detection(box: FloatArray, score: float, landmarks_xy: FloatArray) -> Detection | None:
    left, top, right, bottom = (float(side) for side in box)
    spread = float(np.ptp(landmarks_xy, axis=0).max())
    if not (right - left >= 1 and bottom - top >= 1 and 0 < spread < np.inf):
        return None
    return Detection(
        box_xyxy=(left, top, right, bottom), score=score, landmarks_xy=landmarks_xy.copy()
    )


def suppress_contained(faces: Sequence[Detection]) -> list[Detection]:
    """Drop faces that lie mostly inside a better one or around it; return the best first."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda each: -each.score):
        if all(overlap_of_smaller(face.box_xyxy, other.box_xyxy) < _CONTAINED for other in kept):
            kept.append(face)
    return kept


def overlap_of_smaller(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """Return the common area of two boxes as a share of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / min(areas)
