"""Records, of every kind of line, and reports made by hand."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidrestore.pipeline.report import RestoreReport
from vidrestore.record import (
    EndRecord,
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    SourceFile,
    end_line,
    frame_line,
    header_line,
)

POINTS = ((12.5, 20.0), (30.25, 20.5), (21.0, 28.0), (14.0, 36.0), (28.0, 36.5))


def make_header(**changes: object) -> RecordHeader:
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
        small_checkpoint_sha256="cd" * 32,
        tiny_checkpoint_sha256="0f" * 32,
        detail=0.5,
        settings={"strength": 1.0, "start_seconds": None, "overwrite": True, "codec": "ffv1"},
    )
    return replace(header, **changes)  # type: ignore[arg-type]


def make_face(**changes: object) -> FaceRecord:
    """Return a face whose mask is the left half of the frame of ``make_header``."""
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
        crop_px=256,
    )
    return replace(face, **changes)  # type: ignore[arg-type]


def make_frame(index: int = 0, **changes: object) -> FrameRecord:
    """Return a frame with one face, ``index`` ticks into the film."""
    frame = FrameRecord(index=index, pts=index, shot=0, faces=(make_face(),))
    return replace(frame, **changes)  # type: ignore[arg-type]


def write_record(path: Path, header: RecordHeader, frames: Iterable[FrameRecord]) -> Path:
    """Write a complete record and return ``path``."""
    frame_count = face_count = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(header_line(header))
        for frame in frames:
            file.write(frame_line(frame))
            frame_count, face_count = frame_count + 1, face_count + len(frame.faces)
        file.write(end_line(EndRecord(frames=frame_count, faces=face_count)))
    return path


def make_report(**changes: object) -> RestoreReport:
    """Return the report of a run that restored three frames without a face."""
    report = RestoreReport(
        frames=3,
        faces=0,
        shot_records=(),
        track_records=(),
        timing={},
        device="cpu",
        precision="fp32",
        model="lite",
        damaged_packets=0,
        notes=(),
    )
    return replace(report, **changes)  # type: ignore[arg-type]
