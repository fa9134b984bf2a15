"""The few lines at the end of a restoration."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast


def summary_lines(report: Mapping[str, object], output: Path, wall_seconds: float) -> Iterator[str]:
    """Yield what was done, then what the user should know about it.

    Args:
        report: ``RestoreReport.to_json()``.
        output: The file written.
        wall_seconds: How long it took, start-up included.
    """
    frames, faces, tracks = (_count(report[key]) for key in ("frames", "faces", "tracks"))
    rate = f", {frames / wall_seconds:.1f} frames/s" if wall_seconds > 0 else ""
    yield (
        f"{output}: {_plural(frames, 'frame')}, {_plural(faces, 'face')} in "
        f"{_plural(tracks, 'track')}, {wall_seconds:.1f} s{rate}"
    )
    if not faces:
        yield "no faces found: the picture is unchanged"
    if damaged := _count(report.get("damaged_packets", 0)):
        yield f"{_plural(damaged, 'damaged packet')} in the source; the rest is restored"
    for note in cast("list[str]", report.get("notes", [])):
        yield f"note: {note}"


def _count(value: object) -> int:
    return value if isinstance(value, int) else len(cast("list[object]", value))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
