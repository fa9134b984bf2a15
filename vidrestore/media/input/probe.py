"""Opens films with FFmpeg and reads what their headers and first frame say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.color.frame_tags import chroma_location_of, color_of, frame_hdr_metadata
from vidrestore.media.color.pixel_formats import source_layout
from vidrestore.media.ffmpeg_dump import codec_names
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.fields.field_order import FieldOrderReader
from vidrestore.media.file_kinds import container_facts, is_image_name
from vidrestore.media.images.unsupported_formats import refuse_unsupported_image
from vidrestore.media.input.demuxer import demux_past_errors, is_damage
from vidrestore.media.input.raw_streams import is_raw, raw_frame_rate
from vidrestore.media.input.video_info import Chapter, FieldOrder, StreamInfo, VideoInfo
from vidrestore.media.side_data import side_data_of
from vidrestore.media.streams.programs import program_of, programs_of
from vidrestore.media.streams.timecode import tape_marks
from vidrestore.types import DisplayGeometry

DEMUXER_OPTIONS = {"fix_teletext_pts": "0"}
"""FFmpeg would move teletext by where clock references are in a transport stream."""
_MICROSECOND = Fraction(1, 1_000_000)
_FIELD_ORDERS: Mapping[int, FieldOrder] = {
    1: "progressive",
    2: "top first",
    3: "bottom first",
    # Interleaved: FFmpeg's names say the contrary, its muxers and Matroska mean this.
    4: "top first",
    5: "bottom first",
}
# What FFmpeg draws text as, and images.
_NOT_FILMS = frozenset({"tty", "image2", "bin", "xbin", "adf", "idf"})
_MAX_PACKETS_TO_FIRST_FRAME = 2000
_PACKETS_TO_GUESS_RATE = 120
# B-frames that have not come yet leave gaps at the end.
_REORDERED = 20


@dataclass(frozen=True, slots=True)
class DisplayMatrix:
    """Quarter turns and mirroring, as in ``DisplayGeometry``."""

    quarter_turns: int = 0
    mirrored: bool = False


def open_container(path: Path) -> InputContainer:
    """Open a film for reading.

    Raises:
        MediaError: FFmpeg cannot read it.
    """
    with media_errors(path):
        refuse_unsupported_image(path)
        # With the protocol in front, no name can be taken for a URL.
        container = av.open(
            f"file:{path}", "r", metadata_errors="replace", container_options=DEMUXER_OPTIONS
        )
    for stream in container.streams.video:
        if cast(object, stream.codec_context) is not None:
            # Otherwise the decoder shows columns that the film crops, to keep rows aligned.
            stream.codec_context.flags |= Flags.unaligned
    return container


def main_video_stream(
    container: InputContainer, path: Path, *, program: int | None = None
) -> VideoStream:
    """Return the stream to restore: the default one, or the first that is not a cover.

    Args:
        container: The open file.
        path: Its name, for errors.
        program: Number of the program that it belongs to; None for any.

    Raises:
        MediaError: There is none, or FFmpeg has no decoder for it.
    """
    films = [each for each in container.streams.video if not is_attached_picture(each)]
    if program is not None:
        chosen_program = program_of(programs_of(container), program, path)
        films = [each for each in films if each.index in chosen_program.stream_indexes]
        if not films:
            raise MediaError(f"{path}: program {chosen_program} has no video; choose another")
    if not films:
        kinds = {"a cover" if is_attached_picture(e) else e.type for e in container.streams}
        found = " and ".join(sorted(kinds, reverse=True)) or "nothing"
        raise MediaError(f"{path}: no video stream (only {found}); name a file with video")
    # An animated AVIF has its first frame as an image, too.
    films = [each for each in films if each.frames != 1] or films
    chosen = next((each for each in films if each.disposition & Disposition.default), films[0])
    if cast(object, chosen.codec_context) is None:
        raise MediaError(f"{path}: FFmpeg has no decoder for its video; convert the film first")
    return chosen


def is_attached_picture(stream: Stream) -> bool:
    """Whether a stream is a cover picture."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def probe_film(path: Path, *, program: int | None = None) -> VideoInfo:
    """Return what the film at ``path`` holds.

    Args:
        path: The film.
        program: Number of the program whose video is meant; None for the first.

    Raises:
        MediaError: It cannot be read, no frame of it can be decoded, or there is no such program.
    """
    with open_container(path) as container, media_errors(path):
        stream = main_video_stream(container, path, program=program)
        return film_info(container, stream, path, program=program)


