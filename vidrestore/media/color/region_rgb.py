"""Converts a region of a frame to RGB, and changes of its RGB back to samples.

Only *differences* are converted back: a color matrix is linear, so the change of the samples is
the matrix times the change of RGB. A region that a restorer did not change therefore keeps every
sample exactly, whatever its matrix, range or chroma subsampling.

There are two kinds of RGB: that of the video, and that of the *SDR view* for the networks. They
differ only for HDR, wide primaries and linear light (see ``sdr_view``).

Chroma positions follow ITU-T H.273 (07/2021), figure 8.
"""

import cv2
import numpy as np

from vidrestore.media.color.code_points import CHROMA_CENTER, CHROMA_TOP_LEFT
from vidrestore.media.color.matrices import color_matrix, luma_weights, sample_range
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import (
    FloatArray,
    Frame,
    Plane,
)

PLANES_OF_CHANNELS = {"yuv": (0, 1, 2), "rgb": (2, 0, 1), "gray": (0, 0, 0)}
"""The planes of R, G and B, or of Y, Cb and Cr, by color model."""


def chroma_offset_xy(frame: Frame) -> tuple[float, float]:
    """Return the position of the first chroma sample, in luma pixels from the first luma sample.

    A field also has every second row of chroma, so its first chroma row has another position among
    its luma rows: in 4:2:0, a quarter or three quarters of a row below the first (ITU-T H.264
    (08/2021), figure 6-2).
    """
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    center_x, center_y = ((1 << shift_x) - 1) / 2, ((1 << shift_y) - 1) / 2
    location = frame.color.chroma_location
    x = center_x if location == CHROMA_CENTER else 0.0
    y = 0.0 if location == CHROMA_TOP_LEFT else center_y
    if frame.field_of is not None:
        y = (y + int(frame.is_bottom_field) * ((1 << shift_y) - 1)) / 2
    return x, y


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
    chroma = [_chroma_region(frame, plane, box_xyxy) for plane in (1, 2)]
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


def _chroma_region(frame: Frame, plane: int, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return a box of a chroma plane at luma resolution, interpolated by its siting."""
    left, top, right, bottom = box_xyxy
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    samples = frame.planes[plane]
    if shift_x == 0 and shift_y == 0:
        return samples[top:bottom, left:right].astype(np.float32)
    offset_x, offset_y = chroma_offset_xy(frame)
    step_x, step_y = 1 << shift_x, 1 << shift_y
    # With a margin of two samples, the box is interpolated as the complete plane would be.
    x0, y0 = max(0, left // step_x - 2), max(0, top // step_y - 2)
    samples_near = samples[y0 : -(-bottom // step_y) + 2, x0 : -(-right // step_x) + 2].astype(
        np.float32
    )
    if max(step_x, step_y) == 2 and {offset_x, offset_y} <= {0.0, 0.5}:
        # The usual sitings: the values of the warp below, exactly, in a quarter of the time.
        wide = samples_near if step_x == 1 else _doubled(samples_near, 1, offset_x)
        whole = wide if step_y == 1 else _doubled(wide, 0, offset_y)
        x, y = left - x0 * step_x, top - y0 * step_y
        return whole[y : y + bottom - top, x : x + right - left]
    to_chroma = np.array(
        [
            [1 / step_x, 0.0, (left - offset_x) / step_x - x0],
            [0.0, 1 / step_y, (top - offset_y) / step_y - y0],
        ]
    )
    upscaled = cv2.warpAffine(
        samples_near,
        to_chroma,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(upscaled, dtype=np.float32)


def _doubled(samples_hw: FloatArray, axis: int, offset: float) -> FloatArray:
    """Return samples interpolated at twice as many places along an axis.

    Args:
        samples_hw: ``(h, w)`` float32.
        axis: 0 for rows, 1 for columns.
        offset: Place of the first sample among the new ones, 0 or 1/2.
    """
    height, width = shape = (samples_hw.shape[0] * (2 - axis), samples_hw.shape[1] * (1 + axis))
    if offset == 0.5:
        resized = cv2.resize(samples_hw, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.float32)
    following = np.concatenate(
        [samples_hw[1:], samples_hw[-1:]] if axis == 0 else [samples_hw[:, 1:], samples_hw[:, -1:]],
        axis=axis,
    )
    between = cv2.addWeighted(samples_hw, 0.5, following, 0.5, 0.0)
    # Side by side, rows alternate once they are half as long.
    alternating = cv2.hconcat if axis == 0 else cv2.merge
    return np.asarray(alternating([samples_hw, between]), dtype=np.float32).reshape(shape)


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
    luma, *chroma = (
        np.asarray(part, dtype=np.float32) for part in cv2.split(cv2.transform(change_rgb, rows))
    )
    _add(planes[0], box_xyxy, luma, max_value=top_value)
    if keep_chroma:
        return
    left, top, right, bottom = box_xyxy
    step_x, step_y = (1 << shift for shift in frame.pixel_format.chroma_shift_xy)
    box = (left // step_x, top // step_y, -(-right // step_x), -(-bottom // step_y))
    for plane, change in zip((1, 2), chroma, strict=True):
        _add(planes[plane], box, _shrink_to_chroma(frame, change), max_value=top_value)


def _shrink_to_chroma(frame: Frame, change_hw: FloatArray) -> FloatArray:
    """Average a change at luma resolution over each chroma sample, by siting."""
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    if shift_x == 0 and shift_y == 0:
        return change_hw
    offset_x, offset_y = chroma_offset_xy(frame)
    filtered = np.asarray(
        cv2.sepFilter2D(
            change_hw,
            -1,
            siting_taps(shift_x, offset_x),
            siting_taps(shift_y, offset_y),
            borderType=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )
    return filtered[:: 1 << shift_y, :: 1 << shift_x]


def siting_taps(shift: int, offset: float) -> FloatArray:
    """Return the weights of luma pixels in a chroma sample, around its first luma pixel.

    Args:
        shift: log2 of the subsampling.
        offset: Place of the first chroma sample, in luma pixels.
    """
    if shift == 0:
        return np.ones(1, dtype=np.float32)
    step = 1 << shift
    reach = 2 * step
    distance = np.arange(-reach, reach + 1, dtype=np.float64) - offset
    if offset == 0.0:
        taps = np.clip(1 - np.abs(distance) / step, 0, None)
    else:
        # The share of each luma pixel that the chroma sample covers.
        taps = np.clip((step + 1) / 2 - np.abs(distance), 0, 1)
    # Taps of 0 would only cost time.
    needed = max(abs(int(index) - reach) for index in np.flatnonzero(taps))
    return (taps / taps.sum())[reach - needed : reach + needed + 1].astype(np.float32)


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
