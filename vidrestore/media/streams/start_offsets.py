"""Start offsets of streams, for containers that cannot store all of them.

The timeline of Matroska starts at 0: FFmpeg delays everything if the audio starts earlier, unless
the file states that its encoder has that delay. AVI has no timestamps: its streams start together.
"""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.clock import CopyTimeline, common_shift
from vidrestore.media.input.demuxer import demux_past_errors
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.reader import VideoSource
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.copy_plan import CopyPlan, plan_stream_copy
from vidrestore.media.streams.edit_lists import EditListFilter
from vidrestore.types.time_range import TimeRange

# EBU R 37: how much earlier or later audio may be than video at the end of a chain.
_MAX_EARLY_SECONDS, _MAX_LATE_SECONDS = Fraction(5, 1000), Fraction(15, 1000)
_MAX_FIRST_PACKETS = 500
_MILLISECOND = Fraction(1, 1000)
_MICROSECOND = Fraction(1, 1_000_000)


def output_timeline(
    info: VideoInfo, time_range: TimeRange, copied_time_bases: Sequence[Fraction]
) -> CopyTimeline:
    """Return the timeline of an output that starts near zero.

    Args:
        info: Info of the source.
        time_range: The selected time range of the source.
        copied_time_bases: Time bases of the copied streams.
    """
    selected = time_range.shifted(info.origin_seconds)
    start = info.origin_seconds if selected.start_seconds is None else selected.start_seconds
    shift = common_shift(start, info.time_base, copied_time_bases)
    return CopyTimeline(shift_seconds=shift, time_range=selected)


def plan_timed_copy(
    source: InputContainer,
    source_path: Path,
    info: VideoInfo,
    spec: ContainerSpec,
    target: Path,
    *,
    time_range: TimeRange,
    drop_unsupported: bool,
    kinds: Collection[str] | None = None,
) -> tuple[CopyPlan, CopyTimeline]:
    """Return the streams to copy and their timeline.

    Args:
        source: The source of the streams, open.
        source_path: Its path.
        info: Info of the source.
        spec: Container of the output.
        target: The output, as error messages name it.
        time_range: The selected time range of the source.
        drop_unsupported: Drop streams and start offsets that the container cannot store.
        kinds: Copy only streams of these kinds; None copies all.

    Raises:
        UnsupportedStreamError: The container cannot store a stream or its start offset, and none
            may be dropped.
        MediaError: The source cannot be read.
    """
    plan = plan_stream_copy(
        source, info, spec, target, drop_unsupported=drop_unsupported, kinds=kinds
    )
    bases = [base for index in plan.copied if (base := source.streams[index].time_base)]
    timeline = output_timeline(info, time_range, bases)
    copied = [info.streams[index] for index in plan.copied]
    timed = [
        index
        for index, stream in zip(plan.copied, copied, strict=True)
        if stream.kind in ("audio", "video") and not stream.is_cover
    ]
    if spec.lacks_timestamps:
        first_frame = _first_frame_seconds(source_path, time_range, info.average_rate)
        if first_frame is None:
            return plan, timeline
        packets = _first_packets(
            source_path, timed, spec, start_seconds=timeline.time_range.start_seconds
        )
        starts = {packet.stream_index: (packet.pts or 0) * packet.time_base for packet in packets}
        return _start_together(
            plan,
            timeline,
            starts,
            first_frame,
            info=info,
            target=target,
            drop_unsupported=drop_unsupported,
        )
    if spec.rounds_to_milliseconds and time_range.is_full:
        delay = _delay_seconds(source_path, (*timed, info.video_stream_index), timeline, spec)
        if delay:
            note = (
                f"all streams start {float(delay):.3f} s later: {target.suffix} cannot store "
                "negative timestamps"
            )
            plan = replace(plan, notes=(*plan.notes, note))
            timeline = replace(timeline, delay_seconds=delay)
    return plan, timeline


