"""The weights folder: find, check and download published checkpoints.

Nothing here runs at import. A download is written under a temporary name. It gets its final name
only when it is complete and its checksum is right, so files under their final names are complete.
"""

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from vidrestore.errors import DownloadError, WeightsError
from vidrestore.storage.checksums import file_sha256
from vidrestore.weights.download import BytesCallback, download
from vidrestore.weights.license_notice import warn_non_commercial
from vidrestore.weights.manifest import WeightsEntry, weights_entry

FOLDER_VARIABLE = "VIDRESTORE_WEIGHTS"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A checkpoint whose checksum was just computed."""

    path: Path
    sha256: str
    expected_from: Literal["published", "first download", "nowhere"]
    """What it was compared with; ``nowhere`` means it could not be compared."""


def weights_folder() -> Path:
    """Return the folder of downloaded checkpoints, which need not exist.

    It is ``VIDRESTORE_WEIGHTS`` if that is set, else ``vidrestore`` in the user's cache folder
    (``XDG_CACHE_HOME``, or ``~/.cache``).
    """
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: relative paths are invalid and to be ignored.
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "vidrestore"


def find(name: str) -> Path | None:
    """Return the path of the checkpoint ``name``, or None if it is not on this machine.

    Raises:
        UnknownModelError: No published weights have this name.
        WeightsError: The file has the wrong size.
    """
    entry = weights_entry(name)
    path = weights_folder() / entry.file_name
    if not path.is_file():
        return None
    size_bytes = path.stat().st_size
    if entry.size_bytes not in (None, size_bytes):
        raise WeightsError(
            f"{path}: has {size_bytes} bytes, {name} has {entry.size_bytes}; {_replace_hint(name)}"
        )
    return path


def partial_bytes(name: str) -> int:
    """Return the size of an unfinished download of the checkpoint ``name``."""
    part = _partial_path(weights_folder() / weights_entry(name).file_name)
    return part.stat().st_size if part.is_file() else 0


def verify(name: str) -> Verified:
    """Compare the checksum of the checkpoint ``name`` with the expected one.

    Raises:
        UnknownModelError: No published weights have this name.
        WeightsError: It is not here, or its checksum is wrong.
    """
    path = find(name)
    if path is None:
        entry = weights_entry(name)
        raise WeightsError(
            f"{name} is not in {weights_folder()} as {entry.file_name}; "
            f"run: vidrestore weights fetch {name}"
        )
    return _compare_checksum(weights_entry(name), path)


def ensure_local(name: str, *, on_progress: BytesCallback | None = None) -> Path:
    """Return the path of the checkpoint ``name``; download it if it is missing.

    Unlike ``fetch``, this never replaces a file: another file of that name may be the user's own.

    Args:
        name: Name in the manifest.
        on_progress: Called with the bytes so far and the bytes in total; None if unknown.

    Raises:
        UnknownModelError: No published weights have this name.
        DownloadError: It cannot be downloaded or written, or has the wrong checksum.
        WeightsError: There is another file of that name.
    """
    entry, folder = weights_entry(name), weights_folder()
    if (folder / entry.file_name).is_file():
        warn_non_commercial(entry, folder)
        return verify(name).path
    return fetch(name, on_progress=on_progress)


def fetch(name: str, *, on_progress: BytesCallback | None = None) -> Path:
    """Return the path of the checkpoint ``name``; download it unless a good copy is here.

    An interrupted download is resumed. If no checksum is published, that of the download is
    recorded beside the file (``NAME.sha256``), and a warning is logged. Before the first use of a
    non-commercial checkpoint, its license is logged as a warning, once.

    Args:
        name: Name in the manifest.
        on_progress: Called with the bytes so far and the bytes in total; None if unknown.

    Raises:
        UnknownModelError: No published weights have this name.
        DownloadError: It cannot be downloaded or written, or has the wrong checksum.
    """
    entry = weights_entry(name)
    folder = weights_folder()
    path = folder / entry.file_name
    warn_non_commercial(entry, folder)
    if path.is_file():
        try:
            return verify(name).path
        except WeightsError:
            _LOG.warning("%s: not the published file; downloading it again", path)
    part = _partial_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _open_exclusively(part) as file:
            sha256 = download(entry, file, on_progress=on_progress)
            _check_download(entry, part, sha256)
            part.replace(path)
            if entry.sha256 is None:
                _checksum_path(path).write_text(f"{sha256}  {path.name}\n", encoding="ascii")
    except DownloadError as error:
        raise DownloadError(f"{error}; {_manual_hint(entry, path, said=str(error))}") from error
    except OSError as error:
        raise DownloadError(
            f"cannot write {error.filename or part}: {error.strerror}; "
            f"set {FOLDER_VARIABLE} to a folder with enough space"
        ) from error
    if entry.sha256 is None:
        _LOG.warning(
            "%s: no checksum is published; recorded that of the download: %s", path, sha256
        )
    return path


def _manual_hint(entry: WeightsEntry, path: Path, *, said: str) -> str:
    what = "it" if entry.url in said else entry.url
    return (
        f"or download {what} by other means to {path}; "
        "meanwhile --model lite and --detector mtcnn need no download"
    )


def _replace_hint(name: str) -> str:
    return (
        f"to replace it run: vidrestore weights fetch {name} "
        "(use a checkpoint of your own by its path)"
    )


def _check_download(entry: WeightsEntry, part: Path, sha256: str) -> None:
    if entry.sha256 not in (None, sha256):
        part.unlink()
        raise DownloadError(
            f"{entry.name}: the download from {entry.url} has SHA-256 {sha256}, expected "
            f"{entry.sha256}, and was deleted; try again"
        )


def _compare_checksum(entry: WeightsEntry, path: Path) -> Verified:
    sha256 = file_sha256(path)
    expected = entry.sha256 or _recorded_sha256(path)
    if expected not in (None, sha256):
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, expected {expected}; {_replace_hint(entry.name)}"
        )
    if expected is None:
        return Verified(path=path, sha256=sha256, expected_from="nowhere")
    source = "published" if entry.sha256 else "first download"
    return Verified(path=path, sha256=sha256, expected_from=source)


def _partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _recorded_sha256(path: Path) -> str | None:
    if not _checksum_path(path).is_file():
        return None
    words = _checksum_path(path).read_text(encoding="ascii", errors="replace").split()
    return words[0] if words else None


@contextmanager
def _open_exclusively(part: Path) -> Generator[BinaryIO]:
    """Open a file for reading and writing; refuse if another process has it open."""
    with part.open("a+b") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DownloadError(f"{part}: another process is downloading it") from error
        try:
            yield file
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()
