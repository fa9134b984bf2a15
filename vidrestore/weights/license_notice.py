"""A notice before the first use of a checkpoint whose license forbids commercial use."""

import logging
from pathlib import Path

from vidrestore.weights import manifest
from vidrestore.weights.manifest import WeightsEntry

_LOG = logging.getLogger(__name__)


def warn_non_commercial(entry: WeightsEntry, folder: Path) -> None:
    """Log once per weights folder that ``entry`` is not for commercial use, and who licensed it.

    The notice is stored as ``FILE.licence`` in ``folder``. If warnings are not logged, nothing is
    stored. Other licenses have no notice.
    """
    if not entry.non_commercial or not _LOG.isEnabledFor(logging.WARNING):
        return
    notice = (
        f"{entry.name}: {entry.file_name} is licensed by {entry.licensor} ({entry.license}): "
        "not for commercial use"
    )
    record = folder / f"{entry.file_name}.licence"
    if _read_notice(record) == notice:
        return
    _LOG.warning("%s", notice)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record.write_text(notice + "\n", encoding="utf-8")
    except OSError as error:  # a read-only folder: the notice is logged again next time
        _LOG.info("%s: cannot be written: %s", record, error.strerror)


def entry_for_file(path: Path) -> WeightsEntry | None:
    """Return the published checkpoint that has the file name of ``path``."""
    return next(
        (entry for entry in manifest.WEIGHTS.values() if entry.file_name == path.name), None
    )


def _read_notice(record: Path) -> str | None:
    try:
        return record.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
