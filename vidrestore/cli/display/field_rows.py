"""Rows of ``vidrestore info`` about the fields detected in a sample of a film."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.media.fields.detection import FieldDetection

_PULLDOWN_RATE_RATIO = Fraction(4, 5)


def field_rows(detection: "FieldDetection", rate: Fraction | None) -> Iterator[tuple[str, str]]:
    """Yield the label and value of every line of the printed text.

    Args:
        detection: What was detected in the sample.
        rate: Frames per second of the film, if it is known.
    """
    if not detection.frames:
        return
    counts = {
        "top first": detection.top_first,
        "bottom first": detection.bottom_first,
        "progressive": detection.progressive,
    }
    counts_text = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    yield (
        "fields seen",
        f"{detection.order} (of {detection.frames} frames: {counts_text or 'undecided'}; "
        f"{detection.flagged} flagged)",
    )
    if detection.pulldown:
        rate_text = "" if rate is None else f", {float(rate * _PULLDOWN_RATE_RATIO):.5g} per second"
        yield "telecine", f"3:2 pulldown; --pulldown recovers the original frames{rate_text}"


def field_json(detection: "FieldDetection") -> dict[str, object]:
    """Return the values for JSON."""
    return {
        "frames": detection.frames,
        "flagged": detection.flagged,
        "top_first": detection.top_first,
        "bottom_first": detection.bottom_first,
        "progressive": detection.progressive,
        "order": detection.order,
        "pulldown": detection.pulldown,
    }
