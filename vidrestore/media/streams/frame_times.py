"""The times of the frames of a folder, in a file of mkvmerge's format (timestamp format v2)."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.storage.sync import flush_and_sync

TIMES_FILE = "timestamps.txt"
"""Name in the folder."""
ROUNDING_SECONDS = Fraction(1, 2_000_000_000)
"""Largest rounding of a time in the file, which has nanoseconds."""
_FIRST_LINE = "# timestamp format v2"
_TOLERANCE_SECONDS = Fraction(1, 1000)


def are_even(times_seconds: Sequence[Fraction], rate: Fraction | None, tick: Fraction) -> bool:
    """Whether frames that are shown at a constant rate, from 0 on, are at their times.

    Args:
        times_seconds: Of all frames, in order.
        rate: Frames a second; None where it is unknown.
        tick: Seconds per tick of the source, to which its times are rounded.
    """
    if rate is None:
        return False
    tolerance = even_tolerance_seconds(tick)
    return all(abs(each - at / rate) <= tolerance for at, each in enumerate(times_seconds))


def even_tolerance_seconds(tick: Fraction) -> Fraction:
    """Return how far from a constant rate times may be that are called even."""
    return max(tick, _TOLERANCE_SECONDS)


def write_times(path: Path, times_seconds: Sequence[Fraction]) -> None:
    """Write the times of all frames, in milliseconds with six decimals.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [_FIRST_LINE]
    for seconds in times_seconds:
        whole, nanoseconds = divmod(round(seconds * 1_000_000_000), 1_000_000)
        lines.append(f"{whole}.{nanoseconds:06}")
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n").encode("ascii"))
        flush_and_sync(file)


def read_times(path: Path) -> Iterator[Fraction]:
    """Yield the times of such a file in seconds, one at a time.

    Raises:
        MediaError: It cannot be read, or is another kind of file.
    """
    with media_errors(path), path.open(encoding="utf-8", errors="replace") as file:
        if next(file, "").strip() != _FIRST_LINE:
            raise MediaError(f"{path}: is no file of times; its first line is not {_FIRST_LINE!r}")
        for number, line in enumerate(file, start=2):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                yield Fraction(line.strip()) / 1000
            except (ValueError, ZeroDivisionError) as error:
                raise MediaError(f"{path}: line {number} is no time in milliseconds") from error
