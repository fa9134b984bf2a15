"""Encode a record as lines of text, one function for each kind of line."""

import json
from dataclasses import asdict
from typing import Any

from vidrestore.record.schema import (
    SCHEMA,
    EndRecord,
    FaceRecord,
    FrameRecord,
    RecordHeader,
    RepairRecord,
)

_COORDINATE_DIGITS = 3
_VALUE_DIGITS = 5
# ASCII: no character of a file name ends a line, and any program can read it.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def header_line(header: RecordHeader) -> str:
    """Return the first line of a record, with its line feed."""
    fields = {
        **{name: getattr(header, name) for name in RecordHeader.__slots__},
        "source": asdict(header.source),
        "output": asdict(header.output),
        "time_base": f"{header.time_base.numerator}/{header.time_base.denominator}",
        "settings": dict(header.settings),
    }
    return _line({"kind": "header", "schema": SCHEMA, **fields})


def frame_line(frame: FrameRecord) -> str:
    """Return the line of a frame. It depends on the frame alone, so segments can store lines."""
    faces = [_face(face) for face in frame.faces]
    fields = {"index": frame.index, "pts": frame.pts, "shot": frame.shot, "faces": faces}
    repair = None if frame.repair is None else _repair(frame.repair)
    return _line({"kind": "frame", **fields, "repair": repair})


def end_line(end: EndRecord) -> str:
    """Return the last line of a record."""
    return _line({"kind": "end", "frames": end.frames, "faces": end.faces})


def _line(fields: dict[str, Any]) -> str:
    return _ENCODER.encode(fields) + "\n"


def _repair(repair: RepairRecord) -> dict[str, Any]:
    return {
        "curve": None if repair.curve is None else list(repair.curve.knots),
        "dust_xyxy": [list(box) for box in repair.dust_xyxy],
        "scratches_xyxy": [list(box) for box in repair.scratches_xyxy],
        "specks": repair.specks,
    }


def _face(face: FaceRecord) -> dict[str, Any]:
    return {
        "track": face.track,
        "box_xyxy": [_coordinate(value) for value in face.box_xyxy],
        "score": _value(face.score),
        "interpolated": face.interpolated,
        "points_measured_xy": [
            [_coordinate(x), _coordinate(y)] for x, y in face.points_measured_xy
        ],
        "points_xy": [[_coordinate(x), _coordinate(y)] for x, y in face.points_xy],
        "mask_xyxy": None if face.mask_xyxy is None else list(face.mask_xyxy),
        "strength": _value(face.strength),
        "reason": face.reason,
        "identity_similarity": _value(face.identity_similarity),
        "luma_before": _value(face.luma_before),
        "luma_after": _value(face.luma_after),
        "crop_px": face.crop_px,
    }


def _coordinate(value: float) -> float:
    return round(float(value), _COORDINATE_DIGITS)


def _value(value: float | None) -> float | None:
    return None if value is None else round(float(value), _VALUE_DIGITS)
