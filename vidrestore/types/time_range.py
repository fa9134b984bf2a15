"""The time range of a source that ``--start`` and ``--end`` select."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A half-open range of seconds; the timeline it refers to is stated where it is used."""

    start_seconds: Fraction | None = None
    """Frames presented earlier are outside; None is the start of the source."""
    end_seconds: Fraction | None = None
    """Frames presented then or later are outside; None is the end of the source."""

    def __post_init__(self) -> None:
        start, end = self.start_seconds, self.end_seconds
        if start is not None and end is not None and end <= start:
            raise ValueError(f"the end ({end} s) must come after the start ({start} s)")

    @property
    def is_full(self) -> bool:
        """Whether everything is inside."""
        return self.start_seconds is None and self.end_seconds is None

    def shifted(self, offset_seconds: Fraction) -> "TimeRange":
        """Return the range on a timeline that is ahead by ``offset_seconds``."""
        start, end = self.start_seconds, self.end_seconds
        return TimeRange(
            start_seconds=None if start is None else start + offset_seconds,
            end_seconds=None if end is None else end + offset_seconds,
        )

    def clip(
        self, start_seconds: Fraction, end_seconds: Fraction
    ) -> tuple[Fraction, Fraction] | None:
        """Return the part of an interval that is inside; None if nothing of it is."""
        if self.start_seconds is not None:
            start_seconds = max(start_seconds, self.start_seconds)
        if self.end_seconds is not None:
            end_seconds = min(end_seconds, self.end_seconds)
        is_outside = start_seconds >= end_seconds and not self.is_full
        return None if is_outside else (start_seconds, end_seconds)
