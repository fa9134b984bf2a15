"""Inverse telecine: the film's own frames, out of the fields that 3:2 pulldown spread them over.

FFmpeg's ``fieldmatch`` finds which fields belong together and ``decimate`` which frame of five is
there twice. Both compare 8 bits; so they are shown luma of 8 bits only, and what they decide is
done here with the samples as they are. To learn what they decide, their second input is used,
which they treat as they would the picture: it holds the number of each frame in place of samples.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR, plane_views
from vidrestore.media.fields.deinterlace import frames_starting_at
from vidrestore.media.fields.filter_graph import FilterGraph, luma_8bit, numbered
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange

CYCLE = 5
"""Frames that hold four of the film's."""
_TICK_PARTS = 4
_KEPT = Fraction(4, 5)
_NUMBERS = 200
"""Frames are told apart by so many sample values."""
_LEAST_NUMBER = 20
_MATCHING_FORMAT = "yuv420p"
_DECIDING_FORMAT = "gray"


class InverseTelecineSource:
    """A telecined film with four frames for every five, each of one moment.

    They are spaced evenly over the time of the five, counted in quarters of a tick; the last few
    frames that are no five are all kept. Frames whose fields find no match stay as they are,
    flagged as interlaced.
    """

    def __init__(self, source: Source, rule: FieldRule) -> None:
        """Wrap a film.

        Args:
            source: The film.
            rule: Says which field comes first; every frame is taken for interlaced.
        """
        info = source.info
        self._source = source
        self._top_first = (
            info.field_order != "bottom first" if rule.top_first is None else rule.top_first
        )
        self.info: VideoInfo = _info_of(info)
        self.unmatched_frames = 0
        """Frames so far whose fields found no match."""

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
        """Yield the film's own frames, in presentation order.

        Raises:
            MediaError: As the source does.
        """
        self.unmatched_frames = 0
        size_hw = self.info.geometry.coded_hw
        kept = _Decimated(size_hw)
        index = 0
        for frame in self._matched(size_hw):
            for each in kept.given(frame):
                yield replace(each, index=index)
                index += 1
        for each in kept.finished():
            yield replace(each, index=index)
            index += 1

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Which frames of five are one depends on all before; so this always begins at the start.

        Args:
            index: Of the first frame wanted.
            timestamp: Its time.
            seek: Makes no difference.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        return frames_starting_at(iter(self), index, timestamp, self.info)

    def _matched(self, size_hw: tuple[int, int]) -> Iterator[Frame]:
        """Yield every frame with the field of its neighbour that belongs to it, if one does."""
        order = "tff" if self._top_first else "bff"
        matching = FilterGraph(
            [("fieldmatch", f"order={order}:combmatch=full:mchroma=0:ppsrc=1")],
            size_hw=size_hw,
            format_name=_MATCHING_FORMAT,
            inputs=2,
        )
        near: deque[Frame] = deque()
        for frame in self._source:
            near.append(frame)
            for found in matching.pushed(*_shown_and_numbered(frame, _MATCHING_FORMAT)):
                yield self._as_found(found, near)
        if near:
            # With two inputs, fieldmatch keeps the last picture to itself.
            last, again = near[-1], replace(near[-1], index=near[-1].index + 1)
            near.append(again)
            for found in matching.pushed(*_shown_and_numbered(again, _MATCHING_FORMAT)):
                if (found.pts or 0) <= last.index:
                    yield self._as_found(found, near)

    def _as_found(self, found: av.VideoFrame, near: deque[Frame]) -> Frame:
        """Return the frame that a picture stands for, with the fields that the picture names."""
        while near[0].index < (found.pts or 0) - 1:
            near.popleft()
        frame = next(each for each in near if each.index == found.pts)
        by_number = {_number_of(each): each for each in near}
        rows = plane_views(found, PLANAR[_MATCHING_FORMAT])[0]
        top, bottom = (by_number[int(rows[at, 0])] for at in (0, 1))
        if found.interlaced_frame:
            self.unmatched_frames += 1
            return replace(frame, interlaced=True, top_field_first=self._top_first)
        whole = replace(frame, interlaced=False, top_field_first=False)
        if top is bottom:
            return whole.with_planes(top.planes)
        planes = [np.array(plane) for plane in top.planes]
        for plane, other in zip(planes, bottom.planes, strict=True):
            plane[1::2] = other[1::2]
            plane.flags.writeable = False
        return whole.with_planes(tuple(planes))


