"""Files in folders and in archives, by one kind of path.

A path may lead through a zip or tar archive as if that were a folder:
``faces.zip/0001.png``, ``ffhq.tar.gz/train/00001.png``.
"""

import tarfile
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vidrestore.errors import ConfigError

PICTURE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
_OPEN_ARCHIVES = 8


def is_archive(path: Path) -> bool:
    """Return whether ``path`` is called like an archive and is a file."""
    return path.name.lower().endswith(_ARCHIVE_SUFFIXES) and path.is_file()


def exists(path: Path) -> bool:
    """Return whether there is such a file, in a folder or in an archive."""
    archive, inside = _split(path)
    return path.is_file() if archive is None else str(inside) in _names(archive)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, in a folder or in an archive.

    Raises:
        ConfigError: There is none, or the archive is damaged.
    """
    archive, inside = _split(path)
    try:
        if archive is None:
            return path.read_bytes()
        opened = _opened(archive)
        if isinstance(opened, zipfile.ZipFile):
            return opened.read(str(inside))
        file = opened.extractfile(str(inside))
        if file is None:
            raise ConfigError(f"{path}: is a folder of the archive, not a file")
        with file:
            return file.read()
    except KeyError as error:
        raise ConfigError(f"{path}: is not in the archive") from error
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return the picture ``(H, W, 3)`` RGB, turned upright as its tags say.

    Raises:
        ConfigError: There is no such file, or it is no picture.
    """
    data = np.frombuffer(read_bytes(path), dtype=np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise ConfigError(f"{path}: not a readable picture")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def read_classes(path: Path) -> NDArray[np.uint8]:
    """Return the classes ``(H, W)`` of a mask: its grey levels, or the indices of its palette.

    Raises:
        ConfigError: There is no such file, or it is no picture, or one in colour.
    """
    try:
        with Image.open(BytesIO(read_bytes(path))) as picture:
            if picture.mode not in ("L", "P"):
                raise ConfigError(f"{path}: not classes, but a picture of kind {picture.mode}")
            return np.array(picture, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise ConfigError(f"{path}: not a readable picture") from error


def pictures_under(root: Path) -> Iterator[Path]:
    """Yield all pictures below a folder or in an archive, in order of their names.

    Raises:
        ConfigError: It is neither.
    """
    if is_archive(root):
        names = sorted(_names(root))
        yield from (root / name for name in names if _is_picture(PurePosixPath(name)))
    elif root.is_dir():
        yield from sorted(path for path in root.rglob("*") if _is_picture(path))
    else:
        raise ConfigError(f"{root}: neither a folder nor a zip or tar archive")


def _is_picture(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def _split(path: Path) -> tuple[Path | None, PurePosixPath]:
    """Return the archive that ``path`` leads through, and the way inside."""
    for parent in path.parents:
        if is_archive(parent):
            return parent, PurePosixPath(path.relative_to(parent).as_posix())
    return None, PurePosixPath()


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    try:
        if archive.suffix.lower() == ".zip":
            return zipfile.ZipFile(archive)
        return tarfile.open(archive)
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{archive}: not a readable archive: {error}") from error


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _names(archive: Path) -> frozenset[str]:
    opened = _opened(archive)
    if isinstance(opened, zipfile.ZipFile):
        return frozenset(name for name in opened.namelist() if not name.endswith("/"))
    return frozenset(member.name for member in opened.getmembers() if member.isfile())
