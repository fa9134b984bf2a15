"""A film and its restoration side by side, for the scripts that compare the two."""

import argparse
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.tracking.buffered_frame import VIEW_MAX_SIDE_PX
from vidrestore.media.color.matrices import luma_weights, sample_range
from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.color.region_rgb import aligned_box, region_sdr_rgb
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.media.input.source import Source, open_source
from vidrestore.pipeline.field_plan import plan_fields
from vidrestore.pipeline.field_stages import FieldMode
from vidrestore.pipeline.loading.load_models import load_detector
from vidrestore.types import Box, Detection, DisplayGeometry, FloatArray, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film, folder of frames or image, and how its frames are shown."""

    path: Path
    source: Source
    fields: FieldMode

    @property
    def geometry(self) -> DisplayGeometry:
        """Orientation and pixel shape of its frames."""
        return self.source.info.geometry

    def shown(self, frame: Frame) -> Frame:
        """Return ``frame``, or the first field of an interlaced one."""
        return next(self.fields.split([frame]))


@contextmanager
def open_container(
    path: Path, *, start_seconds: Fraction | None = None, end_seconds: Fraction | None = None
) -> Generator[Film]:
    """Open a film, folder of frames or image, or a time range of it.

    Raises:
        MediaError: It is missing, or cannot be read.
    """
    with open_source(path, start_seconds=start_seconds, end_seconds=end_seconds) as source:
        plan = plan_fields(source, deinterlace="auto", pulldown=False)
        yield Film(path=path, source=source, fields=plan.mode)


def paired_frames(before: Film, after: Film) -> Iterator[tuple[Frame, Frame]]:
    """Yield the frames of both films, in order.

    Raises:
        ConfigError: The films differ in shape, or one has more frames than the other.
    """
    check_same_shape(before, after)
    for number, (one, other) in enumerate(zip_longest(before.source, after.source)):
        if one is None or other is None:
            shorter = before if one is None else after
            raise ConfigError(
                f"{shorter.path}: ends after {number} frames, before the other film does; name the "
                "source of this result, and pass the --start and --end that it was made with"
            )
        yield before.shown(one), after.shown(other)


def check_same_shape(before: Film, after: Film) -> None:
    """Refuse two films with different aspect ratios; their sizes may differ.

    Raises:
        ConfigError: The aspect ratios differ.
    """
    (height, width), (other_height, other_width) = (
        film.geometry.display_hw for film in (before, after)
    )
    # Containers store pixel aspect ratios rounded.
    if abs(width * other_height / height - other_width) > 2 * max(1, other_height / height):
        raise ConfigError(
            f"{after.path}: is {other_width}x{other_height}, but {before.path} is "
            f"{width}x{height}, which has another aspect ratio; name the source of this result"
        )


def embedded_detector() -> Detector:
    """Return the packaged detector, on the CPU."""
    return load_detector("mtcnn", device=torch.device("cpu"))


def faces_in(frame: Frame, geometry: DisplayGeometry, detector: Detector) -> list[Detection]:
    """Return the faces of a frame in display pixels, largest first."""
    view = preview_rgb(frame, geometry.of(frame), VIEW_MAX_SIDE_PX)
    (faces,) = detector.detect([view.rgb_hwc])
    return sorted((face.mapped(view.view_to_display) for face in faces), key=side_px, reverse=True)


def side_px(face: Detection) -> float:
    """Return the longer side of a face's box."""
    left, top, right, bottom = face.box_xyxy
    return max(right - left, bottom - top)


def scaled_box(box_xyxy: Box, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Box:
    """Return a box scaled to the frame in another size, in whole pixels."""
    ratio_y, ratio_x = (to / from_ for to, from_ in zip(to_hw, from_hw, strict=True))
    left, top, right, bottom = box_xyxy
    return (
        round(left * ratio_x),
        round(top * ratio_y),
        round(right * ratio_x),
        round(bottom * ratio_y),
    )


def luma_levels(frame: Frame, geometry: DisplayGeometry, box_xyxy: Box) -> FloatArray:
    """Return the upright luma of a box, ``(h, w)`` float32, in whole levels from 0 to 255.

    For HDR, wide primaries and RGB it is the luma of the SDR view. Rounding to the levels of an
    8-bit screen makes films of different bit depths comparable: gradients of flat skin are a few
    levels, so their percentile depends on the size of a level.

    Args:
        frame: A frame, or a field.
        geometry: Orientation and pixel shape of the frames.
        box_xyxy: Display pixels, right and bottom exclusive; clipped to the frame.

    Raises:
        ConfigError: The box is outside the frame.
    """
    left, top, right, bottom = _coded_box(frame, geometry, box_xyxy)
    around = aligned_box(frame, (left, top, right, bottom))
    if around is None or min(right - left, bottom - top) < 2:
        raise ConfigError(f"the face at {box_xyxy} is outside the frame")
    if frame.pixel_format.model != "rgb" and sdr_view(frame.color) is None:
        levels = sample_range(frame.pixel_format, frame.color)
        luma = frame.planes[0][top:bottom, left:right].astype(np.float32) - np.float32(levels.black)
        luma *= np.float32(255 / levels.span)
    else:
        weights = luma_weights(frame.color, frame.whole_hw) * np.float32(255)
        rows = slice(top - around[1], bottom - around[1])
        luma = (region_sdr_rgb(frame, around) @ weights)[rows, left - around[0] : right - around[0]]
    if geometry.mirrored:
        luma = luma[:, ::-1]
    return np.ascontiguousarray(np.rot90(np.rint(luma), k=-geometry.quarter_turns))


def _coded_box(frame: Frame, geometry: DisplayGeometry, box_xyxy: Box) -> Box:
    """Return the samples whose centers are in a box of display pixels."""
    matrix = geometry.of(frame).coded_to_display()
    corners = np.array([box_xyxy[:2], box_xyxy[2:]]) - [[0], [1]] - matrix[:, 2]
    coded = np.round(corners @ np.linalg.inv(matrix[:, :2]).T, 6)
    (left, top), (right, bottom) = np.ceil(coded.min(axis=0)), np.floor(coded.max(axis=0)) + 1
    height, width = frame.coded_hw
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def add_film_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two films, and the time range of the first that was restored."""
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="film, folder of frames, or image"
    )
    parser.add_argument("result", type=Path, metavar="RESULT", help="its restoration")
    for name in ("start", "end"):
        parser.add_argument(
            f"--{name}",
            type=Fraction,
            metavar="SECONDS",
            help=f"--{name} that RESULT was made with",
        )
