"""Which containers can be written, and which streams of a source each of them holds."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

import av
import av.error
from av.stream import AttachmentStream, Stream

from vidrestore.errors import MediaError


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One entry of the table of containers."""

    format: str
    """FFmpeg's name of the muxer."""
    codecs: frozenset[str] | None = None
    """Codecs it holds, where FFmpeg's muxer would take any and players would not."""
    holds_rotation: bool = True
    holds_attachments: bool = False
    is_mov: bool = False
    counts_milliseconds: bool = False
    """Whether time stamps are rounded to 1/1000 s, as Matroska's are."""
    counts_frames: bool = False
    """Whether the time of a frame is its number: waiting takes empty frames."""


_TRANSPORT_CODECS = frozenset(
    {
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mp1", "mp2", "mp3", "aac",
        "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "dvb_subtitle", "dvb_teletext", "klv",
        "timed_id3", "scte_35",
    }
)  # fmt: skip
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis", "webvtt"})
_TRANSPORT = ContainerSpec(format="mpegts", codecs=_TRANSPORT_CODECS, holds_rotation=False)

CONTAINERS: Mapping[str, ContainerSpec] = MappingProxyType(
    {
        ".mp4": ContainerSpec(format="mp4", is_mov=True),
        ".m4v": ContainerSpec(format="mp4", is_mov=True),
        ".mov": ContainerSpec(format="mov", is_mov=True),
        ".mkv": ContainerSpec(format="matroska", holds_attachments=True, counts_milliseconds=True),
        ".webm": ContainerSpec(format="webm", codecs=_WEBM_CODECS, counts_milliseconds=True),
        ".avi": ContainerSpec(format="avi", holds_rotation=False, counts_frames=True),
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


def holds(spec: ContainerSpec, stream: Stream) -> bool:
    """Whether PyAV can copy packets of ``stream`` into a container; tried on a dry run."""
    if isinstance(stream, AttachmentStream):
        return spec.holds_attachments
    if not holds_codec(spec, codec_name(stream)):
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
    """Whether PyAV knows the stream's codec: it does where FFmpeg has a decoder."""
    return cast(object, stream.codec_context) is not None


def codec_name(stream: Stream) -> str | None:
    """Return FFmpeg's name of the stream's codec; None where PyAV does not know it."""
    if has_decoder(stream):
        return stream.codec_context.codec.canonical_name
    return getattr(stream, "name", None)
