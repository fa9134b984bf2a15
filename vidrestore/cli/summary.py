"""The few lines at the end of a restoration."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.pipeline import RestoreReport


def summary_lines(report: "RestoreReport", output: Path, wall_seconds: float) -> Iterator[str]:
    """Yield what was done, then what the user should know about it.

    Args:
        report: What was done.
        output: The file written.
        wall_seconds: How long it took, start-up included.
    """
    rate = f", {report.frames / wall_seconds:.1f} frames/s" if wall_seconds > 0 else ""
    yield (
        f"{output}: {_counted(report.frames, 'frame')}, {_counted(report.faces, 'face')} in "
        f"{_counted(report.tracks, 'track')}, {wall_seconds:.1f} s{rate}"
    )
    if report.damaged_packets:
        damaged = _counted(report.damaged_packets, "damaged packet")
        yield f"{damaged} in the source; the rest is restored"
    for note in report.notes:
        yield f"note: {note}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
