"""Lines of ``vidrestore info`` about the fields found in a sample of a film."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.media.fields.detection import FieldDetection

_KEPT_OF_TELECINE = Fraction(4, 5)


def field_rows(seen: "FieldDetection", rate: Fraction | None) -> Iterator[tuple[str, str]]:
    """Yield the label and value of every line of the printed text.

    Args:
        seen: Fields found in the sample.
        rate: Frames per second of the film, if it is known.
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
        f"{seen.order} (of {seen.frames} frames: {shown or 'undecided'}; {seen.flagged} flagged)",
    )
    if seen.pulldown:
        own = "" if rate is None else f", {float(rate * _KEPT_OF_TELECINE):.5g} per second"
        yield "telecine", f"3:2 pulldown; --pulldown recovers the original frames{own}"


def field_json(seen: "FieldDetection") -> dict[str, object]:
    """Return the values for JSON."""
    return {
        "frames": seen.frames,
        "flagged": seen.flagged,
        "top_first": seen.top_first,
        "bottom_first": seen.bottom_first,
        "progressive": seen.progressive,
        "order": seen.order,
        "pulldown": seen.pulldown,
    }
