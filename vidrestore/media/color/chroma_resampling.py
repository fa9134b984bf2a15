"""Chroma at luma's resolution, and back.

Positions follow ITU-T H.273 (07/2021), figure 8.
"""

import cv2
import numpy as np

from vidrestore.media.color.code_points import CHROMA_CENTER, CHROMA_TOP_LEFT
from vidrestore.types import FloatArray, Frame


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


def chroma_region(frame: Frame, plane: int, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
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


def shrink_to_chroma(frame: Frame, change_hw: FloatArray) -> FloatArray:
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
