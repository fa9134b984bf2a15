"""Arithmetic on boxes and squares, and their conversion to detections."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.faces.detection.rotated_crops import Squares, distinct_values
from vidrestore.faces.template import landmark_roll_radians
from vidrestore.types import Detection, FloatArray

# Shape letters in this file: N boxes or squares. Tensors hold edge coordinates (the first sample
# covers 0 to 1). Detections hold coordinates of sample centers, which are half a pixel less.

BoxXyxy: TypeAlias = tuple[float, float, float, float]

_EDGE_PX = 0.5
_CONTAINED_OVERLAP = 0.7
"""Fraction of the smaller box inside the larger one from which both are one face."""
_MAX_SHIFTED_BOXES = 1000
"""Up to this number of boxes, groups are separated by moving them apart, as in torchvision."""


def to_boxes(squares: Squares) -> Tensor:
    """Return the ``(N, 4)`` boxes of upright squares."""
    half = squares.side[:, None] / 2
    return torch.cat([squares.center_xy - half, squares.center_xy + half], dim=1)


def apply_offsets(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Move the sides of ``(N, 4)`` boxes by ``(N, 4)`` offsets in units of the boxes."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * torch.cat([size, size], dim=1)


def to_squares(boxes: Tensor, image: Tensor) -> Squares:
    """Return the upright squares with the centers and the longer sides of ``(N, 4)`` boxes."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(dim=1).values.clamp(min=1.0) if len(boxes) else size[:, 0]
    center_xy = (boxes[:, :2] + boxes[:, 2:]) / 2
    return Squares(image, center_xy, side, torch.zeros_like(side))


def empty_squares(device: torch.device) -> Squares:
    """Return zero squares."""
    return to_squares(
        torch.zeros(0, 4, device=device), torch.zeros(0, dtype=torch.long, device=device)
    )


def first_of_each_group(group: Tensor, limit: int) -> Tensor:
    """Return the positions of the first ``limit`` members of every group, in order."""
    keep = [(group == value).nonzero()[:limit, 0] for value in distinct_values(group)]
    return torch.cat(keep).sort().values if keep else group


def suppress_overlapping(boxes: Tensor, scores: Tensor, group: Tensor, max_iou: float) -> Tensor:
    """Return the positions of the boxes that overlap no better one of their group, best first.

    Exactly what torchvision's ``batched_nms`` returns on a CPU. It is not called, because wheels of
    torchvision that do not match torch cannot be imported or lack this function.

    Args:
        boxes: ``(N, 4)`` boxes.
        scores: ``(N,)`` scores; of equal ones, the first is better.
        group: ``(N,)`` numbers of groups, not negative.
        max_iou: Intersection over union above which the worse one of two boxes is dropped.
    """
    if len(boxes) <= 1:
        return torch.arange(len(boxes), device=boxes.device)
    if len(boxes) <= _MAX_SHIFTED_BOXES:
        # Groups are moved apart. The rounding of large coordinates is a part of the result.
        shifted = boxes + (group.to(boxes) * (boxes.max() + 1))[:, None]
        return _suppress_overlapping(shifted, scores, max_iou)
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for value in distinct_values(group):
        members = (group == value).nonzero()[:, 0]
        keep[members[_suppress_overlapping(boxes[members], scores[members], max_iou)]] = True
    kept = keep.nonzero()[:, 0]
    return kept[scores[kept].sort(descending=True).indices]


