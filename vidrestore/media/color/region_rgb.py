"""Converts a region of a frame to RGB, and changes of its RGB back to samples.

Only *differences* are converted back: a color matrix is linear, so the change of the samples is
the matrix times the change of RGB. A region that a restorer did not change therefore keeps every
sample exactly, whatever its matrix, range or chroma subsampling.

There are two kinds of RGB: that of the video, and that of the *SDR view* for the networks. They
differ only for HDR, wide primaries and linear light (see ``sdr_view``).
"""

import cv2
import numpy as np

from vidrestore.media.color.chroma_resampling import chroma_region, shrink_to_chroma
from vidrestore.media.color.matrices import color_matrix, luma_weights, sample_range
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import (
    FloatArray,
    Frame,
    Plane,
)

PLANES_OF_CHANNELS = {"yuv": (0, 1, 2), "rgb": (2, 0, 1), "gray": (0, 0, 0)}
"""The planes of R, G and B, or of Y, Cb and Cr, by color model."""


def aligned_box(
    frame: Frame, box_xyxy: tuple[float, float, float, float]
) -> tuple[int, int, int, int] | None:
    """Return the smallest box of whole chroma samples around ``box_xyxy``, inside the frame.

    Args:
        frame: The frame.
        box_xyxy: Coded pixels, right and bottom exclusive.

    Returns:
        Coded integer pixels, or None if the box is outside the frame.
    """
    height, width = frame.coded_hw
    step_x, step_y = (1 << shift for shift in frame.pixel_format.chroma_shift_xy)
    left = max(0, int(np.floor(box_xyxy[0] / step_x)) * step_x)
    top = max(0, int(np.floor(box_xyxy[1] / step_y)) * step_y)
    right = min(width, int(np.ceil(box_xyxy[2] / step_x)) * step_x)
    bottom = min(height, int(np.ceil(box_xyxy[3] / step_y)) * step_y)
    return (left, top, right, bottom) if right > left and bottom > top else None


def region_to_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w, 3)`` float32 RGB of the video in a box, clipped to [0, 1].

    Args:
        frame: The frame.
        box_xyxy: From ``aligned_box``, coded pixels.
    """
    rgb = _video_rgb(frame, box_xyxy)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def region_sdr_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w, 3)`` float32 RGB of a box for the networks, clipped to [0, 1].

    Args:
        frame: The frame.
        box_xyxy: From ``aligned_box``, coded pixels.
    """
    view = sdr_view(frame.color)
    rgb = _video_rgb(frame, box_xyxy)
    if view is not None:
        rgb = view.to_view(rgb)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def region_luma(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w)`` float32 luma of the video in a box; black is 0, white 1.

    Args:
        frame: The frame.
        box_xyxy: From ``aligned_box``.
    """
    left, top, right, bottom = box_xyxy
    if frame.pixel_format.model == "rgb":
        weights = luma_weights(frame.color, frame.whole_hw)
        samples = cv2.transform(_plane_samples(frame, box_xyxy), weights[None, :])
    else:
        samples = frame.planes[0][top:bottom, left:right].astype(np.float32)
    span = sample_range(frame.pixel_format, frame.color)
    luma = (np.asarray(samples) - np.float32(span.black)) * np.float32(1.0 / span.span)
    return np.asarray(luma, dtype=np.float32)


def add_luma_change(
    planes: list[Plane], frame: Frame, box_xyxy: tuple[int, int, int, int], change_hw: FloatArray
) -> None:
    """Add a change of ``region_luma`` to a box of ``planes``, in place; in RGB, to all three."""
    span = sample_range(frame.pixel_format, frame.color).span
    for plane in range(3 if frame.pixel_format.model == "rgb" else 1):
        top = frame.pixel_format.max_value
        _add(planes[plane], box_xyxy, change_hw * np.float32(span), max_value=top)


def _video_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    left, top, right, bottom = box_xyxy
    pixel_format = frame.pixel_format
    if pixel_format.model != "yuv":
        return rgb_of_samples(_plane_samples(frame, box_xyxy), frame)
    luma = frame.planes[0][top:bottom, left:right].astype(np.float32)
    chroma = [chroma_region(frame, plane, box_xyxy) for plane in (1, 2)]
    return rgb_of_samples(np.asarray(cv2.merge([luma, *chroma]), dtype=np.float32), frame)


def _plane_samples(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w, 3)`` samples of R, G and B, or three times gray."""
    left, top, right, bottom = box_xyxy
    order = PLANES_OF_CHANNELS[frame.pixel_format.model]
    channels = [frame.planes[plane][top:bottom, left:right] for plane in order]
    return np.asarray(cv2.merge(channels), dtype=np.float32)


