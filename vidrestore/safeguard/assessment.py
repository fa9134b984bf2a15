"""Assessments: the strength a face may be restored with, and combinations of several."""

from collections.abc import Iterable
from dataclasses import replace

from vidrestore.types import Assessment


def assess(strength: float, reason: str) -> Assessment:
    """Return an assessment that has its reason only if it limits the strength."""
    return Assessment(strength, reason if strength < 1.0 else None)


def strictest(assessments: Iterable[Assessment]) -> Assessment:
    """Return the assessment with the lowest strength, the first of several."""
    return min(assessments, key=lambda item: item.strength, default=Assessment())


def scale_limit(assessment: Assessment, factor: float) -> Assessment:
    """Return the assessment with its reduction of strength scaled by ``factor``, 0 to 1."""
    strength = 1.0 - factor * (1.0 - assessment.strength)
    return replace(
        assessment, strength=strength, reason=assessment.reason if strength < 1.0 else None
    )


def combine(earlier: Assessment, later: Assessment) -> Assessment:
    """Return the product of both strengths, with the reason of the stricter one."""
    return Assessment(
        strength=earlier.strength * later.strength,
        reason=strictest([earlier, later]).reason,
        identity_similarity=later.identity_similarity,
    )
