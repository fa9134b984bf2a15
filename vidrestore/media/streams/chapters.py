"""Moves chapters to the timeline of an output."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.text import count_text

if TYPE_CHECKING:
    from av.container.core import Chapter

_MICROSECOND = Fraction(1, 1_000_000)


def plan_chapters(
    source: InputContainer,
    timeline: CopyTimeline,
    spec: ContainerSpec,
    target: Path,
    *,
    drop_unsupported: bool,
) -> "tuple[list[Chapter], tuple[str, ...]]":
    """Return the chapters of the selected time range, and notes about dropped ones.

    Raises:
        UnsupportedStreamError: The container stores no chapters, and none may be dropped.
    """
    chapters = _shifted_chapters(source, timeline)
    if not chapters or spec.stores_chapters:
        return chapters, ()
    counted_chapters = count_text(len(chapters), "chapter")
    if drop_unsupported:
        return [], (f"{counted_chapters} dropped: {target.suffix} does not support chapters",)
    raise UnsupportedStreamError(
        f"{target}: {target.suffix} does not support the {counted_chapters} of the source"
    )


def _shifted_chapters(source: InputContainer, timeline: CopyTimeline) -> "list[Chapter]":
    """Return the chapters of the source on the output's timeline, clipped to the time range."""
    chapters: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or _MICROSECOND
        clipped = timeline.time_range.clip(chapter["start"] * base, chapter["end"] * base)
        if clipped is None:
            continue
        start, end = clipped
        shift = timeline.shift_seconds - timeline.delay_seconds
        if (shift / base).denominator != 1:
            base = _MICROSECOND
        chapters.append(
            {
                "id": chapter["id"],
                "start": round((start - shift) / base),
                "end": round((end - shift) / base),
                "time_base": base,
                "metadata": chapter["metadata"],
            }
        )
    return chapters
