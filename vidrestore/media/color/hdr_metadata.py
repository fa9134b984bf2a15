"""HDR's side data: what the mastering display showed, and how bright the film gets.

It is read from the first frame, where FFmpeg puts it whether the codec or the container holds it,
and written to both: each encoder has its own options, and a container states what its stream
says. PyAV has no setter for that; a bitstream filter that does nothing passes it on from a stream
that has it, and one is opened for this, from a header made in memory.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias, cast

import av
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from vidrestore.media.color.transfer import HLG, PQ
from vidrestore.types import ColorTags

XY: TypeAlias = tuple[Fraction, Fraction]
_UNSPECIFIED = 2
_DOLBY_VISION = "Dolby Vision metadata"

# libavutil/mastering_display_metadata.h: ten ratios of two ints, and two flags.
_MASTERING = struct.Struct("20i2i")
_LIGHT_LEVEL = struct.Struct("2I")
_DYNAMIC: Mapping[SideDataType, str] = MappingProxyType(
    {
        SideDataType.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
        SideDataType.DOVI_RPU_BUFFER: _DOLBY_VISION,
        SideDataType.DOVI_METADATA: _DOLBY_VISION,
        SideDataType.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
        SideDataType.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment",
        SideDataType.ICC_PROFILE: "the colour profile (ICC)",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MasteringDisplay:
    """The display a film was graded on: SMPTE ST 2086."""

    primaries_xy: tuple[XY, XY, XY] | None = None
    """Of red, green and blue."""
    white_xy: XY | None = None
    luminance_nits: tuple[Fraction, Fraction] | None = None
    """Lowest and highest, in cd/m2."""

    def __str__(self) -> str:
        """Say it in a line."""
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
    """How bright a film gets: CTA-861.3, annex A."""

    max_cll_nits: int
    """MaxCLL: of the brightest pixel."""
    brightest_average_nits: int
    """MaxFALL: of the brightest frame on average."""

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.max_cll_nits} cd/m2, {self.brightest_average_nits} on average of a frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrMetadata:
    """What frames say beside samples and colour tags."""

    mastering: MasteringDisplay | None = None
    light_level: LightLevel | None = None
    not_kept: tuple[str, ...] = ()
    """What else there is that no result can hold, in words."""

    @property
    def is_static(self) -> bool:
        """Whether there is something that a result can hold."""
        return self.mastering is not None or self.light_level is not None


def side_data_of(frame: av.VideoFrame) -> HdrMetadata:
    """Return the side data of a decoded frame, as far as it concerns its colours."""
    not_kept = [name for kind, name in _DYNAMIC.items() if _data(frame, kind) is not None]
    return HdrMetadata(
        mastering=_mastering(_data(frame, SideDataType.MASTERING_DISPLAY_METADATA)),
        light_level=_light_level(_data(frame, SideDataType.CONTENT_LIGHT_LEVEL)),
        not_kept=tuple(dict.fromkeys(not_kept)),
    )


def _data(frame: av.VideoFrame, kind: SideDataType) -> bytes | None:
    try:
        return bytes(cast(bytes, frame.side_data[kind]))  # pyright: ignore
    except (KeyError, ValueError):  # PyAV refuses all where one is of a kind it does not know.
        return None


def _mastering(data: bytes | None) -> MasteringDisplay | None:
    if data is None or len(data) < _MASTERING.size:
        return None
    *ints, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    if 0 in ints[1::2]:
        return None
    values = [Fraction(*pair) for pair in zip(ints[::2], ints[1::2], strict=True)]
    points = [(values[at], values[at + 1]) for at in range(0, 8, 2)]
    mastering = MasteringDisplay(
        primaries_xy=(points[0], points[1], points[2]) if has_primaries else None,
        white_xy=points[3] if has_primaries else None,
        luminance_nits=(values[8], values[9]) if has_luminance else None,
    )
    return mastering if has_primaries or has_luminance else None


def _light_level(data: bytes | None) -> LightLevel | None:
    if data is None or len(data) < _LIGHT_LEVEL.size:
        return None
    brightest, average = _LIGHT_LEVEL.unpack_from(data)
    if not (brightest or average):
        return None
    return LightLevel(max_cll_nits=brightest, brightest_average_nits=average)


_MATROSKA_CODECS: Mapping[str, bytes] = MappingProxyType(
    {
        "h264": b"V_MPEG4/ISO/AVC",
        "hevc": b"V_MPEGH/ISO/HEVC",
        "av1": b"V_AV1",
        "ffv1": b"V_FFV1",
        "prores": b"V_PRORES",
    }
)
_LEFT_SITED = 1
"""Where chroma lies if nobody says; FFmpeg's ``AVChromaLocation``, 0 being unspecified."""
_WITHOUT_SITING = frozenset({"mp4", "mov"})
_WITHOUT_COLOURS = frozenset({"avi"})
"""Containers that state no colours: only the stream of a codec itself can, there."""


