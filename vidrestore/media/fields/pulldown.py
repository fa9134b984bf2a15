"""Inverse telecine: restores 24 frames per second from the 60 fields of 3:2 pulldown.

FFmpeg's ``fieldmatch`` finds which fields belong together, and ``decimate`` which frame of five is
a repeat. Both compare 8 bits, so they get 8-bit luma, and their decisions are applied here to the
original samples. The decisions are read from their second input, which they process like the
first: its samples are the number of the frame.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR, plane_views
from vidrestore.media.fields.filter_graph import FilterGraph, luma_8bit, with_number
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.clock import frames_from_index
from vidrestore.media.input.source import Source, SourceWrapper
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp

CYCLE = 5
"""Telecined frames made of four film frames."""
_TICK_PARTS = 4
_FRAME_RATIO = Fraction(4, 5)
_NUMBER_COUNT = 200
"""Sample values that number the frames, over and over."""
_MIN_NUMBER = 20
_FIELDMATCH_FORMAT = "yuv420p"
_DECIMATE_FORMAT = "gray"


class InverseTelecineSource(SourceWrapper):
    """A telecined video with four progressive frames for every five frames.

    They are spaced evenly over the duration of the five, in quarters of a tick. An incomplete last
    five keeps all frames. Frames whose fields have no match stay unchanged, flagged as interlaced.
    """

    def __init__(self, source: Source, rule: FieldRule) -> None:
        """Wrap a video.

        Args:
            source: The video.
            rule: Which field is earlier; all frames count as interlaced.
        """
        info = source.info
        self.source = source
        self._top_first = (
            info.field_order != "bottom first" if rule.top_first is None else rule.top_first
        )
        self.info: VideoInfo = _info_of(info)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames before telecine, in presentation order.

        Raises:
            MediaError: As the source does.
        """
        size_hw = self.info.geometry.coded_hw
        decimator = _Decimator(size_hw)
        index = 0
        for matched in self._matched(size_hw):
            for frame in decimator.push(matched):
                yield replace(frame, index=index)
                index += 1
        for frame in decimator.flush():
            yield replace(frame, index=index)
            index += 1

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Which frame of five is a repeat depends on all earlier frames, so reading always starts
        at the first.

        Args:
            index: Number of the first frame.
            timestamp: Its timestamp.
            seek: Has no effect.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        return frames_from_index(iter(self), index, timestamp, self.info)

    def _matched(self, size_hw: tuple[int, int]) -> Iterator[Frame]:
        """Yield every frame, with the field of a neighbor if that belongs to it."""
        order = "tff" if self._top_first else "bff"
        fieldmatch = FilterGraph(
            [("fieldmatch", f"order={order}:combmatch=full:mchroma=0:ppsrc=1")],
            size_hw=size_hw,
            format_name=_FIELDMATCH_FORMAT,
            inputs=2,
        )
        neighbors: deque[Frame] = deque()
        for frame in self.source:
            neighbors.append(frame)
            for av_frame in fieldmatch.push(*_luma_and_number(frame, _FIELDMATCH_FORMAT)):
                yield self._matched_frame(av_frame, neighbors)
        if neighbors:
            # With two inputs, fieldmatch outputs the last frame only after another one.
            last = neighbors[-1]
            repeat = replace(last, index=last.index + 1)
            neighbors.append(repeat)
            for av_frame in fieldmatch.push(*_luma_and_number(repeat, _FIELDMATCH_FORMAT)):
                if (av_frame.pts or 0) <= last.index:
                    yield self._matched_frame(av_frame, neighbors)

    def _matched_frame(self, av_frame: av.VideoFrame, neighbors: deque[Frame]) -> Frame:
        """Return the frame made of the two fields that ``fieldmatch`` chose."""
        while neighbors[0].index < (av_frame.pts or 0) - 1:
            neighbors.popleft()
        frame = next(frame for frame in neighbors if frame.index == av_frame.pts)
        by_number = {_number_of(frame): frame for frame in neighbors}
        rows = plane_views(av_frame, PLANAR[_FIELDMATCH_FORMAT])[0]
        top, bottom = (by_number[int(rows[row, 0])] for row in (0, 1))
        if av_frame.interlaced_frame:
            return replace(frame, interlaced=True, top_field_first=self._top_first)
        progressive = replace(frame, interlaced=False, top_field_first=False)
        if top is bottom:
            return progressive.with_planes(top.planes)
        planes = [np.array(plane) for plane in top.planes]
        for plane, other in zip(planes, bottom.planes, strict=True):
            plane[1::2] = other[1::2]
            plane.flags.writeable = False
        return progressive.with_planes(tuple(planes))


