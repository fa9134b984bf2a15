"""Reads files in folders and in archives by the same kind of path.

A path may lead through a zip or tar archive like through a folder: ``faces.zip/0001.png``,
``ffhq.tar/train/00001.png``. Every process opens archives itself: forked processes would share the
position in the file, and read from wrong positions.
"""

import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vidrestore.errors import ConfigError

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
_PLAIN_SUFFIXES = (".zip", ".tar")
_OPEN_ARCHIVES = 8
_ORIENTATION, _FIRST_TURNED = 0x0112, 5
"""Tag of EXIF, and the first of its values that exchange width and height."""
_START_BYTES = 8
_ENDS = {b"\x89PNG": b"IEND", b"\xff\xd8": b"\xff\xd9"}
"""Of PNG and JPEG."""
_TAIL_BYTES = 4096
"""Where an end must be: other data may follow it."""


def is_archive(path: Path) -> bool:
    """Return whether ``path`` is a file with the suffix of an archive."""
    return path.name.lower().endswith(_ARCHIVE_SUFFIXES) and path.is_file()


def is_compressed_tar(path: Path) -> bool:
    """Return whether ``path`` is, or leads through, a compressed tar."""
    archive = path if is_archive(path) else _split(path)[0]
    return archive is not None and not archive.name.lower().endswith(_PLAIN_SUFFIXES)


def exists(path: Path) -> bool:
    """Return whether the file exists, in a folder or in an archive."""
    archive, member = _split(path)
    return path.is_file() if archive is None else str(member) in names(archive)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, in a folder or in an archive.

    Raises:
        ConfigError: The file is missing, or the archive is damaged.
    """
    archive_path, member = _split(path)
    try:
        if archive_path is None:
            return path.read_bytes()
        if archive_path.suffix.lower() == ".tar":
            return _read_tar_member(archive_path, str(member))
        archive = _open(archive_path, os.getpid())
        if isinstance(archive, zipfile.ZipFile):
            return archive.read(str(member))
        file = archive.extractfile(str(member))
        if file is None:
            raise ConfigError(f"{path}: a folder in the archive, not a file")
        with file:
            return file.read()
    except KeyError as error:
        raise ConfigError(f"{path}: not in the archive") from error
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{path}: not readable: {error}") from error


def _read_tar_member(archive: Path, name: str) -> bytes:
    start, size = _tar_index(archive)[name]
    with archive.open("rb") as file:
        file.seek(start)
        return file.read(size)


@cache
def _tar_index(archive: Path) -> Mapping[str, tuple[int, int]]:
    """Return name -> first byte and size of the files in a plain tar.

    Read once for all processes that are forked later, and kept for any number of archives: shards
    are read in random order.
    """
    with tarfile.open(archive, "r:") as file:
        return {member.name: (member.offset_data, member.size) for member in file if member.isreg()}


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image, ``(H, W, 3)`` uint8 RGB, rotated upright by its metadata.

    Raises:
        ConfigError: The file is missing, or not an image.
    """
    data = np.frombuffer(read_bytes(path), dtype=np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise ConfigError(f"{path}: not a readable image")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image, upright, from its header alone.

    Files in folders are also checked for a missing end.

    Raises:
        ConfigError: The file is missing, not an image, or cut off.
    """
    archive, inside = _split(path)
    try:
        with _open_member(archive, inside) if archive is not None else path.open("rb") as file:
            if archive is None:
                _check_end(path, file)
            with Image.open(file) as image:
                width, height = image.size
                is_turned = image.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
    except ConfigError:
        raise  # is a ValueError, too
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable image") from error
    except KeyError as error:
        raise ConfigError(f"{path}: not in the archive") from error
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{path}: not readable: {error}") from error
    return (height, width) if is_turned else (width, height)


def _check_end(path: Path, file: IO[bytes]) -> None:
    start = file.read(_START_BYTES)
    end = next((end for begins, end in _ENDS.items() if start.startswith(begins)), None)
    if end is not None:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        if end not in file.read():
            raise ConfigError(f"{path}: the end of the image is missing; copy it again")
    file.seek(0)


def _open_member(archive: Path, inside: PurePosixPath) -> IO[bytes]:
    opened = _open(archive, os.getpid())
    if isinstance(opened, zipfile.ZipFile):
        return opened.open(str(inside))
    file = opened.extractfile(str(inside))
    if file is None:
        raise ConfigError(f"{archive / inside}: a folder of the archive, not a file")
    return file


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Return the labels ``(H, W)`` of a label image: its gray levels or palette indices.

    Raises:
        ConfigError: The file is missing, not an image, or an image in color.
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


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return where the first channel of an image is not black, ``(H, W)``.

    Raises:
        ConfigError: The file is missing, or not an image.
    """
    return read_image(path)[:, :, 2] != 0


def list_images(root: Path) -> Iterator[Path]:
    """Yield the paths of all images below a folder or in an archive, sorted by name.

    Raises:
        ConfigError: ``root`` is neither.
    """
    if is_archive(root):
        listed = sorted(names(root))
        yield from (root / name for name in listed if _is_image(PurePosixPath(name)))
    elif root.is_dir():
        yield from sorted(path for path in root.rglob("*") if _is_image(path))
    else:
        raise ConfigError(f"{root}: neither a folder nor a zip or tar archive")


def _is_image(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _split(path: Path) -> tuple[Path | None, PurePosixPath]:
    """Return the archive that ``path`` leads through, and the path in it."""
    for parent in path.parents:
        if is_archive(parent):
            return parent, PurePosixPath(path.relative_to(parent).as_posix())
    return None, PurePosixPath()


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _open(archive: Path, process_id: int) -> zipfile.ZipFile | tarfile.TarFile:
    del process_id  # a key of the cache
    try:
        if archive.suffix.lower() == ".zip":
            return zipfile.ZipFile(archive)
        return tarfile.open(archive)
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConfigError(f"{archive}: not a readable archive: {error}") from error


def names(archive: Path) -> frozenset[str]:
    """Return the paths of the files in an archive.

    Raises:
        ConfigError: It is damaged.
    """
    try:
        return _names(archive)
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(f"{archive}: not a readable archive: {error}") from error


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _names(archive: Path) -> frozenset[str]:
    if archive.suffix.lower() == ".tar":
        return frozenset(_tar_index(archive))
    file = _open(archive, os.getpid())
    if isinstance(file, zipfile.ZipFile):
        return frozenset(name for name in file.namelist() if not name.endswith("/"))
    return frozenset(member.name for member in file.getmembers() if member.isfile())
