"""A file with the times of a folder's frames, in mkvmerge's format (timestamp format v2)."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.storage.sync import flush_and_sync

TIMES_FILE = "timestamps.txt"
"""Name of the file in the folder."""
ROUNDING_SECONDS = Fraction(1, 2_000_000_000)
"""Largest rounding error of a time in the file, which is in nanoseconds."""
_FIRST_LINE = "# timestamp format v2"
_TOLERANCE_SECONDS = Fraction(1, 1000)


def are_even(times_seconds: Sequence[Fraction], rate: Fraction | None, tick: Fraction) -> bool:
    """Whether the times are those of a constant frame rate, starting at 0.

    Args:
        times_seconds: Times of all frames, in order.
        rate: Frames per second; None if unknown.
        tick: Seconds per tick of the source, to which its times are rounded.
    """
    if rate is None:
        return False
    tolerance = even_tolerance_seconds(tick)
    return all(
        abs(seconds - number / rate) <= tolerance for number, seconds in enumerate(times_seconds)
    )


def even_tolerance_seconds(tick: Fraction) -> Fraction:
    """Return how far times may differ from those of a constant frame rate."""
    return max(tick, _TOLERANCE_SECONDS)


def write_times(path: Path, times_seconds: Sequence[Fraction]) -> None:
    """Write the times of all frames, in milliseconds with six decimals.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [_FIRST_LINE]
    for seconds in times_seconds:
        milliseconds, nanoseconds = divmod(round(seconds * 1_000_000_000), 1_000_000)
        lines.append(f"{milliseconds}.{nanoseconds:06}")
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n").encode("ascii"))
        flush_and_sync(file)


def read_times(path: Path) -> Iterator[Fraction]:
    """Yield the times in a file of ``write_times``, in seconds.

    Raises:
        MediaError: It cannot be read, or has another format.
    """
    with media_errors(path), path.open(encoding="utf-8", errors="replace") as file:
        if next(file, "").strip() != _FIRST_LINE:
            raise MediaError(
                f"{path}: not a file of timestamps; its first line must be {_FIRST_LINE!r}"
            )
        for number, line in enumerate(file, start=2):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                yield Fraction(line.strip()) / 1000
            except (ValueError, ZeroDivisionError) as error:
                raise MediaError(f"{path}: line {number} is not a time in milliseconds") from error
