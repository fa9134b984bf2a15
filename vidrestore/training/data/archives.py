"""Files in folders and in archives, by one kind of path.

A path may lead through a zip or tar archive as if that were a folder:
``faces.zip/0001.png``, ``ffhq.tar/train/00001.png``. Every process opens an archive for itself:
forked processes would share one position in the file and read each other's bytes.
"""

import os
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

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
_PLAIN_SUFFIXES = (".zip", ".tar")
_OPEN_ARCHIVES = 8


def is_archive(path: Path) -> bool:
    """Return whether ``path`` is a file with the suffix of an archive."""
    return path.name.lower().endswith(_ARCHIVE_SUFFIXES) and path.is_file()


def is_compressed_tar(path: Path) -> bool:
    """Return whether ``path`` is, or leads through, a tar that is unpacked from its start."""
    archive = path if is_archive(path) else _split(path)[0]
    return archive is not None and not archive.name.lower().endswith(_PLAIN_SUFFIXES)


def exists(path: Path) -> bool:
    """Return whether the file exists, in a folder or in an archive."""
    archive, inside = _split(path)
    return path.is_file() if archive is None else str(inside) in _names(archive)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, in a folder or in an archive.

    Raises:
        ConfigError: The file is missing, or the archive is damaged.
    """
    archive, inside = _split(path)
    try:
        if archive is None:
            return path.read_bytes()
        opened = _open(archive, os.getpid())
        if isinstance(opened, zipfile.ZipFile):
            return opened.read(str(inside))
        file = opened.extractfile(str(inside))
        if file is None:
            raise ConfigError(f"{path}: a folder of the archive, not a file")
        with file:
            return file.read()
    except KeyError as error:
        raise ConfigError(f"{path}: not in the archive") from error
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{path}: not readable: {error}") from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the image ``(H, W, 3)`` uint8 RGB, rotated upright by its metadata.

    Raises:
        ConfigError: The file is missing, or not an image.
    """
    data = np.frombuffer(read_bytes(path), dtype=np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise ConfigError(f"{path}: not a readable image")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Return the labels ``(H, W)`` of an image: its gray levels, or the indices of its palette.

    Raises:
        ConfigError: The file is missing, or not an image, or an image in color.
    """
    try:
        with Image.open(BytesIO(read_bytes(path))) as image:
            if image.mode not in ("L", "P"):
                raise ConfigError(
                    f"{path}: expected a label image (mode L or P), got mode {image.mode}"
                )
            return np.array(image, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise ConfigError(f"{path}: not a readable image") from error


def list_images(root: Path) -> Iterator[Path]:
    """Yield all images below a folder or in an archive, in order of their names.

    Raises:
        ConfigError: ``root`` is neither.
    """
    if is_archive(root):
        names = sorted(_names(root))
        yield from (root / name for name in names if _is_picture(PurePosixPath(name)))
    elif root.is_dir():
        yield from sorted(path for path in root.rglob("*") if _is_picture(path))
    else:
        raise ConfigError(f"{root}: neither a folder nor a zip or tar archive")


def _is_picture(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _split(path: Path) -> tuple[Path | None, PurePosixPath]:
    """Return the archive that ``path`` leads through, and the path inside."""
    for parent in path.parents:
        if is_archive(parent):
            return parent, PurePosixPath(path.relative_to(parent).as_posix())
    return None, PurePosixPath()


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _open(archive: Path, process_id: int) -> zipfile.ZipFile | tarfile.TarFile:
    del process_id  # of the cache
    try:
        if archive.suffix.lower() == ".zip":
            return zipfile.ZipFile(archive)
        return tarfile.open(archive)
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{archive}: not a readable archive: {error}") from error


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _names(archive: Path) -> frozenset[str]:
    opened = _open(archive, os.getpid())
    if isinstance(opened, zipfile.ZipFile):
        return frozenset(name for name in opened.namelist() if not name.endswith("/"))
    return frozenset(member.name for member in opened.getmembers() if member.isfile())
