"""Fast small RGB renderings of frames, for detectors and for people."""

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import scaling
from vidrestore.media.color.matrices import color_matrix, is_full_range, sample_range
from vidrestore.media.color.region_rgb import PLANES_OF_CHANNELS, rgb_of_samples
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.types import DisplayGeometry, Frame, Plane, RgbView


def preview_rgb(frame: Frame, geometry: DisplayGeometry, max_side_px: int) -> RgbView:
    """Return an upright RGB rendering whose longer side is at most ``max_side_px``.

    It is never upscaled. Chroma siting is ignored, for speed.
    """
    display_h, display_w = geometry.display_hw
    scale = min(1.0, max_side_px / max(display_h, display_w))
    view_h, view_w = max(1, round(display_h * scale)), max(1, round(display_w * scale))
    is_turned = geometry.quarter_turns % 2 == 1
    size_wh = (view_h, view_w) if is_turned else (view_w, view_h)
    rgb = _small_rgb(frame, size_wh)
    if geometry.mirrored:
        rgb = rgb[:, ::-1]
    rgb = np.ascontiguousarray(np.rot90(rgb, k=-geometry.quarter_turns))
    to_display = scaling(display_w / view_w, display_h / view_h)
    if geometry.rows != "all":
        # A row of a field is half a row above or below the middle of the two rows it fills.
        half_up = -0.5 if geometry.rows == "top" else 0.5
        to_display[:, 2] += replace(geometry, rows="all").coded_to_display()[:, 1] * half_up
    return RgbView(rgb_hwc=rgb, view_to_display=to_display)


def preview_luma(frame: Frame, max_side_px: int) -> NDArray[np.uint8]:
    """Return luma from black, 0, to white, 255, as coded: not turned and not stretched.

    Its longer side is at most ``max_side_px``. It is for comparing frames of one film, at a third
    of the cost of ``preview_rgb``.
    """
    height, width = frame.coded_hw
    scale = min(1.0, max_side_px / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if frame.pixel_format.model == "rgb" or sdr_view(frame.color) is not None:
        return np.asarray(cv2.cvtColor(_small_rgb(frame, size_wh), cv2.COLOR_RGB2GRAY), np.uint8)
    span = sample_range(frame.pixel_format, frame.color)
    luma = _small_plane(frame.planes[0], size_wh).astype(np.float32)
    luma = (luma - np.float32(span.black)) * np.float32(255.0 / span.span)
    return np.clip(luma + 0.5, 0, 255).astype(np.uint8)


def _small_rgb(frame: Frame, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    pixel_format = frame.pixel_format
    planes = frame.planes[:1] if pixel_format.model == "gray" else frame.planes[:3]
    small = [_small_plane(planes[0], size_wh)]
    shrink = _small_plane if pixel_format.model == "rgb" else _small_chroma
    small += [shrink(plane, size_wh) for plane in planes[1:]]
    merged = np.asarray(
        cv2.merge([small[plane] for plane in PLANES_OF_CHANNELS[pixel_format.model]])
    )
    view = sdr_view(frame.color)
    is_plain = pixel_format.model == "yuv" or is_full_range(pixel_format, frame.color)
    if view is not None or not is_plain:
        rgb = rgb_of_samples(merged.astype(np.float32), frame)
        return (
            np.clip(rgb * 255.0 + 0.5, 0, 255).astype(np.uint8)
            if view is None
            else view.to_view_8bit(rgb)
        )
    if pixel_format.model == "yuv":
        matrix = color_matrix(pixel_format, frame.color, frame.whole_hw)
        merged = np.asarray(cv2.transform(merged, matrix.to_rgb * _peak_of(merged)))
    if merged.dtype == np.uint8:
        return merged.astype(np.uint8, copy=False)
    top = _peak_of(merged) if pixel_format.model == "yuv" else pixel_format.max_value
    return np.clip(merged.astype(np.float32) * (255.0 / top), 0, 255).astype(np.uint8)


def _small_plane(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    height, width = plane.shape
    if (width, height) == size_wh:
        return plane
    if width > size_wh[0] and height < size_wh[1]:
        # A field: OpenCV's area filter misplaces one side if it upscales the other.
        plane = cast(Plane, cv2.resize(plane, (size_wh[0], height), interpolation=cv2.INTER_AREA))
        width = size_wh[0]
    while width >= 4 * size_wh[0] and height >= 4 * size_wh[1]:
        # In steps, because OpenCV's area filter is fast only for halves.
        width, height = width // 2, height // 2
        trimmed = plane[: 2 * height, : 2 * width]
        plane = cast(Plane, cv2.resize(trimmed, (width, height), interpolation=cv2.INTER_AREA))
    if plane.dtype == np.uint8 and (width, height) == (3 * size_wh[0], 3 * size_wh[1]):
        # The same mean, in half the time.
        return cast(Plane, np.ascontiguousarray(cv2.blur(plane, (3, 3))[1::3, 1::3]))
    shrinks = width >= size_wh[0] and height >= size_wh[1]
    filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(Plane, cv2.resize(plane, size_wh, interpolation=filter_))


def _small_chroma(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    """Shrink chroma like luma; by less than half, which is slow, with a linear filter."""
    height, width = plane.shape
    if size_wh[0] < width < 2 * size_wh[0] and size_wh[1] < height < 2 * size_wh[1]:
        return cast(Plane, cv2.resize(plane, size_wh, interpolation=cv2.INTER_LINEAR))
    return _small_plane(plane, size_wh)


def _peak_of(samples: NDArray[np.generic]) -> float:
    return 255.0 if samples.dtype == np.uint8 else 65535.0
