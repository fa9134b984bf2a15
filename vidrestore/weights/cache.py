"""The weights folder: find, check and download published checkpoints.

Nothing here runs at import. A download is written under a temporary name. It gets its real name
only when it is complete and its checksum is right, so a file in the folder under its real name is
whole.
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
from vidrestore.weights.download import BytesCallback, DownloadPolicy, download
from vidrestore.weights.license_notice import warn_non_commercial
from vidrestore.weights.manifest import WeightsEntry, weights_entry

FOLDER_VARIABLE = "VIDRESTORE_WEIGHTS"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A checkpoint whose checksum was computed just now."""

    path: Path
    sha256: str
    expected_from: Literal["published", "first download", "nowhere"]
    """What it was compared with; ``nowhere`` means it could not be compared."""


def weights_folder() -> Path:
    """Return the folder of downloaded checkpoints, which need not exist.

    It is ``VIDRESTORE_WEIGHTS`` where that is set, and otherwise ``vidrestore`` in
    the cache folder of the user (``XDG_CACHE_HOME``, or ``~/.cache``).
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
        WeightsError: The file has not the size it must have.
    """
    entry = weights_entry(name)
    path = weights_folder() / entry.file_name
    if not path.is_file():
        return None
    found = path.stat().st_size
    if entry.size_bytes not in (None, found):
        raise WeightsError(
            f"{path}: has {found} bytes, {name} has {entry.size_bytes}; {_way_out(name)}"
        )
    return path


def partial_bytes(name: str) -> int:
    """Return how much of the checkpoint called ``name`` an unfinished download has left here."""
    part = _part(weights_folder() / weights_entry(name).file_name)
    return part.stat().st_size if part.is_file() else 0


def verify(name: str) -> Verified:
    """Compare the checksum of the checkpoint called ``name`` with the one known for it.

    Raises:
        UnknownModelError: No published weights have this name.
        WeightsError: It is not here, or the checksum is another one.
    """
    path = find(name)
    if path is None:
        entry = weights_entry(name)
        raise WeightsError(
            f"{name} is not in {weights_folder()} as {entry.file_name}; "
            f"run: vidrestore weights fetch {name}"
        )
    return _verified(weights_entry(name), path)


def ready(
    name: str,
    *,
    on_progress: BytesCallback | None = None,
    policy: DownloadPolicy | None = None,
) -> Path:
    """Return the checkpoint called ``name`` for use, downloaded where it is not here.

    Unlike ``fetch`` this never replaces a file: one under that name that is not the published
    one may be somebody's own work.

    Args:
        name: Name in the manifest.
        on_progress: Told the bytes here and the bytes in all, None where unknown.
        policy: Time limits and tries.

    Raises:
        UnknownModelError: No published weights have this name.
        DownloadError: It cannot be fetched or written, or what came is not the file.
        WeightsError: The file there is not the published file.
    """
    entry, folder = weights_entry(name), weights_folder()
    if (folder / entry.file_name).is_file():
        warn_non_commercial(entry, folder)
        return verify(name).path
    return fetch(name, on_progress=on_progress, policy=policy)


def fetch(
    name: str,
    *,
    on_progress: BytesCallback | None = None,
    policy: DownloadPolicy | None = None,
) -> Path:
    """Return the checkpoint called ``name``, downloaded unless a good copy is here.

    A download that was cut off is taken up where it stopped. Where no checksum is
    published, the one seen is recorded beside the file (``NAME.sha256``) and a warning logged.
    Before the first use of a non-commercial one, its licence is logged as a warning, once.

    Args:
        name: Name in the manifest.
        on_progress: Told the bytes here and the bytes in all, None where unknown.
        policy: Time limits and tries.

    Raises:
        UnknownModelError: No published weights have this name.
        DownloadError: It cannot be fetched or written, or what came is not the file.
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
    part = _part(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            sha256 = download(entry, file, on_progress=on_progress, policy=policy)
            _check(entry, part, sha256)
            part.replace(path)
            if entry.sha256 is None:
                _recorded(path).write_text(f"{sha256}  {path.name}\n", encoding="ascii")
    except DownloadError as error:
        raise DownloadError(f"{error}; {_by_hand(entry, path, said=str(error))}") from error
    except OSError as error:
        raise DownloadError(
            f"cannot write {error.filename or part}: {error.strerror}; "
            f"set {FOLDER_VARIABLE} to a folder with room for the weights"
        ) from error
    if entry.sha256 is None:
        _LOG.warning("%s: no checksum is published; recorded the one seen: %s", path, sha256)
    return path


def _by_hand(entry: WeightsEntry, path: Path, *, said: str) -> str:
    what = "it" if entry.url in said else entry.url
    return (
        f"or get {what} in another way and put it at {path}; "
        "meanwhile --model lite and --detector mtcnn need no download"
    )


def _way_out(name: str) -> str:
    return (
        f"to replace it run: vidrestore weights fetch {name} "
        "(a checkpoint of your own is used by its path)"
    )


def _check(entry: WeightsEntry, part: Path, sha256: str) -> None:
    if entry.sha256 not in (None, sha256):
        part.unlink()
        raise DownloadError(
            f"{entry.name}: what came from {entry.url} has SHA-256 {sha256}, expected "
            f"{entry.sha256}; it was deleted: try again"
        )


def _verified(entry: WeightsEntry, path: Path) -> Verified:
    sha256 = file_sha256(path)
    expected = entry.sha256 or _recorded_sha256(path)
    if expected not in (None, sha256):
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, expected {expected}; {_way_out(entry.name)}"
        )
    if expected is None:
        return Verified(path=path, sha256=sha256, expected_from="nowhere")
    source = "published" if entry.sha256 else "first download"
    return Verified(path=path, sha256=sha256, expected_from=source)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _recorded(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _recorded_sha256(path: Path) -> str | None:
    if not _recorded(path).is_file():
        return None
    words = _recorded(path).read_text(encoding="ascii", errors="replace").split()
    return words[0] if words else None


@contextmanager
def _alone(part: Path) -> Generator[BinaryIO]:
    """Open ``part`` for reading and writing, refusing where another process has it."""
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
