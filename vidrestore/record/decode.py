"""Decode and check one line of a record."""

from typing import cast

from vidrestore.record.json_fields import json_excerpt, parse_object, read_object
from vidrestore.record.schema import (
    READABLE_SCHEMAS,
    SCHEMA,
    EndRecord,
    FrameRecord,
    RecordHeader,
)

_SINCE = {"small_checkpoint_sha256": 3, "tiny_checkpoint_sha256": 4}
"""Field of the header -> version that has it first."""


def parse_line(text: str) -> RecordHeader | FrameRecord | EndRecord:
    """Return the value of one line.

    Raises:
        ValueError: The line is invalid; the message names the field.
    """
    fields = parse_object(text)
    kind = fields.pop("kind", None)
    if kind == "frame":
        if isinstance(faces := fields.get("faces"), list):
            fields["faces"] = [_with_crop_px(face) for face in cast("list[object]", faces)]
        return read_object(FrameRecord, {"repair": None, **fields})
    if kind == "end":
        return read_object(EndRecord, fields)
    if kind != "header":
        raise ValueError(f"kind: expected header, frame or end, got {json_excerpt(kind)}")
    schema = fields.pop("schema", None)
    if schema not in READABLE_SCHEMAS:
        raise ValueError(f"schema: expected {SCHEMA!r}, got {json_excerpt(schema)}")
    for name, version in _SINCE.items():
        if READABLE_SCHEMAS.index(schema) + 1 < version:
            if name in fields:
                raise ValueError(f"{name}: unknown field")
            fields[name] = None
    return read_object(RecordHeader, fields)


def _with_crop_px(face: object) -> object:
    """Return the fields of a face, with the one that versions before 4 lack."""
    return {"crop_px": None, **cast("dict[str, object]", face)} if isinstance(face, dict) else face
