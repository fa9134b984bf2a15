"""Films: decoded frames, one at a time, with the time stamps of their stream."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from vidrestore.errors import MediaError
from vidrestore.media.decoding import PacketDecoder, missing_seconds
from vidrestore.media.formats import frame_planes, source_layout
from vidrestore.media.info import VideoInfo
from vidrestore.media.probing import color_of, field_order_of, probe_film
from vidrestore.media.timing import Clock, Cut
from vidrestore.media.translate import media_errors
from vidrestore.types import Frame, Timestamp

_log = logging.getLogger(__name__)

# Indexes of some containers land a little late.
_SEEK_MARGIN_SECONDS = Fraction(1, 2)
# Headers round, and some count the last frame twice.
_UNSUSPICIOUS_FRAMES = 3


class FilmSource:
    """The frames of one film, decoded as they are asked for, a few at a time in memory.

    A packet that cannot be decoded is counted and skipped; a frame that the decoder flags as
    damaged is counted and given. Every iteration starts anew.
    """

    def __init__(self, path: Path, *, cut: Cut) -> None:
        self.info: VideoInfo = probe_film(path)
        self.cut = cut
        self.repaired_timestamps = 0
        """Frames whose time was missing or did not move on."""
        self._corrupt_frames = 0
        self._missing_frames = 0
        self._decoder = PacketDecoder(path, self.info.video_stream_index)

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
        clock = Clock()
        start, end = self.cut.bounds_seconds(self.info.origin_seconds)
        index = 0
        end_seconds: Fraction | None = None
        self._corrupt_frames = self._missing_frames = 0
        with media_errors(self.info.path):
            for decoded in self._decoded_from(start):
                ticks = clock.ticks(decoded.pts, decoded.dts, decoded.duration)
                timestamp = Timestamp(ticks, self.info.time_base)
                if end is not None and timestamp.seconds >= end:
                    return
                if start is not None and timestamp.seconds < start:
                    self._decoder.restart_count()
                    clock.repaired_count = 0
                    continue
                yield self._frame(decoded, index, timestamp)
                index += 1
                self.repaired_timestamps = clock.repaired_count
                end_seconds = (ticks + decoded.duration) * self.info.time_base
        self._count_missing(end_seconds)

    def _frame(self, decoded: av.VideoFrame, index: int, timestamp: Timestamp) -> Frame:
        info = self.info
        layout = source_layout(decoded.format.name)
        self._check_same(decoded, timestamp)
        if decoded.is_corrupt:
            self._corrupt_frames += 1
        order = field_order_of(self._decoder.stream)
        order = info.field_order if order == "unknown" else order
        return Frame(
            index=index,
            timestamp=timestamp,
            duration_ticks=max(0, decoded.duration),
            planes=frame_planes(decoded, layout),
            pixel_format=layout.planar,
            color=color_of(decoded, layout=layout, chroma_location=info.color.chroma_location),
            interlaced=decoded.interlaced_frame,
            # PyAV tells the order of fields by stream only; unknown mostly means PAL or HD.
            top_field_first=decoded.interlaced_frame and order != "bottom first",
        )

    def _check_same(self, decoded: av.VideoFrame, timestamp: Timestamp) -> None:
        info = self.info
        same_size = (decoded.height, decoded.width) == info.geometry.coded_hw
        if same_size and source_layout(decoded.format.name).planar == info.pixel_format:
            return
        height, width = info.geometry.coded_hw
        raise MediaError(
            f"{info.path}: at {float(timestamp.seconds):.3f} s the pictures change from "
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

    def _count_missing(self, end_seconds: Fraction | None) -> None:
        """Count the frames that the header promises beyond the end: a file cut off."""
        rate = self.info.average_rate
        if end_seconds is None or not rate or self.cut.end_seconds is not None:
            return
        missing = round(missing_seconds(self._decoder.stream, end_seconds) * rate)
        if missing > _UNSUSPICIOUS_FRAMES:
            _log.info("%s: the last %d frames are missing", self.info.path, missing)
            self._missing_frames = missing
