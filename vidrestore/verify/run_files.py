"""What a run wrote about itself: a record, a report, both or neither."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import RecordError
from vidrestore.record import SCHEMA, RecordHeader, RecordReader
from vidrestore.record.json_fields import parse_object, read_object
from vidrestore.text import printable_text
from vidrestore.types.time_range import TimeRange

_REPORT_BYTES_MAX = 64 << 20
_FIRST_BYTES = 256
_KEEPS_FIELDS = (None, "keep", "auto")


CHECKPOINTS = ("checkpoint_sha256", "small_checkpoint_sha256", "tiny_checkpoint_sha256")
"""Fields that a report and the header of a record share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a report (``--report``) says that can be compared with a result."""

    frames: int
    scale: int
    background: str | None
    checkpoint_sha256: str | None
    """Of the weights; None if there is none."""
    small_checkpoint_sha256: str | None
    """Of the weights for small faces; None if there is none."""
    tiny_checkpoint_sha256: str | None
    """Of the weights for faces of few pixels; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the files of a run say about it."""

    record_path: Path | None = None
    header: RecordHeader | None = None
    report: RunReport | None = None

    @property
    def scale(self) -> int:
        """Enlargement of the result along each side."""
        if self.header is not None:
            return self.header.scale
        return self.report.scale if self.report is not None else 1

    @property
    def background(self) -> str | None:
        """The network that processed whole frames; None where only faces were restored."""
        if self.header is not None:
            background = self.header.settings.get("background")
            return None if background is None else str(background)
        return self.report.background if self.report is not None else None

    @property
    def time_range(self) -> TimeRange:
        """The time range of the source that was restored, relative to its start.

        Raises:
            RecordError: The record states an impossible range.
        """
        start, end = self._seconds("start_seconds"), self._seconds("end_seconds")
        try:
            return TimeRange(start_seconds=start, end_seconds=end)
        except ValueError as error:
            raise RecordError(f"{self.record_path}: line 1: settings: {error}") from error

    @property
    def fps(self) -> Fraction | None:
        """Frames per second of an image sequence."""
        return self._seconds("fps") or None

    @property
    def program(self) -> int | None:
        """Number of the program that was restored; None for the first."""
        value = None if self.header is None else self.header.settings.get("program")
        return value if isinstance(value, int) else None

    @property
    def drops_streams(self) -> bool:
        """Whether streams that the container does not support were dropped."""
        return self.header is not None and self.header.settings.get("drop_unsupported") is True

    @property
    def why_frames_differ(self) -> str | None:
        """Why the result has other frames than the source; None where it has the same."""
        if self.header is None:
            return None
        settings = self.header.settings
        deinterlace = settings.get("deinterlace")
        if deinterlace not in _KEEPS_FIELDS:
            return f"the video was deinterlaced (--deinterlace {deinterlace})"
        if settings.get("pulldown") not in (None, False):
            return "3:2 pulldown was removed (--pulldown)"
        return None

    def recorded_frames(self) -> int:
        """Read the whole record; return its number of frames.

        Raises:
            RecordError: The record is truncated or invalid.
        """
        if self.record_path is None:
            return 0
        with RecordReader(self.record_path) as record:
            return sum(1 for _ in record)

    def _seconds(self, name: str) -> Fraction | None:
        value = None if self.header is None else self.header.settings.get(name)
        if value is None:
            return None
        try:
            if not isinstance(value, str) or len(value) > 40:
                raise ValueError(name)
            seconds = Fraction(value)
            if not 0 <= seconds < 10**12:
                raise ValueError(name)
        except (ValueError, ZeroDivisionError) as error:
            raise RecordError(
                f"{self.record_path}: line 1: settings.{name}: expected a time like 3/2, "
                f"got {str(value)[:40]!r}"
            ) from error
        return seconds


def read_evidence(paths: Sequence[Path]) -> Evidence:
    """Read the files of a run; each may be its record or its report.

    Raises:
        RecordError: A file is neither, or two are of the same kind.
    """
    record_path: Path | None = None
    header: RecordHeader | None = None
    report: RunReport | None = None
    for path in paths:
        if _is_record(path):
            if record_path is not None:
                raise RecordError(f"{path}: a second record; pass only the one of this result")
            with RecordReader(path) as record:
                record_path, header = path, record.header
        elif report is not None:
            raise RecordError(f"{path}: a second report; pass only the one of this result")
        else:
            report = _read_report(path)
    return Evidence(record_path=record_path, header=header, report=report)


def _is_record(path: Path) -> bool:
    """Whether a file starts like a record, valid or not."""
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError as error:
        raise RecordError(f"{path}: cannot be opened: {error.strerror}") from error
    return SCHEMA.partition("/")[0].encode() in first


def _read_report(path: Path) -> RunReport:
    if path.stat().st_size > _REPORT_BYTES_MAX:
        raise RecordError(
            f"{path}: is neither a record nor a report; pass what --record or --report wrote"
        )
    try:
        fields = parse_object(path.read_text(encoding="utf-8"))
        # Reports of earlier versions have no checksums.
        fields = dict.fromkeys(CHECKPOINTS) | fields
        known = {name: fields[name] for name in RunReport.__slots__ if name in fields}
        return read_object(RunReport, known)
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: is neither a record nor a report: not UTF-8 text") from error
    except ValueError as error:
        reason = printable_text(str(error))
        raise RecordError(f"{path}: is neither a record nor a report: {reason}") from error
