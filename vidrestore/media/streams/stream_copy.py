"""Copies every stream except the restored video, packet for packet, without decoding."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path

import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream

from vidrestore.media.input.clock import CopyTimeline, MonotonicTimestamps
from vidrestore.media.input.demuxer import demux_past_errors, is_damage
from vidrestore.media.input.probe import open_container
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.decode_times import with_decode_times
from vidrestore.media.streams.edit_lists import EditListFilter
from vidrestore.media.streams.programs import keep_stream_id
from vidrestore.media.streams.stream_metadata import copied_metadata
from vidrestore.media.streams.stream_support import add_copied_stream, is_embedded_cover

_FINE_SECONDS = Fraction(1, 90_000)


@dataclass(slots=True)
class _CopiedStream:
    """A stream that is being copied."""

    output: Stream
    kind: str
    times: MonotonicTimestamps
    edits: EditListFilter
    split_ticks: int
    """Ticks of the copy per tick of the source, so that repeated times can be made distinct."""
    last_dts: int | None = None
    started: bool = False


@dataclass(slots=True)
class StreamCopier:
    """Reads the source a second time and copies packets as the video advances."""

    source: InputContainer
    output: OutputContainer
    timeline: CopyTimeline
    allows_negative_times: bool
    """Whether audio may start slightly before the time range; players skip it."""
    adjusted_count: int = 0
    """Number of packets whose timestamp was changed because it did not increase."""
    damaged_count: int = 0
    """Number of places where reading failed, and of packets that the muxer refused."""
    _streams: dict[int, _CopiedStream] = field(default_factory=dict[int, _CopiedStream])
    _packets: "Iterator[Packet[Stream]] | None" = None
    _next_packet: "Packet[Stream] | None" = None

    def add(self, stream: Stream, spec: ContainerSpec, tags: Mapping[str, str]) -> int:
        """Add a copy of a stream to the output; return its index there."""
        if is_embedded_cover(stream, spec):
            return self._attach_cover(stream)
        copy = add_copied_stream(self.output, stream, spec)
        copy.metadata.clear()
        copy.metadata.update(tags)
        copy.disposition = stream.disposition
        keep_stream_id(copy, stream, spec)
        if not isinstance(stream, AttachmentStream):
            base = stream.time_base or Fraction(1)
            # Packets of audio may be shorter than a tick, as those of TrueHD in Matroska.
            is_audio = stream.type == "audio"
            may_repeat = is_audio and spec.may_repeat_times
            ticks = 1 if may_repeat or not is_audio else max(1, ceil(base / _FINE_SECONDS))
            times = MonotonicTimestamps(base / ticks, may_repeat=may_repeat)
            edits = EditListFilter(stream, spec)
            self._streams[stream.index] = _CopiedStream(copy, stream.type, times, edits, ticks)
        return copy.index

    def _attach_cover(self, stream: Stream) -> int:
        with open_container(Path(self.source.name.removeprefix("file:"))) as source_file:
            packet = next(source_file.demux(source_file.streams[stream.index]))
            data = bytes(packet)
        codec = stream.codec_context.name
        suffix, subtype = ("jpg", "jpeg") if codec == "mjpeg" else (codec, codec)
        name = stream.metadata.get("filename", f"cover.{suffix}")
        mime = stream.metadata.get("mimetype", f"image/{subtype}")
        attachment = self.output.add_attachment(name, mime, data)
        attachment.metadata.update(copied_metadata(stream.metadata))
        return attachment.index

    def copy_until(self, until_seconds: Fraction | None) -> None:
        """Copy packets up to a time on the output's timeline; None copies all."""
        while (packet := self._take_next()) is not None:
            dts = packet.dts if packet.dts is not None else packet.pts
            seconds = Fraction(0) if dts is None else dts * packet.time_base
            shift = self.timeline.shift_of(packet.stream_index)
            if until_seconds is not None and seconds - shift > until_seconds:
                self._next_packet = packet
                return
            self._copy(packet)

    def _take_next(self) -> "Packet[Stream] | None":
        packet, self._next_packet = self._next_packet, None
        if packet is not None:
            return packet
        if self._packets is None:
            self._packets = self._demux([self.source.streams[index] for index in self._streams])
        return next(self._packets, None)

    def _demux(self, selected: Sequence[Stream]) -> "Iterator[Packet[Stream]]":
        if not selected:
            return
        for stream in self.source.streams:
            if stream.index not in self._streams:
                stream.discard = Discard.all
        packets = demux_past_errors(self.source, *selected, on_damage=self._count_damage)
        for packet in with_decode_times(packets):
            if packet.size or (packet.stream.type == "subtitle" and packet.pts is not None):
                yield packet

    def _count_damage(self) -> None:
        self.damaged_count += 1

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the copied streams."""
        notes: list[str] = []
        if self.adjusted_count:
            notes.append(f"{self.adjusted_count} packets had timestamps that did not increase")
        if self.damaged_count:
            notes.append(f"copied streams are damaged in {self.damaged_count} places")
        return notes

    def _copy(self, packet: "Packet[Stream]") -> None:
        copied = self._streams[packet.stream_index]
        if copied.edits.drops(packet):
            return
        if not self._is_in_range(packet, copied):
            return
        _split_ticks(packet, copied.split_ticks)
        base = packet.time_base
        shift = round(self.timeline.shift_of(packet.stream_index) / base)
        pts = packet.pts if packet.pts is not None else packet.dts
        dts = packet.dts if packet.dts is not None else pts
        if pts is None or dts is None:
            pts = dts = shift if copied.last_dts is None else copied.last_dts + 1 + shift
        if not packet.duration and copied.kind == "audio" and copied.last_dts is not None:
            # MP4 does not play a last packet without a duration.
            packet.duration = max(0, dts - shift - copied.last_dts)
        pts, dts = pts - shift, dts - shift
        if copied.kind != "subtitle" and (repaired := copied.times.repair(dts)) != dts:
            self.adjusted_count += repaired - dts >= copied.split_ticks
            pts, dts = max(pts + repaired - dts, repaired), repaired
        copied.last_dts = dts
        packet.pts, packet.dts = max(pts, dts), dts
        packet.stream = copied.output
        try:
            self.output.mux_one(packet)
        except av.error.FFmpegError as error:
            # Some muxers parse packets. A damaged one must not end the run, but a full disk must.
            if not is_damage(error):
                raise
            self.damaged_count += 1

    def _is_in_range(self, packet: "Packet[Stream]", copied: _CopiedStream) -> bool:
        """Whether a packet is in the time range; clips subtitles to it."""
        selected = self.timeline.time_range
        start, end = selected.start_seconds, selected.end_seconds
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or (start is None and end is None):
            return True
        base = packet.time_base
        begin_seconds = ticks * base
        end_seconds = (ticks + (packet.duration or 0)) * base
        if end is not None and begin_seconds >= end:
            return False
        if start is not None and begin_seconds < start:
            if copied.kind in ("video", "data") or end_seconds <= start:
                return False
            if copied.kind == "audio" and not self.allows_negative_times:
                return False
            if copied.kind == "subtitle":
                begin_seconds = start
        if copied.kind == "video" and not copied.started and not packet.is_keyframe:
            return False
        copied.started = True
        if copied.kind == "subtitle" and packet.duration:
            end_seconds = end_seconds if end is None else min(end_seconds, end)
            packet.pts = packet.dts = round(begin_seconds / base)
            packet.duration = round(end_seconds / base) - packet.pts
        return True


def _split_ticks(packet: "Packet[Stream]", factor: int) -> None:
    if factor == 1:
        return
    base, pts, dts, duration = packet.time_base, packet.pts, packet.dts, packet.duration
    packet.time_base = base / factor
    packet.pts = None if pts is None else pts * factor
    packet.dts = None if dts is None else dts * factor
    packet.duration = (duration or 0) * factor
