"""Which constant shift lies between two clocks, as far as rounded times tell."""

from fractions import Fraction


class OffsetEstimator:
    """Narrows down one shift that explains every pair of times.

    A time of the result was rounded to its container's ticks, so each pair allows a range of
    shifts, half a tick to each side. Times that one shift explains have a range in common; one
    that moved leaves none.
    """

    def __init__(
        self, low_seconds: Fraction | None = None, high_seconds: Fraction | None = None
    ) -> None:
        """Begin with what may have been taken from the source's times; None is any."""
        self._low = low_seconds
        self._high = high_seconds
        self.largest_rounding_seconds = Fraction(0)

    @property
    def shift_seconds(self) -> Fraction:
        """What was taken from the source's times, or nearly; 0 before the first pair."""
        if self._low is None or self._high is None:
            return Fraction(0)
        return Fraction(0) if self._low <= 0 <= self._high else (self._low + self._high) / 2

    def explains(
        self, source_seconds: Fraction, result_seconds: Fraction, *, rounding_seconds: Fraction
    ) -> bool:
        """Whether a time of the result is the source's, shifted; if so, narrow the shift down.

        Args:
            source_seconds: Time in the source.
            result_seconds: Time in the result.
            rounding_seconds: How far the result's may be off.
        """
        found = source_seconds - result_seconds
        low, high = found - rounding_seconds, found + rounding_seconds
        low = low if self._low is None else max(low, self._low)
        high = high if self._high is None else min(high, self._high)
        if low > high:
            return False
        self._low, self._high = low, high
        self.largest_rounding_seconds = max(
            self.largest_rounding_seconds, abs(found - self.shift_seconds)
        )
        return True

    def copied(self) -> "OffsetEstimator":
        """Return a finder that begins with what this one knows, for another stream."""
        return OffsetEstimator(self._low, self._high)
