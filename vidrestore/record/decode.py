"""Decode and check one line of a record."""

from vidrestore.record.json_fields import json_excerpt, parse_object, read_object
from vidrestore.record.schema import (
    READABLE_SCHEMAS,
    SCHEMA,
    EndRecord,
    FrameRecord,
    RecordHeader,
)


def parse_line(text: str) -> RecordHeader | FrameRecord | EndRecord:
    """Return the value of one line.

    Raises:
        ValueError: The line is invalid; the message names the field.
    """
    fields = parse_object(text)
    kind = fields.pop("kind", None)
    if kind == "frame":
        return read_object(FrameRecord, {"repair": None, **fields})
    if kind == "end":
        return read_object(EndRecord, fields)
    if kind != "header":
        raise ValueError(f"kind: expected header, frame or end, got {json_excerpt(kind)}")
    schema = fields.pop("schema", None)
    if schema not in READABLE_SCHEMAS:
        raise ValueError(f"schema: expected {SCHEMA!r}, got {json_excerpt(schema)}")
    if schema != SCHEMA:
        if "small_checkpoint_sha256" in fields:
            raise ValueError("small_checkpoint_sha256: unknown field")
        fields["small_checkpoint_sha256"] = None
    return read_object(RecordHeader, fields)
