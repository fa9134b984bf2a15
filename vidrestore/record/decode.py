"""Decode and check one line of a record."""

from vidrestore.record.json_fields import JsonObject, parse_object
from vidrestore.record.schema import (
    READABLE_SCHEMAS,
    SCHEMA,
    EndRecord,
    FaceRecord,
    FrameRecord,
    OutputFile,
    RecordHeader,
    RepairRecord,
    SourceFile,
)
from vidrestore.types import CURVE_KNOTS, ToneCurve

_MAX_FACES = 10_000
_MAX_BOXES = 1_000_000
_MAX_SETTINGS = 1_000


def parse_line(text: str) -> RecordHeader | FrameRecord | EndRecord:
    """Return the value of one line.

    Raises:
        ValueError: The line is invalid; the message names the field.
    """
    fields = JsonObject(parse_object(text))
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


def _header(fields: JsonObject) -> RecordHeader:
    schema = fields.text("schema")
    if schema not in READABLE_SCHEMAS:
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
        small_checkpoint_sha256=_small_checkpoint(fields, schema),
        detail=fields.optional("detail", fields.number),
        scale=fields.integer("scale"),
        settings=fields.scalars("settings", _MAX_SETTINGS),
        digital_source_type=fields.text("digital_source_type"),
    )


def _small_checkpoint(fields: JsonObject, schema: str) -> str | None:
    if schema != SCHEMA:
        return None
    return fields.optional("small_checkpoint_sha256", fields.text)


def _source(fields: JsonObject) -> SourceFile:
    return fields.build(
        SourceFile,
        name=fields.text("name"),
        size_bytes=fields.optional("size_bytes", fields.integer),
        sha256=fields.optional("sha256", fields.text),
    )


def _output(fields: JsonObject) -> OutputFile:
    return fields.build(
        OutputFile,
        name=fields.text("name"),
        codec=fields.text("codec"),
        pixel_format=fields.text("pixel_format"),
        lossless=fields.boolean("lossless"),
    )


def _frame(fields: JsonObject) -> FrameRecord:
    return fields.build(
        FrameRecord,
        index=fields.integer("index"),
        pts=fields.integer("pts"),
        shot=fields.integer("shot"),
        faces=tuple(_face(face) for face in fields.objects("faces", _MAX_FACES)),
        repair=_repair(fields.object("repair")) if fields.has_value("repair") else None,
    )


def _repair(fields: JsonObject) -> RepairRecord:
    curve = fields.optional("curve", lambda name: fields.integers(name, CURVE_KNOTS))
    return fields.build(
        RepairRecord,
        curve=None if curve is None else ToneCurve(curve),
        dust_xyxy=fields.boxes("dust_xyxy", _MAX_BOXES),
        scratches_xyxy=fields.boxes("scratches_xyxy", _MAX_BOXES),
        specks=fields.integer("specks"),
    )


def _face(fields: JsonObject) -> FaceRecord:
    return fields.build(
        FaceRecord,
        track=fields.integer("track"),
        box_xyxy=fields.numbers("box_xyxy", 4),
        score=fields.number("score"),
        interpolated=fields.boolean("interpolated"),
        points_measured_xy=fields.points("points_measured_xy"),
        points_xy=fields.points("points_xy"),
        mask_xyxy=fields.optional("mask_xyxy", lambda name: fields.integers(name, 4)),
        strength=fields.number("strength"),
        reason=fields.optional("reason", fields.text),
        identity_similarity=fields.optional("identity_similarity", fields.number),
        luma_before=fields.optional("luma_before", fields.number),
        luma_after=fields.optional("luma_after", fields.number),
    )
