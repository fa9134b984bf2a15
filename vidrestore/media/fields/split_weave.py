"""Splits interlaced frames into fields, in order of time, and weaves them back into frames."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vidrestore.types import Box, Frame, Plane, Timestamp

FIELD_INDEX_STEP = 2
"""Frame ``n`` becomes the fields ``2 n`` and ``2 n + 1``; a progressive frame becomes ``2 n``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """Which frames of a video are interlaced, and which field is earlier."""

    every_frame: bool = False
    """Whether all frames are interlaced, also those not flagged as such."""
    top_first: bool | None = None
    """Whether the top field is earlier; None takes the flag of each frame."""

    def is_interlaced(self, frame: Frame) -> bool:
        """Whether ``frame`` consists of two fields."""
        return frame.interlaced or self.every_frame

    def is_top_first(self, frame: Frame) -> bool:
        """Whether the top field of ``frame`` is earlier."""
        return frame.top_field_first if self.top_first is None else self.top_first


def split_fields(frames: Iterable[Frame], rule: FieldRule) -> Iterator[Frame]:
    """Yield the fields of interlaced frames in order of time, and progressive frames unchanged.

    Nothing is copied or interpolated: the planes of a field are every second row of the frame's,
    chroma included. The second field is presented in the second half of its frame's duration.

    Args:
        frames: In presentation order.
        rule: Which frames to split.
    """
    for frame in frames:
        if not rule.is_interlaced(frame):
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
    """Return every second row of the planes; if an odd height lacks one, the last is repeated."""
    height, width = frame.coded_hw
    field_hw = (-(-height // 2), width)
    planes: list[Plane] = []
    for number, plane in enumerate(frame.planes):
        rows = plane[int(is_bottom) :: 2]
        missing = frame.pixel_format.plane_hw(number, field_hw)[0] - len(rows)
        if missing:
            last = rows[-1:] if len(rows) else plane[-1:]
            rows = np.concatenate([rows, last.repeat(missing, axis=0)])
            rows.flags.writeable = False
        planes.append(rows)
    return tuple(planes)


def full_frame_of(stage_frame: Frame) -> Frame:
    """Return the original frame of a frame or field that ``split_fields`` yielded."""
    if stage_frame.field_of is not None:
        return stage_frame.field_of
    return replace(stage_frame, index=stage_frame.index // FIELD_INDEX_STEP)


def weave_fields(first: Frame, second: Frame) -> Frame:
    """Return the frame made of two fields, with their samples.

    Args:
        first: A field from ``split_fields``, whose samples may have changed.
        second: The other field of the same frame.

    Raises:
        ValueError: They are not the two fields of one frame.
    """
    frame = first.field_of
    if frame is None or second.field_of is not frame:
        raise ValueError(f"{first.index} and {second.index} are not fields of one frame")
    if first.is_bottom_field == second.is_bottom_field:
        raise ValueError(f"{first.index} and {second.index} are the same field")
    planes = [np.empty_like(plane) for plane in frame.planes]
    for field in (first, second):
        for plane, rows in zip(planes, field.planes, strict=True):
            field_rows = plane[int(field.is_bottom_field) :: 2]
            field_rows[...] = rows[: len(field_rows)]
    for plane in planes:
        plane.flags.writeable = False
    return frame.with_planes(tuple(planes))


def box_in_frame(box_xyxy: Box, field: Frame) -> Box:
    """Convert a box from rows of a field to rows of its frame.

    Right and bottom are exclusive. Rows of the other field in between are inside.
    """
    left, top, right, bottom = box_xyxy
    first = int(field.is_bottom_field)
    return left, 2 * top + first, right, min(field.whole_hw[0], 2 * (bottom - 1) + first + 1)