class _Decimator:
    """Drops one frame of every five: the one most like the frame before it."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._decimate = FilterGraph(
            [("decimate", f"cycle={CYCLE}:ppsrc=1")],
            size_hw=size_hw,
            format_name=_DECIMATE_FORMAT,
            inputs=2,
        )
        self._cycle: list[Frame] = []

    def push(self, frame: Frame) -> Iterator[Frame]:
        """Add a frame; if it completes a five, yield the four that stay."""
        self._cycle.append(frame)
        output = self._decimate.push(*_luma_and_number(frame, _DECIMATE_FORMAT))
        if len(self._cycle) == CYCLE:
            yield from self._retimed(output)
            self._cycle = []

    def flush(self) -> Iterator[Frame]:
        """Yield the frames of an incomplete last five, at their own times."""
        for frame in self._cycle:
            start, duration = frame.timestamp.ticks, frame.duration_ticks
            yield _timed(frame, _TICK_PARTS * start, _TICK_PARTS * (start + duration))
        self._cycle = []

    def _retimed(self, output: Sequence[av.VideoFrame]) -> Iterator[Frame]:
        by_number = {_number_of(frame): frame for frame in self._cycle}
        starts = [
            _TICK_PARTS * frame.timestamp.ticks + number * frame.duration_ticks
            for number, frame in enumerate(self._cycle[:-1])
        ]
        last = self._cycle[-1]
        ends = [*starts[1:], _TICK_PARTS * (last.timestamp.ticks + last.duration_ticks)]
        for av_frame, start, end in zip(output, starts, ends, strict=True):
            rows = plane_views(av_frame, PLANAR[_DECIMATE_FORMAT])[0]
            yield _timed(by_number[int(rows[0, 0])], start, end)


def _timed(frame: Frame, start: int, end: int) -> Frame:
    """Return a frame that lasts from ``start`` to ``end``, in quarters of its ticks."""
    time_base = frame.timestamp.time_base / _TICK_PARTS
    return replace(frame, timestamp=Timestamp(start, time_base), duration_ticks=end - start)


def _number_of(frame: Frame) -> int:
    return _MIN_NUMBER + frame.index % _NUMBER_COUNT


def _luma_and_number(frame: Frame, format_name: str) -> tuple[av.VideoFrame, av.VideoFrame]:
    """Return a frame of the 8-bit luma, and one filled with the number of the frame."""
    luma = luma_8bit(frame.planes[0], frame.pixel_format)
    flat = np.full_like(luma, _number_of(frame))
    return (
        with_number(_av_frame(luma, format_name), frame.index),
        with_number(_av_frame(flat, format_name), frame.index),
    )


def _av_frame(samples: NDArray[np.uint8], format_name: str) -> av.VideoFrame:
    height, width = samples.shape
    av_frame = av.VideoFrame(width, height, format_name)
    pixel_format = PLANAR[format_name]
    luma, *chroma = plane_views(av_frame, pixel_format)
    luma[...] = samples
    for plane in chroma:
        plane[...] = 128
    return av_frame


def _info_of(info: VideoInfo) -> VideoInfo:
    rate, count = info.average_rate, info.frame_count_estimate
    return replace(
        info,
        field_order="progressive",
        time_base=info.time_base / _TICK_PARTS,
        average_rate=None if rate is None else rate * _FRAME_RATIO,
        frame_count_estimate=None if count is None else max(1, round(count * _FRAME_RATIO)),
    )
