"""Films: decoded frames, one at a time, with the timestamps of their stream."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from vidrestore.errors import MediaError
from vidrestore.media.color.frame_tags import color_of
from vidrestore.media.color.pixel_formats import frame_planes, source_layout
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.fields.field_order import FieldOrderReader
from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.clock import Clock
from vidrestore.media.input.decoder import VideoDecoder, promised_end_seconds
from vidrestore.media.input.probe import probe_film
from vidrestore.media.input.raw_streams import at_frame_rate, is_raw
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange

_log = logging.getLogger(__name__)

# Indexes of some containers land a little late.
_SEEK_MARGIN_SECONDS = Fraction(1, 2)
# Headers round, and some count the last frame twice.
_UNSUSPICIOUS_FRAMES = 3


class VideoSource:
    """The frames of one film, decoded as they are asked for, a few at a time in memory.

    A packet that cannot be decoded is counted and skipped; a frame that the decoder flags as
    damaged is counted and returned. Every iteration restarts from the first frame.
    """

    def __init__(
        self,
        path: Path,
        *,
        time_range: TimeRange,
        fps: Fraction | None = None,
        program: int | None = None,
    ) -> None:
        self.info: VideoInfo = at_frame_rate(probe_film(path, program=program), fps)
        self.time_range = time_range
        self.repaired_timestamps = 0
        """Frames whose time was missing or did not move on."""
        self._corrupt_frames = 0
        self._missing_frames = 0
        self._decoder = VideoDecoder(path, self.info.video_stream_index)
        self._fields = FieldOrderReader()
        if time_range.start_seconds is not None:
            self.info = self._info_from(time_range)

    def _info_from(self, time_range: TimeRange) -> VideoInfo:
        """Return what the pictures are where the part begins: they may have changed before."""
        start = time_range.shifted(self.info.origin_seconds).start_seconds
        with media_errors(self.info.path):
            for decoded in self._decoded_from(start):
                if start is None or (decoded.pts or 0) * self.info.time_base >= start:
                    size_hw = (decoded.height, decoded.width)
                    return replace(
                        self.info,
                        geometry=replace(self.info.geometry, coded_hw=size_hw),
                        pixel_format_name=decoded.format.name,
                        pixel_format=source_layout(decoded.format.name).planar,
                    )
        return self.info

    @property
    def damaged_packets(self) -> int:
        """Packets lost or damaged so far."""
        return self._decoder.damaged_packets + self._corrupt_frames + self._missing_frames

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._decoder.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in presentation order.

        Raises:
            MediaError: Size or pixel format change on the way, or reading fails for good.
        """
        selected = self.time_range.shifted(self.info.origin_seconds)
        start, end = selected.start_seconds, selected.end_seconds
        return self._timed(self._numbered(0, start, end))

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Args:
            index: Of the first frame wanted.
            timestamp: Its time.
            seek: Begin decoding at a key frame before it; else at the first frame, which is slow,
                but also right where packets before a key frame matter after it.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        end = self.time_range.shifted(self.info.origin_seconds).end_seconds
        if seek and index > 0:
            frames = self._timed(self._numbered(index, timestamp.seconds, end))
        else:
            frames = (frame for frame in self if frame.index >= index)
        first = next(frames, None)
        if first is None or (first.index, first.timestamp) != (index, timestamp):
            raise MediaError(
                f"{self.info.path}: no frame at {float(timestamp.seconds):.3f} s; "
                "if the source changed, start over with --overwrite"
            )
        yield first
        yield from frames

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield frames with the time they are shown."""
        self._corrupt_frames = self._missing_frames = 0
        waiting: Frame | None = None
        with media_errors(self.info.path):
            for frame in frames:
                if waiting is not None:
                    yield _shown_until(waiting, frame.timestamp.ticks)
                waiting = frame
        if waiting is None:
            return
        if self.time_range.end_seconds is None:
            waiting = self._ended(waiting)
        yield waiting

    def _numbered(
        self, index: int, start: Fraction | None, end: Fraction | None
    ) -> Iterator[Frame]:
        """Yield the frames between two times, counting from ``index``."""
        clock = Clock(self.info.time_base)
        for decoded in self._decoded_from(start):
            ticks = clock.ticks(decoded.pts, decoded.dts, decoded.duration)
            timestamp = Timestamp(ticks, self.info.time_base)
            if start is not None and timestamp.seconds < start:
                self._decoder.restart_count()
                clock.repaired_count = 0
                continue
            if end is not None and timestamp.seconds >= end:
                return
            yield self._frame(decoded, index, timestamp)
            index += 1
            # Frames of an elementary stream have no times that could be wrong.
            self.repaired_timestamps = 0 if is_raw(self.info.container) else clock.repaired_count

    def _frame(self, decoded: av.VideoFrame, index: int, timestamp: Timestamp) -> Frame:
        info = self.info
        layout = source_layout(decoded.format.name)
        self._check_same(decoded, timestamp)
        if decoded.is_corrupt:
            self._corrupt_frames += 1
        return Frame(
            index=index,
            timestamp=timestamp,
            duration_ticks=max(0, decoded.duration),
            planes=frame_planes(decoded, layout),
            pixel_format=layout.planar,
            color=color_of(decoded, layout=layout, chroma_location=info.color.chroma_location),
            interlaced=decoded.interlaced_frame,
            top_field_first=decoded.interlaced_frame and self._fields.is_top_first(decoded),
            key_frame=decoded.key_frame,
        )

    def _check_same(self, decoded: av.VideoFrame, timestamp: Timestamp) -> None:
        info = self.info
        same_size = (decoded.height, decoded.width) == info.geometry.coded_hw
        if same_size and source_layout(decoded.format.name).planar == info.pixel_format:
            return
        height, width = info.geometry.coded_hw
        seconds = timestamp.seconds - info.origin_seconds
        raise MediaError(
            f"{info.path}: at {float(seconds):.3f} s the picture format changes from "
            f"{width}x{height} {info.pixel_format_name} to {decoded.width}x{decoded.height} "
            f"{decoded.format.name}; restore the parts one by one with --start and --end"
        )

    def _decoded_from(self, start_seconds: Fraction | None) -> Iterator[av.VideoFrame]:
        """Yield frames from the key frame before the start; from the first where that is late."""
        if start_seconds is None:
            yield from self._decoder.frames(None)
            return
        wanted = start_seconds - _SEEK_MARGIN_SECONDS
        frames = self._decoder.frames(int(wanted / self.info.time_base))
        first = next(frames, None)
        landed = first is not None and first.pts is not None
        if first is None or not landed or (first.pts or 0) * self.info.time_base > start_seconds:
            self._decoder.restart_count()
            frames = self._decoder.frames(None)
        else:
            yield first
        yield from frames

    def _ended(self, last: Frame) -> Frame:
        """Return the last frame with its duration; count the frames missing after it."""
        stream, rate = self._decoder.stream, self.info.average_rate
        promised = promised_end_seconds(stream)
        facts = container_facts(self.info.container)
        if facts.has_packet_index:
            missing = self._decoder.packets_left()
            ticks = int(promised / self.info.time_base)
            if missing <= 0 and self.time_range.start_seconds is None:
                return _shown_until(last, ticks) if ticks > last.timestamp.ticks else last
        else:
            if facts.lacks_timestamps:
                # Of a film with times between those of its packets, a place lasts for many ticks.
                step = self._decoder.shortest_step()
                last = _shown_until(last, last.timestamp.ticks + step)
                rate = 1 / (step * self.info.time_base)
            end = last.timestamp.seconds + last.duration_ticks * self.info.time_base
            missing = round((promised - end) * (rate or 0)) - self._decoder.damaged_at_end
        unsuspicious = _UNSUSPICIOUS_FRAMES
        if facts.lacks_timestamps and (left := self._decoder.packets_left()) > 0:
            # An index, where there is one, lists every packet; the header alone may err.
            missing, unsuspicious = left, 0
        if missing > unsuspicious and self.time_range.start_seconds is None:
            _log.info("%s: the last %d frames are missing", self.info.path, missing)
            self._missing_frames = missing
        return last


def _shown_until(frame: Frame, ticks: int) -> Frame:
    """Return a frame with the time it is shown.

    With B-frames, MP4's durations are those between packets in decoding order.
    """
    return replace(frame, duration_ticks=max(0, ticks - frame.timestamp.ticks))