def losses(
    side_data: HdrMetadata, color: ColorTags, *, encoder: str, codec: str, container: str
) -> list[str]:
    """Say for a reader what of a film's colours a result cannot hold.

    Args:
        side_data: Of the film.
        color: Its tags.
        encoder: FFmpeg's name of the encoder.
        codec: FFmpeg's name of the codec.
        container: FFmpeg's name of the container.
    """
    notes: list[str] = []
    if side_data.not_kept:
        note = f"not kept: {', '.join(side_data.not_kept)}"
        if _DOLBY_VISION in side_data.not_kept and color.transfer == _UNSPECIFIED:
            note += "; the film states no colours without it, and may show wrong ones"
        notes.append(note)
    is_stated = {color.matrix, color.primaries, color.transfer} - {0, _UNSPECIFIED}
    if container in _WITHOUT_COLOURS and encoder not in _PARAMETERS:
        if is_stated or side_data.is_static:
            notes.append(f"{container} cannot state the colours of {codec}; .mkv and .mp4 can")
    elif side_data.is_static and encoder not in _PARAMETERS and codec not in _MATROSKA_CODECS:
        notes.append(f"{codec} cannot hold mastering display and light level; ffv1 and h265 can")
    if container in _WITHOUT_SITING and codec == "ffv1" and color.chroma_location > _LEFT_SITED:
        notes.append(f"{container} cannot state the chroma location of ffv1; .mkv can")
    if codec == "h264" and color.transfer in (PQ, HLG):
        notes.append("few players show HDR in h264: use --codec h265, or ffv1 for an archive")
    return notes


_IN_STEPS = "G({g[0]},{g[1]})B({b[0]},{b[1]})R({r[0]},{r[1]})WP({w[0]},{w[1]})L({high},{low})"
# The option for parameters of the encoder's own, and what it calls the two there.
_PARAMETERS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libx264rgb": ("x264-params", "mastering-display", "cll"),
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }
)


def add_encoder_parameters(options: dict[str, str], encoder: str, side_data: HdrMetadata) -> None:
    """Add to ``options`` what makes an encoder write side data into its stream.

    Encoders without such parameters leave it to the container.
    """
    if encoder not in _PARAMETERS:
        return
    option, mastering_name, light_name = _PARAMETERS[encoder]
    parameters = [options[option]] if option in options else []
    mastering, light = side_data.mastering, side_data.light_level
    if mastering is not None and (volume := _volume(mastering, encoder)):
        parameters.append(f"{mastering_name}={volume}")
    if light is not None:
        levels = f"{light.max_cll_nits},{light.brightest_average_nits}"
        parameters.append(f"{light_name}={levels}")
    if parameters:
        options[option] = ":".join(parameters)


def _volume(mastering: MasteringDisplay, encoder: str) -> str:
    """Return a mastering display as encoders want it; empty where only a part of it is known."""
    points, white, luminance = mastering.primaries_xy, mastering.white_xy, mastering.luminance_nits
    if points is None or white is None or luminance is None:
        return ""
    if encoder == "libsvtav1":
        red, green, blue, centre = (
            tuple(f"{float(value):.6f}" for value in point) for point in (*points, white)
        )
        low, high = (f"{float(value):.4f}" for value in luminance)
    else:
        # Steps of ST 2086 as the SEI has them: 0.00002 and 0.0001 cd/m2.
        red, green, blue, centre = (
            tuple(str(round(value * 50_000)) for value in point) for point in (*points, white)
        )
        low, high = (str(round(value * 10_000)) for value in luminance)
    return _IN_STEPS.format(r=red, g=green, b=blue, w=centre, low=low, high=high)


def state_in_container(stream: VideoStream, side_data: HdrMetadata) -> None:
    """Make the container of a new stream state its side data, where its format can.

    Call this before anything else is set: the settings of the codec are reset.
    """
    context = stream.codec_context
    codec, rate = context.codec.canonical_name, context.framerate
    if not side_data.is_static or codec not in _MATROSKA_CODECS:
        return
    with av.open(io.BytesIO(_header(codec, side_data)), format="matroska") as template:
        BitStreamFilterContext("null", template.streams.video[0], stream)
    context.framerate = rate


def _header(codec: str, side_data: HdrMetadata) -> bytes:
    """Return a Matroska file of one stream and no frame; RFC 9559, section 5.1.4.1.28."""
    color: list[bytes] = []
    mastering, light = side_data.mastering, side_data.light_level
    if light is not None:
        color += [
            _number(0x55BC, light.max_cll_nits),
            _number(0x55BD, light.brightest_average_nits),
        ]
    if mastering is not None:
        points = [*(mastering.primaries_xy or ()), *filter(None, [mastering.white_xy])]
        values = [value for point in points for value in point]
        # From PrimaryRChromaticityX on, and LuminanceMax before LuminanceMin.
        volume = [_real(0x55D1 + at, value) for at, value in enumerate(values)]
        if mastering.luminance_nits is not None:
            low, high = mastering.luminance_nits
            volume += [_real(0x55D9, high), _real(0x55DA, low)]
        color.append(_element(0x55D0, *volume))
    picture = (_number(0xB0, 16), _number(0xBA, 16), _element(0x55B0, *color))
    track = (
        _number(0xD7, 1),
        _number(0x73C5, 1),
        _number(0x83, 1),
        _element(0x86, _MATROSKA_CODECS[codec]),
        _element(0xE0, *picture),
    )
    kind = (_element(0x4282, b"matroska"), _number(0x4287, 4), _number(0x4285, 2))
    segment = (
        _element(0x1549A966, _number(0x2AD7B1, 1_000_000)),
        _element(0x1654AE6B, _element(0xAE, *track)),
        _element(0x1F43B675, _number(0xE7, 0)),
    )
    return _element(0x1A45DFA3, *kind) + _element(0x18538067, *segment)


def _element(identifier: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(body)).to_bytes(8, "big") + body


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def _real(identifier: int, value: Fraction) -> bytes:
    return _element(identifier, struct.pack(">d", float(value)))
