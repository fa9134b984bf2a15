"""What one look at a face says about restoring it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reading:
    """How much may be taken of a restored face, by one look at it."""

    strength: float = 1.0
    """In [0, 1]."""
    reason: str | None = None
    """What speaks against taking more; None where nothing does."""
    similarity: float | None = None
    """Of identity, before and after; None where it was not measured."""

    def heard(self, share: float) -> "Reading":
        """Return what is left of it where only ``share`` of the warning is heard."""
        return replace(self, strength=1.0 - share * (1.0 - self.strength))


def reading(strength: float, reason: str) -> Reading:
    """Return a reading that tells its reason only where it lowers anything."""
    return Reading(strength, reason if strength < 1.0 else None)


def least(readings: Iterable[Reading]) -> Reading:
    """Return the reading that lowers most, the first of them where several do."""
    return min(readings, key=lambda each: each.strength, default=Reading())
