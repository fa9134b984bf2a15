"""Timecodes (SMPTE ST 12-1) and reel names."""

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
    """Frame numbers per second: 30 for 29.97 frames per second."""
    drops_frames: bool = False
    """Whether numbers (not frames) are skipped, so that 29.97 frames per second show clock time."""

    def __post_init__(self) -> None:
        if self.per_second < 1 or self.frames < 0:
            raise ValueError(f"impossible timecode: {self.frames} at {self.per_second}")
        if self.drops_frames and self.per_second % 30:
            raise ValueError(f"no drop-frame timecode at {self.per_second} frames per second")

    def __str__(self) -> str:
        """Return ``01:02:03:04``, or ``01:02:03;04`` for drop-frame timecode."""
        number = self.frames
        if self.drops_frames:
            # Add the skipped numbers: some in every minute, except each tenth.
            drops, ten_minutes, minute = self._drop_lengths()
            tens, remainder = divmod(number, ten_minutes)
            number += 9 * drops * tens + drops * max(0, (remainder - drops) // minute)
        seconds, frame = divmod(number, self.per_second)
        minutes, second = divmod(seconds, 60)
        separator = ";" if self.drops_frames else ":"
        hours, minute = divmod(minutes, 60)
        return f"{hours:02d}:{minute:02d}:{second:02d}{separator}{frame:02d}"

    def advanced(self, frames: int) -> "Timecode":
        """Return the timecode ``frames`` frames later; it restarts at 0 after a day."""
        _, ten_minutes, _ = self._drop_lengths()
        return replace(self, frames=(self.frames + frames) % (6 * 24 * ten_minutes))

    def _drop_lengths(self) -> tuple[int, int, int]:
        """Return the numbers dropped per minute, and the frames of ten minutes and of one."""
        drops = _DROPS_PER_MINUTE_OF_30 * self.per_second // 30 if self.drops_frames else 0
        minute = 60 * self.per_second - drops
        return drops, 10 * minute + drops, minute


def parse_timecode(text: str, rate: Fraction) -> Timecode | None:
    """Return the timecode of ``01:02:03:04`` or ``01:02:03;04``; None for other text.

    Args:
        text: The timecode as a file stores it.
        rate: Frames per second.
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
    tag_sets: Sequence[MutableMapping[str, str]],
    timecode: str,
    *,
    advance_seconds: Fraction,
    rate: Fraction | None,
) -> list[str]:
    """Write the timecode of the first frame into metadata.

    Args:
        tag_sets: Tags in which timecodes are replaced; the last set always gets one.
        timecode: Timecode of the first frame of the source.
        advance_seconds: Time from that frame to the first frame of the output.
        rate: Frames per second of the source.

    Returns:
        Notes for the user: one if the timecode was dropped.
    """
    frames = round(advance_seconds * rate) if rate else 0
    parsed = None if rate is None else parse_timecode(timecode, rate)
    if parsed is None and frames:
        for tags in tag_sets:
            for key in _keys(tags):
                del tags[key]
        return [f"timecode {timecode} was dropped: it cannot be advanced to the start of the range"]
    text = timecode if parsed is None or not frames else str(parsed.advanced(frames))
    for tags in tag_sets:
        for key in _keys(tags):
            tags[key] = text
    if not _keys(tag_sets[-1]):
        tag_sets[-1]["timecode"] = text
    return []


def _keys(tags: Mapping[str, str]) -> list[str]:
    return [key for key in tags if key.lower() == "timecode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeTags:
    """Timecode and reel name of a film."""

    timecode: str | None = None
    """Timecode of the first frame."""
    reel_name: str | None = None


def read_tape_tags(container: InputContainer, video_index: int) -> TapeTags:
    """Return the tags of an open file: of its video, else of the file, else of a data stream."""
    streams = list(container.streams)
    first = [streams[video_index].metadata, container.metadata]
    return find_tape_tags(
        [*first, *(stream.metadata for stream in streams if stream.type == "data")]
    )


def find_tape_tags(metadata: Iterable[Mapping[str, str]]) -> TapeTags:
    """Return the first timecode and the first reel name in some sets of tags."""
    first_values: dict[str, str] = {}
    for tags in metadata:
        for key, value in tags.items():
            first_values.setdefault(key.lower(), value)
    return TapeTags(timecode=first_values.get("timecode"), reel_name=first_values.get("reel_name"))
