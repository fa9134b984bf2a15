"""Who licensed a checkpoint: said before its first use, where that must not be commercial."""

import logging
from pathlib import Path

from vidrestore.weights import manifest
from vidrestore.weights.manifest import WeightsEntry

_LOG = logging.getLogger(__name__)


def warn_non_commercial(entry: WeightsEntry, folder: Path) -> None:
    """Log once per weights folder that ``entry`` is not for commercial use, and who says so.

    What was said is remembered as ``FILE.licence`` in ``folder``. Where nobody listens to
    warnings, nothing is said and nothing remembered. Nothing is said of other licences.
    """
    if not entry.non_commercial or not _LOG.isEnabledFor(logging.WARNING):
        return
    notice = (
        f"{entry.name}: {entry.file_name} is licensed by {entry.licensor} ({entry.licence}): "
        "not for commercial use"
    )
    record = folder / f"{entry.file_name}.licence"
    if _text(record) == notice:
        return
    _LOG.warning("%s", notice)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record.write_text(notice + "\n", encoding="utf-8")
    except OSError as error:  # a folder of others, read-only: it is said again next time
        _LOG.info("%s: cannot be written: %s", record, error.strerror)


def entry_of_file(path: Path) -> WeightsEntry | None:
    """Return the published checkpoint with the file name of ``path``, in whatever folder."""
    return next((each for each in manifest.WEIGHTS.values() if each.file_name == path.name), None)


def _text(record: Path) -> str | None:
    try:
        return record.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
