"""Records made by hand, of every kind of line."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidrestore.record import (
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    RecordWriter,
    SourceFile,
)

POINTS = ((12.5, 20.0), (30.25, 20.5), (21.0, 28.0), (14.0, 36.0), (28.0, 36.5))


def a_header(**changes: object) -> RecordHeader:
    """Return the header of a lossless result of 64 x 48 px, 25 frames a second."""
    header = RecordHeader(
        program="vidrestore 0.1.0",
        source=SourceFile(name="film.mkv", size_bytes=1234, sha256="0" * 64),
        output=OutputFile(name="restored.mkv", codec="ffv1", pixel_format="yuv420p", lossless=True),
        coded_hw=(48, 64),
        display_hw=(48, 64),
        time_base=Fraction(1, 25),
        model="lite",
        checkpoint_sha256="ab" * 32,
        detail=0.5,
        settings={"strength": 1.0, "start_seconds": None, "overwrite": True, "codec": "ffv1"},
    )
    return replace(header, **changes)  # type: ignore[arg-type]


def a_face(**changes: object) -> FaceRecord:
    """Return a face whose mask is the left half of ``a_header``'s picture."""
    face = FaceRecord(
        track=3,
        box_xyxy=(8.125, 10.0, 34.5, 42.0),
        score=0.99,
        points_measured_xy=POINTS,
        points_xy=POINTS,
        mask_xyxy=(0, 0, 32, 48),
        strength=0.75,
        reason="turned far",
        identity_similarity=0.8125,
        luma_before=101.5,
        luma_after=104.25,
    )
    return replace(face, **changes)  # type: ignore[arg-type]


def a_frame(index: int = 0, **changes: object) -> FrameRecord:
    """Return a frame with one face, ``index`` ticks into the film."""
    frame = FrameRecord(index=index, pts=index, shot=0, faces=(a_face(),))
    return replace(frame, **changes)  # type: ignore[arg-type]


def a_record(path: Path, header: RecordHeader, frames: Iterable[FrameRecord]) -> Path:
    """Write a whole record and return ``path``."""
    with RecordWriter(path, header) as record:
        for frame in frames:
            record.add(frame)
        record.finish()
    return path
