"""Finds missing frames in a film with a constant frame rate.

Most containers do not store the number of frames, and damaged ones are dropped silently. Only a gap
between timestamps shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidrestore.types import Timestamp

_MIN_CONSTANT_SHARE = 0.8
"""Share of steps with the same length from which a frame rate counts as constant."""
_MAX_STEP_LENGTHS = 1000
"""Largest number of distinct step lengths; a film with more has no constant rate."""
_ROUNDED_FROM_TICKS = 8
"""Steps of at least this many ticks may differ by one, because times are rounded to ticks."""
_GAP_STEPS = 1.5
"""A step longer than this many usual steps is a gap."""


@dataclass(slots=True)
class _Steps:
    count: int
    first_ticks: int
    """Time of the frame before the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingFrames:
    """Frames that are missing in a film with a constant frame rate."""

    frames: int
    places: int
    first_seconds: float

    def __str__(self) -> str:
        """Return the note for the report."""
        places = "1 place" if self.places == 1 else f"{self.places} places"
        frames = "1 frame is" if self.frames == 1 else f"{self.frames} frames are"
        return (
            f"{frames} missing in {places} of a constant frame rate, the first "
            f"after {self.first_seconds:.3f} s: damage, or a variable frame rate"
        )


class FrameCadence:
    """Follows the timestamps of a film; memory does not grow with its length."""

    def __init__(self) -> None:
        self._steps: dict[int, _Steps] = {}
        self._first: Timestamp | None = None
        self._last: Timestamp | None = None

    def add(self, timestamp: Timestamp) -> None:
        """Add the timestamp of the next frame."""
        if self._last is None:
            self._first = timestamp
        else:
            self._count(timestamp.ticks - self._last.ticks, 1, self._last.ticks)
        self._last = timestamp

    def _count(self, step: int, count: int, first_ticks: int) -> None:
        known = self._steps.get(step)
        if known is not None:
            known.count += count
        elif len(self._steps) < _MAX_STEP_LENGTHS:
            self._steps[step] = _Steps(count, first_ticks)

    def missing(self) -> MissingFrames | None:
        """Return the missing frames; None if there are none, or the rate is not constant."""
        total = sum(occurrences.count for occurrences in self._steps.values())
        if total == 0 or self._last is None or len(self._steps) == _MAX_STEP_LENGTHS:
            return None
        mode = max(self._steps, key=lambda step: self._steps[step].count)
        slack = 1 if mode >= _ROUNDED_FROM_TICKS else 0
        usual = {
            step: occurrences.count
            for step, occurrences in self._steps.items()
            if abs(step - mode) <= slack
        }
        even = sum(usual.values())
        if mode <= 0 or even < _MIN_CONSTANT_SHARE * total:
            return None
        mean = Fraction(sum(step * count for step, count in usual.items()), even)
        gaps = {
            step: occurrences
            for step, occurrences in self._steps.items()
            if step > _GAP_STEPS * mean
        }
        if not gaps:
            return None
        first = min(occurrences.first_ticks for occurrences in gaps.values())
        return MissingFrames(
            frames=sum(
                (round(step / mean) - 1) * occurrences.count for step, occurrences in gaps.items()
            ),
            places=sum(occurrences.count for occurrences in gaps.values()),
            first_seconds=float(first * self._last.time_base),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the steps as JSON values."""
        ends = [self._first, self._last]
        return {
            "steps": [
                [step, occurrences.count, occurrences.first_ticks]
                for step, occurrences in self._steps.items()
            ],
            "ends": [[end.ticks, str(end.time_base)] for end in ends if end is not None],
        }

    def merge(self, steps: Mapping[str, Any]) -> None:
        """Add what ``to_json`` returned for the frames that follow.

        Raises:
            ValueError: The values are malformed.
        """
        try:
            ends = [Timestamp(int(ticks), Fraction(base)) for ticks, base in steps["ends"]]
            counts = [tuple(map(int, values)) for values in steps["steps"]]
            if not ends:
                return
            first, last = ends
            self.add(first)
            for step, count, first_ticks in counts:
                self._count(step, count, first_ticks)
            self._last = last
        except (KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"malformed frame steps: {error}") from error