def rgb_of_samples(samples_hwc: FloatArray, frame: Frame) -> FloatArray:
    """Return RGB, not clipped, of samples in the order Y Cb Cr or R G B."""
    if frame.pixel_format.model == "yuv":
        matrix = color_matrix(frame.pixel_format, frame.color, frame.whole_hw)
        return np.asarray(cv2.transform(samples_hwc, matrix.to_rgb), dtype=np.float32)
    span = sample_range(frame.pixel_format, frame.color)
    scale = np.float32(1.0 / span.span)
    return (samples_hwc - np.float32(span.black)) * scale if span.black else samples_hwc * scale


def add_rgb_change(
    planes: list[Plane],
    frame: Frame,
    box_xyxy: tuple[int, int, int, int],
    change_rgb: FloatArray,
    *,
    keep_chroma: bool,
) -> None:
    """Add a change of the SDR view to a box of ``planes``, in place; where it is 0, samples stay.

    Args:
        planes: Writable copies of the frame's planes.
        frame: The frame.
        box_xyxy: From ``aligned_box``.
        change_rgb: ``(h, w, 3)`` float32 difference of ``region_sdr_rgb``.
        keep_chroma: Change only luma, for black-and-white and tinted footage. In RGB frames the
            change of luma is added to all three planes.
    """
    pixel_format = frame.pixel_format
    view = sdr_view(frame.color)
    if view is not None:
        current = frame.with_planes(tuple(planes))
        change_rgb = view.change(_video_rgb(current, box_xyxy), change_rgb)
    if pixel_format.model == "yuv":
        _add_yuv_change(planes, frame, box_xyxy, change_rgb, keep_chroma=keep_chroma)
        return
    top = pixel_format.max_value
    span = sample_range(pixel_format, frame.color).span
    if pixel_format.model == "gray" or keep_chroma:
        weights = luma_weights(frame.color, frame.whole_hw)
        gray = np.asarray(cv2.transform(change_rgb, weights[None, :]), dtype=np.float32)
        for plane in range(1 if pixel_format.model == "gray" else 3):
            _add(planes[plane], box_xyxy, gray * span, max_value=top)
        return
    for plane, channel in ((0, 1), (1, 2), (2, 0)):
        _add(planes[plane], box_xyxy, change_rgb[:, :, channel] * span, max_value=top)


def _add_yuv_change(
    planes: list[Plane],
    frame: Frame,
    box_xyxy: tuple[int, int, int, int],
    change_rgb: FloatArray,
    *,
    keep_chroma: bool,
) -> None:
    matrix = color_matrix(frame.pixel_format, frame.color, frame.whole_hw)
    top_value = frame.pixel_format.max_value
    rows = matrix.delta_from_rgb[:1] if keep_chroma else matrix.delta_from_rgb
    # Row by row, because splitting what a whole matrix gives takes longer than three passes.
    luma, *chroma = (
        np.asarray(cv2.transform(change_rgb, row[None]), dtype=np.float32) for row in rows
    )
    _add(planes[0], box_xyxy, luma, max_value=top_value)
    if keep_chroma:
        return
    left, top, right, bottom = box_xyxy
    step_x, step_y = (1 << shift for shift in frame.pixel_format.chroma_shift_xy)
    box = (left // step_x, top // step_y, -(-right // step_x), -(-bottom // step_y))
    for plane, change in zip((1, 2), chroma, strict=True):
        _add(planes[plane], box, shrink_to_chroma(frame, change), max_value=top_value)


def _add(
    plane: Plane,
    box_xyxy: tuple[int, int, int, int],
    change: FloatArray,
    *,
    max_value: int,
) -> None:
    left, top, right, bottom = box_xyxy
    region = plane[top:bottom, left:right]
    # OpenCV rounds halves to even and saturates at the limits of the plane's type.
    depth = cv2.CV_8U if plane.dtype == np.uint8 else cv2.CV_16U
    changed = np.asarray(cv2.add(region, change, dtype=depth), dtype=plane.dtype)
    is_narrower = max_value < np.iinfo(plane.dtype).max
    region[...] = np.minimum(changed, max_value) if is_narrower else changed
