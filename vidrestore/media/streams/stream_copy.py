"""Everything of a film but its pictures: copied packet for packet, never decoded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path

import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.clock import CopyTimeline, MonotonicTimestamps
from vidrestore.media.input.demuxer import demux_past_errors, is_damage
from vidrestore.media.input.probe import is_cover_stream, open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.decode_times import with_decode_times
from vidrestore.media.streams.edit_lists import EditListFilter, hidden_packets
from vidrestore.media.streams.ffmpeg_remux import can_remux
from vidrestore.media.streams.programs import keep_stream_id, left_out_notes
from vidrestore.media.streams.stream_support import (
    add_copied_stream,
    can_copy_stream,
    codec_name,
    has_decoder,
)

_FINE_SECONDS = Fraction(1, 90_000)
# Statistics of the source's packets, and the names of the programs that wrote them.
_NOT_COPIED = (
    "software", "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "bps",
    "number_of_frames", "number_of_bytes", "_statistics", "vendor_id", "source_id",
)  # fmt: skip


_CUES = "scte_35"
"""Sections of a transport stream that no muxer of FFmpeg writes as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """How every stream of the source is copied, except the restored one."""

    copied: tuple[int, ...] = ()
    """Indexes of streams whose packets are copied while the video is written."""
    remuxed: tuple[int, ...] = ()
    """Indexes of streams that only the ffmpeg program can copy, once the file is complete."""
    notes: tuple[str, ...] = ()


def plan_stream_copy(
    source: InputContainer,
    info: VideoInfo,
    spec: ContainerSpec,
    target: Path,
    *,
    drop_unsupported: bool,
    kinds: Collection[str] | None = None,
) -> CopyPlan:
    """Return how the streams of a source are copied into a container.

    Args:
        source: The source.
        info: Description of the source.
        spec: The container.
        target: The output.
        drop_unsupported: Drop streams that the container does not support, and note it.
        kinds: Copy streams of these kinds alone; None copies all.

    Raises:
        UnsupportedStreamError: The container does not support a stream, and none may be dropped.
    """
    copied: list[int] = []
    remuxed: list[int] = []
    notes = [*left_out_notes(info, spec)]
    for stream, stream_info in zip(source.streams, info.streams, strict=True):
        if stream.index == info.video_stream_index or is_written_by_muxer(stream, source):
            continue
        if stream.index in info.other_program_streams:
            continue
        if kinds is not None and stream.type not in kinds:
            continue
        fits = can_copy_stream(spec, stream) and not _lacks_header(stream, source)
        hidden = hidden_packets(stream)
        if is_embedded_cover(stream, spec):
            copied.append(stream.index)
        elif stream.type == "video" and hidden.lead_seconds and not spec.is_mov:
            # Its frames may need the hidden ones before them, which would be shown.
            said = f"hide its first {float(hidden.lead_seconds):.3f} s, as the source's edit list"
            if not drop_unsupported:
                raise UnsupportedStreamError(
                    f"{target}: {target.suffix} cannot {said} does for {stream_info}"
                )
            notes.append(f"{stream_info} is left out: {target.suffix} cannot {said} does")
        elif fits:
            copied.append(stream.index)
            if not hidden.keeps_lead(spec):
                notes.append(
                    f"the first {float(hidden.lead_seconds):.3f} s of {stream_info}, which the "
                    "source's edit list hides, are left out"
                )
        elif _can_remux(stream, info, spec):
            remuxed.append(stream.index)
        elif drop_unsupported:
            notes.append(f"{stream_info} is left out: {target.suffix} cannot hold it")
        else:
            raise UnsupportedStreamError(
                f"{target}: {target.suffix} cannot hold {stream_info} of the source"
            )
    return CopyPlan(copied=tuple(copied), remuxed=tuple(remuxed), notes=tuple(notes))


