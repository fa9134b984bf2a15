"""HDR metadata: mastering display and light level.

It is read from the side data of the first frame; FFmpeg puts it there from codec and container. It
is written to both: to the encoder by options, to the container by its stream. PyAV cannot set side
data of a stream, but the bitstream filter ``null`` copies it from another stream: one in a header
made in memory.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from vidrestore.media.color.code_points import HLG, PQ, TRANSFER_UNSPECIFIED
from vidrestore.media.color.color_tags import describe_lost_tags
from vidrestore.media.side_data import DOLBY_VISION, UNSTORED_SIDE_DATA, side_data_of
from vidrestore.types import ColorTags, PixelFormat

XY: TypeAlias = tuple[Fraction, Fraction]

# libavutil/mastering_display_metadata.h: ten ratios of two ints, and two flags.
_MASTERING = struct.Struct("20i2i")
_LIGHT_LEVEL = struct.Struct("2I")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasteringDisplay:
    """The display that a video was graded on: SMPTE ST 2086."""

    primaries_xy: tuple[XY, XY, XY] | None = None
    """CIE x and y of red, green and blue."""
    white_xy: XY | None = None
    luminance_nits: tuple[Fraction, Fraction] | None = None
    """Lowest and highest, in cd/m2."""

    def __str__(self) -> str:
        """Return it in words."""
        parts: list[str] = []
        if self.primaries_xy is not None:
            named = zip("RGB", self.primaries_xy, strict=True)
            parts += [f"{name} {float(x):.4g} {float(y):.4g}" for name, (x, y) in named]
        if self.white_xy is not None:
            parts.append(f"white {float(self.white_xy[0]):.4g} {float(self.white_xy[1]):.4g}")
        if self.luminance_nits is not None:
            low, high = self.luminance_nits
            parts.append(f"{float(low):.4g} to {float(high):.6g} cd/m2")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightLevel:
    """How bright a video gets: CTA-861.3, annex A."""

    max_cll_nits: int
    """MaxCLL: the brightest pixel."""
    max_fall_nits: int
    """MaxFALL: the highest average of a frame."""

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.max_cll_nits} cd/m2, {self.max_fall_nits} on average of a frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrMetadata:
    """HDR metadata of frames."""

    mastering: MasteringDisplay | None = None
    light_level: LightLevel | None = None
    unsupported: tuple[str, ...] = ()
    """Names of further metadata, which no output can store."""

    @property
    def is_static(self) -> bool:
        """Whether there is something that an output can store."""
        return self.mastering is not None or self.light_level is not None


def read_hdr_metadata(frame: av.VideoFrame) -> HdrMetadata:
    """Return the HDR metadata in the side data of a decoded frame."""
    side_data = side_data_of(frame)
    unsupported = [words for name, words in UNSTORED_SIDE_DATA.items() if name in side_data]
    return HdrMetadata(
        mastering=_mastering(side_data.get("MASTERING_DISPLAY_METADATA")),
        light_level=_light_level(side_data.get("CONTENT_LIGHT_LEVEL")),
        unsupported=tuple(dict.fromkeys(unsupported)),
    )


def _mastering(data: bytes | None) -> MasteringDisplay | None:
    if data is None or len(data) < _MASTERING.size:
        return None
    *ints, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    if 0 in ints[1::2]:
        return None
    values = [Fraction(*pair) for pair in zip(ints[::2], ints[1::2], strict=True)]
    points = [(values[start], values[start + 1]) for start in range(0, 8, 2)]
    mastering = MasteringDisplay(
        primaries_xy=(points[0], points[1], points[2]) if has_primaries else None,
        white_xy=points[3] if has_primaries else None,
        luminance_nits=(values[8], values[9]) if has_luminance else None,
    )
    return mastering if has_primaries or has_luminance else None


def _light_level(data: bytes | None) -> LightLevel | None:
    if data is None or len(data) < _LIGHT_LEVEL.size:
        return None
    max_cll, max_fall = _LIGHT_LEVEL.unpack_from(data)
    if not (max_cll or max_fall):
        return None
    return LightLevel(max_cll_nits=max_cll, max_fall_nits=max_fall)


_MATROSKA_CODECS: Mapping[str, bytes] = MappingProxyType(
    {
        "h264": b"V_MPEG4/ISO/AVC",
        "hevc": b"V_MPEGH/ISO/HEVC",
        "av1": b"V_AV1",
        "ffv1": b"V_FFV1",
        "prores": b"V_PRORES",
    }
)
_WITHOUT_HDR_METADATA = frozenset({"avi"})
"""Containers where only the encoded stream can store it."""


def describe_losses(
    metadata: HdrMetadata,
    color: ColorTags,
    *,
    encoder: str,
    codec: str,
    container: str,
    pixel_format: PixelFormat,
) -> list[str]:
    """Return notes for the user on what an output cannot store about the colors of a video.

    Args:
        metadata: HDR metadata of the video.
        color: Color tags of the video.
        encoder: FFmpeg's name of the encoder.
        codec: FFmpeg's name of the codec.
        container: FFmpeg's name of the container.
        pixel_format: Pixel format of the encoded frames.
    """
    notes: list[str] = []
    if metadata.unsupported:
        note = f"not kept: {', '.join(metadata.unsupported)}"
        if DOLBY_VISION in metadata.unsupported and color.transfer == TRANSFER_UNSPECIFIED:
            note += "; without it the video has no color tags and may show wrong colors"
        notes.append(note)
    notes += describe_lost_tags(color, pixel_format, codec=codec, container=container)
    if metadata.is_static and encoder not in _PARAMETERS:
        if container in _WITHOUT_HDR_METADATA:
            notes.append(f"{container} cannot store HDR metadata for {codec}; use .mkv or .mp4")
        elif codec not in _MATROSKA_CODECS:
            notes.append(f"{codec} cannot store HDR metadata; use --codec ffv1 or h265")
    if codec == "h264" and color.transfer in (PQ, HLG):
        notes.append("few players show HDR in h264: use --codec h265, or ffv1 for an archive")
    return notes


_VOLUME_FORMAT = "G({g[0]},{g[1]})B({b[0]},{b[1]})R({r[0]},{r[1]})WP({w[0]},{w[1]})L({high},{low})"
# The option for the encoder's parameters, and the names of mastering display and light level.
_PARAMETERS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libx264rgb": ("x264-params", "mastering-display", "cll"),
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }
)


def add_encoder_parameters(options: dict[str, str], encoder: str, metadata: HdrMetadata) -> None:
    """Add to ``options`` what makes an encoder write HDR metadata.

    Encoders without such parameters leave it to the container.
    """
    if encoder not in _PARAMETERS:
        return
    option, mastering_name, light_name = _PARAMETERS[encoder]
    parameters = [options[option]] if option in options else []
    mastering, light = metadata.mastering, metadata.light_level
    if mastering is not None and (volume := _volume(mastering, encoder)):
        parameters.append(f"{mastering_name}={volume}")
    if light is not None:
        levels = f"{light.max_cll_nits},{light.max_fall_nits}"
        parameters.append(f"{light_name}={levels}")
    if parameters:
        options[option] = ":".join(parameters)


def _volume(mastering: MasteringDisplay, encoder: str) -> str:
    """Return a mastering display as encoders expect it; empty if it is incomplete."""
    points, white, luminance = mastering.primaries_xy, mastering.white_xy, mastering.luminance_nits
    if points is None or white is None or luminance is None:
        return ""
    if encoder == "libsvtav1":
        red, green, blue, center = (
            tuple(f"{float(value):.6f}" for value in point) for point in (*points, white)
        )
        low, high = (f"{float(value):.4f}" for value in luminance)
    else:
        # Units of the SEI message: 0.00002, and 0.0001 cd/m2.
        red, green, blue, center = (
            tuple(str(round(value * 50_000)) for value in point) for point in (*points, white)
        )
        low, high = (str(round(value * 10_000)) for value in luminance)
    return _VOLUME_FORMAT.format(r=red, g=green, b=blue, w=center, low=low, high=high)


def write_to_container(stream: VideoStream, metadata: HdrMetadata) -> None:
    """Make the container of a new stream store HDR metadata, if it can.

    Call this first: it resets the settings of the codec.
    """
    context = stream.codec_context
    codec, rate = context.codec.canonical_name, context.framerate
    if not metadata.is_static or codec not in _MATROSKA_CODECS:
        return
    with av.open(io.BytesIO(_header(codec, metadata)), format="matroska") as template:
        BitStreamFilterContext("null", template.streams.video[0], stream)
    context.framerate = rate


def _header(codec: str, metadata: HdrMetadata) -> bytes:
    """Return a Matroska file with one stream and no frame (RFC 9559, section 5.1.4.1.28)."""
    color: list[bytes] = []
    mastering, light = metadata.mastering, metadata.light_level
    if light is not None:
        color += [
            _number(0x55BC, light.max_cll_nits),
            _number(0x55BD, light.max_fall_nits),
        ]
    if mastering is not None:
        points = [*(mastering.primaries_xy or ()), *filter(None, [mastering.white_xy])]
        values = [value for point in points for value in point]
        # From PrimaryRChromaticityX on, and LuminanceMax before LuminanceMin.
        volume = [_real(0x55D1 + number, value) for number, value in enumerate(values)]
        if mastering.luminance_nits is not None:
            low, high = mastering.luminance_nits
            volume += [_real(0x55D9, high), _real(0x55DA, low)]
        color.append(_element(0x55D0, *volume))
    video = (_number(0xB0, 16), _number(0xBA, 16), _element(0x55B0, *color))
    track = (
        _number(0xD7, 1),
        _number(0x73C5, 1),
        _number(0x83, 1),
        _element(0x86, _MATROSKA_CODECS[codec]),
        _element(0xE0, *video),
    )
    head = (_element(0x4282, b"matroska"), _number(0x4287, 4), _number(0x4285, 2))
    segment = (
        _element(0x1549A966, _number(0x2AD7B1, 1_000_000)),
        _element(0x1654AE6B, _element(0xAE, *track)),
        _element(0x1F43B675, _number(0xE7, 0)),
    )
    return _element(0x1A45DFA3, *head) + _element(0x18538067, *segment)


def _element(identifier: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(body)).to_bytes(8, "big") + body


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def _real(identifier: int, value: Fraction) -> bytes:
    return _element(identifier, struct.pack(">d", float(value)))
