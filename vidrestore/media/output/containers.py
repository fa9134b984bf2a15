"""Which containers can be written, and which streams of a source each of them holds."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import cast

import av
import av.error
from av.stream import AttachmentStream, Stream

from vidrestore.errors import MediaError
from vidrestore.media.input.video_info import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One entry of the table of containers."""

    format: str
    """FFmpeg's name of the muxer."""
    codecs: frozenset[str] | None = None
    """Codecs it holds, if FFmpeg's muxer accepts any codec but players do not."""
    holds_rotation: bool = True
    holds_attachments: bool = False
    holds_chapters: bool = True
    is_mov: bool = False
    rounds_to_milliseconds: bool = False
    """Whether time stamps are rounded to 1/1000 s, as Matroska's are."""
    video_only: bool = False
    """Whether one video stream of an even, usual rate is all that is written into it. (FFmpeg's
    MXF ends where the shortest stream does: it would cut off pictures, or sound.)"""
    lacks_timestamps: bool = False
    """Whether the time of a frame is its number: waiting takes empty frames."""


_TRANSPORT_CODECS = frozenset(
    {
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mp1", "mp2", "mp3", "aac",
        "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "dvb_subtitle", "dvb_teletext", "klv",
        "timed_id3", "scte_35",
    }
)  # fmt: skip
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis", "webvtt"})
_MXF_CODECS = frozenset({"mpeg2video", "h264", "dnxhd", "prores", "ffv1"})
# What MXF counts in.
_USUAL_RATES = (
    *(Fraction(each * 1000, 1001) for each in (24, 30, 60)),
    *map(Fraction, (24, 25, 30, 48, 50, 60)),
)
_RATE_TOLERANCE = Fraction(1, 2500)
_TRANSPORT = ContainerSpec(
    format="mpegts", codecs=_TRANSPORT_CODECS, holds_rotation=False, holds_chapters=False
)

CONTAINERS: Mapping[str, ContainerSpec] = MappingProxyType(
    {
        ".mp4": ContainerSpec(format="mp4", is_mov=True),
        ".m4v": ContainerSpec(format="mp4", is_mov=True),
        ".mov": ContainerSpec(format="mov", is_mov=True),
        ".mkv": ContainerSpec(
            format="matroska", holds_attachments=True, rounds_to_milliseconds=True
        ),
        ".webm": ContainerSpec(format="webm", codecs=_WEBM_CODECS, rounds_to_milliseconds=True),
        ".avi": ContainerSpec(
            format="avi", holds_rotation=False, holds_chapters=False, lacks_timestamps=True
        ),
        ".mxf": ContainerSpec(
            format="mxf",
            codecs=_MXF_CODECS,
            holds_rotation=False,
            holds_chapters=False,
            video_only=True,
        ),
        ".ts": _TRANSPORT,
        ".m2ts": _TRANSPORT,
    }
)


def container_of(target: Path) -> ContainerSpec:
    """Return the container that the suffix of ``target`` names.

    Raises:
        MediaError: It names none that is known here.
    """
    spec = CONTAINERS.get(target.suffix.lower())
    if spec is None:
        known = ", ".join(CONTAINERS)
        found = f"unknown suffix {target.suffix!r}" if target.suffix else "no suffix"
        raise MediaError(f"{target}: {found}; name the output with one of {known}")
    return spec


def container_frame_rate(spec: ContainerSpec, target: Path, info: VideoInfo) -> Fraction | None:
    """Return the rate a container states for a film: its own, or the usual one it stands for.

    Raises:
        MediaError: The container needs even times and a usual rate, and the film has others.
    """
    rate = info.average_rate
    if not spec.video_only:
        return rate
    usual = min(_USUAL_RATES, key=lambda each: abs(each - (rate or 0)))
    if rate is None or info.variable_rate or abs(rate / usual - 1) > _RATE_TOLERANCE:
        found = "an unknown rate" if rate is None else f"{float(rate):.3f} frames a second"
        uneven = ", variable" if info.variable_rate else ""
        raise MediaError(
            f"{target}: {target.suffix} holds only constant frame rates from 23.976 to 60, found "
            f"{found}{uneven}; use -o {target.stem}.mov or .mkv"
        )
    return usual


def holds(spec: ContainerSpec, stream: Stream) -> bool:
    """Whether PyAV can copy packets of ``stream`` into a container; tried on a dry run."""
    if isinstance(stream, AttachmentStream):
        return spec.holds_attachments
    if spec.video_only or not holds_codec(spec, codec_name(stream)):
        return False
    if stream.type == "data" and spec.format != "mpegts":
        return False
    try:
        with av.open(io.BytesIO(), "w", format=spec.format) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def holds_codec(spec: ContainerSpec, codec: str | None) -> bool:
    """Whether the table of containers allows a codec; those without a list allow any."""
    return spec.codecs is None or codec in spec.codecs


def has_decoder(stream: Stream) -> bool:
    """Whether PyAV knows the stream's codec, which needs a decoder in FFmpeg."""
    return cast(object, stream.codec_context) is not None


def codec_name(stream: Stream) -> str | None:
    """Return FFmpeg's name of the stream's codec; None if PyAV does not know it."""
    if has_decoder(stream):
        return stream.codec_context.codec.canonical_name
    return getattr(stream, "name", None)
