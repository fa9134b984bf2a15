"""A reading: the result of one measurement of a face, and how much it limits restoring."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a restored face may be used, by one measurement."""

    strength: float = 1.0
    """Largest share of the restored face, in [0, 1]."""
    reason: str | None = None
    """Reason for the limit; None if there is none."""
    similarity: float | None = None
    """Similarity of identity before and after; None if it was not measured."""

    def heard(self, share: float) -> "Reading":
        """Return the reading with only ``share`` of its limit applied."""
        return replace(self, strength=1.0 - share * (1.0 - self.strength))


def reading(strength: float, reason: str) -> Reading:
    """Return a reading that has its reason only if it limits the strength."""
    return Reading(strength, reason if strength < 1.0 else None)


def least(readings: Iterable[Reading]) -> Reading:
    """Return the reading with the lowest strength, the first of several."""
    return min(readings, key=lambda each: each.strength, default=Reading())
