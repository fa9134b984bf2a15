"""Estimate the constant offset between two timelines, as far as rounded timestamps allow."""

from fractions import Fraction


class OffsetEstimator:
    """Narrows down one offset that explains every pair of timestamps.

    A timestamp of the result was rounded to ticks of its container, so each pair allows a range of
    offsets, half a tick to each side. Pairs that one offset explains have a range in common; a pair
    in which the frame moved has none with the others.
    """

    def __init__(
        self, low_seconds: Fraction | None = None, high_seconds: Fraction | None = None
    ) -> None:
        """Start with the bounds of what was subtracted from the source's timestamps.

        Args:
            low_seconds: Lower bound; None if there is none.
            high_seconds: Upper bound; None if there is none.
        """
        self._low = low_seconds
        self._high = high_seconds
        self.largest_rounding_seconds = Fraction(0)

    @property
    def offset_seconds(self) -> Fraction:
        """Estimate of what was subtracted from the source's timestamps; 0 before the first pair."""
        if self._low is None or self._high is None:
            return Fraction(0)
        return Fraction(0) if self._low <= 0 <= self._high else (self._low + self._high) / 2

    def explains(
        self, source_seconds: Fraction, result_seconds: Fraction, *, rounding_seconds: Fraction
    ) -> bool:
        """Whether one offset explains this pair too; if so, narrow the offset down.

        Args:
            source_seconds: Timestamp in the source.
            result_seconds: Timestamp in the result.
            rounding_seconds: Largest rounding of the result's timestamp.
        """
        offset = source_seconds - result_seconds
        low, high = offset - rounding_seconds, offset + rounding_seconds
        low = low if self._low is None else max(low, self._low)
        high = high if self._high is None else min(high, self._high)
        if low > high:
            return False
        self._low, self._high = low, high
        self.largest_rounding_seconds = max(
            self.largest_rounding_seconds, abs(offset - self.offset_seconds)
        )
        return True

    def copy(self) -> "OffsetEstimator":
        """Return an estimator that starts with what this one knows, for another stream."""
        return OffsetEstimator(self._low, self._high)
