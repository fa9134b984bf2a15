"""What a run left behind about itself: its record, its report, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import RecordError
from vidrestore.record import SCHEMA, RecordHeader, RecordReader
from vidrestore.record.json_fields import Fields, json_object

_REPORT_BYTES_MAX = 64 << 20
_FIRST_BYTES = 256
_KEEPS_FIELDS = (None, "keep", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a report (``--report``) says that can be held against a result."""

    frames: int
    scale: int
    background: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of the run that made a result."""

    record_path: Path | None = None
    header: RecordHeader | None = None
    report: RunReport | None = None

    @property
    def scale(self) -> int:
        """How many times larger the result is than the source."""
        if self.header is not None:
            return self.header.scale
        return self.report.scale if self.report is not None else 1

    @property
    def background(self) -> str | None:
        """The network that the whole picture went through; None where only faces were touched."""
        if self.header is not None:
            found = self.header.settings.get("background")
            return None if found is None else str(found)
        return self.report.background if self.report is not None else None

    @property
    def start_seconds(self) -> Fraction | None:
        """Where the part that was restored begins; None where it is the film's beginning."""
        return self._seconds("start_seconds")

    @property
    def end_seconds(self) -> Fraction | None:
        """Where the part that was restored ends; None where it is the film's end."""
        return self._seconds("end_seconds")

    @property
    def is_part(self) -> bool:
        """Whether only a part of the film was asked for."""
        return self.start_seconds is not None or self.end_seconds is not None

    @property
    def fps(self) -> Fraction | None:
        """Frames per second of a folder of pictures."""
        found = self._seconds("fps")
        return found if found else None

    @property
    def drops_streams(self) -> bool:
        """Whether streams that the container cannot hold were to be left out."""
        return self.header is not None and self.header.settings.get("drop_unsupported") is True

    @property
    def why_frames_differ(self) -> str | None:
        """Why the result has other frames than the source; None where it has the same."""
        if self.header is None:
            return None
        settings = self.header.settings
        how = settings.get("deinterlace")
        if how not in _KEEPS_FIELDS:
            return f"the film was deinterlaced (--deinterlace {how})"
        if settings.get("pulldown") not in (None, False):
            return "3:2 pulldown was undone (--pulldown)"
        return None

    def recorded_frames(self) -> int:
        """Return how many frames the record has; reads all of it.

        Raises:
            RecordError: It is cut off, or says what cannot be.
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
            found = Fraction(value)
            if not 0 <= found < 10**12:
                raise ValueError(name)
        except (ValueError, ZeroDivisionError) as error:
            said = f"expected a time like 3/2, got {str(value)[:40]!r}"
            raise RecordError(f"{self.record_path}: line 1: settings.{name}: {said}") from error
        return found


def read_evidence(paths: Sequence[Path]) -> Evidence:
    """Return what files of a run say; each may be its record or its report.

    Raises:
        RecordError: One is neither, or there are two of a kind.
    """
    record_path: Path | None = None
    header: RecordHeader | None = None
    report: RunReport | None = None
    for path in paths:
        if _is_record(path):
            if record_path is not None:
                raise RecordError(f"{path}: a second record; name the one of this result")
            with RecordReader(path) as record:
                record_path, header = path, record.header
        elif report is not None:
            raise RecordError(f"{path}: a second report; name the one of this result")
        else:
            report = _report(path)
    return Evidence(record_path=record_path, header=header, report=report)


def _is_record(path: Path) -> bool:
    """Whether a file begins as a record does, be it sound or not."""
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError as error:
        raise RecordError(f"{path}: cannot be opened: {error.strerror}") from error
    return SCHEMA.partition("/")[0].encode() in first


def _report(path: Path) -> RunReport:
    if path.stat().st_size > _REPORT_BYTES_MAX:
        raise RecordError(f"{path}: is neither a record nor a report; name what the run wrote")
    try:
        fields = Fields(json_object(path.read_text(encoding="utf-8")))
        return RunReport(
            frames=fields.integer("frames"),
            scale=fields.integer("scale"),
            background=fields.optional("background", fields.text),
        )
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: is neither a record nor a report: no UTF-8 text") from error
    except ValueError as error:
        plain = "".join(each if each.isprintable() else "?" for each in str(error))
        raise RecordError(f"{path}: is neither a record nor a report: {plain}") from error
