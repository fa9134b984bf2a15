"""Before and after in one frame, in the planes and the geometry of the source."""

from dataclasses import replace

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.types import DisplayGeometry, Frame, PixelFormat, Plane


def side_by_side(before: Frame, after: Frame, geometry: DisplayGeometry) -> Frame:
    """Return ``before`` and ``after`` next to each other as a viewer sees them.

    The frames are joined in coded samples, along the axis that is horizontal on screen. ``before``
    is on the left also if the player mirrors or rotates the film.

    Raises:
        MediaError: The two differ in size or format.
    """
    if before.coded_hw != after.coded_hw or before.pixel_format != after.pixel_format:
        raise MediaError("before and after differ in size or pixel format")
    pair = (after, before) if _reads_backwards(geometry) else (before, after)
    axis = 0 if geometry.quarter_turns % 2 else 1
    size = side_by_side_geometry(geometry, before.pixel_format).coded_hw
    planes: list[Plane] = []
    for index, parts in enumerate(zip(pair[0].planes, pair[1].planes, strict=True)):
        half = before.pixel_format.plane_hw(index, size)[axis] // 2
        planes.append(
            np.concatenate([part.take(np.arange(half), axis=axis) for part in parts], axis)
        )
    return after.with_planes(tuple(planes))


def side_by_side_geometry(geometry: DisplayGeometry, pixel_format: PixelFormat) -> DisplayGeometry:
    """Return the display geometry of the frames that ``side_by_side`` returns.

    Each half is cut to whole chroma samples, so that they meet between two.
    """
    height, width = geometry.coded_hw
    step_x, step_y = (1 << shift for shift in pixel_format.chroma_shift_xy)
    if geometry.quarter_turns % 2:
        return replace(geometry, coded_hw=(2 * (height // step_y * step_y), width))
    return replace(geometry, coded_hw=(height, 2 * (width // step_x * step_x)))


def _reads_backwards(geometry: DisplayGeometry) -> bool:
    """Whether growing coded coordinates run to the left on screen, along the joined axis."""
    axis = 1 if geometry.quarter_turns % 2 else 0
    return bool(geometry.coded_to_display()[0, axis] < 0)
