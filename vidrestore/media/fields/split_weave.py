"""Interlaced frames as their two fields, in the order they were taken, and back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vidrestore.types import Box, Frame, Plane, Timestamp

FIELD_INDEX_STEP = 2
"""Frame ``n`` of a film becomes the fields ``2 n`` and ``2 n + 1``, or stays whole as ``2 n``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """Which frames of a film hold two moments, and which of the two comes first."""

    every_frame: bool = False
    """Whether frames that are not flagged as interlaced do, too."""
    top_first: bool | None = None
    """Whether the first row belongs to the earlier moment; None: as every frame says."""

    def holds_two(self, frame: Frame) -> bool:
        """Whether ``frame`` is made of two fields."""
        return frame.interlaced or self.every_frame

    def is_top_first(self, frame: Frame) -> bool:
        """Whether the top field of ``frame`` is the earlier one."""
        return frame.top_field_first if self.top_first is None else self.top_first


def split_fields(frames: Iterable[Frame], rule: FieldRule) -> Iterator[Frame]:
    """Yield the fields of every frame that has two, in their order in time, and others whole.

    Nothing is copied or interpolated: the planes of a field are every second row of the frame's,
    chroma included. The second field is shown from the middle of its frame's time on.

    Args:
        frames: Whole frames, in presentation order.
        rule: Which of them to split.
    """
    for frame in frames:
        if not rule.holds_two(frame):
            yield replace(frame, index=FIELD_INDEX_STEP * frame.index)
            continue
        top_first = rule.is_top_first(frame)
        yield _field(frame, is_bottom=not top_first, is_second=False)
        yield _field(frame, is_bottom=top_first, is_second=True)


def _field(frame: Frame, *, is_bottom: bool, is_second: bool) -> Frame:
    ticks, duration = 2 * frame.timestamp.ticks, frame.duration_ticks
    return replace(
        frame,
        index=FIELD_INDEX_STEP * frame.index + int(is_second),
        timestamp=Timestamp(
            ticks + (max(1, duration) if is_second else 0), frame.timestamp.time_base / 2
        ),
        planes=_rows_of(frame, is_bottom=is_bottom),
        key_frame=frame.key_frame and not is_second,
        field_of=frame,
        is_bottom_field=is_bottom,
    )


def _rows_of(frame: Frame, *, is_bottom: bool) -> tuple[Plane, ...]:
    """Return every second row of the planes; a row that an odd height lacks is repeated."""
    height, width = frame.coded_hw
    field_hw = (-(-height // 2), width)
    planes: list[Plane] = []
    for at, plane in enumerate(frame.planes):
        rows = plane[int(is_bottom) :: 2]
        missing = frame.pixel_format.plane_hw(at, field_hw)[0] - len(rows)
        if missing:
            last = rows[-1:] if len(rows) else plane[-1:]
            rows = np.concatenate([rows, last.repeat(missing, axis=0)])
            rows.flags.writeable = False
        planes.append(rows)
    return tuple(planes)


def full_frame_of(stage_frame: Frame) -> Frame:
    """Return the frame that a frame or a field given by ``split_fields`` comes from, as it was."""
    if stage_frame.field_of is not None:
        return stage_frame.field_of
    return replace(stage_frame, index=stage_frame.index // FIELD_INDEX_STEP)


def woven(first: Frame, second: Frame) -> Frame:
    """Return two fields of one frame, whose samples may have changed, as that frame again.

    Args:
        first: A field as ``split_fields`` gives it, perhaps with other samples.
        second: The other field of the same frame.

    Raises:
        ValueError: They are not the two fields of one frame.
    """
    whole = first.field_of
    if whole is None or second.field_of is not whole:
        raise ValueError(f"{first.index} and {second.index} are not fields of one frame")
    if first.is_bottom_field == second.is_bottom_field:
        raise ValueError(f"{first.index} and {second.index} are the same field")
    planes = [np.empty_like(plane) for plane in whole.planes]
    for field in (first, second):
        for plane, rows in zip(planes, field.planes, strict=True):
            part = plane[int(field.is_bottom_field) :: 2]
            part[...] = rows[: len(part)]
    for plane in planes:
        plane.flags.writeable = False
    return whole.with_planes(tuple(planes))


def box_in_whole(box_xyxy: Box, field: Frame) -> Box:
    """Return the bounds in the whole frame of a box in the rows of its field.

    Right and bottom are exclusive; rows of the other field that lie between are inside.
    """
    left, top, right, bottom = box_xyxy
    first = int(field.is_bottom_field)
    return left, 2 * top + first, right, min(field.whole_hw[0], 2 * (bottom - 1) + first + 1)
