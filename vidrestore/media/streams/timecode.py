"""Timecodes (SMPTE ST 12-1) and reel names of films."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import InputContainer

_TEXT = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
_DROPS_PER_MINUTE_OF_30 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timecode:
    """A timecode as the number of frames since midnight."""

    frames: int
    per_second: int
    """Frames that count as a second: 30 for 29.97."""
    drops_frames: bool = False
    """Whether numbers (never frames) are skipped, so that 29.97 keeps up with the clock."""

    def __post_init__(self) -> None:
        if self.per_second < 1 or self.frames < 0:
            raise ValueError(f"impossible timecode: {self.frames} at {self.per_second}")
        if self.drops_frames and self.per_second % 30:
            raise ValueError(f"no frames are dropped at {self.per_second} a second")

    def __str__(self) -> str:
        """Return it as ``01:02:03:04``, or with ``;`` for drop-frame timecode."""
        number = self.frames
        if self.drops_frames:
            # Add the numbers skipped so far: in every minute but each tenth.
            drops, ten_minutes, minute = self._drop_lengths()
            tens, rest = divmod(number, ten_minutes)
            number += 9 * drops * tens + drops * max(0, (rest - drops) // minute)
        seconds, frame = divmod(number, self.per_second)
        minutes, second = divmod(seconds, 60)
        mark = ";" if self.drops_frames else ":"
        hours, minute = divmod(minutes, 60)
        return f"{hours:02d}:{minute:02d}:{second:02d}{mark}{frame:02d}"

    def later(self, frames: int) -> "Timecode":
        """Return the timecode some frames later; after a day it restarts at 0."""
        _, ten_minutes, _ = self._drop_lengths()
        return replace(self, frames=(self.frames + frames) % (6 * 24 * ten_minutes))

    def _drop_lengths(self) -> tuple[int, int, int]:
        """Return the numbers dropped per minute, and the frames of ten minutes and of one."""
        drops = _DROPS_PER_MINUTE_OF_30 * self.per_second // 30 if self.drops_frames else 0
        minute = 60 * self.per_second - drops
        return drops, 10 * minute + drops, minute


def parsed_timecode(text: str, rate: Fraction) -> Timecode | None:
    """Return a timecode written as ``01:02:03:04`` or ``01:02:03;04``; None for other text.

    Args:
        text: The text in the file.
        rate: Frames per second of the film.
    """
    match = _TEXT.fullmatch(text.strip())
    per_second = round(rate)
    if match is None or per_second < 1:
        return None
    hour, minute, second, frame = (int(match[group]) for group in (1, 2, 3, 5))
    drops = match[4] != ":" and per_second % 30 == 0
    if minute > 59 or second > 59 or frame >= per_second:
        return None
    number = ((hour * 60 + minute) * 60 + second) * per_second + frame
    if drops:
        minutes = hour * 60 + minute
        number -= _DROPS_PER_MINUTE_OF_30 * per_second // 30 * (minutes - minutes // 10)
    return Timecode(frames=number, per_second=per_second, drops_frames=drops)


def write_timecode(
    holders: Sequence[MutableMapping[str, str]],
    timecode: str,
    *,
    later_seconds: Fraction,
    rate: Fraction | None,
) -> list[str]:
    """Write the timecode of the first frame into metadata.

    Args:
        holders: Metadata that may have a timecode; the last one always gets it.
        timecode: Timecode of the first frame of the source.
        later_seconds: Time from that frame to the first one written.
        rate: Frames per second of the source.

    Returns:
        Notes for the user: one if the timecode cannot be advanced.
    """
    frames = round(later_seconds * rate) if rate else 0
    code = None if rate is None else parsed_timecode(timecode, rate)
    if code is None and frames:
        for holder in holders:
            for key in _keys(holder):
                del holder[key]
        return [f"timecode {timecode} is dropped: it cannot be advanced to the start of the range"]
    text = timecode if code is None or not frames else str(code.later(frames))
    for holder in holders:
        for key in _keys(holder):
            holder[key] = text
    if not _keys(holders[-1]):
        holders[-1]["timecode"] = text
    return []


def _keys(holder: Mapping[str, str]) -> list[str]:
    return [key for key in holder if key.lower() == "timecode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeMarks:
    """Timecode and reel name of a film."""

    timecode: str | None = None
    """Timecode of the first frame."""
    reel_name: str | None = None


def tape_marks(container: InputContainer, video_index: int) -> TapeMarks:
    """Return the marks of an open film: of the video, else of the file, else of any stream."""
    streams = list(container.streams)
    first = [streams[video_index].metadata, container.metadata]
    return marks_in([*first, *(stream.metadata for stream in streams if stream.type == "data")])


def marks_in(metadata: Iterable[Mapping[str, str]]) -> TapeMarks:
    """Return the first marks in a sequence of metadata."""
    marks: dict[str, str] = {}
    for tags in metadata:
        for key, value in tags.items():
            marks.setdefault(key.lower(), value)
    return TapeMarks(timecode=marks.get("timecode"), reel_name=marks.get("reel_name"))
