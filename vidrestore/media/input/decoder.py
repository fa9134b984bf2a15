"""Decodes packets to frames, and counts those that cannot be decoded.

PyAV drains a decoder in one call, stops at the first error, and hides an error that comes together
with frames. So packets are tracked by their timestamps: one that never comes out was damaged. If
frames are missing at the end, they are decoded again without frame threads, which leaves no frames
to drain.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from vidrestore.media.file_kinds import container_facts
from vidrestore.media.hardware_decoding import open_on_gpu
from vidrestore.media.input.avi_timing import delay_ticks, with_presentation_times
from vidrestore.media.input.demuxer import demux_past_errors, is_damage
from vidrestore.media.input.ffv1_checksums import SliceChecker
from vidrestore.media.input.probe import open_container

_log = logging.getLogger(__name__)

# Packed bitstreams have packets without a frame.
_PACKETS_ARE_NOT_FRAMES = frozenset({"mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3"})
_MAX_REORDERED = 64


class VideoDecoder:
    """Decodes one video stream of one file."""

    def __init__(self, path: Path, stream_index: int, *, gpu: int | None = None) -> None:
        """Open a file.

        Args:
            path: The file.
            stream_index: Index of the stream.
            gpu: Number of the GPU that decodes; None for the processor.
        """
        self._path = path
        self._stream_index = stream_index
        self.gpu = gpu
        self.damaged_packets = 0
        self.damaged_at_end = 0
        """Damaged packets after the last decoded frame."""
        self.packets_read = 0
        self._first_dts: int | None = None
        self._container = self._opened()
        self._pass_number = 0
        self._pending_pts: set[int] = set()
        self._last_pts: int | None = None
        self._key_pts: int | None = None
        self._is_from_start = False
        self._delay_ticks: int | None = None

    def _opened(self) -> InputContainer:
        return open_container(self._path) if self.gpu is None else open_on_gpu(self._path, self.gpu)

    @property
    def stream(self) -> VideoStream:
        """The stream, of the container as it is open now."""
        return cast(VideoStream, self._container.streams[self._stream_index])

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._container.close()

    def frames(self, start_ticks: int | None) -> Iterator[av.VideoFrame]:
        """Yield decoded frames, from a key frame at or before ``start_ticks`` unless it is None.

        Raises:
            MediaError: Reading fails, and not because of damage.
        """
        frames = self._all_frames(start_ticks)
        if not container_facts(self._container.format.name).lacks_timestamps:
            return frames
        if self._delay_ticks is None:
            self._delay_ticks = delay_ticks(self._path, self._stream_index)
        return with_presentation_times(
            frames, delay_ticks=self._delay_ticks, step=self.shortest_step
        )

    def shortest_step(self) -> int:
        """Return the shortest time between packets in the container's index."""
        ticks = sorted(entry.timestamp for entry in self.stream.index_entries)
        return min((b - a for a, b in pairwise(ticks) if b > a), default=1)

    def _all_frames(self, start_ticks: int | None) -> Iterator[av.VideoFrame]:
        self._open(start_ticks, threads="AUTO")
        yield from self._decoded()
        self.damaged_at_end = 0
        last = self._last_pts
        if last is None or not any(pts > last for pts in self._pending_pts):
            self.damaged_packets += len(self._pending_pts)
            return
        self.damaged_packets += sum(pts <= last for pts in self._pending_pts)
        damaged, packets_read, first_dts = (
            self.damaged_packets,
            self.packets_read,
            self._first_dts,
        )
        self._open(last, threads="SLICE")
        for frame in self._decoded():
            if frame.pts is not None and frame.pts > last:
                yield frame
        self.packets_read, self._first_dts = packets_read, first_dts
        self.damaged_packets = damaged + sum(pts > last for pts in self._pending_pts)
        self.damaged_at_end = sum(pts > (self._last_pts or last) for pts in self._pending_pts)

    def unread_packet_count(self) -> int:
        """Return how many packets the container's index lists after those that were read."""
        entries, first = self.stream.index_entries, self._first_dts
        skipped = 0 if first is None else sum(entry.timestamp < first for entry in entries)
        return len(entries) - skipped - self.packets_read

    def reset_damage_count(self) -> None:
        """Forget the damage counted so far: it is before the time range."""
        self.damaged_packets = 0
        self._pending_pts.clear()

    def _open(self, start_ticks: int | None, *, threads: str) -> None:
        self._pass_number += 1
        if self._pass_number > 1:
            self._container.close()
            self._container = self._opened()
        self._pending_pts.clear()
        self._last_pts = None
        self._first_dts = self._key_pts = None
        self._is_from_start = start_ticks is None
        self.packets_read = 0
        for stream in self._container.streams:
            if stream.index != self._stream_index:
                stream.discard = Discard.all
        # A GPU needs no threads, which would hold more of its pictures.
        self.stream.thread_type = threads if self.gpu is None else "NONE"
        if start_ticks is not None:
            try:
                self._container.seek(start_ticks, stream=self.stream)
            except av.error.FFmpegError as error:
                # Some containers cannot seek before their first key frame, or not at all.
                _log.info("%s: cannot seek (%s); reading from the start", self._path, error)
                self._open(None, threads=threads)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if not is_damage(error):
                    raise
                _log.debug("%s: %s", self._path, error)
                if packet.pts is None and packet.size:
                    self.damaged_packets += 1
                continue
            for frame in frames:
                self._mark_decoded(frame)
                yield frame

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        stream, pass_number = self.stream, self._pass_number
        is_tracked = stream.codec_context.name not in _PACKETS_ARE_NOT_FRAMES
        checker = SliceChecker() if stream.codec_context.name == "ffv1" else None
        packets = demux_past_errors(self._container, stream, on_damage=self._count_damage)
        for packet in cast("Iterator[Packet[VideoStream]]", packets):
            self.packets_read += bool(packet.size)
            if self._first_dts is None:
                self._first_dts = packet.dts
            if checker is not None and packet.size and checker.damaged_slices(bytes(packet)):
                # Its frame is still decoded; another frame's samples conceal the slice.
                self.damaged_packets += 1
            elif is_tracked and self._must_be_decoded(packet):
                self._pending_pts.add(packet.pts or 0)
            yield packet
            if self._pass_number != pass_number:
                raise RuntimeError(
                    f"{self._path}: a second iteration started before this one ended"
                )

    def _must_be_decoded(self, packet: "Packet[VideoStream]") -> bool:
        """Whether a packet without a frame is damaged.

        A film that was cut without encoding starts with frames that need others before the cut.
        """
        if not packet.size or packet.pts is None or packet.is_discard:
            return False
        if self._key_pts is None and packet.is_keyframe:
            self._key_pts = packet.pts
        is_late = self._key_pts is not None and packet.pts >= self._key_pts
        return is_late or not self._is_from_start

    def _count_damage(self) -> None:
        self.damaged_packets += 1

    def _mark_decoded(self, frame: av.VideoFrame) -> None:
        if frame.pts is None:
            return
        self._last_pts = frame.pts
        self._pending_pts.discard(frame.pts)
        if len(self._pending_pts) > _MAX_REORDERED:
            lost = {pts for pts in self._pending_pts if pts < frame.pts}
            self.damaged_packets += len(lost)
            self._pending_pts -= lost


def header_end_seconds(stream: VideoStream) -> Fraction:
    """Return the end of a stream as its header states it; 0 if it does not."""
    base = stream.time_base
    if stream.duration is not None and base is not None:
        return ((stream.start_time or 0) + stream.duration) * base
    return _matroska_duration(stream.metadata.get("DURATION", ""))


def _matroska_duration(text: str) -> Fraction:
    """Read ``00:01:02.500000000``."""
    parts = text.split(":")
    if len(parts) != 3:
        return Fraction(0)
    try:
        hours, minutes, seconds = (Fraction(part) for part in parts)
    except ValueError:
        return Fraction(0)
    return hours * 3600 + minutes * 60 + seconds
