"""Reads frames of a YUV4MPEG2 stream on standard input, once."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.y4m import FRAME, MAX_LINE_BYTES, Y4mHeader, read_header
from vidrestore.storage.standard_streams import StandardInput
from vidrestore.types import ColorTags, DisplayGeometry, Frame, Plane, Timestamp
from vidrestore.types.time_range import TimeRange


class PipeSource:
    """The frames of standard input, read on demand."""

    repaired_timestamps = 0
    """Always 0: the stream has no timestamps, only a rate."""

    def __init__(self, path: Path, *, time_range: TimeRange, fps: Fraction | None = None) -> None:
        """Read the header.

        Args:
            path: The name of standard input.
            time_range: The frames to read.
            fps: Frames per second, if the stream does not state them.

        Raises:
            MediaError: Standard input is not such a stream, or its rate is unknown.
        """
        self.time_range = time_range
        self.damaged_packets = 0
        """1 if the stream ends within a frame."""
        self._input = StandardInput()
        self._header = read_header(self._input.read_line(MAX_LINE_BYTES))
        self.info = _info_of(self._header, path, fps)
        self._buffered: deque[Frame] = deque()
        self._frames = self._read_frames()
        self._is_read = False

    def close(self) -> None:
        """Do nothing: standard input belongs to the process."""

    def head(self, count: int) -> Sequence[Frame]:
        """Return the first frames, before iterating; iterating yields them again."""
        while len(self._buffered) < count and (frame := next(self._frames, None)) is not None:
            self._buffered.append(frame)
        return list(self._buffered)[:count]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the time range, once.

        Raises:
            MediaError: They were already read, or the stream is damaged.
        """
        if self._is_read:
            raise MediaError("standard input can be read only once")
        self._is_read = True
        return self._selected()

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Raise an error: a pipe cannot seek.

        Raises:
            MediaError: Always.
        """
        del index, timestamp, seek
        raise MediaError("standard input can be read only once")

    def _selected(self) -> Iterator[Frame]:
        start, end = self.time_range.start_seconds, self.time_range.end_seconds
        index = 0
        while (frame := self._next_frame()) is not None:
            seconds = frame.timestamp.seconds
            if end is not None and seconds >= end:
                return
            if start is None or seconds >= start:
                yield replace(frame, index=index)
                index += 1

    def _next_frame(self) -> Frame | None:
        return self._buffered.popleft() if self._buffered else next(self._frames, None)

    def _read_frames(self) -> Iterator[Frame]:
        size, number = self._header.frame_bytes, 0
        while line := self._input.read_line(MAX_LINE_BYTES):
            if not line.startswith(FRAME) and not FRAME.startswith(line):
                raise MediaError(
                    f"standard input: the stream is damaged after {number} frames; check the "
                    "messages of the program that writes it"
                )
            data = self._input.read(size)
            if len(data) < size:
                self.damaged_packets = 1
                return
            yield self._frame(data, number)
            number += 1

    def _frame(self, data: bytearray, number: int) -> Frame:
        info = self.info
        return Frame(
            index=number,
            timestamp=Timestamp(number, info.time_base),
            duration_ticks=1,
            planes=_planes(data, self._header),
            pixel_format=info.pixel_format,
            color=info.color,
            interlaced=info.field_order in ("top first", "bottom first"),
            top_field_first=info.field_order == "top first",
            key_frame=True,
        )


def _planes(data: bytearray, header: Y4mHeader) -> tuple[Plane, ...]:
    dtype = np.dtype("u1" if header.pixel_format.bit_depth == 8 else "<u2")
    planes: list[Plane] = []
    offset = 0
    for number in range(header.pixel_format.plane_count):
        height, width = header.pixel_format.plane_hw(number, header.coded_hw)
        plane = np.frombuffer(data, dtype, count=height * width, offset=offset)
        plane = plane.reshape(height, width)
        plane.flags.writeable = False
        planes.append(plane)
        offset += plane.nbytes
    return tuple(planes)


def _info_of(header: Y4mHeader, path: Path, fps: Fraction | None) -> VideoInfo:
    rate = header.frame_rate or fps
    if rate is None:
        raise MediaError(
            "standard input: the stream does not state its frame rate; add it, for example --fps 25"
        )
    is_yuv = header.pixel_format.model == "yuv"
    count = header.frame_count
    return VideoInfo(
        path=path,
        kind="film",
        container="yuv4mpegpipe",
        geometry=DisplayGeometry(
            coded_hw=header.coded_hw, sample_aspect_ratio=header.sample_aspect_ratio or Fraction(1)
        ),
        pixel_format_name=header.pixel_format.name,
        pixel_format=header.pixel_format,
        color=ColorTags(
            full_range=not is_yuv if header.full_range is None else header.full_range,
            range_known=not is_yuv or header.full_range is not None,
            chroma_location=header.chroma_location,
        ),
        time_base=1 / rate,
        duration_seconds=None if count is None else float(count / rate),
        average_rate=rate,
        frame_count_estimate=count,
        variable_rate=False,
        field_order=header.field_order,
        codec="rawvideo",
        metadata={},
    )
