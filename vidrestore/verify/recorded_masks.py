"""Read the masks of a record, frame by frame with the source."""

from collections.abc import Iterator
from dataclasses import dataclass

from vidrestore.record import FrameRecord, RecordReader
from vidrestore.text import count_text
from vidrestore.types import Box, Frame, ToneCurve
from vidrestore.verify.run_files import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChanges:
    """Where a frame may differ from the source, and how its brightness was changed."""

    boxes_xyxy: tuple[Box, ...] = ()
    """In coded pixels."""
    curve: ToneCurve | None = None

    def expected(self, source: Frame) -> Frame:
        """Return the frame as it must be outside the boxes."""
        if self.curve is None:
            return source
        return source.with_planes(self.curve.apply(source.planes, source.pixel_format))


class MaskReader:
    """Reads the recorded changes of each source frame while the record matches the source."""

    def __init__(self, evidence: Evidence) -> None:
        path = evidence.record_path
        self._reader = None if path is None else RecordReader(path)
        self._lines: Iterator[FrameRecord] = iter(self._reader or ())
        self.faces = 0
        self.repaired_frames = 0
        self.mismatch: str | None = None
        """Where the record first differs from the source."""

    def __enter__(self) -> "MaskReader":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._reader is not None:
            self._reader.close()

    def changes_of(self, frame: Frame) -> RecordedChanges | None:
        """Return the recorded changes of a frame; None where the record is unknown.

        Args:
            frame: The next frame of the source.

        Raises:
            RecordError: The record is truncated or invalid.
        """
        if self._reader is None or self.mismatch is not None:
            return None
        line = next(self._lines, None)
        header = self._reader.header
        if line is None:
            self.mismatch = f"the record ends before frame {frame.index} of the source"
            return None
        seconds = line.pts * header.time_base
        if seconds != frame.timestamp.seconds:
            self.mismatch = (
                f"frame {frame.index} is at {float(frame.timestamp.seconds):.6f} s in the source, "
                f"but at {float(seconds):.6f} s in the record"
            )
            return None
        self.faces += len(line.faces)
        boxes = tuple(face.mask_xyxy for face in line.faces if face.mask_xyxy is not None)
        if line.repair is None:
            return RecordedChanges(boxes_xyxy=boxes)
        self.repaired_frames += 1
        return RecordedChanges(boxes_xyxy=boxes + line.repair.boxes_xyxy, curve=line.repair.curve)

    def finish(self) -> None:
        """Read the record to its end, to find frames that the source lacks.

        Raises:
            RecordError: As ``changes_of``.
        """
        count = sum(1 for _ in self._lines)
        if count and self.mismatch is None:
            self.mismatch = f"the record has {count_text(count, 'frame')} more than the source"
