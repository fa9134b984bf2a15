"""Values of a record to its lines of text, one function for each kind of line."""

import json
from dataclasses import asdict
from typing import Any

from vidrestore.record.schema import SCHEMA, EndRecord, FaceRecord, FrameRecord, RecordHeader

_PIXEL_DIGITS = 3
_SHARE_DIGITS = 5
# ASCII: no byte of a name can end a line, and any program can read it.
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
    """Return the line of a frame: a function of the frame alone, so lines can be kept apart."""
    faces = [_face(face) for face in frame.faces]
    fields = {"index": frame.index, "pts": frame.pts, "shot": frame.shot, "faces": faces}
    return _line({"kind": "frame", **fields})


def end_line(end: EndRecord) -> str:
    """Return the last line of a record."""
    return _line({"kind": "end", "frames": end.frames, "faces": end.faces})


def _line(fields: dict[str, Any]) -> str:
    return _ENCODER.encode(fields) + "\n"


def _face(face: FaceRecord) -> dict[str, Any]:
    return {
        "track": face.track,
        "box_xyxy": [_pixel(value) for value in face.box_xyxy],
        "score": _share(face.score),
        "interpolated": face.interpolated,
        "points_measured_xy": [[_pixel(x), _pixel(y)] for x, y in face.points_measured_xy],
        "points_xy": [[_pixel(x), _pixel(y)] for x, y in face.points_xy],
        "mask_xyxy": None if face.mask_xyxy is None else list(face.mask_xyxy),
        "strength": _share(face.strength),
        "reason": face.reason,
        "identity_similarity": _share(face.identity_similarity),
        "luma_before": _share(face.luma_before),
        "luma_after": _share(face.luma_after),
    }


def _pixel(value: float) -> float:
    return round(float(value), _PIXEL_DIGITS)


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), _SHARE_DIGITS)
