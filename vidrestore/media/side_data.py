"""Side data of decoded frames, as FFmpeg reads it from the stream or the container."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType

from vidrestore.types import Orientation

DOLBY_VISION = "Dolby Vision metadata"
UNSTORED_SIDE_DATA: Mapping[str, str] = MappingProxyType(
    {
        "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
        "DOVI_RPU_BUFFER": DOLBY_VISION,
        "DOVI_METADATA": DOLBY_VISION,
        "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
        "AMBIENT_VIEWING_ENVIRONMENT": "the ambient viewing environment",
        "ICC_PROFILE": "the color profile (ICC)",
        "A53_CC": "the closed captions inside the video stream (CEA-608 and 708)",
        "AFD": "the active format description (AFD)",
        "S12M_TIMECODE": "the timecodes inside the video stream",
        "SPHERICAL": "the projection of a 360-degree video",
        "STEREO3D": "the stereo 3D layout",
        "EXIF": "the EXIF data of frames",
    }
)
"""Side data that no output stores: FFmpeg's name, and what it is called in messages."""
_NAMES_MISSING_IN_PYAV = MappingProxyType({31: "EXIF"})
"""Kinds that FFmpeg knows and PyAV does not, by their numbers in libavutil/frame.h."""


def _unknown_kind(cls: type[SideDataType], value: object) -> SideDataType | None:
    """Return a new member of the enumeration for a kind that PyAV does not know.

    Otherwise one such kind makes PyAV refuse all side data of the frame.
    """
    if not isinstance(value, int):
        return None
    kind: Any = object.__new__(cls)
    kind._name_ = _NAMES_MISSING_IN_PYAV.get(value, f"KIND_{value}")
    kind._value_ = value
    return cast(SideDataType, kind)


SideDataType._missing_ = classmethod(_unknown_kind)  # type: ignore[assignment]


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return the side data of a decoded frame, by FFmpeg's names of its kinds."""
    entries = cast("list[SideData]", frame.side_data)
    return {entry.type.name: bytes(cast(bytes, entry)) for entry in entries}


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return the orientation nearest to a frame's display matrix.

    FFmpeg's matrix (a b u, c d v, x y w) moves (x, y) to (a x + c y, b x + d y).
    """
    data = side_data_of(frame).get("DISPLAYMATRIX", b"")
    raw = np.frombuffer(data[: len(data) // 4 * 4], dtype=np.int32).astype(np.float64)
    if raw.size != 9:
        return Orientation()
    matrix = np.array([[raw[0], raw[3]], [raw[1], raw[4]]])
    clockwise = np.array([[0, -1], [1, 0]])
    candidates = {
        Orientation(mirrored, turns): np.linalg.matrix_power(clockwise, turns)
        @ np.diag([-1 if mirrored else 1, 1])
        for turns in range(4)
        for mirrored in (False, True)
    }
    return max(candidates, key=lambda o: float((candidates[o] * matrix).sum()))
