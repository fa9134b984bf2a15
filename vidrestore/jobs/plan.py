"""Where segments end: at a cut, else at a key frame, else at the longest length."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidrestore.settings import JobSettings, check_options, same_option

if TYPE_CHECKING:
    from vidrestore.types import FinishedFrame

_MOST_FRAMES = 1500
"""Most frames of a segment, whatever its duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The properties of a frame that the plan depends on."""

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
    """When a segment is long enough. Depends only on the film, so that plans are repeatable."""

    seconds: float = same_option(JobSettings, "segment_seconds")
    """After this time a segment ends at the next cut, after twice this time at the next key frame,
    and at the latest after three times this time."""

    def __post_init__(self) -> None:
        check_options(self)

    def begins(self, first: Moment, before: Moment, now: Moment) -> bool:
        """Return whether a new segment begins at ``now``.

        Args:
            first: First frame of the segment.
            before: The frame before ``now``.
            now: The frame that may begin a new segment.
        """
        length = now.seconds - first.seconds
        is_cut = now.shot != before.shot
        return (
            (is_cut and length >= self.seconds)
            or (now.key_frame and length >= 2 * self.seconds)
            or length >= 3 * self.seconds
            or now.index - first.index >= _MOST_FRAMES
        )
