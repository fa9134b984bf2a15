"""The few lines at the end of a restoration."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.text import clock_text, count_text

if TYPE_CHECKING:
    from vidrestore.jobs.estimate import Estimate
    from vidrestore.pipeline.report import RestoreReport


def summary_lines(report: "RestoreReport", output: Path, wall_seconds: float) -> Iterator[str]:
    """Yield the counts of a run, then its notes.

    Args:
        report: Report of the run.
        output: The file written.
        wall_seconds: Duration of the run, start-up included.
    """
    rate = f", {report.frames / wall_seconds:.1f} frames/s" if wall_seconds > 0 else ""
    name = "standard output" if is_standard_stream(output) else output
    yield (
        f"{name}: {count_text(report.frames, 'frame')}, {count_text(report.faces, 'face')} in "
        f"{count_text(report.tracks, 'track')}, {wall_seconds:.1f} s{rate}"
    )
    if report.damaged_packets:
        damaged = count_text(report.damaged_packets, "damaged packet")
        yield f"{damaged} in the source; everything else is restored"
    for note in report.notes:
        yield f"note: {note}"


def dry_run_lines(estimate: "Estimate", output: Path) -> Iterator[str]:
    """Yield the lines about a dry run.

    Args:
        estimate: Result of the dry run.
        output: The file that the run would write.
    """
    low, high = estimate.segments
    segments = count_text(high, "segment") if low == high else f"{low} to {high} segments"
    about = "" if estimate.sampled_frames >= estimate.frames else "about "
    yield (
        f"{output}: {about}{count_text(estimate.frames, 'frame')}, "
        f"{about}{count_text(estimate.faces, 'face')} "
        f"to restore, {segments}; estimated from {count_text(estimate.sampled_frames, 'frame')}"
    )
    yield f"time here: about {clock_text(estimate.seconds)}"
    enough = "" if estimate.disk_bytes <= estimate.free_bytes else ": NOT ENOUGH"
    yield (
        f"disk: about {_size(estimate.disk_bytes)} during the run, half of it for the output; "
        f"{_size(estimate.free_bytes)} free{enough}"
    )


def _size(size_bytes: int) -> str:
    """Return ``1.2 GB``."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
