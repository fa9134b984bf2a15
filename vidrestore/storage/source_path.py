"""Check that a source exists; needs no library."""

from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.storage.standard_streams import is_standard_stream


def checked_source(path: Path) -> Path:
    """Return ``path`` if it is a folder or a file with content.

    Raises:
        MediaError: It is missing or empty, or neither a file nor a folder.
    """
    path = Path(path)
    if is_standard_stream(path):
        raise MediaError("-: only `vidrestore - -o FILE` reads standard input; name a file")
    try:
        if path.is_dir():
            return path
        size = path.stat().st_size
    except FileNotFoundError:
        raise MediaError(f"{path}: no such file or folder; check the name") from None
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}; check the name and its permissions") from None
    if path.is_fifo():
        raise MediaError(f"{path}: a pipe; read it as YUV4MPEG2: vidrestore - -o FILE < {path}")
    if not path.is_file():
        raise MediaError(f"{path}: neither a file nor a folder; choose a video")
    if size == 0:
        raise MediaError(f"{path}: the file is empty; get another copy")
    return path
