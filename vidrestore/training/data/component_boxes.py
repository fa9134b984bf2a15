"""Boxes of eyes and mouth, for the component discriminators (GFP-GAN, section 3.5).

As released (``parse_landmark.py``, ``ffhq_degradation_dataset.py``): a component's box is a square
around the mean of its landmarks, as long as their larger extent, at least 32 px at 512; those of
eyes are 1.4 times as large. The landmarks are 68 of the face. Where a parsing map is known instead,
the pixels of the component take their place: both follow eyes and mouth of a face in profile, whose
five landmarks say little about them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, scale_of
from vidrestore.types import CROP_SIZE_PX, Affine

COMPONENTS = ("left_eye", "right_eye", "mouth")
"""Left and right as seen in the image."""
DENSE_LANDMARKS = 68

_DENSE_RANGES = ((36, 42), (42, 48), (48, 68))
_ENLARGED = (1.4, 1.4, 1.0)
_MIN_HALF_PX = 16
"""At 512 px."""
_EYE_LABELS, _MOUTH_LABELS = (4, 5), (10, 11, 12)
"""Labels of ``PARSING_CLASSES``: eyes; mouth and lips."""
_MIN_PART = 1e-4
"""Pixels of a component over those of the crop, below which it counts as hidden."""

_EYE_RATIO = 0.64
"""Side of an eye's box relative to the distance between the eyes: 80 px in a crop of 512 px."""
_MOUTH_RATIO, _MIN_MOUTH_RATIO = 1.1, 0.95
"""Side of the mouth's box relative to the mouth's width; minimum relative to the eye distance."""
_EYES_OVER_HEIGHT = 0.96
"""Distance between the eyes over that from eyes to mouth, of a face from the front."""


def component_boxes(points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return square boxes ``(3, 4)``, x0 y0 x1 y1, around ``COMPONENTS``.

    In profile the eyes come together, but not smaller: then the height of the face counts.

    Args:
        points_xy: ``(5, 2)`` landmarks; the boxes are in their pixels.
    """
    height = float(np.linalg.norm(points_xy[3:].mean(axis=0) - points_xy[:2].mean(axis=0)))
    apart = float(np.linalg.norm(points_xy[1] - points_xy[0]))
    eyes = max(apart, _EYES_OVER_HEIGHT * height)
    mouth = float(np.linalg.norm(points_xy[4] - points_xy[3]))
    mouth_side = max(_MOUTH_RATIO * mouth, _MIN_MOUTH_RATIO * eyes)
    centers = np.stack([points_xy[0], points_xy[1], points_xy[3:].mean(axis=0)])
    halves = np.array([_EYE_RATIO * eyes, _EYE_RATIO * eyes, mouth_side])[:, None] / 2
    return np.concatenate([centers - halves, centers + halves], axis=1)


def boxes_of_dense_landmarks(
    dense_xy: NDArray[np.float64], *, side_px: float
) -> NDArray[np.float64]:
    """Return boxes ``(3, 4)`` around ``COMPONENTS`` of 68 landmarks, as released.

    Args:
        dense_xy: ``(68, 2)`` in the crop.
        side_px: Side of the crop.
    """
    groups = [dense_xy[first:last] for first, last in _DENSE_RANGES]
    return np.stack(
        [
            _box_of(points, enlarged, side_px)
            for points, enlarged in zip(groups, _ENLARGED, strict=True)
        ]
    )


def boxes_of_labels(
    labels_hw: NDArray[np.uint8], points_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return boxes ``(3, 4)`` around ``COMPONENTS`` of a parsing map of an aligned face.

    A component without pixels has the box of its five landmarks; an eye that is hidden, in the size
    of the other.

    Args:
        labels_hw: ``(S, S)``.
        points_xy: ``(5, 2)`` landmarks in it.
    """
    boxes = component_boxes(points_xy)
    side_px = labels_hw.shape[0]
    eyes = [pixels for label in _EYE_LABELS if (pixels := _pixels(labels_hw, (label,))) is not None]
    eyes.sort(key=lambda pixels: float(pixels[:, 0].mean()))
    if len(eyes) == 2:
        boxes[0], boxes[1] = (_box_of(pixels, _ENLARGED[0], side_px) for pixels in eyes)
    elif eyes:
        boxes[0], boxes[1] = _with_hidden_eye(_box_of(eyes[0], _ENLARGED[0], side_px), points_xy)
    mouth = _pixels(labels_hw, _MOUTH_LABELS)
    if mouth is not None:
        boxes[2] = _box_of(mouth, _ENLARGED[2], side_px)
    return boxes


def _pixels(labels_hw: NDArray[np.uint8], labels: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the positions ``(P, 2)`` of the pixels of some labels; None where they are hidden."""
    y, x = np.nonzero(np.isin(labels_hw, labels))
    if x.size < _MIN_PART * labels_hw.size:
        return None
    return np.stack([x, y], axis=1).astype(np.float64)


def _with_hidden_eye(
    seen_box: NDArray[np.float64], points_xy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the boxes of both eyes: the seen one's, and one as large around the other landmark."""
    half = (seen_box[2:] - seen_box[:2]) / 2
    away = np.linalg.norm(points_xy[:2] - (seen_box[:2] + half), axis=1)
    hidden = points_xy[int(away.argmax())]
    hidden_box = np.concatenate([hidden - half, hidden + half])
    return (seen_box, hidden_box) if away.argmax() == 1 else (hidden_box, seen_box)


def mapped_boxes(boxes_xyxy: NDArray[np.float64], transform: Affine) -> NDArray[np.float64]:
    """Return square boxes ``(3, 4)`` after a similarity: its centers, and sides in its scale."""
    centers = apply_affine(transform, (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2)
    halves = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2 * scale_of(transform)
    return np.concatenate([centers - halves, centers + halves], axis=1)


def mirrored_boxes(boxes_xyxy: NDArray[np.float64], *, width_px: int) -> NDArray[np.float64]:
    """Return the boxes of the mirror image: the eyes change their places."""
    x0, y0, x1, y1 = boxes_xyxy[[1, 0, 2]].T
    return np.stack([width_px - 1 - x1, y0, width_px - 1 - x0, y1], axis=1)


def _box_of(points_xy: NDArray[np.float64], enlarged: float, side_px: float) -> NDArray[np.float64]:
    """Return the box of a component's landmarks or pixels, as released."""
    extent = float(np.ptp(points_xy, axis=0).max())
    half = max(extent / 2, _MIN_HALF_PX * side_px / CROP_SIZE_PX) * enlarged
    center_xy = points_xy.mean(axis=0)
    return np.concatenate([center_xy - half + 1, center_xy + half])
