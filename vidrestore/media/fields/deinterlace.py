"""Deinterlaces a video: bwdif makes one progressive frame of every frame, or of every field."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import av
import numpy as np

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import frame_planes, source_layout
from vidrestore.media.fields.filter_graph import FilterGraph, gray_frame
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.clock import frames_from_index
from vidrestore.media.input.source import Source, SourceWrapper
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Plane, Timestamp

_MIN_HW = (4, 3)
"""Height and width of the smallest plane that bwdif accepts."""
_SEEK_POINT_INTERVAL_FRAMES = 250


@dataclass(frozen=True, slots=True)
class _SeekPoint:
    """A frame of the source from which deinterlacing can start."""

    index: int
    """Number of the first output frame made from it."""
    source_index: int
    timestamp: Timestamp


class DeinterlacedSource(SourceWrapper):
    """A video whose interlaced frames are deinterlaced; progressive frames stay unchanged.

    At twice the rate, every field becomes a frame of half the duration, in ticks of half the
    length. Rows of the field itself stay unchanged.
    """

    def __init__(self, source: Source, rule: FieldRule, *, twice: bool) -> None:
        """Wrap a video.

        Args:
            source: The video.
            rule: Which frames are interlaced. The field order is the same for all frames.
            twice: Make a frame of every field, not only of the first one of each frame.

        Raises:
            MediaError: Its frames are too small.
        """
        info = source.info
        self.source = source
        self._rule = rule
        self._twice = twice
        self._top_first = (
            info.field_order != "bottom first" if rule.top_first is None else rule.top_first
        )
        planes = range(info.pixel_format.plane_count)
        plane_hws = [info.pixel_format.plane_hw(plane, info.geometry.coded_hw) for plane in planes]
        if any(height < _MIN_HW[0] or width < _MIN_HW[1] for height, width in plane_hws):
            raise MediaError(f"{info.path}: too small to deinterlace; use --deinterlace keep")
        self._plane_hws = plane_hws
        self.info: VideoInfo = _info_of(info, twice=twice)
        self._seek_points: list[_SeekPoint] = []

    def __iter__(self) -> Iterator[Frame]:
        """Yield progressive frames, in presentation order.

        Raises:
            MediaError: As the source does.
        """
        return self._deinterlaced(self.source, 0)

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the frames from ``index`` on, the same as when iterating from the start.

        Args:
            index: Number of the first frame.
            timestamp: Its timestamp.
            seek: Start near it, at a frame that an earlier iteration has passed; otherwise at the
                first frame.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        frames = iter(self)
        # The output also depends on the previous frame, so start no later than that.
        points = [point for point in self._seek_points if point.index + 2 <= index] if seek else []
        if points:
            point = points[-1]
            source_frames = self.source.frames_from(point.source_index, point.timestamp)
            frames = self._deinterlaced(source_frames, point.index)
        return frames_from_index(frames, index, timestamp, self.info)

    def _deinterlaced(self, frames: Iterable[Frame], index: int) -> Iterator[Frame]:
        """Yield the deinterlaced ``frames``, numbered from ``index``."""
        filters = [self._filter(plane) for plane in range(len(self._plane_hws))]
        # bwdif outputs a frame only after the next one.
        previous: Frame | None = None
        for frame in frames:
            filtered = [
                graph.push(gray_frame(plane, frame.index))
                for graph, plane in zip(filters, frame.planes, strict=True)
            ]
            if previous is not None:
                self._add_seek_point(previous, index)
                for progressive in self._progressive(previous, filtered):
                    yield replace(progressive, index=index)
                    index += 1
            previous = frame
        if previous is None:
            return
        for progressive in self._progressive(previous, [graph.flush() for graph in filters]):
            yield replace(progressive, index=index)
            index += 1

    def _filter(self, plane: int) -> FilterGraph:
        mode = "send_field" if self._twice else "send_frame"
        parity = "tff" if self._top_first else "bff"
        is_deep = self.info.bit_depth > 8
        return FilterGraph(
            [("bwdif", f"mode={mode}:parity={parity}:deint=all")],
            size_hw=self._plane_hws[plane],
            format_name="gray16le" if is_deep else "gray",
        )

    def _add_seek_point(self, frame: Frame, index: int) -> None:
        last = (
            self._seek_points[-1].source_index
            if self._seek_points
            else -_SEEK_POINT_INTERVAL_FRAMES
        )
        if frame.index >= last + _SEEK_POINT_INTERVAL_FRAMES:
            self._seek_points.append(_SeekPoint(index, frame.index, frame.timestamp))

    def _progressive(
        self, frame: Frame, filtered: Sequence[Sequence[av.VideoFrame]]
    ) -> Iterator[Frame]:
        """Yield a progressive frame itself, or the filtered frames of an interlaced one."""
        if not self._rule.is_interlaced(frame):
            yield _in_half_ticks(frame) if self._twice else frame
            return
        for number, av_frames in enumerate(zip(*filtered, strict=True)):
            progressive = replace(
                frame,
                planes=self._planes_of(av_frames),
                interlaced=False,
                top_field_first=False,
                key_frame=frame.key_frame and number == 0,
            )
            yield _half_of(progressive, is_second=number == 1) if self._twice else progressive

    def _planes_of(self, av_frames: Iterable[av.VideoFrame]) -> tuple[Plane, ...]:
        top = self.info.pixel_format.max_value
        planes: list[Plane] = []
        for av_frame in av_frames:
            (plane,) = frame_planes(av_frame, source_layout(av_frame.format.name))
            # Samples of 9 to 14 bits were filtered as 16 bits, and may exceed their range.
            clipped = np.minimum(plane, plane.dtype.type(top))
            clipped.flags.writeable = False
            planes.append(clipped)
        return tuple(planes)


def _in_half_ticks(frame: Frame) -> Frame:
    timestamp = Timestamp(2 * frame.timestamp.ticks, frame.timestamp.time_base / 2)
    return replace(frame, timestamp=timestamp, duration_ticks=2 * frame.duration_ticks)


def _half_of(frame: Frame, *, is_second: bool) -> Frame:
    """Return a frame that lasts for the first or second half of its duration."""
    duration = frame.duration_ticks
    ticks = 2 * frame.timestamp.ticks + (max(1, duration) if is_second else 0)
    timestamp = Timestamp(ticks, frame.timestamp.time_base / 2)
    return replace(frame, timestamp=timestamp, duration_ticks=duration)


def _info_of(info: VideoInfo, *, twice: bool) -> VideoInfo:
    progressive = replace(info, field_order="progressive")
    if not twice:
        return progressive
    rate, count = info.average_rate, info.frame_count_estimate
    return replace(
        progressive,
        time_base=info.time_base / 2,
        average_rate=None if rate is None else 2 * rate,
        frame_count_estimate=None if count is None else 2 * count,
    )
