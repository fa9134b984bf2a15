"""Start offsets of streams, for containers that cannot store all of them.

The timeline of Matroska starts at 0: FFmpeg delays everything if the audio starts earlier, unless
the file states that its encoder has that delay. AVI has no timestamps: its streams start together.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
from av.packet import Packet
from av.stream import Discard, Stream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.input.demuxer import demux_past_errors
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.reader import VideoSource
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.media.streams.edit_lists import EditListFilter
from vidrestore.media.streams.stream_copy import CopyPlan
from vidrestore.types.time_range import TimeRange

# EBU R 37: how much earlier or later than the picture audio may be at the end of a chain.
_MAX_EARLY_SECONDS, _MAX_LATE_SECONDS = Fraction(5, 1000), Fraction(15, 1000)
_MAX_FIRST_PACKETS = 500
_MILLISECOND = Fraction(1, 1000)
_MICROSECOND = Fraction(1, 1_000_000)


def plan_start_offsets(
    plan: CopyPlan,
    clock: CopyTimeline,
    *,
    source_path: Path,
    info: VideoInfo,
    spec: ContainerSpec,
    target: Path,
    time_range: TimeRange,
    drop_unsupported: bool,
) -> tuple[CopyPlan, CopyTimeline]:
    """Return the streams to copy and their timeline, so that a container can store the offsets.

    Args:
        plan: The streams to copy if offsets did not matter.
        clock: Their timeline.
        source_path: The source of the streams.
        info: Description of the source.
        spec: The container.
        target: The output.
        time_range: The selected part of the source.
        drop_unsupported: Drop streams that cannot start where they should.

    Raises:
        UnsupportedStreamError: A stream cannot start where it should, and none may be dropped.
        MediaError: The source cannot be read.
    """
    copied = [info.streams[index] for index in plan.copied]
    timed = [
        index
        for index, stream in zip(plan.copied, copied, strict=True)
        if stream.kind in ("audio", "video") and not stream.is_cover
    ]
    if spec.lacks_timestamps:
        shown = _first_shown_seconds(source_path, time_range, info.average_rate)
        if shown is None:
            return plan, clock
        packets = _first_packets(
            source_path, timed, spec, start_seconds=clock.time_range.start_seconds
        )
        begins = {packet.stream_index: (packet.pts or 0) * packet.time_base for packet in packets}
        return _together(
            plan, clock, begins, shown, info=info, target=target, drop_unsupported=drop_unsupported
        )
    if spec.rounds_to_milliseconds and time_range.is_full:
        delay = _delay_seconds(source_path, (*timed, info.video_stream_index), clock, spec)
        if delay:
            note = (
                f"all times are {float(delay):.3f} s later: {target.suffix} cannot begin before 0"
            )
            plan = replace(plan, notes=(*plan.notes, note))
            clock = replace(clock, delay_seconds=delay)
    return plan, clock


def _delay_seconds(
    path: Path, stream_indexes: Sequence[int], clock: CopyTimeline, spec: ContainerSpec
) -> Fraction:
    """Return the delay that the muxer adds because its timeline starts at 0."""
    delay = 0
    for packet in _first_packets(path, stream_indexes, spec, max_packets=_MAX_FIRST_PACKETS):
        base = packet.time_base
        packet.pts = (packet.pts or 0) - round(clock.shift_seconds / base)
        begins = _rounded(packet.pts * base / _MILLISECOND)
        if begins < 0:
            # If the delay of an encoder is known, Matroska may start that much before 0.
            is_audio = packet.stream.type == "audio"
            start = _stored_start(packet, spec) if is_audio else Fraction(0)
            delay = max(delay, _rounded(start / _MILLISECOND) - begins)
    return delay * _MILLISECOND


def _stored_start(packet: "Packet[Stream]", spec: ContainerSpec) -> Fraction:
    """Return the time of a packet once it is in a container, found by a dry run."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=spec.format) as trial:
        stream = trial.add_stream_from_template(packet.stream, opaque=True)
        packet.dts, packet.stream = packet.pts, stream
        trial.mux_one(packet)
    buffer.seek(0)
    with av.open(buffer, "r") as written:
        (copy,) = (packet for packet in written.demux() if packet.size)
        return (copy.pts or 0) * copy.time_base


def _rounded(value: Fraction) -> int:
    """Round as FFmpeg does: halves away from zero."""
    size = (abs(value) + Fraction(1, 2)) // 1
    return size if value > 0 else -size


def _together(
    plan: CopyPlan,
    clock: CopyTimeline,
    begins: Mapping[int, Fraction],
    shown: Fraction,
    *,
    info: VideoInfo,
    target: Path,
    drop_unsupported: bool,
) -> tuple[CopyPlan, CopyTimeline]:
    """Let every stream start with the first frame, if that moves none of them audibly."""
    notes, copied = list(plan.notes), list(plan.copied)
    for index, begin in begins.items():
        late = shown - begin
        stream, suffix = info.streams[index], target.suffix
        said = f"{abs(float(late)):.3f} s {'before' if late > 0 else 'after'} the picture"
        if -_MAX_EARLY_SECONDS <= late <= _MAX_LATE_SECONDS:
            if abs(late) >= _MILLISECOND:
                notes.append(f"{stream} starts {said} in the source, but with it in {suffix}")
            continue
        if not drop_unsupported:
            raise UnsupportedStreamError(
                f"{target}: {suffix} cannot start {stream} {said}, as in the source"
            )
        notes.append(f"{stream} is left out: {suffix} cannot start it {said}")
        copied.remove(index)
    return (
        replace(plan, copied=tuple(copied), notes=tuple(notes)),
        replace(clock, shift_seconds=shown, offset_by_stream_seconds=begins),
    )


def _first_shown_seconds(
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
    """Yield the first packet of some streams, from a start time on if one is given."""
    missing = set(stream_indexes)
    with open_container(path) as container:
        for stream in container.streams:
            if stream.index not in missing:
                stream.discard = Discard.all
        streams = [container.streams[index] for index in sorted(missing)]
        edits = {stream.index: EditListFilter(stream, spec) for stream in streams}
        if start_seconds is not None:
            # If seeking fails, the film is read from its start.
            with suppress(av.error.FFmpegError):
                container.seek(int(start_seconds / _MICROSECOND))
        packets = demux_past_errors(container, *streams)
        for packet in islice(packets if missing else (), max_packets):
            if packet.stream_index not in missing or not packet.size:
                continue
            if edits[packet.stream_index].leaves_out(packet):
                continue
            packet.pts = packet.pts if packet.pts is not None else packet.dts
            if packet.pts is None:
                continue
            if start_seconds is None or packet.pts * packet.time_base >= start_seconds:
                missing.remove(packet.stream_index)
                yield packet
            if not missing:
                return
