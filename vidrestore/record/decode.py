"""A line of a record to its value."""

from vidrestore.record.json_fields import Fields, json_object
from vidrestore.record.schema import (
    SCHEMA,
    EndRecord,
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    SourceFile,
)

_FACES_MAX = 10_000
_SETTINGS_MAX = 1_000


def parsed_line(text: str) -> RecordHeader | FrameRecord | EndRecord:
    """Return the value of one line.

    Raises:
        ValueError: Names the field, what was expected and what was found.
    """
    fields = Fields(json_object(text))
    kind = fields.text("kind")
    if kind == "header":
        return _header(fields)
    if kind == "frame":
        return _frame(fields)
    if kind == "end":
        return fields.build(
            EndRecord, frames=fields.integer("frames"), faces=fields.integer("faces")
        )
    raise ValueError(f"kind: expected header, frame or end, got {kind[:40]!r}")


def _header(fields: Fields) -> RecordHeader:
    schema = fields.text("schema")
    if schema != SCHEMA:
        raise ValueError(f"schema: expected {SCHEMA!r}, got {schema[:60]!r}")
    return fields.build(
        RecordHeader,
        program=fields.text("program"),
        source=_source(fields.object("source")),
        output=_output(fields.object("output")),
        coded_hw=fields.integers("coded_hw", 2),
        display_hw=fields.integers("display_hw", 2),
        time_base=fields.fraction("time_base"),
        model=fields.text("model"),
        checkpoint_sha256=fields.optional("checkpoint_sha256", fields.text),
        detail=fields.optional("detail", fields.number),
        scale=fields.integer("scale"),
        settings=fields.scalars("settings", _SETTINGS_MAX),
        digital_source_type=fields.text("digital_source_type"),
    )


def _source(fields: Fields) -> SourceFile:
    return fields.build(
        SourceFile,
        name=fields.text("name"),
        size_bytes=fields.optional("size_bytes", fields.integer),
        sha256=fields.optional("sha256", fields.text),
    )


def _output(fields: Fields) -> OutputFile:
    return fields.build(
        OutputFile,
        name=fields.text("name"),
        codec=fields.text("codec"),
        pixel_format=fields.text("pixel_format"),
        lossless=fields.truth("lossless"),
    )


def _frame(fields: Fields) -> FrameRecord:
    return fields.build(
        FrameRecord,
        index=fields.integer("index"),
        pts=fields.integer("pts"),
        shot=fields.integer("shot"),
        faces=tuple(_face(each) for each in fields.objects("faces", _FACES_MAX)),
    )


def _face(fields: Fields) -> FaceRecord:
    return fields.build(
        FaceRecord,
        track=fields.integer("track"),
        box_xyxy=fields.numbers("box_xyxy", 4),
        score=fields.number("score"),
        interpolated=fields.truth("interpolated"),
        points_measured_xy=fields.points("points_measured_xy"),
        points_xy=fields.points("points_xy"),
        mask_xyxy=fields.optional("mask_xyxy", lambda name: fields.integers(name, 4)),
        strength=fields.number("strength"),
        reason=fields.optional("reason", fields.text),
        identity_similarity=fields.optional("identity_similarity", fields.number),
        luma_before=fields.optional("luma_before", fields.number),
        luma_after=fields.optional("luma_after", fields.number),
    )
