"""Reads the frames of a clip, as the stages read those of a film."""

from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, Timestamp
from vidrestore.types.time_range import TimeRange

_CHROMA = MappingProxyType({(1, 1): "420", (1, 0): "422", (0, 0): "444", (2, 0): "411",
                            (0, 1): "440", (2, 2): "410"})  # fmt: skip


class ClipSource:
    """The frames of a clip, as the stages read those of a film."""

    def __init__(self, clip: Any) -> None:
        """See ``restore``."""
        self._clip = clip
        vapoursynth = _import_vapoursynth()
        pixel_format = _pixel_format(vapoursynth, clip.format)
        if not clip.fps_num or not clip.width:
            raise MediaError(
                "the clip has a variable frame rate or size; give it one: clip.std.AssumeFPS"
            )
        self.plane_order = (1, 2, 0) if pixel_format.model == "rgb" else (0, 1, 2)
        """Planes of VapourSynth in the order of ``PixelFormat``."""
        self.plane_order = self.plane_order[: pixel_format.plane_count]
        self.frame_count = int(clip.num_frames)
        with clip.get_frame(0) as first:
            properties = dict(first.props)
        if properties.get("_FieldBased"):
            raise MediaError(
                "the clip is interlaced; deinterlace it before, or separate its fields"
            )
        aspect_ratio = Fraction(
            properties.get("_SARNum", 1) or 1, properties.get("_SARDen", 1) or 1
        )
        rate = Fraction(clip.fps_num, clip.fps_den)
        self.info = VideoInfo(
            path=Path("clip"),
            kind="film",
            container="vapoursynth",
            geometry=DisplayGeometry(
                coded_hw=(clip.height, clip.width), sample_aspect_ratio=aspect_ratio
            ),
            pixel_format_name=pixel_format.name,
            pixel_format=pixel_format,
            color=_color_tags(properties),
            time_base=1 / rate,
            average_rate=rate,
            frame_count_estimate=self.frame_count,
            codec="rawvideo",
            metadata={},
        )
        self.time_range = TimeRange()
        self.damaged_packets = self.repaired_timestamps = 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames from the start."""
        return self.frames(0)

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the frames from one on; see ``Source.frames_from``."""
        return self.frames(index)

    def frames(self, first: int, end: int | None = None) -> Iterator[Frame]:
        """Yield the frames from ``first`` up to, but not including, ``end``."""
        for number in range(first, self.frame_count if end is None else end):
            with self._clip.get_frame(number) as decoded:
                # Copied: the memory is VapourSynth's.
                planes = tuple(np.array(np.asarray(decoded[at])) for at in self.plane_order)
                color = _color_tags(dict(decoded.props))
            for plane in planes:
                plane.flags.writeable = False
            yield Frame(
                index=number,
                timestamp=Timestamp(number, self.info.time_base),
                duration_ticks=1,
                planes=planes,
                pixel_format=self.info.pixel_format,
                color=color,
            )


def _import_vapoursynth() -> Any:
    try:
        return import_module("vapoursynth")
    except ImportError as error:
        raise ConfigError(
            "vidrestore.vapoursynth needs VapourSynth; install it: pip install vapoursynth"
        ) from error


def _pixel_format(vapoursynth: Any, clip_format: Any) -> PixelFormat:
    """Return our format of the samples of a clip.

    Raises:
        MediaError: There is none.
    """
    if clip_format is None:
        raise MediaError("the clip has a variable format; convert it with clip.resize")
    families = {vapoursynth.YUV: "yuv", vapoursynth.RGB: "rgb", vapoursynth.GRAY: "gray"}
    model = families.get(clip_format.color_family)
    shifts = (clip_format.subsampling_w, clip_format.subsampling_h)
    stem = {"yuv": f"yuv{_CHROMA.get(shifts)}p", "rgb": "gbrp"}.get(model or "", "gray")
    depth = clip_format.bits_per_sample
    name = stem if depth == 8 else f"{stem}{depth}le"
    is_integer = clip_format.sample_type == vapoursynth.INTEGER
    if model is None or not is_integer or name not in PLANAR:
        raise MediaError(
            f"the clip is {clip_format.name}; convert it to YUV, RGB or gray of 8 to 16 bits with "
            "clip.resize"
        )
    return PLANAR[name]


def _color_tags(properties: dict[str, Any]) -> ColorTags:
    """Return the color tags of a frame from its properties (reserved frame properties of R76)."""
    # Older filters set _ColorRange, whose 0 is full range; _Range has 1 for it.
    is_full = properties.get(
        "_Range", 1 - properties["_ColorRange"] if "_ColorRange" in properties else None
    )
    location = properties.get("_ChromaLocation")
    return ColorTags(
        matrix=properties.get("_Matrix", 2),
        primaries=properties.get("_Primaries", 2),
        transfer=properties.get("_Transfer", 2),
        full_range=is_full == 1,
        range_known=is_full is not None,
        chroma_location=0 if location is None else location + 1,
    )
