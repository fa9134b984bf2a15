"""Folders of pictures and single pictures as sources: DPX, EXR, TIFF, PNG, JPEG and BMP."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import IMAGE_SUFFIXES, is_image_name
from vidrestore.media.images.image_file import read_image
from vidrestore.media.images.still_image import ImageFileError, StillImage
from vidrestore.media.input.video_info import StreamInfo, VideoInfo
from vidrestore.types import DisplayGeometry, Frame, PixelFormat, Timestamp
from vidrestore.types.time_range import TimeRange


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
        found = [each for each in path.iterdir() if is_image_name(each) and _is_meant(each)]
    found = [each for each in found if not each.name.startswith(".")]
    if broken := next((each for each in found if not each.exists()), None):
        raise MediaError(f"{broken}: is a broken link; repair it, or remove it from the folder")
    if not found:
        known = ", ".join(IMAGE_SUFFIXES)
        raise MediaError(
            f"{path}: no image in this folder ({known}); for films in it use vidrestore batch "
            f"{path} -o FOLDER"
        )
    return sorted(found, key=lambda each: natural_key(each.name))


def missing_numbers(path: Path) -> list[int]:
    """Return the numbers that are missing between the first and the last image of a folder.

    The number is the last one in a name; nothing is missing where the rest of the names differs.

    Raises:
        MediaError: As ``pictures_of``.
    """
    found: dict[tuple[str, str], set[int]] = {}
    for image in pictures_of(path):
        parts = re.fullmatch(r"(.*?)(\d+)(\D*)", image.name)
        if parts is not None:
            found.setdefault((parts[1], parts[3]), set()).add(int(parts[2]))
    if len(found) != 1:
        return []
    (numbers,) = found.values()
    return sorted(set(range(min(numbers), max(numbers))) - numbers)


def _is_meant(path: Path) -> bool:
    """Whether a name stands for a picture; a link to nowhere does, as a frame would go missing."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def read_picture(path: Path) -> StillImage:
    """Return a picture with its samples exactly as the file has them.

    Palettes become RGB. Gray with alpha becomes RGB with alpha.

    Raises:
        MediaError: It is not a picture of a kind and depth that are read here.
    """
    try:
        with media_errors(path):
            return read_image(path)
    except ImageFileError as error:
        raise MediaError(f"{path}: cannot be read as a picture; {error}") from error


def probe_pictures(path: Path, *, fps: Fraction) -> VideoInfo:
    """Describe a folder of pictures or a single picture; only the first one is read.

    Raises:
        MediaError: There is no picture, or the first cannot be read.
        ConfigError: ``fps`` is not above 0.
    """
    if fps <= 0:
        raise ConfigError(f"fps must be > 0, got {fps}")
    pictures = pictures_of(path)
    first = read_picture(pictures[0])
    suffix = pictures[0].suffix.lower()
    codec = {".jpeg": "jpg", ".tiff": "tif"}.get(suffix, suffix[1:])
    return VideoInfo(
        path=path,
        kind="folder" if path.is_dir() else "picture",
        container=suffix[1:],
        geometry=DisplayGeometry(
            coded_hw=first.coded_hw,
            sample_aspect_ratio=first.sample_aspect_ratio,
            quarter_turns=first.orientation.quarter_turns,
            mirrored=first.orientation.mirrored,
        ),
        pixel_format_name=first.pixel_format.name,
        pixel_format=first.pixel_format,
        color=first.color,
        time_base=1 / fps,
        duration_seconds=float(len(pictures) / fps),
        average_rate=fps,
        frame_count_estimate=len(pictures),
        variable_rate=False,
        field_order="progressive",
        codec=codec,
        streams=(StreamInfo(index=0, kind="video", codec=codec),),
        metadata=first.metadata,
        timecode=first.metadata.get("timecode"),
        reel_name=first.metadata.get("reel_name"),
    )


class ImageSource:
    """A folder of pictures, or one picture, as frames ``1 / fps`` apart, from time 0."""

    def __init__(self, path: Path, *, time_range: TimeRange, fps: Fraction) -> None:
        self.info = probe_pictures(path, fps=fps)
        self.time_range = time_range
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
        return self._frames(0)

    def _frames(self, first_index: int) -> Iterator[Frame]:
        """Yield the pictures wanted, but for so many of the first."""
        start, end = self.time_range.start_seconds, self.time_range.end_seconds
        index = -1
        for position, path in enumerate(self._pictures):
            timestamp = Timestamp(position, self.info.time_base)
            if start is not None and timestamp.seconds < start:
                continue
            if end is not None and timestamp.seconds >= end:
                return
            index += 1
            if index < first_index:
                continue
            picture = read_picture(path)
            self._check_same(path, picture.pixel_format, picture.coded_hw)
            yield Frame(
                index=index,
                timestamp=timestamp,
                duration_ticks=1,
                planes=picture.planes,
                pixel_format=picture.pixel_format,
                color=picture.color,
                source_name=path.name,
            )

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the pictures from number ``index`` of those wanted on; only they are read.

        Raises:
            MediaError: There are not so many any more; otherwise as iterating.
        """
        frames = self._frames(index)
        first = next(frames, None)
        if first is None or first.timestamp != timestamp:
            raise MediaError(
                f"{self.info.path}: picture {index + 1} is missing; if the folder was changed, "
                "start over with --overwrite"
            )
        yield first
        yield from frames

    def _check_same(self, path: Path, pixel_format: PixelFormat, hw: tuple[int, ...]) -> None:
        expected = self.info
        if hw == expected.geometry.coded_hw and pixel_format == expected.pixel_format:
            return
        height, width = expected.geometry.coded_hw
        raise MediaError(
            f"{path}: is {hw[1]}x{hw[0]} {pixel_format.name}, but the pictures before are "
            f"{width}x{height} {expected.pixel_format.name}; keep one size and format in a folder"
        )