class _Decimated:
    """Drops the frame of every five that is most like the one before."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._deciding = FilterGraph(
            [("decimate", f"cycle={CYCLE}:ppsrc=1")],
            size_hw=size_hw,
            format_name=_DECIDING_FORMAT,
            inputs=2,
        )
        self._cycle: list[Frame] = []

    def given(self, frame: Frame) -> Iterator[Frame]:
        """Take a frame, and yield what is left of the five that it is the last of."""
        self._cycle.append(frame)
        chosen = self._deciding.pushed(*_shown_and_numbered(frame, _DECIDING_FORMAT))
        if len(self._cycle) == CYCLE:
            yield from self._kept(chosen)
            self._cycle = []

    def finished(self) -> Iterator[Frame]:
        """Yield the last few that are no five, all of them and each at its time."""
        for frame in self._cycle:
            start, duration = frame.timestamp.ticks, frame.duration_ticks
            yield _timed(frame, _TICK_PARTS * start, _TICK_PARTS * (start + duration))
        self._cycle = []

    def _kept(self, chosen: Sequence[av.VideoFrame]) -> Iterator[Frame]:
        by_number = {_number_of(frame): frame for frame in self._cycle}
        starts = [
            _TICK_PARTS * frame.timestamp.ticks + at * frame.duration_ticks
            for at, frame in enumerate(self._cycle[:-1])
        ]
        last = self._cycle[-1]
        ends = [*starts[1:], _TICK_PARTS * (last.timestamp.ticks + last.duration_ticks)]
        for picture, start, end in zip(chosen, starts, ends, strict=True):
            rows = plane_views(picture, PLANAR[_DECIDING_FORMAT])[0]
            yield _timed(by_number[int(rows[0, 0])], start, end)


def _timed(frame: Frame, start: int, end: int) -> Frame:
    """Return a frame with the time from ``start`` to ``end``, in parts of its ticks."""
    time_base = frame.timestamp.time_base / _TICK_PARTS
    return replace(frame, timestamp=Timestamp(start, time_base), duration_ticks=end - start)


def _number_of(frame: Frame) -> int:
    return _LEAST_NUMBER + frame.index % _NUMBERS


def _shown_and_numbered(frame: Frame, format_name: str) -> tuple[av.VideoFrame, av.VideoFrame]:
    """Return the luma of a frame as a picture of 8 bits, and a picture of its number."""
    luma = luma_8bit(frame.planes[0], frame.pixel_format)
    flat = np.full_like(luma, _number_of(frame))
    return (
        numbered(_picture(luma, format_name), frame.index),
        numbered(_picture(flat, format_name), frame.index),
    )


def _picture(samples: NDArray[np.uint8], format_name: str) -> av.VideoFrame:
    height, width = samples.shape
    picture = av.VideoFrame(width, height, format_name)
    pixel_format = PLANAR[format_name]
    luma, *chroma = plane_views(picture, pixel_format)
    luma[...] = samples
    for plane in chroma:
        plane[...] = 128
    return picture


def _info_of(info: VideoInfo) -> VideoInfo:
    rate, count = info.average_rate, info.frame_count_estimate
    return replace(
        info,
        field_order="progressive",
        time_base=info.time_base / _TICK_PARTS,
        average_rate=None if rate is None else rate * _KEPT,
        frame_count_estimate=None if count is None else max(1, round(count * _KEPT)),
    )
