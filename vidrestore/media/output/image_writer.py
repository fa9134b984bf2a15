"""Writes frames as a folder of pictures, or as one, keeping bit depth and channels.

A frame that came from a picture file goes back into a copy of that file: what did not change stays,
byte for byte, and so do headers, tags and profiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.images.image_file import replace_samples
from vidrestore.media.images.image_tags import PictureTags, encoded_with_tags, tags_of
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.prefetch import BackgroundWriter
from vidrestore.types import DisplayGeometry, Frame, Plane

_FRAMES_WAITING = 4
_JPEG_QUALITY = 98
_DIGITS = 6
_TAGGED_SUFFIXES = (".jpg", ".jpeg", ".png")
# Written only into what a file of the same kind holds beside samples.
_NEVER_NEW = (".dpx", ".exr")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    path: Path
    frame: Frame


class ImageWriter:
    """Writes every frame as a picture, on its own thread.

    Pictures of a folder keep their names; those of a film are numbered PNGs, upright, as a
    viewer would see them but for the pixels' aspect.
    """

    def __init__(
        self, path: Path, *, target: Path, info: VideoInfo, geometry: DisplayGeometry
    ) -> None:
        self.notes: list[str] = []
        self.frame_count = 0
        self._path = path
        self._target = target
        self._geometry = geometry
        self._single = not path.is_dir()
        self._source = None if info.kind == "film" else info.path
        if info.pixel_format.model == "yuv":
            self.notes.append("frames are converted to RGB pictures")
        if geometry.sample_aspect_ratio != 1:
            self.notes.append("pictures cannot hold the aspect of the film's pixels")
        if info.codec in ("jpg",):
            self.notes.append(
                f"JPEG pictures that changed are recompressed, at quality {_JPEG_QUALITY}"
            )
        self._noted_tags = False
        self._check_kind(info)
        if info.color.transfer == PRINTING_DENSITY and self._kind_changes(info):
            self.notes.append("pictures hold printing density, and look flat")
        self._behind = BackgroundWriter(self._write, size=_FRAMES_WAITING)

    def _check_kind(self, info: VideoInfo) -> None:
        """Refuse now what could be written from a file of the same kind only."""
        suffix = self._target.suffix.lower()
        if self._single and suffix in _NEVER_NEW and _kind_of(info.path) != suffix:
            raise MediaError(
                f"{self._target}: {suffix} is written only from {suffix}, whose headers it keeps; "
                "name a TIFF or PNG"
            )
        if info.codec == "exr" and self._single and suffix != ".exr":
            raise MediaError(
                f"{self._target}: {suffix} cannot hold floating-point pictures; name an .exr"
            )
        if info.codec == "exr" and self._geometry.coded_hw != info.geometry.coded_hw:
            raise MediaError(f"{self._target}: an .exr cannot be enlarged; leave out --background")

    def _kind_changes(self, info: VideoInfo) -> bool:
        return self._single and _kind_of(info.path) != _kind_of(self._target)

    @property
    def encode_seconds(self) -> float:
        """How long frames were encoded so far, on the thread of this sink."""
        return self._behind.busy_seconds

    def write(self, frame: Frame) -> None:
        """Queue a frame.

        Raises:
            MediaError: Writing failed, of this frame or of one before.
        """
        if self._single and self.frame_count:
            raise MediaError(f"{self._target}: one picture cannot hold a film; name a folder")
        name = frame.source_name or f"frame_{frame.index + 1:0{_DIGITS}d}.png"
        path = self._path if self._single else self._path / name
        self._behind.put(_Named(path=path, frame=frame))
        self.frame_count += 1

    def finish(self) -> None:
        """Wait until every picture is written."""
        self._behind.finish()

    def abandon(self) -> None:
        """Stop at once."""
        self._behind.abandon()

    def close(self) -> None:
        """Nothing is held open."""

    def _write(self, named: _Named) -> None:
        kept = self._kept(named)
        if kept is None:
            self._write_anew(named)
            return
        with media_errors(self._target, "write"):
            named.path.write_bytes(kept)

    def _kept(self, named: _Named) -> bytes | None:
        """Return the source's file with the samples of a frame; None if a new file must be made.

        Raises:
            MediaError: It must be, and cannot.
        """
        path = self._source_file(named.frame)
        if path is None or _kind_of(path) != _kind_of(named.path):
            return None
        with media_errors(path):
            data = path.read_bytes()
        try:
            kept = replace_samples(data, named.frame.pixel_format, named.frame.planes)
        except ImageFileError as error:
            raise MediaError(f"{path}: cannot be read as a picture; {error}") from error
        if kept is None and _kind_of(path) in _NEVER_NEW:
            raise MediaError(f"{path}: cannot hold pictures of {named.frame.pixel_format.name}")
        return kept

    def _write_anew(self, named: _Named) -> None:
        picture = _interleaved(named.frame)
        suffix = named.path.suffix.lower()
        if named.frame.pixel_format.model == "yuv" or suffix not in _TAGGED_SUFFIXES:
            # Nothing in the file will state the picture's orientation.
            if self._geometry.mirrored:
                picture = picture[:, ::-1]
            picture = np.rot90(picture, k=-self._geometry.quarter_turns)
        with media_errors(self._target, "write"):
            tags = self._tags(named.frame)
            named.path.write_bytes(encoded_picture(picture, suffix, tags))
            if tags.blocks and suffix not in _TAGGED_SUFFIXES and not self._noted_tags:
                self._noted_tags = True
                self.notes.append(f"tags of the pictures (EXIF, profiles) are lost in {suffix}")

    def _tags(self, frame: Frame) -> PictureTags:
        path = self._source_file(frame)
        return PictureTags({}) if path is None else tags_of(path.read_bytes())

    def _source_file(self, frame: Frame) -> Path | None:
        """Return the picture that a frame was; None where it was a film's."""
        if self._source is None or not self._source.is_dir():
            return self._source
        return None if frame.source_name is None else self._source / frame.source_name


