"""Where one segment ends and the next begins: at cuts, else at key frames, else when it is long."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidrestore.errors import ConfigError

if TYPE_CHECKING:
    from vidrestore.types import FinishedFrame

_MOST_FRAMES = 1500
"""However slowly time goes by, a segment has no more frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the plan needs to know of a frame."""

    index: int
    seconds: float
    shot: int
    key_frame: bool

    @staticmethod
    def of(finished: "FinishedFrame") -> "Moment":
        """Return the moment of a frame of the result."""
        source = finished.source
        return Moment(
            index=source.index,
            seconds=float(source.timestamp.seconds),
            shot=finished.shot,
            key_frame=source.key_frame,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRule:
    """When a segment is long enough: a function of the film alone, so that plans are repeatable."""

    seconds: float = 10.0
    """From here on the next cut ends it, from twice this the next key frame, at thrice this all."""

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise ConfigError(f"segment must be above 0 and at most 3600 s, got {self.seconds:g}")

    def begins(self, first: Moment, before: Moment, now: Moment) -> bool:
        """Return whether a new segment begins at ``now``.

        Args:
            first: Of the segment so far.
            before: The frame before ``now``.
            now: The frame in question.
        """
        length = now.seconds - first.seconds
        is_cut = now.shot != before.shot
        return (
            (is_cut and length >= self.seconds)
            or (now.key_frame and length >= 2 * self.seconds)
            or length >= 3 * self.seconds
            or now.index - first.index >= _MOST_FRAMES
        )
