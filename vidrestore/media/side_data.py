"""Side data of decoded frames: what FFmpeg found in the stream or the container beside samples."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import av
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType

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
"""Names of FFmpeg -> in words: side data that no output stores."""
_NAMED_HERE = MappingProxyType({31: "EXIF"})
"""Kinds that FFmpeg knows and PyAV does not, by their numbers in libavutil/frame.h."""


def _unknown_kind(cls: type[SideDataType], value: object) -> SideDataType | None:
    """Make a member of the enumeration for a kind that PyAV does not know.

    Otherwise PyAV refuses to show any side data of a frame that has one such kind.
    """
    if not isinstance(value, int):
        return None
    kind: Any = object.__new__(cls)
    kind._name_ = _NAMED_HERE.get(value, f"KIND_{value}")
    kind._value_ = value
    return cast(SideDataType, kind)


SideDataType._missing_ = classmethod(_unknown_kind)  # type: ignore[assignment]


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return the side data of a decoded frame, by FFmpeg's names of its kinds."""
    found = cast("list[SideData]", frame.side_data)
    return {each.type.name: bytes(cast(bytes, each)) for each in found}
