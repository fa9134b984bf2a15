"""Interlaced film as whole pictures: bwdif makes one of every frame, or of every field."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import av
import numpy as np

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import frame_planes, source_layout
from vidrestore.media.fields.filter_graph import FilterGraph, gray_picture
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Plane, Timestamp
from vidrestore.types.time_range import TimeRange

_LEAST_HW = (4, 3)
"""Smallest height and width of a plane that bwdif accepts."""
_MARK_EVERY_FRAMES = 250


@dataclass(frozen=True, slots=True)
class _Mark:
    """A frame of the source from which it can be read again."""

    index: int
    """Of the first frame made of it."""
    source_index: int
    timestamp: Timestamp


class DeinterlacedSource:
    """A film whose interlaced frames are made whole; frames of one moment are its own.

    At twice the rate, a whole picture is made of every field, and shown for half the time of its
    frame, counted in ticks of half the length. The fields' own rows stay as they are.
    """

    def __init__(self, source: Source, rule: FieldRule, *, twice: bool) -> None:
        """Wrap a film.

        Args:
            source: The film.
            rule: Which frames are made of two fields. One order of fields holds for the film.
            twice: Make a picture of every field, not only of the earlier one of a frame.

        Raises:
            MediaError: Its pictures are too small.
        """
        info = source.info
        self._source = source
        self._rule = rule
        self._twice = twice
        self._top_first = (
            info.field_order != "bottom first" if rule.top_first is None else rule.top_first
        )
        planes = range(info.pixel_format.plane_count)
        plane_hws = [info.pixel_format.plane_hw(at, info.geometry.coded_hw) for at in planes]
        if any(height < _LEAST_HW[0] or width < _LEAST_HW[1] for height, width in plane_hws):
            raise MediaError(f"{info.path}: too small to deinterlace; use --deinterlace keep")
        self._plane_hws = plane_hws
        self.info: VideoInfo = _info_of(info, twice=twice)
        self._marks: list[_Mark] = []

    @property
    def time_range(self) -> TimeRange:
        """The source's."""
        return self._source.time_range

    @property
    def damaged_packets(self) -> int:
        """The source's."""
        return self._source.damaged_packets

    @property
    def repaired_timestamps(self) -> int:
        """The source's."""
        return self._source.repaired_timestamps

    def __iter__(self) -> Iterator[Frame]:
        """Yield whole pictures, in presentation order.

        Raises:
            MediaError: As the source does.
        """
        return self._deinterlaced(self._source, 0)

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the frames from ``index`` on, the same as when iterating from the start.

        Args:
            index: Of the first frame wanted.
            timestamp: Its time.
            seek: Begin close by, where an iteration has passed before; else at the start.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        frames = iter(self)
        # What is made of a frame depends on the one before; so the mark is no later than that.
        marks = [mark for mark in self._marks if mark.index + 2 <= index] if seek else []
        if marks:
            mark = marks[-1]
            again = self._source.frames_from(mark.source_index, mark.timestamp)
            frames = self._deinterlaced(again, mark.index)
        return frames_starting_at(frames, index, timestamp, self.info)

    def _deinterlaced(self, frames: Iterable[Frame], index: int) -> Iterator[Frame]:
        """Yield the deinterlaced ``frames``, numbered from ``index``."""
        filters = [self._filter(at) for at in range(len(self._plane_hws))]
        # bwdif gives what it makes of a frame when it has seen the next one.
        waiting: Frame | None = None
        for frame in frames:
            made = [
                each.pushed(gray_picture(plane, frame.index))
                for each, plane in zip(filters, frame.planes, strict=True)
            ]
            if waiting is not None:
                self._mark(waiting, index)
                for whole in self._pictures(waiting, made):
                    yield replace(whole, index=index)
                    index += 1
            waiting = frame
        if waiting is None:
            return
        for whole in self._pictures(waiting, [each.finished() for each in filters]):
            yield replace(whole, index=index)
            index += 1

    def _filter(self, plane: int) -> FilterGraph:
        mode = "send_field" if self._twice else "send_frame"
        parity = "tff" if self._top_first else "bff"
        wide = self.info.bit_depth > 8
        return FilterGraph(
            [("bwdif", f"mode={mode}:parity={parity}:deint=all")],
            size_hw=self._plane_hws[plane],
            format_name="gray16le" if wide else "gray",
        )

    def _mark(self, frame: Frame, index: int) -> None:
        last = self._marks[-1].source_index if self._marks else -_MARK_EVERY_FRAMES
        if frame.index >= last + _MARK_EVERY_FRAMES:
            self._marks.append(_Mark(index, frame.index, frame.timestamp))

    def _pictures(self, frame: Frame, made: Sequence[Sequence[av.VideoFrame]]) -> Iterator[Frame]:
        """Yield the pictures of one frame: itself, or the output of the planes' filters."""
        if not self._rule.holds_two(frame):
            yield _in_half_ticks(frame) if self._twice else frame
            return
        for at, pictures in enumerate(zip(*made, strict=True)):
            whole = replace(
                frame,
                planes=self._planes_of(pictures),
                interlaced=False,
                top_field_first=False,
                key_frame=frame.key_frame and at == 0,
            )
            yield _shown_for_half(whole, is_second=at == 1) if self._twice else whole

    def _planes_of(self, pictures: Iterable[av.VideoFrame]) -> tuple[Plane, ...]:
        top = self.info.pixel_format.max_value
        planes: list[Plane] = []
        for picture in pictures:
            (plane,) = frame_planes(picture, source_layout(picture.format.name))
            # Samples of 9 to 14 bits were filtered among 16.
            clipped = np.minimum(plane, plane.dtype.type(top))
            clipped.flags.writeable = False
            planes.append(clipped)
        return tuple(planes)


def _in_half_ticks(frame: Frame) -> Frame:
    timestamp = Timestamp(2 * frame.timestamp.ticks, frame.timestamp.time_base / 2)
    return replace(frame, timestamp=timestamp, duration_ticks=2 * frame.duration_ticks)


def _shown_for_half(frame: Frame, *, is_second: bool) -> Frame:
    """Return a frame for the first or the second half of its duration."""
    duration = frame.duration_ticks
    ticks = 2 * frame.timestamp.ticks + (max(1, duration) if is_second else 0)
    timestamp = Timestamp(ticks, frame.timestamp.time_base / 2)
    return replace(frame, timestamp=timestamp, duration_ticks=duration)


def _info_of(info: VideoInfo, *, twice: bool) -> VideoInfo:
    whole = replace(info, field_order="progressive")
    if not twice:
        return whole
    rate, count = info.average_rate, info.frame_count_estimate
    return replace(
        whole,
        time_base=info.time_base / 2,
        average_rate=None if rate is None else 2 * rate,
        frame_count_estimate=None if count is None else 2 * count,
    )


def frames_starting_at(
    frames: Iterator[Frame], index: int, timestamp: Timestamp, info: VideoInfo
) -> Iterator[Frame]:
    """Yield ``frames`` from one frame on.

    Raises:
        MediaError: It does not come, or has another time.
    """
    wanted = (frame for frame in frames if frame.index >= index)
    first = next(wanted, None)
    if first is None or (first.index, first.timestamp) != (index, timestamp):
        raise MediaError(
            f"{info.path}: there is no longer a frame at {float(timestamp.seconds):.3f} s; "
            "if the film was changed, start over with --overwrite"
        )
    yield first
    yield from wanted
