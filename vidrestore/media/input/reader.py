"""Decoded frames of a film with exact timestamps."""

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
from vidrestore.media.hardware_decoding import check_gpu_decodes
from vidrestore.media.input.clock import Clock, frames_from_index
from vidrestore.media.input.decoder import VideoDecoder, header_end_seconds
from vidrestore.media.input.probe import probe_video
from vidrestore.media.input.raw_streams import at_frame_rate, is_raw
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange

_log = logging.getLogger(__name__)

# The index of some containers leads to a frame slightly late.
_SEEK_MARGIN_SECONDS = Fraction(1, 2)
# Durations in headers are rounded, and some count the last frame twice.
_DURATION_ERROR_FRAMES = 3


class VideoSource:
    """The frames of one film, decoded on demand; few are in memory at a time.

    Packets that cannot be decoded are counted and skipped. Frames that the decoder flags as damaged
    are counted and returned. Every iteration starts at the first frame.
    """

    def __init__(
        self,
        path: Path,
        *,
        time_range: TimeRange,
        fps: Fraction | None = None,
        program: int | None = None,
        gpu: int | None = None,
    ) -> None:
        self.info: VideoInfo = at_frame_rate(probe_video(path, program=program), fps)
        self.time_range = time_range
        self.repaired_timestamps = 0
        """Frames whose timestamp was missing or did not increase."""
        self._corrupt_frames = 0
        self._missing_frames = 0
        if gpu is not None:
            check_gpu_decodes(self.info, gpu)
        self._decoder = VideoDecoder(path, self.info.video_stream_index, gpu=gpu)
        self._fields = FieldOrderReader()
        if time_range.start_seconds is not None:
            self.info = self._info_from(time_range)

    def _info_from(self, time_range: TimeRange) -> VideoInfo:
        """Return the info with the frame format at the start of the range: it may change before."""
        start = time_range.shifted(self.info.origin_seconds).start_seconds
        with media_errors(self.info.path):
            for decoded in self._decoded_from(start):
                if start is None or (decoded.pts or 0) * self.info.time_base >= start:
                    size_hw = (decoded.height, decoded.width)
                    # A GPU has other names for the same samples.
                    is_named = self._decoder.gpu is None
                    name = decoded.format.name if is_named else self.info.pixel_format_name
                    return replace(
                        self.info,
                        geometry=replace(self.info.geometry, coded_hw=size_hw),
                        pixel_format_name=name,
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
            MediaError: Size or pixel format change, or reading fails.
        """
        selected = self.time_range.shifted(self.info.origin_seconds)
        start, end = selected.start_seconds, selected.end_seconds
        return self._with_durations(self._numbered(0, start, end))

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Args:
            index: Number of the first frame.
            timestamp: Its timestamp.
            seek: Start decoding at a key frame before it. Otherwise decoding starts at the first
                frame: slow, but exact even if a frame depends on packets before its key frame.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        end = self.time_range.shifted(self.info.origin_seconds).end_seconds
        if seek and index > 0:
            frames = self._with_durations(self._numbered(index, timestamp.seconds, end))
        else:
            frames = iter(self)
        return frames_from_index(frames, index, timestamp, self.info)

    def _with_durations(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield frames with their exact durations."""
        self._corrupt_frames = self._missing_frames = 0
        previous: Frame | None = None
        with media_errors(self.info.path):
            for frame in frames:
                if previous is not None:
                    yield _lasting_until(previous, frame.timestamp.ticks)
                previous = frame
        if previous is None:
            return
        if self.time_range.end_seconds is None:
            previous = self._with_end(previous)
        yield previous

    def _numbered(
        self, index: int, start: Fraction | None, end: Fraction | None
    ) -> Iterator[Frame]:
        """Yield the frames between two times, numbered from ``index``."""
        clock = Clock(self.info.time_base)
        for decoded in self._decoded_from(start):
            ticks = clock.ticks(decoded.pts, decoded.dts, decoded.duration)
            timestamp = Timestamp(ticks, self.info.time_base)
            if start is not None and timestamp.seconds < start:
                self._decoder.reset_damage_count()
                clock.repaired_count = 0
                continue
            if end is not None and timestamp.seconds >= end:
                return
            yield self._frame(decoded, index, timestamp)
            index += 1
            # Elementary streams have no timestamps that could be wrong.
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
        seconds = timestamp.seconds - info.origin_seconds
        raise MediaError(
            f"{info.path}: at {float(seconds):.3f} s the frame format changes from "
            f"{info.format_text} to {decoded.width}x{decoded.height} {decoded.format.name}; "
            "restore each range separately with --start and --end"
        )

    def _decoded_from(self, start_seconds: Fraction | None) -> Iterator[av.VideoFrame]:
        """Yield frames from a key frame before the start, or else from the first frame."""
        if start_seconds is None:
            yield from self._decoder.frames(None)
            return
        seek_seconds = start_seconds - _SEEK_MARGIN_SECONDS
        frames = self._decoder.frames(int(seek_seconds / self.info.time_base))
        first = next(frames, None)
        has_time = first is not None and first.pts is not None
        if first is None or not has_time or (first.pts or 0) * self.info.time_base > start_seconds:
            self._decoder.reset_damage_count()
            frames = self._decoder.frames(None)
        else:
            yield first
        yield from frames

    def _with_end(self, last: Frame) -> Frame:
        """Return the last frame with its duration; count the frames missing after it."""
        rate = self.info.average_rate
        header_end = header_end_seconds(self._decoder.stream)
        facts = container_facts(self.info.container)
        if facts.has_packet_index:
            missing = self._decoder.unread_packet_count()
            ticks = int(header_end / self.info.time_base)
            if missing <= 0 and self.time_range.start_seconds is None:
                return _lasting_until(last, ticks) if ticks > last.timestamp.ticks else last
        else:
            if facts.lacks_timestamps:
                # A frame lasts several ticks if the time base is finer than the frame rate.
                step = self._decoder.shortest_step()
                last = _lasting_until(last, last.timestamp.ticks + step)
                rate = 1 / (step * self.info.time_base)
            end = last.timestamp.seconds + last.duration_ticks * self.info.time_base
            missing = round((header_end - end) * (rate or 0)) - self._decoder.damaged_at_end
        tolerance = _DURATION_ERROR_FRAMES
        if facts.lacks_timestamps and (left := self._decoder.unread_packet_count()) > 0:
            # The index lists every packet, but the duration in the header may be wrong.
            missing, tolerance = left, 0
        if missing > tolerance and self.time_range.start_seconds is None:
            _log.info("%s: the last %d frames are missing", self.info.path, missing)
            self._missing_frames = missing
        return last


def _lasting_until(frame: Frame, ticks: int) -> Frame:
    """Return a frame with the duration until ``ticks``.

    With B-frames, the durations in MP4 are between packets in decoding order.
    """
    return replace(frame, duration_ticks=max(0, ticks - frame.timestamp.ticks))