def why_not_film(path: Path) -> str | None:
    """Return why a file is no film; None if it is one."""
    if is_image_name(path):
        return "an image"
    try:
        with open_container(path) as container:
            if container.format.name in _NOT_FILMS or container.format.name.endswith("_pipe"):
                return f"no film ({container.format.name})"
            main_video_stream(container, path)
    except MediaError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def film_info(
    container: InputContainer, stream: VideoStream, path: Path, *, program: int | None = None
) -> VideoInfo:
    """Return what an open film holds. Decodes to its first frame: seek before reading on."""
    programs = programs_of(container)
    own = [each for each in programs if stream.index in each.stream_indexes]
    frame, ticks, key_ticks = _beginning(container, stream, path)
    layout = source_layout(frame.format.name)
    matrix = display_matrix_of(frame)
    rate = _frame_rate(container, stream)
    marks = tape_marks(container, stream.index)
    duration = _duration_seconds(container, stream)
    time_base = stream.time_base
    if time_base is None:
        raise MediaError(f"{path}: its video has no time base; remux the film first")
    return VideoInfo(
        path=path,
        kind="film",
        container=container.format.name,
        geometry=DisplayGeometry(
            coded_hw=(frame.height, frame.width),
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
            quarter_turns=matrix.quarter_turns,
            mirrored=matrix.mirrored,
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
        streams=tuple(_stream_infos(container)),
        chapters=tuple(_chapters(container)),
        metadata=dict(container.metadata),
        timecode=marks.timecode,
        reel_name=marks.reel_name,
        programs=programs,
        program=next((each for each in own if program in (None, each.number)), None),
    )


def _frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if is_raw(container.format.name):
        return raw_frame_rate(container, stream)
    return stream.average_rate or stream.guessed_rate


def _beginning(
    container: InputContainer, stream: VideoStream, path: Path
) -> tuple[av.VideoFrame, list[int], int | None]:
    """Return the first frame, the times of the first packets, and that of the first key packet."""
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
    raise MediaError(f"{path}: is damaged, no frame can be decoded; get another copy")


def _frames_before_key(frame: av.VideoFrame, ticks: list[int], key_ticks: int | None) -> int:
    if frame.pts is None or key_ticks is None:
        return 0
    return sum(each < min(frame.pts, key_ticks) for each in ticks)


def _field_order(stream: VideoStream, frame: av.VideoFrame) -> FieldOrder:
    """Return the order of fields that the first frame states, or else the stream."""
    if frame.interlaced_frame:
        return "top first" if FieldOrderReader().is_top_first(frame) else "bottom first"
    return _FIELD_ORDERS.get(stream.codec_context.field_order, "unknown")


def display_matrix_of(frame: av.VideoFrame) -> DisplayMatrix:
    """Return the nearest quarter turn of a frame's display matrix.

    FFmpeg's matrix (a b u, c d v, x y w) moves (x, y) to (a x + c y, b x + d y).
    """
    data = side_data_of(frame).get("DISPLAYMATRIX", b"")
    raw = np.frombuffer(data[: len(data) // 4 * 4], dtype=np.int32).astype(np.float64)
    if raw.size != 9:
        return DisplayMatrix()
    found = np.array([[raw[0], raw[3]], [raw[1], raw[4]]])
    clockwise = np.array([[0, -1], [1, 0]])
    candidates = {
        DisplayMatrix(turns, mirrored): np.linalg.matrix_power(clockwise, turns)
        @ np.diag([-1 if mirrored else 1, 1])
        for turns in range(4)
        for mirrored in (False, True)
    }
    return max(candidates, key=lambda each: float((candidates[each] * found).sum()))


def _origin_seconds(container: InputContainer) -> Fraction:
    start = cast("int | None", container.start_time)
    if not container_facts(container.format.name).starts_at_zero and start is not None:
        return start * _MICROSECOND
    return Fraction(0)


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration * _MICROSECOND)
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
    # MPEG-1's code for "variable" reads like an enormous rate.
    return None if stream.bit_rate == 0x3FFFF * 400 else stream.bit_rate


def _variable_rate(ticks: list[int]) -> bool | None:
    """Whether the first frames are unevenly spaced, by more than rounding to ticks explains."""
    whole = len(ticks) < _PACKETS_TO_GUESS_RATE
    ordered = sorted(ticks)[: None if whole else -_REORDERED]
    steps = [after - before for before, after in pairwise(ordered)]
    return max(steps) - min(steps) > 1 if len(steps) >= 2 else None


def _stream_infos(container: InputContainer) -> Iterator[StreamInfo]:
    has_all = all(cast(object, each.codec_context) is not None for each in container.streams)
    names: Mapping[int, str] = {} if has_all else codec_names(container)
    for stream in container.streams:
        yield stream_info(stream, names.get(stream.index))


def stream_info(stream: Stream, codec_name: str | None) -> StreamInfo:
    """Describe a stream; ``codec_name`` is given where PyAV does not know the codec."""
    context = cast("av.CodecContext | None", stream.codec_context)
    audio = stream if isinstance(stream, av.AudioStream) and context is not None else None
    start = stream.start_time
    base = stream.time_base
    is_attachment = isinstance(stream, AttachmentStream)
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=context.codec.canonical_name
        if context
        else getattr(stream, "name", None) or codec_name,
        language=stream.language,
        title=stream.metadata.get("title"),
        default=bool(stream.disposition & Disposition.default),
        attached_picture=stream.type == "video" and is_attached_picture(stream),
        start_seconds=start * base if start is not None and base is not None else None,
        bit_rate=context.bit_rate if context is not None else None,
        channels=audio.codec_context.layout.nb_channels if audio else None,
        channel_layout=audio.codec_context.layout.name if audio else None,
        sample_rate_hz=audio.codec_context.sample_rate if audio else None,
        file_name=stream.name if is_attachment else None,
    )


def _chapters(container: InputContainer) -> list[Chapter]:
    found: list[Chapter] = []
    for chapter in container.chapters():
        base = chapter["time_base"] or _MICROSECOND
        found.append(
            Chapter(
                start_seconds=chapter["start"] * base,
                end_seconds=chapter["end"] * base,
                title=chapter["metadata"].get("title"),
            )
        )
    return found
