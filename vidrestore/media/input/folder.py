"""Image sequences and single images as sources: DPX, EXR, TIFF, PNG, JPEG and BMP."""

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


def natural_sort_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


def image_paths(path: Path) -> list[Path]:
    """Return the images of a folder in natural order, or the path of the single image.

    Raises:
        MediaError: The folder cannot be read, or has no image.
    """
    if not path.is_dir():
        return [path]
    with media_errors(path):
        # A broken link counts: without it a frame would be missing.
        images = [
            file
            for file in path.iterdir()
            if is_image_name(file)
            and not file.name.startswith(".")
            and (file.is_file() or (file.is_symlink() and not file.exists()))
        ]
    if broken := next((file for file in images if not file.exists()), None):
        raise MediaError(f"{broken}: broken link; repair it, or remove it from the folder")
    if not images:
        known = ", ".join(IMAGE_SUFFIXES)
        raise MediaError(
            f"{path}: no image in this folder ({known}); for films in it use vidrestore batch "
            f"{path} -o FOLDER"
        )
    return sorted(images, key=lambda file: natural_sort_key(file.name))


def missing_frame_numbers(path: Path) -> list[int]:
    """Return the numbers missing between the first and the last image of a folder.

    The number of an image is the last one in its name. None is missing if the names differ in
    anything else.

    Raises:
        MediaError: As ``image_paths``.
    """
    numbers_by_name: dict[tuple[str, str], set[int]] = {}
    for image in image_paths(path):
        parts = re.fullmatch(r"(.*?)(\d+)(\D*)", image.name)
        if parts is not None:
            numbers_by_name.setdefault((parts[1], parts[3]), set()).add(int(parts[2]))
    if len(numbers_by_name) != 1:
        return []
    (numbers,) = numbers_by_name.values()
    return sorted(set(range(min(numbers), max(numbers))) - numbers)


def load_image(path: Path) -> StillImage:
    """Return an image with its samples exactly as the file has them.

    Palettes become RGB. Gray with alpha becomes RGB with alpha.

    Raises:
        MediaError: It is not an image, or of a format or depth that is not supported.
    """
    try:
        with media_errors(path):
            return read_image(path)
    except ImageFileError as error:
        raise MediaError(f"{path}: cannot be read as an image; {error}") from error


def probe_images(path: Path, *, fps: Fraction) -> VideoInfo:
    """Describe an image sequence or an image; only the first file is read.

    Raises:
        MediaError: There is no image, or the first cannot be read.
        ConfigError: ``fps`` is not above 0.
    """
    if fps <= 0:
        raise ConfigError(f"fps must be > 0, got {fps}")
    paths = image_paths(path)
    first = load_image(paths[0])
    suffix = paths[0].suffix.lower()
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
        duration_seconds=float(len(paths) / fps),
        average_rate=fps,
        frame_count_estimate=len(paths),
        variable_rate=False,
        field_order="progressive",
        codec=codec,
        streams=(StreamInfo(index=0, kind="video", codec=codec),),
        metadata=first.metadata,
        timecode=first.metadata.get("timecode"),
        reel_name=first.metadata.get("reel_name"),
    )


class ImageSource:
    """An image sequence or an image as frames ``1 / fps`` apart, from time 0."""

    damaged_packets = repaired_timestamps = 0
    """Always 0: a damaged image is an error, so that no name goes missing."""

    def __init__(self, path: Path, *, time_range: TimeRange, fps: Fraction) -> None:
        self.info = probe_images(path, fps=fps)
        self.time_range = time_range
        self._paths = image_paths(path)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images in natural order of their names.

        Raises:
            MediaError: One cannot be read, or differs in size or format from the first.
        """
        return self._frames(0)

    def _frames(self, first_index: int) -> Iterator[Frame]:
        """Yield the frames of the time range, without the first ``first_index`` of them."""
        start, end = self.time_range.start_seconds, self.time_range.end_seconds
        index = -1
        for position, path in enumerate(self._paths):
            timestamp = Timestamp(position, self.info.time_base)
            if start is not None and timestamp.seconds < start:
                continue
            if end is not None and timestamp.seconds >= end:
                return
            index += 1
            if index < first_index:
                continue
            image = load_image(path)
            self._check_same(path, image.pixel_format, image.coded_hw)
            yield Frame(
                index=index,
                timestamp=timestamp,
                duration_ticks=1,
                planes=image.planes,
                pixel_format=image.pixel_format,
                color=image.color,
                source_name=path.name,
            )

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the frames of the time range from frame ``index`` on; others are not read.

        Raises:
            MediaError: There is no such frame; otherwise as iterating.
        """
        frames = self._frames(index)
        first = next(frames, None)
        if first is None or first.timestamp != timestamp:
            raise MediaError(
                f"{self.info.path}: image {index + 1} is missing; if the folder changed, "
                "start over with --overwrite"
            )
        yield first
        yield from frames

    def _check_same(self, path: Path, pixel_format: PixelFormat, hw: tuple[int, ...]) -> None:
        first = self.info
        if hw == first.geometry.coded_hw and pixel_format == first.pixel_format:
            return
        raise MediaError(
            f"{path}: is {hw[1]}x{hw[0]} {pixel_format.name}, but earlier images are "
            f"{first.format_text}; keep one size and format in a folder"
        )
