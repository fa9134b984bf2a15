"""Plans which streams of a source are copied into an output, and how."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from av.container import InputContainer
from av.stream import AttachmentStream, Stream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.edit_lists import hidden_packets
from vidrestore.media.streams.ffmpeg_remux import can_remux
from vidrestore.media.streams.programs import dropped_program_notes
from vidrestore.media.streams.stream_support import (
    can_copy_stream,
    codec_name,
    has_decoder,
    is_embedded_cover,
)

_CUES = "scte_35"
"""Sections of a transport stream that no muxer of FFmpeg writes as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """How every stream of the source is copied, except the restored one."""

    copied: tuple[int, ...] = ()
    """Indexes of streams whose packets are copied while the video is written."""
    remuxed: tuple[int, ...] = ()
    """Indexes of streams that only the ffmpeg program can copy, once the file is complete."""
    notes: tuple[str, ...] = ()


def plan_stream_copy(
    source: InputContainer,
    info: VideoInfo,
    spec: ContainerSpec,
    target: Path,
    *,
    drop_unsupported: bool,
    kinds: Collection[str] | None = None,
) -> CopyPlan:
    """Return how the streams of a source are copied into a container.

    Args:
        source: The source.
        info: Info of the source.
        spec: The container.
        target: The output.
        drop_unsupported: Drop streams that the container does not support, and note it.
        kinds: Copy only streams of these kinds; None copies all.

    Raises:
        UnsupportedStreamError: The container does not support a stream, and none may be dropped.
    """
    copied: list[int] = []
    remuxed: list[int] = []
    notes = [*dropped_program_notes(info, spec)]
    for stream, stream_info in zip(source.streams, info.streams, strict=True):
        if stream.index == info.video_stream_index or is_written_by_muxer(stream, source):
            continue
        if stream.index in info.other_program_streams:
            continue
        if kinds is not None and stream.type not in kinds:
            continue
        fits = can_copy_stream(spec, stream) and not _lacks_header(stream, source)
        hidden = hidden_packets(stream)
        if is_embedded_cover(stream, spec):
            copied.append(stream.index)
        elif stream.type == "video" and hidden.lead_seconds and not spec.is_mov:
            # Visible frames may need the hidden ones, which this container would show.
            reason = (
                f"{target.suffix} cannot hide its first {float(hidden.lead_seconds):.3f} s, as the "
                "source's edit list does"
            )
            if not drop_unsupported:
                raise UnsupportedStreamError(f"{target}: cannot store {stream_info}: {reason}")
            notes.append(f"{stream_info} was dropped: {reason}")
        elif fits:
            copied.append(stream.index)
            if not hidden.keeps_lead(spec):
                notes.append(
                    f"the first {float(hidden.lead_seconds):.3f} s of {stream_info}, which the "
                    "source's edit list hides, were dropped"
                )
        elif _can_remux(stream, info, spec):
            remuxed.append(stream.index)
        elif drop_unsupported:
            notes.append(f"{stream_info} was dropped: {target.suffix} does not support it")
        else:
            raise UnsupportedStreamError(
                f"{target}: {target.suffix} does not support {stream_info} of the source"
            )
    return CopyPlan(copied=tuple(copied), remuxed=tuple(remuxed), notes=tuple(notes))


def _lacks_header(stream: Stream, source: InputContainer) -> bool:
    """Whether AAC lacks its header, as where damage looks like another track."""
    stores_headers = source.format.name.startswith(("flv", "mov", "matroska"))
    return stores_headers and codec_name(stream) == "aac" and not stream.codec_context.extradata


def _can_remux(stream: Stream, info: VideoInfo, spec: ContainerSpec) -> bool:
    # ffmpeg silently drops attached files.
    if isinstance(stream, AttachmentStream) or spec.video_only:
        return False
    if info.streams[stream.index].codec == _CUES:
        return False
    if has_decoder(stream) and not (stream.type == "audio" and spec.format == "matroska"):
        return False
    # PyAV refuses audio that Matroska stores with its header from AVI or WAV, such as WMA.
    return can_remux(info.path, stream.index, spec)


def is_written_by_muxer(stream: Stream, source: InputContainer) -> bool:
    """Whether the muxer writes a QuickTime track itself: the timecode, the chapter titles."""
    if stream.type != "data" or not source.format.name.startswith("mov"):
        return False
    is_timecode = "timecode" in stream.metadata
    is_chapter_text = stream.name == "bin_data" and bool(source.chapters())
    return is_timecode or is_chapter_text