def _lacks_header(stream: Stream, source: InputContainer) -> bool:
    """Whether the header that AAC needs is missing, as if damage looks like another track."""
    states_headers = source.format.name.startswith(("flv", "mov", "matroska"))
    return states_headers and codec_name(stream) == "aac" and not stream.codec_context.extradata


def _can_remux(stream: Stream, info: VideoInfo, spec: ContainerSpec) -> bool:
    # ffmpeg silently drops attached files.
    if isinstance(stream, AttachmentStream) or spec.video_only:
        return False
    if info.streams[stream.index].codec == _CUES:
        return False
    if has_decoder(stream) and not (stream.type == "audio" and spec.format == "matroska"):
        return False
    # PyAV refuses audio that Matroska stores with its header from AVI or WAV, such as WMA.
    return can_remux(info.path, stream.index, spec)


def is_written_by_muxer(stream: Stream, source: InputContainer) -> bool:
    """Whether a QuickTime track is written by the muxer: the timecode, the chapter titles."""
    if stream.type != "data" or not source.format.name.startswith("mov"):
        return False
    is_timecode = "timecode" in stream.metadata
    is_chapter_text = stream.name == "bin_data" and bool(source.chapters())
    return is_timecode or is_chapter_text


def is_embedded_cover(stream: Stream, spec: ContainerSpec) -> bool:
    """Whether a stream is cover art that its container stores as an attached file."""
    return stream.type == "video" and is_cover_stream(stream) and spec.stores_attachments


