"""What the analysis found in one frame, as a line of the journal.

Numbers are written so that they are read back exactly.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.types import FloatArray, Frame, TrackedFace, TrackedFrame

_CHECKED_ROWS = 16
"""Spacing of the rows in the checksum. Codecs damage whole blocks, so none is missed."""


class FrameMismatchError(MediaError):
    """A frame has other samples than when it was analyzed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameAnalysis:
    """What ``Stages.analyze`` found in one frame, without its samples."""

    index: int
    ticks: int
    """Presentation time of the frame; for a field, of its frame."""
    rows_crc32: int
    """Shows whether decoding from another position gives other samples."""
    shot: int
    is_monochrome: bool
    key_frame: bool
    faces: tuple[TrackedFace, ...]

    @staticmethod
    def of(tracked: TrackedFrame) -> "FrameAnalysis":
        """Return the analysis of a frame."""
        frame = tracked.frame
        return FrameAnalysis(
            index=frame.index,
            ticks=_frame_ticks(frame),
            rows_crc32=_rows_crc32(frame),
            shot=tracked.shot,
            is_monochrome=tracked.is_monochrome,
            key_frame=frame.key_frame,
            faces=tracked.faces,
        )

    def check(self, frame: Frame, when: str) -> None:
        """Check that ``frame`` is the one that was analyzed, sample for sample.

        Args:
            frame: The decoded frame.
            when: When it was analyzed, for the message.

        Raises:
            FrameMismatchError: It is another one.
        """
        own = (self.index, self.ticks, self.rows_crc32)
        if own != (frame.index, _frame_ticks(frame), _rows_crc32(frame)):
            raise FrameMismatchError(
                f"frame {frame.index} has other samples than {when}; if the film was changed, "
                "start over with --overwrite"
            )

    def tracked(self, frame: Frame) -> TrackedFrame:
        """Return the frame with the faces found in it."""
        return TrackedFrame(
            frame=frame, shot=self.shot, faces=self.faces, is_monochrome=self.is_monochrome
        )

    def to_json(self) -> dict[str, Any]:
        """Return the values for JSON, of which some are NumPy's."""
        fields = asdict(self)
        for face in fields["faces"]:
            del face["landmarks_xy"]  # not smoothed yet: the raw ones
        return fields

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "FrameAnalysis":
        """Return the analysis that ``to_json`` returned the values of."""
        values: dict[str, Any] = {**fields, "faces": tuple(map(_face_of, fields["faces"]))}
        return FrameAnalysis(**values)


def _face_of(fields: Mapping[str, Any]) -> TrackedFace:
    values: dict[str, Any] = {**fields, "box_xyxy": tuple(fields["box_xyxy"])}
    landmarks: FloatArray = np.array(values.pop("raw_landmarks_xy"), dtype=np.float32)
    return TrackedFace(landmarks_xy=landmarks, raw_landmarks_xy=landmarks, **values)


def _rows_crc32(frame: Frame) -> int:
    """Return a checksum of every sixteenth row of every plane."""
    checksum = 0
    for plane in frame.planes:
        checksum = zlib.crc32(np.ascontiguousarray(plane[::_CHECKED_ROWS]).tobytes(), checksum)
    return checksum


def _frame_ticks(frame: Frame) -> int:
    return (frame.field_of or frame).timestamp.ticks
