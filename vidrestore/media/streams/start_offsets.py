"""Where streams begin, for containers that cannot hold every beginning.

Matroska's times begin at 0: FFmpeg moves everything later where sound begins before, unless the
file says that its encoder is as late. AVI has no times at all: its streams begin together.
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

# EBU R 37: how much earlier or later than the picture sound may come at the end of a chain.
_MOST_EARLY_SECONDS, _MOST_LATE_SECONDS = Fraction(5, 1000), Fraction(15, 1000)
_PACKETS_OF_BEGINNING = 500
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
    """Return what is copied, and on which clock, so that a container can hold where it begins.

    Args:
        plan: What the container could hold otherwise.
        clock: What it would be copied on otherwise.
        source_path: Where streams are copied from.
        info: Of the pictures.
        spec: The container.
        target: The output.
        time_range: The selected part of the source.
        drop_unsupported: Leave out streams that cannot begin where they should.

    Raises:
        UnsupportedStreamError: A stream cannot, and none may be left out.
        MediaError: The source cannot be read.
    """
    timed = [at for at in plan.copied if info.streams[at].kind in ("audio", "video")]
    timed = [at for at in timed if not info.streams[at].attached_picture]
    if spec.lacks_timestamps:
        shown = _first_shown_seconds(source_path, time_range, info.average_rate)
        if shown is None:
            return plan, clock
        packets = _first_packets(
            source_path, timed, spec, start_seconds=clock.time_range.start_seconds
        )
        begins = {each.stream_index: (each.pts or 0) * each.time_base for each in packets}
        return _together(
            plan, clock, begins, shown, info=info, target=target, drop_unsupported=drop_unsupported
        )
    if spec.rounds_to_milliseconds and time_range.is_full:
        delay = _delay_seconds(source_path, (*timed, info.video_stream_index), clock, spec)
        if delay:
            said = f"all times are {float(delay):.3f} s later: {target.suffix} cannot begin before"
            plan = replace(plan, notes=(*plan.notes, f"{said} 0"))
            clock = replace(clock, delay_seconds=delay)
    return plan, clock


def _delay_seconds(
    path: Path, stream_indexes: Sequence[int], clock: CopyTimeline, spec: ContainerSpec
) -> Fraction:
    """Return by how much the muxer will move everything, as it cannot begin before 0."""
    delay = 0
    for packet in _first_packets(path, stream_indexes, spec, most_packets=_PACKETS_OF_BEGINNING):
        base = packet.time_base
        packet.pts = (packet.pts or 0) - round(clock.shift_seconds / base)
        begins = _rounded(packet.pts * base / _MILLISECOND)
        if begins < 0:
            # Where the delay of an encoder is known, Matroska may begin as much before 0.
            held = _held_beginning(packet, spec) if packet.stream.type == "audio" else Fraction(0)
            delay = max(delay, _rounded(held / _MILLISECOND) - begins)
    return delay * _MILLISECOND


def _held_beginning(packet: "Packet[Stream]", spec: ContainerSpec) -> Fraction:
    """Return where a packet begins once it is in a container; tried on a dry run."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=spec.format) as trial:
        stream = trial.add_stream_from_template(packet.stream, opaque=True)
        packet.dts, packet.stream = packet.pts, stream
        trial.mux_one(packet)
    buffer.seek(0)
    with av.open(buffer, "r") as written:
        (again,) = (each for each in written.demux() if each.size)
        return (again.pts or 0) * again.time_base


def _rounded(value: Fraction) -> int:
    """Round as FFmpeg does: a half goes away from zero."""
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
    """Let every stream start with the first picture, if that moves none of them audibly."""
    notes, copied = list(plan.notes), list(plan.copied)
    for index, begin in begins.items():
        late = shown - begin
        stream, suffix = info.streams[index], target.suffix
        said = f"{abs(float(late)):.3f} s {'before' if late > 0 else 'after'} the picture"
        if -_MOST_EARLY_SECONDS <= late <= _MOST_LATE_SECONDS:
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
    most_packets: int | None = None,
) -> "Iterator[Packet[Stream]]":
    """Yield the first packet of some streams, those before a start not counted."""
    wanted = set(stream_indexes)
    with open_container(path) as container:
        for stream in container.streams:
            if stream.index not in wanted:
                stream.discard = Discard.all
        streams = [container.streams[at] for at in sorted(wanted)]
        edits = {stream.index: EditListFilter(stream, spec) for stream in streams}
        if start_seconds is not None:
            # Where that cannot be, the film is read from its start.
            with suppress(av.error.FFmpegError):
                container.seek(int(start_seconds / _MICROSECOND))
        packets = demux_past_errors(container, *streams)
        for packet in islice(packets if wanted else (), most_packets):
            if packet.stream_index not in wanted or not packet.size:
                continue
            if edits[packet.stream_index].leaves_out(packet):
                continue
            packet.pts = packet.pts if packet.pts is not None else packet.dts
            if packet.pts is None:
                continue
            if start_seconds is None or packet.pts * packet.time_base >= start_seconds:
                wanted.remove(packet.stream_index)
                yield packet
            if not wanted:
                return
