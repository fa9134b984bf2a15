"""The record of what was synthesized in a video, frame by frame and face by face."""

from vidrestore.record.encode import end_line, frame_line, header_line
from vidrestore.record.reader import RecordReader
from vidrestore.record.schema import (
    COMPOSITE_SOURCE_TYPE,
    SCHEMA,
    EndRecord,
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    RepairRecord,
    SourceFile,
)

__all__ = [
    "COMPOSITE_SOURCE_TYPE",
    "SCHEMA",
    "EndRecord",
    "FaceRecord",
    "FrameRecord",
    "OutputFile",
    "RecordHeader",
    "RecordReader",
    "RepairRecord",
    "SourceFile",
    "end_line",
    "frame_line",
    "header_line",
]
