"""Single frames of a film by their times, in one pass that leaps over what lies between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media import Source, open_source
from vidrestore.types import Frame

_LEAP_SECONDS = Fraction(10)
"""A gap that is longer is not decoded."""
_RUN_UP_SECONDS = Fraction(2)
_WITHOUT_TIMES = ("avi",)
"""Containers without time stamps: those that are made up depend on where reading began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a frame is shown."""

    seconds: Fraction
    """On the clock of the film's time stamps."""
    number: int | None = None
    """Which frame of the film it is, from 0; None where only the time is known. With a number,
    the time may be off by what the container rounds."""


def frames_at(
    path: Path, moments: Sequence[Moment], *, fps: Fraction
) -> Iterator[tuple[Frame, Source]]:
    """Yield the frame that is shown at each of ``moments``, with the source it is from.

    Args:
        path: A film, a folder of pictures, or a picture.
        moments: Rising.
        fps: Pictures per second of a folder.

    Raises:
        MediaError: It cannot be read, or ends or begins too late to show a frame then.
    """
    with open_source(path, fps=fps) as source:
        info = source.info
    may_leap = not info.container.startswith(_WITHOUT_TIMES)
    for group in _groups(moments) if may_leap else [list(moments)]:
        start = group[0].seconds - info.origin_seconds - _RUN_UP_SECONDS
        if may_leap and start > _LEAP_SECONDS:
            with open_source(path, start_seconds=start, fps=fps) as source:
                first = next(iter(source), None)
                # A picture may stand for longer than the run-up.
                if first is not None and first.timestamp.seconds <= group[0].seconds:
                    yield from _shown_at(source, group, from_start=False)
                    continue
        with open_source(path, fps=fps) as source:
            yield from _shown_at(source, group, from_start=True)


def first_seconds(path: Path, *, fps: Fraction) -> Fraction:
    """Return the time stamp of the first frame.

    Raises:
        MediaError: There is none.
    """
    with open_source(path, fps=fps) as source:
        for frame in source:
            return frame.timestamp.seconds
    raise MediaError(f"{path}: not a single frame could be read")


def _groups(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    group: list[Moment] = []
    for moment in moments:
        if group and moment.seconds - group[-1].seconds > _LEAP_SECONDS:
            yield group
            group = []
        group.append(moment)
    if group:
        yield group


def _shown_at(
    source: Source, moments: Sequence[Moment], *, from_start: bool
) -> Iterator[tuple[Frame, Source]]:
    waiting = list(moments)
    slack = _rounding_seconds(source)
    shown: Frame | None = None
    for frame in source:
        while waiting and _is_past(frame, waiting[0], slack, from_start):
            yield _found(shown, source, waiting.pop(0)), source
        if not waiting:
            return
        shown = frame
    for moment in waiting:
        if shown is not None and not _lasts_until(shown, moment, source, slack, from_start):
            shown = None
        yield _found(shown, source, moment), source


def _is_past(frame: Frame, moment: Moment, slack: Fraction, from_start: bool) -> bool:
    """Whether a frame comes after the one of a moment."""
    if moment.number is None:
        return frame.timestamp.seconds > moment.seconds
    if from_start:
        return frame.index > moment.number
    return frame.timestamp.seconds > moment.seconds + slack


def _lasts_until(
    last: Frame, moment: Moment, source: Source, slack: Fraction, from_start: bool
) -> bool:
    """Whether the last frame of a film is the one of a moment."""
    if moment.number is not None and from_start:
        return last.index == moment.number
    rate = source.info.average_rate
    length = last.duration_ticks * source.info.time_base or (1 / rate if rate else Fraction(0))
    return moment.seconds <= last.timestamp.seconds + length + slack


def _rounding_seconds(source: Source) -> Fraction:
    """Return a tick, or half a frame where a tick is as long as a frame."""
    tick, rate = source.info.time_base, source.info.average_rate
    return min(tick, 1 / (2 * rate)) if rate else tick / 2


def _found(frame: Frame | None, source: Source, moment: Moment) -> Frame:
    if frame is None:
        raise MediaError(
            f"{source.info.path}: shows nothing at {float(moment.seconds):.3f} s, where the "
            "record has a frame; name the film that the record is of"
        )
    return frame