def copied_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the tags that describe the film, not the file it was in."""
    return {
        key: value for key, value in metadata.items() if not key.lower().startswith(_NOT_COPIED)
    }


@dataclass(slots=True)
class _CopiedStream:
    """A stream that is being copied."""

    output: Stream
    kind: str
    times: MonotonicTimestamps
    edits: EditListFilter
    split_ticks: int
    """Into how many parts a tick of the source is divided, so that times that repeat can differ."""
    last_dts: int | None = None
    started: bool = False


@dataclass(slots=True)
class StreamCopier:
    """Reads the source a second time and copies packets as the video advances."""

    source: InputContainer
    output: OutputContainer
    clock: CopyTimeline
    allows_negative_times: bool
    """Whether audio may start a little before the time range; players skip it."""
    moved_count: int = 0
    """Number of packets whose timestamp was changed because it did not increase."""
    damaged_count: int = 0
    """Number of places where reading failed, and of packets whose content the output refused."""
    _streams: dict[int, _CopiedStream] = field(default_factory=dict[int, _CopiedStream])
    _packets: "Iterator[Packet[Stream]] | None" = None
    _next_packet: "Packet[Stream] | None" = None

    def add(self, stream: Stream, spec: ContainerSpec, tags: Mapping[str, str]) -> int:
        """Add a stream like ``stream`` to the output; return its index there."""
        if is_embedded_cover(stream, spec):
            return self._attach_cover(stream)
        added = add_copied_stream(self.output, stream, spec)
        added.metadata.clear()
        added.metadata.update(tags)
        added.disposition = stream.disposition
        keep_stream_id(added, stream, spec)
        if not isinstance(stream, AttachmentStream):
            base = stream.time_base or Fraction(1)
            # Packets of sound may be shorter than a tick, as those of TrueHD in Matroska.
            is_sound = stream.type == "audio"
            may_repeat = is_sound and spec.may_repeat_times
            ticks = 1 if may_repeat or not is_sound else max(1, ceil(base / _FINE_SECONDS))
            times = MonotonicTimestamps(base / ticks, may_repeat=may_repeat)
            edits = EditListFilter(stream, spec)
            self._streams[stream.index] = _CopiedStream(added, stream.type, times, edits, ticks)
        return added.index

    def _attach_cover(self, stream: Stream) -> int:
        with open_container(Path(self.source.name.removeprefix("file:"))) as again:
            packet = next(again.demux(again.streams[stream.index]))
            data = bytes(packet)
        codec = stream.codec_context.name
        name = stream.metadata.get(
            "filename", "cover.jpg" if codec == "mjpeg" else f"cover.{codec}"
        )
        mime = stream.metadata.get(
            "mimetype", "image/jpeg" if codec == "mjpeg" else f"image/{codec}"
        )
        attached = self.output.add_attachment(name, mime, data)
        attached.metadata.update(copied_metadata(stream.metadata))
        return attached.index

    def copy_until(self, until_seconds: Fraction | None) -> None:
        """Copy packets up to a time on the output's timeline; None copies all."""
        while (packet := self._take_next()) is not None:
            dts = packet.dts if packet.dts is not None else packet.pts
            seconds = Fraction(0) if dts is None else dts * packet.time_base
            shift = self.clock.shift_of(packet.stream_index)
            if until_seconds is not None and seconds - shift > until_seconds:
                self._next_packet = packet
                return
            self._copy(packet)

    def _take_next(self) -> "Packet[Stream] | None":
        if self._next_packet is not None:
            packet, self._next_packet = self._next_packet, None
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
        if self.moved_count:
            notes.append(f"{self.moved_count} packets had timestamps that did not increase")
        if self.damaged_count:
            notes.append(f"copied streams are damaged in {self.damaged_count} places")
        return notes

    def _copy(self, packet: "Packet[Stream]") -> None:
        copied = self._streams[packet.stream_index]
        if copied.edits.leaves_out(packet):
            return
        if not self._is_in_range(packet, copied):
            return
        _split_ticks(packet, copied.split_ticks)
        base = packet.time_base
        shift = round(self.clock.shift_of(packet.stream_index) / base)
        pts = packet.pts if packet.pts is not None else packet.dts
        dts = packet.dts if packet.dts is not None else pts
        if pts is None or dts is None:
            pts = dts = shift if copied.last_dts is None else copied.last_dts + 1 + shift
        if not packet.duration and copied.kind == "audio" and copied.last_dts is not None:
            # MP4 does not play a last packet without a duration.
            packet.duration = max(0, dts - shift - copied.last_dts)
        pts, dts = pts - shift, dts - shift
        if copied.kind != "subtitle" and (repaired := copied.times.repair(dts)) != dts:
            self.moved_count += repaired - dts >= copied.split_ticks
            pts, dts = max(pts + repaired - dts, repaired), repaired
        copied.last_dts = dts
        packet.pts, packet.dts = max(pts, dts), dts
        packet.stream = copied.output
        try:
            self.output.mux_one(packet)
        except av.error.FFmpegError as error:
            # Some muxers parse packets. A damaged one must not end the run; a full disk must.
            if not is_damage(error):
                raise
            self.damaged_count += 1

    def _is_in_range(self, packet: "Packet[Stream]", copied: _CopiedStream) -> bool:
        """Whether a packet is in the time range; clips subtitles to it."""
        selected = self.clock.time_range
        start, end = selected.start_seconds, selected.end_seconds
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or (start is None and end is None):
            return True
        base = packet.time_base
        begins = ticks * base
        ends = (ticks + (packet.duration or 0)) * base
        if end is not None and begins >= end:
            return False
        if start is not None and begins < start:
            if copied.kind in ("video", "data") or ends <= start:
                return False
            if copied.kind == "audio" and not self.allows_negative_times:
                return False
            if copied.kind == "subtitle":
                begins = start
        if copied.kind == "video" and not copied.started and not packet.is_keyframe:
            return False
        copied.started = True
        if copied.kind == "subtitle" and packet.duration:
            ends = ends if end is None else min(ends, end)
            packet.pts = packet.dts = round(begins / base)
            packet.duration = round(ends / base) - packet.pts
        return True


def _split_ticks(packet: "Packet[Stream]", parts: int) -> None:
    if parts == 1:
        return
    base, pts, dts, duration = packet.time_base, packet.pts, packet.dts, packet.duration
    packet.time_base = base / parts
    packet.pts = None if pts is None else pts * parts
    packet.dts = None if dts is None else dts * parts
    packet.duration = (duration or 0) * parts
