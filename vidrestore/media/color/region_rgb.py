"""Decoded planes to RGB and back, for a region; what changed there goes back.

Going back, only *differences* are converted: a colour matrix is linear, so the change of the
samples is the matrix times the change in RGB. A region that a restorer left as it was
therefore keeps every sample exactly, whatever its matrix, range or chroma sampling.

Two kinds of RGB appear: the film's own, and the *view*, which is what networks are shown. They
differ for HDR, wide primaries and linear light only (see ``sdr_view``).

Chroma positions follow ITU-T H.273 (07/2021), figure 8.
"""

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.matrices import is_full_range, luma_weights, sample_coding, sample_range
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import (
    DisplayGeometry,
    FloatArray,
    Frame,
    Plane,
    RgbView,
)

# Which planes are R, G and B, or Y, Cb and Cr.
_PLANES_OF_CHANNELS = {"yuv": (0, 1, 2), "rgb": (2, 0, 1), "gray": (0, 0, 0)}
_CENTRE_SITED = 2
_TOP_LEFT_SITED = 3


def chroma_offset_xy(frame: Frame) -> tuple[float, float]:
    """Return where the first chroma sample lies, in luma pixels from the first luma sample.

    A field takes every second row of chroma, too, so its first one lies elsewhere among its own
    rows of luma: in 4:2:0, a quarter of them below the first, or three quarters (ITU-T H.264
    (08/2021), figure 6-2).
    """
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    centre_x, centre_y = ((1 << shift_x) - 1) / 2, ((1 << shift_y) - 1) / 2
    location = frame.color.chroma_location
    x = centre_x if location == _CENTRE_SITED else 0.0
    y = 0.0 if location == _TOP_LEFT_SITED else centre_y
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
        Coded integer pixels, or None where nothing is left.
    """
    height, width = frame.coded_hw
    step_x, step_y = (1 << shift for shift in frame.pixel_format.chroma_shift_xy)
    left = max(0, int(np.floor(box_xyxy[0] / step_x)) * step_x)
    top = max(0, int(np.floor(box_xyxy[1] / step_y)) * step_y)
    right = min(width, int(np.ceil(box_xyxy[2] / step_x)) * step_x)
    bottom = min(height, int(np.ceil(box_xyxy[3] / step_y)) * step_y)
    return (left, top, right, bottom) if right > left and bottom > top else None


def region_to_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w, 3)`` float32 RGB of the film's own kind, clipped to [0, 1], of a box.

    Args:
        frame: The frame.
        box_xyxy: As ``aligned_box`` gives it, coded pixels.
    """
    rgb = _film_rgb(frame, box_xyxy)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def region_sdr_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return ``(h, w, 3)`` float32 RGB of a box as networks are shown it, clipped to [0, 1].

    Args:
        frame: The frame.
        box_xyxy: As ``aligned_box`` gives it, coded pixels.
    """
    view = sdr_view(frame.color)
    rgb = _film_rgb(frame, box_xyxy)
    if view is not None:
        rgb = view.seen(rgb)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def _film_rgb(frame: Frame, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    left, top, right, bottom = box_xyxy
    pixel_format = frame.pixel_format
    if pixel_format.model != "yuv":
        order = _PLANES_OF_CHANNELS[pixel_format.model]
        parts = [frame.planes[at][top:bottom, left:right] for at in order]
        return _rgb_of_samples(np.asarray(cv2.merge(parts), dtype=np.float32), frame)
    luma = frame.planes[0][top:bottom, left:right].astype(np.float32)
    chroma = [_chroma_region(frame, at, box_xyxy) for at in (1, 2)]
    return _rgb_of_samples(np.asarray(cv2.merge([luma, *chroma]), dtype=np.float32), frame)


def _rgb_of_samples(samples_hwc: FloatArray, frame: Frame) -> FloatArray:
    """Return RGB, not clipped, of samples: Y Cb Cr, or R G B, in steps."""
    if frame.pixel_format.model == "yuv":
        coding = sample_coding(frame.pixel_format, frame.color, frame.whole_hw)
        return np.asarray(cv2.transform(samples_hwc, coding.to_rgb), dtype=np.float32)
    span = sample_range(frame.pixel_format, frame.color)
    scale = np.float32(1.0 / span.span)
    return (samples_hwc - np.float32(span.black)) * scale if span.black else samples_hwc * scale


def _chroma_region(frame: Frame, plane: int, box_xyxy: tuple[int, int, int, int]) -> FloatArray:
    """Return a chroma plane's box at luma resolution, interpolated by its siting."""
    left, top, right, bottom = box_xyxy
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    samples = frame.planes[plane]
    if shift_x == 0 and shift_y == 0:
        return samples[top:bottom, left:right].astype(np.float32)
    offset_x, offset_y = chroma_offset_xy(frame)
    step_x, step_y = 1 << shift_x, 1 << shift_y
    # A margin of two samples keeps the interpolation of the box equal to the whole plane's.
    x0, y0 = max(0, left // step_x - 2), max(0, top // step_y - 2)
    part = samples[y0 : -(-bottom // step_y) + 2, x0 : -(-right // step_x) + 2]
    to_chroma = np.array(
        [
            [1 / step_x, 0.0, (left - offset_x) / step_x - x0],
            [0.0, 1 / step_y, (top - offset_y) / step_y - y0],
        ]
    )
    enlarged = cv2.warpAffine(
        part.astype(np.float32),
        to_chroma,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(enlarged, dtype=np.float32)


def add_rgb_change(
    planes: list[Plane],
    frame: Frame,
    box_xyxy: tuple[int, int, int, int],
    change_rgb: FloatArray,
    *,
    keep_chroma: bool,
) -> None:
    """Add a change of the view to a box of ``planes``, in place; where it is 0 nothing changes.

    Args:
        planes: Writable copies of the frame's planes.
        frame: Their layout and colour.
        box_xyxy: As ``aligned_box`` gives it.
        change_rgb: ``(h, w, 3)`` float32, in units of the range [0, 1] of ``region_sdr_rgb``.
        keep_chroma: Change luma only: for black-and-white and tinted footage. In RGB frames
            the luma change is added to all three planes alike.
    """
    pixel_format = frame.pixel_format
    view = sdr_view(frame.color)
    if view is not None:
        current = frame.with_planes(tuple(planes))
        change_rgb = view.change(_film_rgb(current, box_xyxy), change_rgb)
    if pixel_format.model == "yuv":
        _add_yuv_change(planes, frame, box_xyxy, change_rgb, keep_chroma=keep_chroma)
        return
    top = pixel_format.max_value
    span = sample_range(pixel_format, frame.color).span
    if pixel_format.model == "gray" or keep_chroma:
        weights = luma_weights(frame.color, frame.whole_hw)
        gray = np.asarray(cv2.transform(change_rgb, weights[None, :]), dtype=np.float32)
        for at in range(1 if pixel_format.model == "gray" else 3):
            _add(planes[at], box_xyxy, gray * span, max_value=top)
        return
    for at, channel in ((0, 1), (1, 2), (2, 0)):
        _add(planes[at], box_xyxy, change_rgb[:, :, channel] * span, max_value=top)


def _add_yuv_change(
    planes: list[Plane],
    frame: Frame,
    box_xyxy: tuple[int, int, int, int],
    change_rgb: FloatArray,
    *,
    keep_chroma: bool,
) -> None:
    coding = sample_coding(frame.pixel_format, frame.color, frame.whole_hw)
    top_value = frame.pixel_format.max_value
    rows = coding.delta_from_rgb[:1] if keep_chroma else coding.delta_from_rgb
    change = np.asarray(cv2.transform(change_rgb, rows), dtype=np.float32)
    _add(planes[0], box_xyxy, change if keep_chroma else change[:, :, 0], max_value=top_value)
    if keep_chroma:
        return
    left, top, right, bottom = box_xyxy
    step_x, step_y = (1 << shift for shift in frame.pixel_format.chroma_shift_xy)
    box = (left // step_x, top // step_y, -(-right // step_x), -(-bottom // step_y))
    chroma = _shrunk_to_chroma(frame, np.ascontiguousarray(change[:, :, 1:]))
    for at in (1, 2):
        _add(planes[at], box, chroma[:, :, at - 1], max_value=top_value)


def _shrunk_to_chroma(frame: Frame, change_hwc: FloatArray) -> FloatArray:
    """Average a luma-resolution change over each chroma sample, by siting."""
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    if shift_x == 0 and shift_y == 0:
        return change_hwc
    offset_x, offset_y = chroma_offset_xy(frame)
    filtered = np.asarray(
        cv2.sepFilter2D(
            change_hwc,
            -1,
            _siting_kernel(shift_x, offset_x),
            _siting_kernel(shift_y, offset_y),
            borderType=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )
    return filtered[:: 1 << shift_y, :: 1 << shift_x]


def _siting_kernel(shift: int, offset: float) -> FloatArray:
    """Return odd-length taps, read at the first luma pixel of each chroma sample."""
    if shift == 0:
        return np.ones(1, dtype=np.float32)
    step = 1 << shift
    reach = 2 * step
    at = np.arange(-reach, reach + 1, dtype=np.float64) - offset
    if offset == 0.0:
        taps = np.clip(1 - np.abs(at) / step, 0, None)
    else:
        # How much of each luma pixel lies under the chroma sample.
        taps = np.clip((step + 1) / 2 - np.abs(at), 0, 1)
    return (taps / taps.sum()).astype(np.float32)


def _add(
    plane: Plane,
    box_xyxy: tuple[int, int, int, int],
    change: FloatArray,
    *,
    max_value: int,
) -> None:
    left, top, right, bottom = box_xyxy
    part = plane[top:bottom, left:right]
    changed = np.rint(part + change)
    np.clip(changed, 0, max_value, out=changed)
    part[...] = changed.astype(plane.dtype)


def preview_rgb(frame: Frame, geometry: DisplayGeometry, max_side_px: int) -> RgbView:
    """Return an upright RGB rendering whose long side is at most ``max_side_px``.

    Never enlarged. Fast rather than exact: chroma siting is ignored.
    """
    display_h, display_w = geometry.display_hw
    scale = min(1.0, max_side_px / max(display_h, display_w))
    view_h, view_w = max(1, round(display_h * scale)), max(1, round(display_w * scale))
    turned = geometry.quarter_turns % 2 == 1
    size_wh = (view_h, view_w) if turned else (view_w, view_h)
    rgb = _small_rgb(frame, size_wh)
    if geometry.mirrored:
        rgb = rgb[:, ::-1]
    rgb = np.ascontiguousarray(np.rot90(rgb, k=-geometry.quarter_turns))
    ratio_x, ratio_y = display_w / view_w, display_h / view_h
    to_display = np.array([[ratio_x, 0.0, (ratio_x - 1) / 2], [0.0, ratio_y, (ratio_y - 1) / 2]])
    if geometry.rows != "all":
        # Rows of a field lie half a row above or below the middle of the two they are shown as.
        half_up = -0.5 if geometry.rows == "top" else 0.5
        to_display[:, 2] += replace(geometry, rows="all").coded_to_display()[:, 1] * half_up
    return RgbView(rgb_hwc=rgb, view_to_display=to_display)


def _small_rgb(frame: Frame, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    pixel_format = frame.pixel_format
    planes = frame.planes[:1] if pixel_format.model == "gray" else frame.planes[:3]
    small = [_small_plane(planes[0], size_wh)]
    shrink = _small_plane if pixel_format.model == "rgb" else _small_chroma
    small += [shrink(plane, size_wh) for plane in planes[1:]]
    merged = np.asarray(cv2.merge([small[at] for at in _PLANES_OF_CHANNELS[pixel_format.model]]))
    view = sdr_view(frame.color)
    is_plain = pixel_format.model == "yuv" or is_full_range(pixel_format, frame.color)
    if view is not None or not is_plain:
        rgb = _rgb_of_samples(merged.astype(np.float32), frame)
        return (
            np.clip(rgb * 255.0 + 0.5, 0, 255).astype(np.uint8) if view is None else view.shown(rgb)
        )
    if pixel_format.model == "yuv":
        coding = sample_coding(pixel_format, frame.color, frame.whole_hw)
        merged = np.asarray(cv2.transform(merged, coding.to_rgb * _peak_of(merged)))
    if merged.dtype == np.uint8:
        return merged.astype(np.uint8, copy=False)
    top = _peak_of(merged) if pixel_format.model == "yuv" else pixel_format.max_value
    return np.clip(merged.astype(np.float32) * (255.0 / top), 0, 255).astype(np.uint8)


def _small_plane(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    height, width = plane.shape
    if (width, height) == size_wh:
        return plane
    if width > size_wh[0] and height < size_wh[1]:
        # A field: where it enlarges along one side, OpenCV's area filter misplaces the other.
        plane = cast(Plane, cv2.resize(plane, (size_wh[0], height), interpolation=cv2.INTER_AREA))
        width = size_wh[0]
    while width >= 4 * size_wh[0] and height >= 4 * size_wh[1]:
        # By steps, as OpenCV's area filter is quick for halves alone.
        width, height = width // 2, height // 2
        whole = plane[: 2 * height, : 2 * width]
        plane = cast(Plane, cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
    if plane.dtype == np.uint8 and (width, height) == (3 * size_wh[0], 3 * size_wh[1]):
        # The same means, in half the time.
        return cast(Plane, np.ascontiguousarray(cv2.blur(plane, (3, 3))[1::3, 1::3]))
    shrinking = width >= size_wh[0] and height >= size_wh[1]
    filter_ = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return cast(Plane, cv2.resize(plane, size_wh, interpolation=filter_))


def _small_chroma(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    """Shrink chroma as luma is shrunk; by less than half, where that is dear, nearly so."""
    height, width = plane.shape
    if size_wh[0] < width < 2 * size_wh[0] and size_wh[1] < height < 2 * size_wh[1]:
        return cast(Plane, cv2.resize(plane, size_wh, interpolation=cv2.INTER_LINEAR))
    return _small_plane(plane, size_wh)


def _peak_of(samples: NDArray[np.generic]) -> float:
    return 255.0 if samples.dtype == np.uint8 else 65535.0