def _delay_seconds(
    path: Path, stream_indexes: Sequence[int], timeline: CopyTimeline, spec: ContainerSpec
) -> Fraction:
    """Return the delay that the muxer adds because its timeline starts at 0."""
    delay = 0
    for packet in _first_packets(path, stream_indexes, spec, max_packets=_MAX_FIRST_PACKETS):
        base = packet.time_base
        packet.pts = (packet.pts or 0) - round(timeline.shift_seconds / base)
        start_ms = _round_half_away(packet.pts * base / _MILLISECOND)
        if start_ms < 0:
            # Matroska may start before 0 by the delay of an encoder, if that is known.
            is_audio = packet.stream.type == "audio"
            stored = _stored_start(packet, spec) if is_audio else Fraction(0)
            delay = max(delay, _round_half_away(stored / _MILLISECOND) - start_ms)
    return delay * _MILLISECOND


def _stored_start(packet: "Packet[Stream]", spec: ContainerSpec) -> Fraction:
    """Return the time of a packet after a container stored it, by trial."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=spec.format) as trial:
        stream = trial.add_stream_from_template(packet.stream, opaque=True)
        packet.dts, packet.stream = packet.pts, stream
        trial.mux_one(packet)
    buffer.seek(0)
    with av.open(buffer, "r") as written:
        (copy,) = (packet for packet in written.demux() if packet.size)
        return (copy.pts or 0) * copy.time_base


def _round_half_away(value: Fraction) -> int:
    """Round as FFmpeg does: halves away from zero."""
    magnitude = (abs(value) + Fraction(1, 2)) // 1
    return magnitude if value > 0 else -magnitude


def _start_together(
    plan: CopyPlan,
    timeline: CopyTimeline,
    starts: Mapping[int, Fraction],
    first_frame: Fraction,
    *,
    info: VideoInfo,
    target: Path,
    drop_unsupported: bool,
) -> tuple[CopyPlan, CopyTimeline]:
    """Let every stream start with the first frame, if that moves none of them audibly."""
    notes, copied = list(plan.notes), list(plan.copied)
    for index, start in starts.items():
        lead = first_frame - start
        stream, suffix = info.streams[index], target.suffix
        offset_text = f"{abs(float(lead)):.3f} s {'before' if lead > 0 else 'after'} the video"
        if -_MAX_EARLY_SECONDS <= lead <= _MAX_LATE_SECONDS:
            if abs(lead) >= _MILLISECOND:
                notes.append(
                    f"{stream} starts {offset_text} in the source, but together with it in {suffix}"
                )
            continue
        if not drop_unsupported:
            raise UnsupportedStreamError(
                f"{target}: {suffix} cannot start {stream} {offset_text}, as in the source"
            )
        notes.append(f"{stream} was dropped: {suffix} cannot start it {offset_text}")
        copied.remove(index)
    return (
        replace(plan, copied=tuple(copied), notes=tuple(notes)),
        replace(timeline, shift_seconds=first_frame, offset_by_stream_seconds=starts),
    )


def _first_frame_seconds(
    path: Path, time_range: TimeRange, fps: Fraction | None
) -> Fraction | None:
    source = VideoSource(path, time_range=time_range, fps=fps)
    try:
        first = next(iter(source), None)
    finally:
        source.close()
    return None if first is None else first.timestamp.seconds


def _first_packets(
    path: Path,
    stream_indexes: Iterable[int],
    spec: ContainerSpec,
    *,
    start_seconds: Fraction | None = None,
    max_packets: int | None = None,
) -> "Iterator[Packet[Stream]]":
    """Yield the first packet of each stream, at or after a start time if it is given."""
    missing = set(stream_indexes)
    with open_container(path) as container:
        for stream in container.streams:
            if stream.index not in missing:
                stream.discard = Discard.all
        streams = [container.streams[index] for index in sorted(missing)]
        edits = {stream.index: EditListFilter(stream, spec) for stream in streams}
        if start_seconds is not None:
            # If seeking fails, the file is read from its start.
            with suppress(av.error.FFmpegError):
                container.seek(int(start_seconds / _MICROSECOND))
        packets = demux_past_errors(container, *streams)
        for packet in islice(packets if missing else (), max_packets):
            if packet.stream_index not in missing or not packet.size:
                continue
            if edits[packet.stream_index].drops(packet):
                continue
            packet.pts = packet.pts if packet.pts is not None else packet.dts
            if packet.pts is None:
                continue
            if start_seconds is None or packet.pts * packet.time_base >= start_seconds:
                missing.remove(packet.stream_index)
                yield packet
            if not missing:
                return
