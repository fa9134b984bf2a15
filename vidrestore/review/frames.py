"""Single frames of a film by their times, in one pass that leaps over what lies between."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media import Source, open_source
from vidrestore.types import Frame

_LEAP_SECONDS = Fraction(10)
"""A gap that is longer is not decoded."""
_RUN_UP_SECONDS = Fraction(2)


def frames_at(
    path: Path, times_seconds: Sequence[Fraction], *, fps: Fraction, rounded: bool = False
) -> Iterator[tuple[Frame, Source]]:
    """Yield the frame that is shown at each of ``times_seconds``, with the source it is from.

    Args:
        path: A film, a folder of pictures, or a picture.
        times_seconds: Rising, on the clock of the film's time stamps.
        fps: Pictures per second of a folder.
        rounded: The film's own times are the ones asked for, rounded to its clock: a frame that
            begins less than a tick too late is taken.

    Raises:
        MediaError: It cannot be read, or ends or begins too late to show a frame then.
    """
    for group in _groups(times_seconds):
        yield from _group_frames(path, group, fps, rounded)


def first_seconds(path: Path, *, fps: Fraction) -> Fraction:
    """Return the time stamp of the first frame.

    Raises:
        MediaError: There is none.
    """
    with open_source(path, fps=fps) as source:
        for frame in source:
            return frame.timestamp.seconds
    raise MediaError(f"{path}: not a single frame could be read")


def _groups(times_seconds: Sequence[Fraction]) -> Iterator[list[Fraction]]:
    group: list[Fraction] = []
    for seconds in times_seconds:
        if group and seconds - group[-1] > _LEAP_SECONDS:
            yield group
            group = []
        group.append(seconds)
    if group:
        yield group


def _group_frames(
    path: Path, times_seconds: list[Fraction], fps: Fraction, rounded: bool
) -> Iterator[tuple[Frame, Source]]:
    with open_source(path, fps=fps) as source:
        start = times_seconds[0] - source.info.origin_seconds - _RUN_UP_SECONDS
    if start > _LEAP_SECONDS:
        with open_source(path, start_seconds=start, fps=fps) as source:
            first = next(iter(source), None)
            # A picture may stand for longer than the run-up.
            if first is not None and first.timestamp.seconds <= times_seconds[0]:
                yield from _shown_at(source, times_seconds, rounded)
                return
    with open_source(path, fps=fps) as source:
        yield from _shown_at(source, times_seconds, rounded)


def _shown_at(
    source: Source, times_seconds: list[Fraction], rounded: bool
) -> Iterator[tuple[Frame, Source]]:
    waiting = list(times_seconds)
    slack = _rounding_seconds(source) if rounded else Fraction(0)
    shown: Frame | None = None
    for frame in source:
        while waiting and frame.timestamp.seconds > waiting[0] + slack:
            yield _found(shown, source, waiting.pop(0)), source
        if not waiting:
            return
        shown = frame
    last_end = None if shown is None else shown.timestamp.seconds + _length_seconds(shown, source)
    for seconds in waiting:
        late = last_end is not None and seconds > last_end
        yield _found(None if late else shown, source, seconds), source


def _rounding_seconds(source: Source) -> Fraction:
    """Return a tick, or half a frame where a tick is as long as a frame, as in AVI."""
    tick, rate = source.info.time_base, source.info.average_rate
    return min(tick, 1 / (2 * rate)) if rate else tick / 2


def _length_seconds(frame: Frame, source: Source) -> Fraction:
    rate = source.info.average_rate
    known = frame.duration_ticks * source.info.time_base
    return known or (Fraction(0) if not rate else 1 / rate)


def _found(frame: Frame | None, source: Source, seconds: Fraction) -> Frame:
    if frame is None:
        raise MediaError(
            f"{source.info.path}: shows nothing at {float(seconds):.3f} s, where the record has a "
            "frame; name the film that the record is of"
        )
    return frame
