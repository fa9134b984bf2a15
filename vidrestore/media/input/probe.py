"""Opens films with FFmpeg and reads their headers and first frame."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import av.error
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.color.frame_tags import chroma_location_of, color_of, frame_hdr_metadata
from vidrestore.media.color.pixel_formats import source_layout
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.fields.field_order import FieldOrderReader
from vidrestore.media.file_kinds import container_facts, is_image_name
from vidrestore.media.images.unsupported_formats import refuse_unsupported_image
from vidrestore.media.input.demuxer import demux_past_errors, is_damage
from vidrestore.media.input.raw_streams import is_raw, raw_frame_rate
from vidrestore.media.input.video_info import FieldOrder, VideoInfo
from vidrestore.media.side_data import orientation_of
from vidrestore.media.stream_info import MICROSECOND, chapters_of, is_cover_stream, stream_infos
from vidrestore.media.streams.programs import program_of, programs_of
from vidrestore.media.streams.timecode import read_tape_tags
from vidrestore.types import DisplayGeometry

DEMUXER_OPTIONS = {"fix_teletext_pts": "0"}
"""FFmpeg would shift the times of teletext to the clock references of a transport stream."""
_FIELD_ORDERS: Mapping[int, FieldOrder] = {
    1: "progressive",
    2: "top first",
    3: "bottom first",
    # Interleaved: FFmpeg's names say the opposite of what its muxers and Matroska mean.
    4: "top first",
    5: "bottom first",
}
# Text that FFmpeg draws, and images.
_NOT_VIDEO_FORMATS = frozenset({"tty", "image2", "bin", "xbin", "adf", "idf"})
_MAX_PACKETS_TO_FIRST_FRAME = 2000
_PACKETS_TO_GUESS_RATE = 120
# The last times may have gaps, where B-frames are still to come.
_MAX_REORDERED = 20


def open_container(path: Path, *, accelerator: HWAccel | None = None) -> InputContainer:
    """Open a film for reading.

    Args:
        path: The film.
        accelerator: What decodes its video; None for the processor.

    Raises:
        MediaError: FFmpeg cannot read it.
    """
    with media_errors(path):
        refuse_unsupported_image(path)
        # With the protocol in front, a name cannot be mistaken for a URL.
        container = av.open(
            f"file:{path}",
            "r",
            metadata_errors="replace",
            container_options=DEMUXER_OPTIONS,
            hwaccel=accelerator,
        )
    for stream in container.streams.video:
        if cast(object, stream.codec_context) is not None:
            # Otherwise the decoder keeps cropped columns, so that rows are aligned.
            stream.codec_context.flags |= Flags.unaligned
    return container


def main_video_stream(
    container: InputContainer, path: Path, *, program: int | None = None
) -> VideoStream:
    """Return the stream to restore: the default one, or the first that is not cover art.

    Args:
        container: The open file.
        path: Its name, for errors.
        program: Number of the program to take it from; None for any.

    Raises:
        MediaError: There is none, or FFmpeg has no decoder for it.
    """
    streams = [s for s in container.streams.video if not is_cover_stream(s)]
    if program is not None:
        program_info = program_of(programs_of(container), program, path)
        streams = [s for s in streams if s.index in program_info.stream_indexes]
        if not streams:
            raise MediaError(f"{path}: program {program_info} has no video; choose another")
    if not streams:
        other_kinds = {"a cover" if is_cover_stream(s) else s.type for s in container.streams}
        others = " and ".join(sorted(other_kinds, reverse=True)) or "nothing"
        raise MediaError(f"{path}: no video stream (only {others}); name a file with video")
    # An animated AVIF also has its first frame as an image.
    streams = [s for s in streams if s.frames != 1] or streams
    main = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if cast(object, main.codec_context) is None:
        raise MediaError(f"{path}: FFmpeg has no decoder for this video; convert it first")
    return main


def probe_video(path: Path, *, program: int | None = None) -> VideoInfo:
    """Return the info of the film at ``path``.

    Args:
        path: The film.
        program: Number of the program to restore; None for the first.

    Raises:
        MediaError: It cannot be read, no frame of it can be decoded, or there is no such program.
    """
    with open_container(path) as container, media_errors(path):
        stream = main_video_stream(container, path, program=program)
        return video_info_of(container, stream, path, program=program)


def why_not_video(path: Path) -> str | None:
    """Return why a file is not a film; None if it is one."""
    if is_image_name(path):
        return "an image"
    try:
        with open_container(path) as container:
            name = container.format.name
            if name in _NOT_VIDEO_FORMATS or name.endswith("_pipe"):
                return f"not a film ({name})"
            main_video_stream(container, path)
    except MediaError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def video_info_of(
    container: InputContainer, stream: VideoStream, path: Path, *, program: int | None = None
) -> VideoInfo:
    """Return the info of an open film. Decodes the first frame, so seek before reading."""
    programs = programs_of(container)
    frame, ticks, key_ticks = decode_start(container, stream, path)
    layout = source_layout(frame.format.name)
    orientation = orientation_of(frame)
    rate = _frame_rate(container, stream)
    tape = read_tape_tags(container, stream.index)
    duration = _duration_seconds(container, stream)
    time_base = stream.time_base
    if time_base is None:
        raise MediaError(f"{path}: its video has no time base; remux it first")
    return VideoInfo(
        path=path,
        kind="film",
        container=container.format.name,
        geometry=DisplayGeometry(
            coded_hw=(frame.height, frame.width),
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
            quarter_turns=orientation.quarter_turns,
            mirrored=orientation.mirrored,
        ),
        pixel_format_name=frame.format.name,
        pixel_format=layout.planar,
        color=color_of(
            frame, layout=layout, chroma_location=chroma_location_of(container, stream.index)
        ),
        side_data=frame_hdr_metadata(frame, stream, layout),
        time_base=time_base,
        origin_seconds=_origin_seconds(container),
        duration_seconds=duration,
        average_rate=rate,
        frame_count_estimate=_frame_count(stream, duration, rate),
        frames_before_key=_frames_before_key(frame, ticks, key_ticks),
        variable_rate=_variable_rate(ticks),
        field_order=_field_order(stream, frame),
        codec=stream.codec_context.codec.canonical_name,
        bit_rate=_bit_rate(stream) or container.bit_rate or None,
        video_stream_index=stream.index,
        streams=tuple(stream_infos(container)),
        chapters=tuple(chapters_of(container)),
        metadata=dict(container.metadata),
        timecode=tape.timecode,
        reel_name=tape.reel_name,
        programs=programs,
        program=next(
            (
                p
                for p in programs
                if stream.index in p.stream_indexes and program in (None, p.number)
            ),
            None,
        ),
    )


def _frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if is_raw(container.format.name):
        return raw_frame_rate(container, stream)
    return stream.average_rate or stream.guessed_rate


def decode_start(
    container: InputContainer, stream: VideoStream, path: Path
) -> tuple[av.VideoFrame, list[int], int | None]:
    """Return the first frame, ``pts`` of the first packets, and that of the first key packet.

    Raises:
        MediaError: None of the first frames can be decoded.
    """
    first: av.VideoFrame | None = None
    ticks: list[int] = []
    key_ticks: int | None = None
    packets = demux_past_errors(container, stream)
    for count, packet in enumerate(packets):
        if packet.pts is not None:
            ticks.append(packet.pts)
            if key_ticks is None and packet.is_keyframe:
                key_ticks = packet.pts
        if first is not None and count >= _PACKETS_TO_GUESS_RATE:
            break
        if first is None:
            try:
                frames = cast("Packet[VideoStream]", packet).decode()
            except av.error.FFmpegError as error:
                if not is_damage(error):
                    raise
                continue
            first = next(iter(frames), None)
        if count > _MAX_PACKETS_TO_FIRST_FRAME:
            break
    if first is not None:
        return first, ticks, key_ticks
    raise MediaError(f"{path}: damaged, no frame can be decoded; get another copy")


def _frames_before_key(frame: av.VideoFrame, ticks: list[int], key_ticks: int | None) -> int:
    if frame.pts is None or key_ticks is None:
        return 0
    return sum(pts < min(frame.pts, key_ticks) for pts in ticks)


def _field_order(stream: VideoStream, frame: av.VideoFrame) -> FieldOrder:
    """Return the field order of the first frame, or of the stream if the frame states none."""
    if frame.interlaced_frame:
        return "top first" if FieldOrderReader().is_top_first(frame) else "bottom first"
    return _FIELD_ORDERS.get(stream.codec_context.field_order, "unknown")


def _origin_seconds(container: InputContainer) -> Fraction:
    start = cast("int | None", container.start_time)
    if not container_facts(container.format.name).starts_at_zero and start is not None:
        return start * MICROSECOND
    return Fraction(0)


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration * MICROSECOND)
    return None


def _frame_count(
    stream: VideoStream, duration_seconds: float | None, rate: Fraction | None
) -> int | None:
    if stream.frames:
        return stream.frames
    if duration_seconds is None or not rate:
        return None
    return max(1, round(duration_seconds * float(rate)))


def _bit_rate(stream: VideoStream) -> int | None:
    # MPEG-1's code for "variable" looks like an enormous rate.
    return None if stream.bit_rate == 0x3FFFF * 400 else stream.bit_rate


def _variable_rate(ticks: list[int]) -> bool | None:
    """Whether the spacing of the first frames varies by more than rounding to ticks explains."""
    is_complete = len(ticks) < _PACKETS_TO_GUESS_RATE
    ordered = sorted(ticks)[: None if is_complete else -_MAX_REORDERED]
    steps = [after - before for before, after in pairwise(ordered)]
    return max(steps) - min(steps) > 1 if len(steps) >= 2 else None
