"""Folders of pictures and single pictures as sources: PNG, JPEG, TIFF and BMP, 8 and 16 bit."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.formats import PLANAR
from vidrestore.media.info import StreamInfo, VideoInfo
from vidrestore.media.picture_tags import tags_of
from vidrestore.media.timing import Cut
from vidrestore.media.translate import media_errors
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, Plane, Timestamp

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_PICTURE_COLOR = ColorTags(matrix=0, primaries=1, transfer=13, full_range=True, range_known=True)
_PNG_START, _PNG_END = b"\x89PNG", b"IEND"
_BY_CHANNELS = {1: "gray", 3: "gbrp", 4: "gbrap"}


def is_picture_name(path: Path) -> bool:
    """Whether a name ends like a picture's."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


def pictures_of(path: Path) -> list[Path]:
    """Return the pictures of a folder in natural order, or the picture itself.

    Raises:
        MediaError: The folder cannot be read, or has no picture.
    """
    if not path.is_dir():
        return [path]
    with media_errors(path):
        found = [each for each in path.iterdir() if is_picture_name(each) and each.is_file()]
    found = [each for each in found if not each.name.startswith(".")]
    if not found:
        known = ", ".join(PICTURE_SUFFIXES)
        raise MediaError(f"{path}: no picture in this folder; frames must be named {known}")
    return sorted(found, key=lambda each: natural_key(each.name))


def read_picture(path: Path) -> tuple[PixelFormat, tuple[Plane, ...]]:
    """Return the samples of a picture as read-only planes, exactly as the file has them.

    Palettes become RGB. Gray with alpha becomes RGB with alpha.

    Raises:
        MediaError: It is not a picture of 8 or 16 bits that OpenCV reads.
    """
    with media_errors(path):
        data = path.read_bytes()
    picture = _decoded(data)
    if picture is None:
        raise MediaError(f"{path}: cannot be read as a picture; it is damaged, get another copy")
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if picture.dtype.name not in ("uint8", "uint16") or channels not in _BY_CHANNELS:
        raise MediaError(
            f"{path}: {channels} channels of {picture.dtype} are not supported; "
            "convert it to gray or RGB of 8 or 16 bits"
        )
    deep = "16le" if picture.dtype == np.uint16 else ""
    pixel_format = PLANAR[_BY_CHANNELS[channels] + deep]
    order = {1: (0,), 3: (1, 0, 2), 4: (1, 0, 2, 3)}[channels]
    cube = picture.reshape(*picture.shape[:2], channels)
    planes = tuple(_own(cube[:, :, at]) for at in order)
    return pixel_format, planes


def _decoded(data: bytes) -> NDArray[np.generic] | None:
    """Return a picture in OpenCV's order; None where it is damaged."""
    if not data or (data.startswith(_PNG_START) and _PNG_END not in data[-64:]):
        # libpng would complain on the terminal, past OpenCV's log.
        return None
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def _own(samples: NDArray[np.generic]) -> Plane:
    plane: Plane = np.array(samples, order="C")  # pyright: ignore[reportAssignmentType]
    plane.flags.writeable = False
    return plane


def picture_color(pixel_format: PixelFormat) -> ColorTags:
    """Return the colour tags of a picture: sRGB, full range."""
    if pixel_format.model == "rgb":
        return _PICTURE_COLOR
    return ColorTags(primaries=1, transfer=13, full_range=True, range_known=True)


def probe_pictures(path: Path, *, fps: Fraction) -> VideoInfo:
    """Return what a folder of pictures or a picture holds; the first one is read.

    Raises:
        MediaError: There is no picture, or the first cannot be read.
        ConfigError: ``fps`` is not above 0.
    """
    if fps <= 0:
        raise ConfigError(f"fps must be > 0, got {fps}")
    pictures = pictures_of(path)
    pixel_format, planes = read_picture(pictures[0])
    height, width = planes[0].shape
    mirrored, quarter_turns = tags_of(pictures[0].read_bytes()).lies
    suffix = pictures[0].suffix.lower()
    codec = {".jpeg": "jpg", ".tiff": "tif"}.get(suffix, suffix[1:])
    return VideoInfo(
        path=path,
        kind="folder" if path.is_dir() else "picture",
        container=suffix[1:],
        geometry=DisplayGeometry(
            coded_hw=(height, width), quarter_turns=quarter_turns, mirrored=mirrored
        ),
        pixel_format_name=pixel_format.name,
        pixel_format=pixel_format,
        color=picture_color(pixel_format),
        time_base=1 / fps,
        duration_seconds=float(len(pictures) / fps),
        average_rate=fps,
        frame_count_estimate=len(pictures),
        variable_rate=False,
        field_order="progressive",
        codec=codec,
        streams=(StreamInfo(index=0, kind="video", codec=codec),),
        metadata={},
    )


class PictureSource:
    """A folder of pictures, or one picture, as frames ``1 / fps`` apart, from time 0."""

    def __init__(self, path: Path, *, cut: Cut, fps: Fraction) -> None:
        self.info = probe_pictures(path, fps=fps)
        self.cut = cut
        self._pictures = pictures_of(path)

    @property
    def damaged_packets(self) -> int:
        """Always 0: a damaged picture is an error, as a name would go missing."""
        return 0

    @property
    def repaired_timestamps(self) -> int:
        """Always 0."""
        return 0

    def close(self) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures in natural order of their names.

        Raises:
            MediaError: One cannot be read, or differs in size or format from the first.
        """
        start, end = self.cut.start_seconds, self.cut.end_seconds
        index = 0
        for position, path in enumerate(self._pictures):
            timestamp = Timestamp(position, self.info.time_base)
            if start is not None and timestamp.seconds < start:
                continue
            if end is not None and timestamp.seconds >= end:
                return
            pixel_format, planes = read_picture(path)
            self._check_same(path, pixel_format, planes[0].shape)
            yield Frame(
                index=index,
                timestamp=timestamp,
                duration_ticks=1,
                planes=planes,
                pixel_format=pixel_format,
                color=picture_color(pixel_format),
                source_name=path.name,
            )
            index += 1

    def _check_same(self, path: Path, pixel_format: PixelFormat, hw: tuple[int, ...]) -> None:
        expected = self.info
        if hw == expected.geometry.coded_hw and pixel_format == expected.pixel_format:
            return
        height, width = expected.geometry.coded_hw
        raise MediaError(
            f"{path}: {hw[1]}x{hw[0]} {pixel_format.name}, but the pictures before are "
            f"{width}x{height} {expected.pixel_format.name}; keep one size and kind in a folder"
        )
