"""What ``vidrestore info`` says of the fields that a sample of a film shows."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.media.interlace import FieldsSeen

_KEPT_OF_TELECINE = Fraction(4, 5)


def seen_rows(seen: "FieldsSeen", rate: Fraction | None) -> Iterator[tuple[str, str]]:
    """Yield label and value of every line for a reader.

    Args:
        seen: What the sample shows.
        rate: Frames per second of the film, where it says so.
    """
    if not seen.frames:
        return
    counts = {
        "top first": seen.top_first,
        "bottom first": seen.bottom_first,
        "progressive": seen.progressive,
    }
    shown = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    yield (
        "fields seen",
        f"{seen.order} (of {seen.frames} frames: {shown or 'none tell'}; {seen.flagged} flagged)",
    )
    if seen.pulldown:
        own = "" if rate is None else f", {float(rate * _KEPT_OF_TELECINE):.5g} per second"
        yield "telecine", f"3:2 pulldown; --pulldown gives the film's own frames{own}"


def seen_json(seen: "FieldsSeen") -> dict[str, object]:
    """Return plain values."""
    return {
        "frames": seen.frames,
        "flagged": seen.flagged,
        "top_first": seen.top_first,
        "bottom_first": seen.bottom_first,
        "progressive": seen.progressive,
        "order": seen.order,
        "pulldown": seen.pulldown,
    }