def _kind_of(path: Path) -> str:
    suffix = path.suffix.lower()
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)


def encoded_picture(
    picture: NDArray[np.generic], suffix: str, tags: PictureTags | None = None
) -> bytes:
    """Return the bytes of a picture file.

    Args:
        picture: ``(h, w)`` or ``(h, w, channels)`` in OpenCV's order, uint8 or uint16.
        suffix: Which kind of file.
        tags: What to write beside the samples, where that kind of file holds it.

    Raises:
        MediaError: That kind cannot hold this picture.
    """
    if suffix in (".jpg", ".jpeg", ".bmp") and picture.dtype.name != "uint8":
        raise MediaError(f"{suffix} holds only 8 bits, not 16; name a PNG or TIFF")
    parameters: Sequence[int] = ()
    if suffix in (".jpg", ".jpeg"):
        parameters = (
            cv2.IMWRITE_JPEG_QUALITY,
            _JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        )
    elif suffix == ".png":
        parameters = (cv2.IMWRITE_PNG_COMPRESSION, 3)
    whole = cast("NDArray[np.uint8]", np.ascontiguousarray(picture))
    if tags is not None and tags.blocks:
        tagged = encoded_with_tags(suffix, whole, tags, list(parameters))
        if tagged is not None:
            return tagged
    done, data = cv2.imencode(suffix, whole, list(parameters))
    if not done:
        raise MediaError(f"OpenCV cannot write this picture as {suffix}; name a PNG or TIFF")
    return data.tobytes()


def _interleaved(frame: Frame) -> NDArray[np.generic]:
    """Return a frame in OpenCV's layout: gray, BGR or BGRA of 8 or 16 bits."""
    pixel_format = frame.pixel_format
    if pixel_format.model == "yuv":
        return _rgb_of_yuv(frame)
    planes = [_whole_depth(plane, pixel_format.bit_depth) for plane in frame.planes]
    if pixel_format.model == "gray":
        return planes[0]
    green, blue, red, *alpha = planes
    return np.asarray(cv2.merge([blue, green, red, *alpha]))


def _whole_depth(plane: Plane, bit_depth: int) -> Plane:
    """Return samples of 9 to 15 bits as 16, as large a part of full scale."""
    if bit_depth in (8, 16):
        return plane
    wide = plane.astype(np.uint32) << (16 - bit_depth)
    return (wide | (wide >> bit_depth)).astype(np.uint16)


def _rgb_of_yuv(frame: Frame) -> NDArray[np.generic]:
    height, width = frame.coded_hw
    rgb = region_to_rgb(frame, (0, 0, width, height))
    deep = frame.pixel_format.bit_depth > 8
    scaled = np.rint(rgb[:, :, ::-1] * (65535.0 if deep else 255.0))
    return scaled.astype(np.uint16 if deep else np.uint8)
