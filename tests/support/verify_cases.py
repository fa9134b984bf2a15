"""Results to verify: made by the program's own reader and writer, then harmed on purpose."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from support.records import make_face, make_header, write_record
from support.video_copies import write_output

from vidrestore.media.input.source import Source, open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.record import FrameRecord, OutputFile, RecordHeader, SourceFile
from vidrestore.settings import CodecName
from vidrestore.types import Box, Frame, Timestamp
from vidrestore.verify import Check, Verification

MASK: Box = (20, 16, 61, 41)
"""Odd on purpose: a chroma sample at its edge may change, one beyond may not."""


def same(frames: Iterable[Frame]) -> Iterable[Frame]:
    """Change nothing."""
    return frames


def with_sample(
    frames: Iterable[Frame], *, index: int, plane: int, x: int, y: int
) -> Iterator[Frame]:
    """Change one sample of one frame by 1."""
    for frame in frames:
        if frame.index == index:
            planes = [np.array(plane) for plane in frame.planes]
            planes[plane][y, x] ^= 1
            frame = frame.with_planes(tuple(planes))
        yield frame


def with_faces(frames: Iterable[Frame], mask: Box = MASK) -> Iterator[Frame]:
    """Turn a box of every frame to its negative, as a face would be changed."""
    left, top, right, bottom = mask
    for frame in frames:
        planes = [np.array(plane) for plane in frame.planes]
        planes[0][top:bottom, left:right] ^= frame.pixel_format.max_value
        if frame.pixel_format.model == "yuv":
            shift_x, shift_y = frame.pixel_format.chroma_shift_xy
            rows = slice(top >> shift_y, -(-bottom >> shift_y))
            columns = slice(left >> shift_x, -(-right >> shift_x))
            for index in (1, 2):
                planes[index][rows, columns] ^= 3
        yield frame.with_planes(tuple(planes))


def with_moved_frame(frames: Iterable[Frame], index: int, ticks: int) -> Iterator[Frame]:
    """Show one frame at another time."""
    for frame in frames:
        if frame.index == index:
            stamp = frame.timestamp
            frame = replace(frame, timestamp=Timestamp(stamp.ticks + ticks, stamp.time_base))
        yield frame


def without(frames: Iterable[Frame], indexes: tuple[int, ...]) -> Iterator[Frame]:
    """Drop some frames."""
    return (frame for frame in frames if frame.index not in indexes)


def with_repeated_frame(frames: Iterable[Frame], index: int) -> Iterator[Frame]:
    """Show one frame again, half way to the next."""
    for frame in frames:
        yield frame
        if frame.index == index:
            stamp = frame.timestamp
            ticks = stamp.ticks + max(1, frame.duration_ticks // 2)
            yield replace(frame, timestamp=Timestamp(ticks, stamp.time_base))


def restored_copy(
    source: Path,
    target: Path,
    change: Callable[[Iterable[Frame]], Iterable[Frame]] = same,
    *,
    codec: CodecName = "ffv1",
    crf: float | None = None,
    **time_range: Any,
) -> Path:
    """Write what a restoration would, with ``change`` in the place of the networks."""
    settings = EncoderSettings(codec=codec, crf=crf)
    with open_source(source, **time_range) as frames:
        write_output(
            target,
            change(_alone(frames)),
            info=frames.info,
            time_range=frames.time_range,
            source_path=source,
            settings=settings,
        )
    return target


def _alone(source: Source) -> Iterator[Frame]:
    yield from source


def record_of(
    source: Path,
    path: Path,
    *,
    mask: Box | None = MASK,
    codec: str = "ffv1",
    header: Callable[[RecordHeader], RecordHeader] = lambda header_record: header_record,
    **time_range: Any,
) -> Path:
    """Write the record of a run over ``source`` with one face in every frame."""
    with open_source(source, **time_range) as frames:
        lines = [
            FrameRecord(
                index=frame.index,
                pts=frame.timestamp.ticks,
                shot=0,
                faces=(make_face(mask_xyxy=mask),),
            )
            for frame in frames
        ]
        return write_record(path, header(_header(frames.info, codec)), lines)


def _header(info: VideoInfo, codec: str) -> RecordHeader:
    return make_header(
        source=SourceFile(
            name=info.path.name,
            size_bytes=info.path.stat().st_size if info.path.is_file() else None,
        ),
        output=OutputFile(
            name="result", codec=codec, pixel_format=info.pixel_format.name, lossless=True
        ),
        coded_hw=info.geometry.coded_hw,
        display_hw=info.geometry.display_hw,
        time_base=info.time_base,
        settings={},
    )


def copy_damaged(
    source: Path,
    target: Path,
    *,
    kind: str = "audio",
    number: int | None = None,
    how: str = "drop",
    chapters: bool = True,
    without_tag: str | None = None,
    without_kind: str | None = None,
) -> Path:
    """Copy a film packet by packet, with one harm done to it.

    Args:
        source: The film.
        target: The copy.
        kind: Which kind of stream is harmed, the first of them.
        number: Which of its packets; None harms none.
        how: ``drop`` it, ``flip`` one bit of it, or ``move`` it by 20 ms.
        chapters: Whether they are copied.
        without_tag: A tag of the film to leave out.
        without_kind: Streams to leave out.
    """
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        streams = {
            stream.index: after.add_stream_from_template(stream, opaque=True)
            for stream in before.streams
            if stream.type != without_kind
        }
        for stream in before.streams:
            if stream.index in streams:
                streams[stream.index].metadata.update(stream.metadata)
                streams[stream.index].disposition = stream.disposition
        tags = {key: value for key, value in before.metadata.items() if key != without_tag}
        after.metadata.update(tags)
        if chapters:
            after.set_chapters(before.chapters())
        damaged = next((stream.index for stream in before.streams if stream.type == kind), None)
        count = 0
        expected = [stream for stream in before.streams if stream.index in streams]
        expected = [stream for stream in expected if stream.type != "attachment"]
        for packet in before.demux(*expected):
            if not packet.size:
                continue
            if packet.stream_index == damaged:
                count += 1
                if number is not None and count == number + 1:
                    if how == "drop":
                        continue
                    if how == "flip":
                        data = bytearray(bytes(packet))
                        data[len(data) // 2] ^= 1
                        packet.update(bytes(data))
                    else:
                        assert packet.pts is not None
                        packet.pts += round(0.02 / packet.time_base)
            packet.stream = streams[packet.stream_index]
            after.mux_one(packet)
    return target


def find_check(result: Verification, name: str) -> Check:
    """Return the one check whose name begins with ``name``."""
    (check,) = [check for check in result.checks if check.name.startswith(name)]
    return check


def changed_names(result: Verification) -> list[str]:
    """Return the names of all promises that were broken."""
    return [check.name for check in result.checks if check.result == "changed"]
