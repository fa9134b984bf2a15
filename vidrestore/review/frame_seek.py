"""Read single frames of a video by their times, in one pass that seeks over long gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.source import Source, open_source
from vidrestore.types import Frame

_MAX_DECODED_GAP_SECONDS = Fraction(10)
"""Longer gaps are not decoded but seeked over."""
_SEEK_MARGIN_SECONDS = Fraction(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTime:
    """When a frame is presented."""

    seconds: Fraction
    """Timestamp."""
    number: int | None = None
    """Index of the frame in the video; None where only the time is known. With a number, the time
    may differ by the rounding of the container."""


def frames_at(
    path: Path, times: Sequence[FrameTime], *, fps: Fraction
) -> Iterator[tuple[Frame, Source]]:
    """Yield the frame that is visible at each of ``times``, with the source it is from.

    Args:
        path: A video, a folder of images, or an image.
        times: Increasing.
        fps: Images per second of a folder.

    Raises:
        MediaError: The file cannot be read, or has no frame at one of the times.
    """
    with open_source(path, fps=fps) as source:
        info = source.info
    # Without timestamps, the time of a frame depends on where reading started.
    can_seek = not container_facts(info.container).lacks_timestamps
    for group in _groups(times) if can_seek else [list(times)]:
        start = group[0].seconds - info.origin_seconds - _SEEK_MARGIN_SECONDS
        if can_seek and start > _MAX_DECODED_GAP_SECONDS:
            with open_source(path, start_seconds=start, fps=fps) as source:
                first = next(iter(source), None)
                # A frame may last longer than the margin.
                if first is not None and first.timestamp.seconds <= group[0].seconds:
                    yield from _visible_at(source, group, from_start=False)
                    continue
        with open_source(path, fps=fps) as source:
            yield from _visible_at(source, group, from_start=True)


def first_seconds(path: Path, *, fps: Fraction) -> Fraction:
    """Return the timestamp of the first frame.

    Raises:
        MediaError: No frame can be read.
    """
    with open_source(path, fps=fps) as source:
        for frame in source:
            return frame.timestamp.seconds
    raise MediaError(f"{path}: not a single frame can be decoded; get another copy")


def _groups(times: Sequence[FrameTime]) -> Iterator[list[FrameTime]]:
    group: list[FrameTime] = []
    for time in times:
        if group and time.seconds - group[-1].seconds > _MAX_DECODED_GAP_SECONDS:
            yield group
            group = []
        group.append(time)
    if group:
        yield group


def _visible_at(
    source: Source, times: Sequence[FrameTime], *, from_start: bool
) -> Iterator[tuple[Frame, Source]]:
    waiting = list(times)
    slack = _rounding_seconds(source)
    last: Frame | None = None
    for frame in source:
        while waiting and _is_past(frame, waiting[0], slack, from_start):
            yield _checked(last, source, waiting.pop(0)), source
        if not waiting:
            return
        last = frame
    for time in waiting:
        if last is not None and not _lasts_until(last, time, source, slack, from_start):
            last = None
        yield _checked(last, source, time), source


def _is_past(frame: Frame, time: FrameTime, slack: Fraction, from_start: bool) -> bool:
    """Whether a frame comes after the one that is visible at a time."""
    if time.number is None:
        return frame.timestamp.seconds > time.seconds
    if from_start:
        return frame.index > time.number
    return frame.timestamp.seconds > time.seconds + slack


def _lasts_until(
    last: Frame, time: FrameTime, source: Source, slack: Fraction, from_start: bool
) -> bool:
    """Whether the last frame of a video is the one that is visible at a time."""
    if time.number is not None and from_start:
        return last.index == time.number
    rate = source.info.average_rate
    duration = last.duration_ticks * source.info.time_base
    duration = duration or (1 / rate if rate else Fraction(0))
    return time.seconds <= last.timestamp.seconds + duration + slack


def _rounding_seconds(source: Source) -> Fraction:
    """Return a tick, or half a frame where a tick is as long as a frame."""
    tick, rate = source.info.time_base, source.info.average_rate
    return min(tick, 1 / (2 * rate)) if rate else tick / 2


def _checked(frame: Frame | None, source: Source, time: FrameTime) -> Frame:
    if frame is None:
        raise MediaError(
            f"{source.info.path}: no frame at {float(time.seconds):.3f} s, but the record lists "
            "one; pass the files of this record"
        )
    return frame
