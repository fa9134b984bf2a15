"""Helpers of the repairs: luma of a frame, its neighbors, masks of planes, boxes of masks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.types import Box, FloatArray, Frame, Plane, Repair

Mask = NDArray[np.bool_]
"""``(H, W)``, True at the pixels of the mask."""

_LUMA_GBR = np.array([[0.587, 0.114, 0.299]], dtype=np.float32)


class InShot(Protocol):
    """Anything that has the number of its shot."""

    @property
    def shot(self) -> int | None:
        """Number of the shot; None for a field, which has no neighbors."""
        ...


Value = TypeVar("Value", bound=InShot)


def luma_levels(frame: Frame) -> FloatArray:
    """Return luma on a scale of 255, ``(H, W)``, at any bit depth and range."""
    scale = np.float32(255 / frame.pixel_format.max_value)
    if frame.pixel_format.model != "rgb":
        return frame.planes[0].astype(np.float32) * scale
    gbr = cv2.merge([np.asarray(plane, dtype=np.float32) for plane in frame.planes[:3]])
    return np.asarray(cv2.transform(gbr, _LUMA_GBR * scale), dtype=np.float32)


def comparable_shot(frame: Frame, shot: int) -> int | None:
    """Return the shot whose frames may be compared with a frame; None for a field."""
    return shot if frame.field_of is None else None


def neighbors(value: Value, others: Sequence[Value]) -> list[Value]:
    """Return the nearest of ``others`` that belong to the same shot."""
    if value.shot is None:
        return []
    return list(takewhile(lambda other: other.shot == value.shot, others))


def with_repair(frame: Frame, planes: Iterable[Plane], **changes: Any) -> Frame:
    """Return a frame with new samples, and a note of what was repaired.

    Args:
        frame: As decoded, or with earlier repairs.
        planes: The new samples; they become read-only.
        changes: New values of fields of ``Repair``.
    """
    planes = tuple(planes)
    for plane in planes:
        plane.flags.writeable = False
    before = frame.repair or Repair(source=frame)
    return replace(frame, planes=planes, repair=replace(before, **changes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneMask:
    """The samples of one plane that a mask of pixels covers."""

    index: int
    """Index of the plane."""
    mask_hw: Mask


def plane_masks(frame: Frame, mask_hw: Mask) -> Iterable[PlaneMask]:
    """Yield the mask of every plane except alpha; a chroma sample belongs to several pixels."""
    pixel_format = frame.pixel_format
    for index in range(pixel_format.plane_count - int(pixel_format.has_alpha)):
        shift_x, shift_y = pixel_format.plane_shift_xy(index)
        yield PlaneMask(index=index, mask_hw=_any_in_blocks(mask_hw, shift_x, shift_y))


def _any_in_blocks(mask_hw: Mask, shift_x: int, shift_y: int) -> Mask:
    if not (shift_x or shift_y):
        return mask_hw
    down, across = 1 << shift_y, 1 << shift_x
    height, width = mask_hw.shape
    padded = np.pad(mask_hw, ((0, -height % down), (0, -width % across)))
    blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    return np.asarray(blocks.any(axis=(1, 3)), dtype=np.bool_)


def boxes_from_mask(mask_hw: Mask) -> tuple[Box, ...]:
    """Return boxes that cover exactly the pixels of a mask, from top to bottom.

    Equal runs in consecutive rows become one box.
    """
    boxes: list[Box] = []
    open_runs: dict[tuple[int, int], int] = {}
    rows = np.flatnonzero(mask_hw.any(axis=1))
    last = -2
    for row in (*rows.tolist(), len(mask_hw) + 1):
        runs = set(_runs(mask_hw[row])) if row < len(mask_hw) else set[tuple[int, int]]()
        ended = [run for run in open_runs if row != last + 1 or run not in runs]
        boxes += [(run[0], open_runs.pop(run), run[1], last + 1) for run in ended]
        for run in runs:
            open_runs.setdefault(run, row)
        last = row
    return tuple(sorted(boxes, key=lambda box: (box[1], box[0])))


def _runs(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]])))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
