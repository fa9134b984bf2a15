"""Check that a source exists; needs no library."""

from pathlib import Path

from vidrestore.errors import MediaError


def checked_source(path: Path) -> Path:
    """Return ``path`` if it is a folder or a file with content.

    Raises:
        MediaError: It is missing or empty, or neither a file nor a folder.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return path
        size = path.stat().st_size
    except FileNotFoundError:
        raise MediaError(f"{path}: no such file or folder; check the name") from None
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}; check the name and its permissions") from None
    if not path.is_file():
        raise MediaError(f"{path}: neither a file nor a folder; choose a video")
    if size == 0:
        raise MediaError(f"{path}: the file is empty; get another copy")
    return path
