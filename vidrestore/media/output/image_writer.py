"""Writes frames as images with the source's bit depth and channels.

A frame that was read from an image file is written into a copy of that file: samples that did not
change, headers, tags and profiles stay the same, byte for byte.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import image_format
from vidrestore.media.images.color_models import CMYK
from vidrestore.media.images.image_file import replace_samples
from vidrestore.media.images.image_tags import ImageTags, encode_with_tags, read_tags
from vidrestore.media.images.jpeg import JPEG_QUALITY, jpeg_parameters
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import DisplayGeometry, Frame, Plane

SEGMENT_TIMES = "times"
"""File in the folder of a segment: times of the frames of a film, in seconds, as fractions."""
_NUMBER_DIGITS = 6
_TAGGED_SUFFIXES = (".jpg", ".jpeg", ".png")
_COPIED_FORMATS = ("dpx", "exr")
"""Formats that are written only as copies of source files, with new samples."""


class ImageSegmentWriter(SegmentWriter):
    """Writes every frame as an image.

    Images of a folder keep their names. Frames of a video become numbered PNG files, upright, but
    without the pixel aspect ratio.
    """

    def __init__(
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        is_single: bool = False,
    ) -> None:
        """Create the file or folder.

        Args:
            path: The folder to write, or the single image without its suffix.
            target: The output, as error messages name it; its suffix is the format of an image.
            info: The source of the frames.
            geometry: Display geometry of the frames.
            is_single: Whether one image is written and not a folder.

        Raises:
            MediaError: The format cannot store these frames, or ``path`` cannot be created.
        """
        self._path = path.with_name(path.name + target.suffix) if is_single else path
        self._geometry = geometry
        self._is_single = is_single
        self._source = None if info.kind == "film" else info.path
        self._has_noted_tags = False
        if is_single:
            _check_single(target, info)
        if info.codec == "exr" and geometry.coded_hw != info.geometry.coded_hw:
            raise MediaError(f"{target}: an .exr cannot be enlarged; leave out --background")
        with media_errors(target, "write"):
            if is_single:
                self._path.touch()
            else:
                self._path.mkdir()
        self._frame_count = 0
        self._times: list[str] | None = [] if info.kind == "film" else None
        super().__init__(target, _conversion_notes(target, info, geometry, is_single=is_single))

    def write(self, frame: Frame) -> None:
        """Queue a frame.

        Raises:
            MediaError: Writing this frame or an earlier one failed, or it is the second frame of a
                single image.
        """
        if self._is_single and self._frame_count:
            raise MediaError(
                f"{self._target}: a video cannot be written to one image; name a folder"
            )
        self._frame_count += 1
        super().write(frame)

    def _write_frame(self, frame: Frame) -> None:
        name = frame.source_name or f"frame_{frame.index + 1:0{_NUMBER_DIGITS}d}.png"
        path = self._path if self._is_single else self._path / name
        data = self._data_in_source_file(frame, path)
        with media_errors(self._target, "write"):
            path.write_bytes(self._new_file(frame, path) if data is None else data)
        if self._times is not None:
            self._times.append(f"{frame.timestamp.seconds}\n")

    def _finish_files(self) -> tuple[Path, ...]:
        if self._times is not None:
            (self._path / SEGMENT_TIMES).write_text("".join(self._times), encoding="ascii")
        files = (self._path,) if self._is_single else tuple(sorted(self._path.iterdir()))
        for path in files:
            with path.open("rb+") as file:
                flush_and_sync(file)
        return files

    def _close(self) -> None:
        """No file stays open."""

    def _data_in_source_file(self, frame: Frame, path: Path) -> bytes | None:
        """Return the source file with the samples of a frame; None if a new file is needed.

        Raises:
            MediaError: A new file is needed, but cannot be made.
        """
        source = self._source_file(frame)
        if source is None or image_format(source) != image_format(path):
            return None
        try:
            with media_errors(source):
                data = replace_samples(source, frame.pixel_format, frame.planes)
        except ImageFileError as error:
            raise MediaError(f"{source}: cannot be read as an image; {error}") from error
        if data is None and image_format(source) in _COPIED_FORMATS:
            raise MediaError(f"{source}: cannot store samples of {frame.pixel_format.name}")
        return data

    def _new_file(self, frame: Frame, path: Path) -> bytes:
        image = _interleaved(frame)
        suffix = path.suffix.lower()
        if frame.pixel_format.model == "yuv" or suffix not in _TAGGED_SUFFIXES:
            # The file will have no tag for the orientation.
            if self._geometry.mirrored:
                image = image[:, ::-1]
            image = np.rot90(image, k=-self._geometry.quarter_turns)
        source = self._source_file(frame)
        tags = ImageTags({}) if source is None else read_tags(source.read_bytes())
        if tags.blocks and suffix not in _TAGGED_SUFFIXES and not self._has_noted_tags:
            self._has_noted_tags = True
            self.notes.append(f"image tags (EXIF, profiles) are lost in {suffix}")
        return encoded_image(image, suffix, tags)

    def _source_file(self, frame: Frame) -> Path | None:
        """Return the image file that a frame was read from; None for frames of a video."""
        if self._source is None or not self._source.is_dir():
            return self._source
        return None if frame.source_name is None else self._source / frame.source_name


def _check_single(target: Path, info: VideoInfo) -> None:
    """Refuse an image format that cannot store the samples of the source.

    Raises:
        MediaError: It cannot.
    """
    suffix, output_format = target.suffix.lower(), image_format(target)
    if output_format in _COPIED_FORMATS and image_format(info.path) != output_format:
        raise MediaError(
            f"{target}: {suffix} output needs a {suffix} source, whose headers it keeps; "
            "write a TIFF or PNG"
        )
    if info.codec == "exr" and output_format != "exr":
        raise MediaError(f"{target}: {suffix} cannot store floating-point samples; write an .exr")


def _conversion_notes(
    target: Path, info: VideoInfo, geometry: DisplayGeometry, *, is_single: bool
) -> list[str]:
    notes: list[str] = []
    if info.pixel_format.model == "yuv":
        notes.append("frames are converted to RGB images")
    if geometry.sample_aspect_ratio != 1:
        notes.append("images cannot store the pixel aspect ratio")
    if info.codec == "jpg":
        notes.append(f"changed JPEG images are recompressed at quality {JPEG_QUALITY}")
    if info.metadata.get("color_model") == CMYK:
        notes.append("changed CMYK images are written as sRGB, without their profile")
    format_changes = is_single and image_format(info.path) != image_format(target)
    if info.color.transfer == PRINTING_DENSITY and format_changes:
        notes.append("the image stores printing density, and looks flat")
    return notes


def encoded_image(image: NDArray[np.generic], suffix: str, tags: ImageTags | None = None) -> bytes:
    """Return the bytes of an image file.

    Args:
        image: ``(h, w)`` or ``(h, w, channels)`` in OpenCV's order, uint8 or uint16.
        suffix: Suffix of the format.
        tags: EXIF and profiles, for formats that store them.

    Raises:
        MediaError: The format cannot store this image.
    """
    if suffix in (".jpg", ".jpeg", ".bmp") and image.dtype.name != "uint8":
        raise MediaError(f"{suffix} stores 8 bits, not 16; write a PNG or TIFF")
    parameters: Sequence[int] = ()
    if suffix in (".jpg", ".jpeg"):
        parameters = jpeg_parameters()
    elif suffix == ".png":
        parameters = (cv2.IMWRITE_PNG_COMPRESSION, 3)
    contiguous = cast("NDArray[np.uint8]", np.ascontiguousarray(image))
    if tags is not None and tags.blocks:
        tagged = encode_with_tags(suffix, contiguous, tags, list(parameters))
        if tagged is not None:
            return tagged
    is_encoded, data = cv2.imencode(suffix, contiguous, list(parameters))
    if not is_encoded:
        raise MediaError(f"OpenCV cannot write this image as {suffix}; write a PNG or TIFF")
    return data.tobytes()


def _interleaved(frame: Frame) -> NDArray[np.generic]:
    """Return a frame in OpenCV's layout: gray, BGR or BGRA of 8 or 16 bits."""
    pixel_format = frame.pixel_format
    if pixel_format.model == "yuv":
        return _bgr_of_yuv(frame)
    planes = [_scaled_to_16_bits(plane, pixel_format.bit_depth) for plane in frame.planes]
    if pixel_format.model == "gray":
        return planes[0]
    green, blue, red, *alpha = planes
    return np.asarray(cv2.merge([blue, green, red, *alpha]))


def _scaled_to_16_bits(plane: Plane, bit_depth: int) -> Plane:
    """Return samples of 9 to 15 bits as 16 bits, with the same share of full scale."""
    if bit_depth in (8, 16):
        return plane
    wide = plane.astype(np.uint32) << (16 - bit_depth)
    return (wide | (wide >> bit_depth)).astype(np.uint16)


def _bgr_of_yuv(frame: Frame) -> NDArray[np.generic]:
    height, width = frame.coded_hw
    rgb = region_to_rgb(frame, (0, 0, width, height))
    is_deep = frame.pixel_format.bit_depth > 8
    scaled = np.rint(rgb[:, :, ::-1] * (65535.0 if is_deep else 255.0))
    return scaled.astype(np.uint16 if is_deep else np.uint8)
