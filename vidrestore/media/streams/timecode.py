"""Time codes of films, SMPTE ST 12-1, and the reels they count on."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import InputContainer

_TEXT = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
_DROPS_PER_MINUTE_OF_30 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timecode:
    """A moment, counted in frames from midnight."""

    frames: int
    per_second: int
    """Frames that are counted as a second: 30 for 29.97."""
    drops_frames: bool = False
    """Whether numbers (never pictures) are left out, so that 29.97 keeps up with the clock."""

    def __post_init__(self) -> None:
        if self.per_second < 1 or self.frames < 0:
            raise ValueError(f"impossible time code: {self.frames} at {self.per_second}")
        if self.drops_frames and self.per_second % 30:
            raise ValueError(f"no frames are dropped at {self.per_second} a second")

    def __str__(self) -> str:
        """Write it as ``01:02:03:04``, with ``;`` where frames are dropped."""
        number = self.frames
        if self.drops_frames:
            # The numbers that were left out before: of every minute but each tenth.
            drops, ten_minutes, minute = self._drop_lengths()
            tens, rest = divmod(number, ten_minutes)
            number += 9 * drops * tens + drops * max(0, (rest - drops) // minute)
        seconds, frame = divmod(number, self.per_second)
        minutes, second = divmod(seconds, 60)
        mark = ";" if self.drops_frames else ":"
        hours, minute = divmod(minutes, 60)
        return f"{hours:02d}:{minute:02d}:{second:02d}{mark}{frame:02d}"

    def later(self, frames: int) -> "Timecode":
        """Return the time code some frames later; after a day it begins again."""
        _, ten_minutes, _ = self._drop_lengths()
        return replace(self, frames=(self.frames + frames) % (6 * 24 * ten_minutes))

    def _drop_lengths(self) -> tuple[int, int, int]:
        """Return numbers dropped a minute, and the frames of ten minutes and of one that drops."""
        drops = _DROPS_PER_MINUTE_OF_30 * self.per_second // 30 if self.drops_frames else 0
        minute = 60 * self.per_second - drops
        return drops, 10 * minute + drops, minute


def parsed_timecode(text: str, rate: Fraction) -> Timecode | None:
    """Return a time code written as ``01:02:03:04`` or ``01:02:03;04``; None where it is none.

    Args:
        text: What the file says.
        rate: Frames per second of the film.
    """
    found = _TEXT.fullmatch(text.strip())
    per_second = round(rate)
    if found is None or per_second < 1:
        return None
    hour, minute, second, frame = (int(found[at]) for at in (1, 2, 3, 5))
    drops = found[4] != ":" and per_second % 30 == 0
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
    """Write the time code of the first picture into metadata.

    Args:
        holders: Metadata where a time code may be; the last one always gets it.
        timecode: Of the source's first picture.
        later_seconds: From that picture to the first one written.
        rate: Frames per second of the source.

    Returns:
        Notes for the user: one where the time code cannot be counted on.
    """
    frames = round(later_seconds * rate) if rate else 0
    code = None if rate is None else parsed_timecode(timecode, rate)
    if code is None and frames:
        for holder in holders:
            for key in _keys(holder):
                del holder[key]
        return [f"the time code {timecode} cannot be counted on to the part, and is left out"]
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
    """Where a film comes from, as its file says."""

    timecode: str | None = None
    """Of its first frame."""
    reel_name: str | None = None


def tape_marks(container: InputContainer, video_index: int) -> TapeMarks:
    """Return the marks of an open film: its pictures' own, else the file's, else any stream's."""
    streams = list(container.streams)
    own = [streams[video_index].metadata, container.metadata]
    return marks_in([*own, *(each.metadata for each in streams if each.type == "data")])


def marks_in(metadata: Iterable[Mapping[str, str]]) -> TapeMarks:
    """Return the marks that come first in some metadata."""
    found: dict[str, str] = {}
    for tags in metadata:
        for key, value in tags.items():
            found.setdefault(key.lower(), value)
    return TapeMarks(timecode=found.get("timecode"), reel_name=found.get("reel_name"))
