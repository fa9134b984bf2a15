"""Chapters on the timeline of an output, if its container stores them."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.output.containers import ContainerSpec

if TYPE_CHECKING:
    from av.container.core import Chapter

_MICROSECOND = Fraction(1, 1_000_000)


def plan_chapters(
    source: InputContainer,
    clock: CopyTimeline,
    spec: ContainerSpec,
    target: Path,
    *,
    drop_unsupported: bool,
) -> "tuple[list[Chapter], tuple[str, ...]]":
    """Return the chapters of the selected time range, and notes about dropped ones.

    Raises:
        UnsupportedStreamError: The container stores no chapters, and none may be dropped.
    """
    chapters = shifted_chapters(source, clock)
    if not chapters or spec.stores_chapters:
        return chapters, ()
    dropped = "the chapter" if len(chapters) == 1 else f"the {len(chapters)} chapters"
    if drop_unsupported:
        return [], (f"{dropped} of the source are left out: {target.suffix} cannot hold any",)
    raise UnsupportedStreamError(f"{target}: {target.suffix} cannot hold {dropped} of the source")


def shifted_chapters(source: InputContainer, clock: CopyTimeline) -> "list[Chapter]":
    """Return the chapters of the source on the output's timeline, clipped to the time range."""
    chapters: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or _MICROSECOND
        clipped = clock.time_range.clip(chapter["start"] * base, chapter["end"] * base)
        if clipped is None:
            continue
        start, end = clipped
        shift = clock.shift_seconds - clock.delay_seconds
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