def _suppress_overlapping(boxes: Tensor, scores: Tensor, max_iou: float) -> Tensor:
    # Boxes are numbered from the best to the worst.
    order = scores.sort(stable=True, descending=True).indices
    sides: FloatArray = boxes[order].T.contiguous().cpu().numpy()
    left, top, right, bottom = sides
    area = (right - left) * (bottom - top)
    # Pairs that overlap along x: each box with those that begin inside it.
    from_left = np.argsort(left, kind="stable")
    position = np.arange(len(order))
    ends = np.asarray(np.searchsorted(left[from_left], right[from_left]), dtype=np.int64)
    counts = np.maximum(ends - position - 1, 0)
    first = np.repeat(position, counts)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    one, other = from_left[first], from_left[second]
    width = np.minimum(right[one], right[other]) - np.maximum(left[one], left[other])
    height = np.minimum(bottom[one], bottom[other]) - np.maximum(top[one], top[other])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # boxes without an area
        iou = common / (area[one] + area[other] - common)
    overlaps = iou.astype(np.float64) > max_iou
    better = np.minimum(one[overlaps], other[overlaps])
    worse = np.maximum(one[overlaps], other[overlaps])
    in_order = np.argsort(better, kind="stable")
    keep = [True] * len(order)
    for winner, loser in zip(better[in_order].tolist(), worse[in_order].tolist(), strict=True):
        if keep[winner]:
            keep[loser] = False
    return order[torch.tensor(keep, dtype=torch.bool, device=order.device)]


def squares_around(
    faces: Sequence[Detection], images: Sequence[int], device: torch.device
) -> Squares:
    """Return a square around every face, rotated as the face is."""
    box = torch.tensor([face.box_xyxy for face in faces], device=device) + _EDGE_PX
    roll = [landmark_roll_radians(face.landmarks_xy) for face in faces]
    upright = to_squares(box, torch.tensor(images, device=device))
    return upright._replace(roll=torch.tensor(roll, device=device))


def upright_boxes(center_xy: Tensor, width: Tensor, height: Tensor, roll: Tensor) -> Tensor:
    """Return ``(N, 4)`` axis-aligned boxes of faces that are rotated by ``roll`` radians.

    They bound the ellipse inside the rotated box. Unlike the bounding box of its corners, that
    does not grow when a square is taken around it and boxed again.
    """
    cos, sin = roll.cos(), roll.sin()
    half_x = torch.hypot(width * cos, height * sin) / 2
    half_y = torch.hypot(width * sin, height * cos) / 2
    half = torch.stack([half_x, half_y], dim=1)
    return torch.cat([center_xy - half, center_xy + half], dim=1)


def to_detections(boxes: Tensor, scores: Tensor, landmarks: Tensor) -> list[Detection | None]:
    """Turn ``(N, 4)``, ``(N,)`` and ``(N, 5, 2)`` into detections; None where a box collapsed."""
    corners: NDArray[np.float32] = (boxes - _EDGE_PX).cpu().numpy()
    landmarks_xy: FloatArray = (landmarks - _EDGE_PX).float().cpu().numpy()
    return [
        _to_detection(*columns)
        for columns in zip(corners, map(float, scores.cpu()), landmarks_xy, strict=True)
    ]


def _to_detection(box: FloatArray, score: float, landmarks_xy: FloatArray) -> Detection | None:
    left, top, right, bottom = (float(side) for side in box)
    spread = float(np.ptp(landmarks_xy, axis=0).max())
    if not (right - left >= 1 and bottom - top >= 1 and 0 < spread < np.inf):
        return None
    return Detection(
        box_xyxy=(left, top, right, bottom), score=score, landmarks_xy=landmarks_xy.copy()
    )


def suppress_contained(faces: Sequence[Detection]) -> list[Detection]:
    """Drop faces that lie mostly inside a better one or around it; return the best first."""
    best_faces: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(
            overlap_of_smaller(face.box_xyxy, better.box_xyxy) < _CONTAINED_OVERLAP
            for better in best_faces
        ):
            best_faces.append(face)
    return best_faces


def overlap_of_smaller(first: BoxXyxy, second: BoxXyxy) -> float:
    """Return the common area of two boxes as a fraction of the smaller box."""
    return _common_area(first, second) / min(_area(first), _area(second))


def intersection_over_union(first: BoxXyxy, second: BoxXyxy) -> float:
    """Return the common area of two boxes as a fraction of their union."""
    common = _common_area(first, second)
    return common / (_area(first) + _area(second) - common)


def _common_area(first: BoxXyxy, second: BoxXyxy) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def longer_side_px(box: BoxXyxy) -> float:
    """Return the longer side of a box."""
    return max(box[2] - box[0], box[3] - box[1])


def _area(box: BoxXyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
