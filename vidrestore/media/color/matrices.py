"""Color matrix, range and luma weights of samples (ITU-T H.273 (07/2021), section 8.3)."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import (
    MATRIX_BT601,
    MATRIX_BT709,
    MATRIX_YCGCO,
    UNSPECIFIED_MATRICES,
)
from vidrestore.types import ColorTags, FloatArray, PixelFormat

# Kr and Kb by matrix code point.
_LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_MAX_LINES_OF_BT601 = 576
"""Players assume BT.709 for untagged video with more lines."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColorMatrix:
    """The affine map between samples and RGB in [0, 1]."""

    to_rgb: FloatArray
    """``(3, 4)``: RGB from (Y, Cb, Cr, 1) in sample units."""
    delta_from_rgb: FloatArray
    """``(3, 3)``: change of (Y, Cb, Cr) in sample units from a change of RGB."""


def color_matrix(
    pixel_format: PixelFormat, color: ColorTags, coded_hw: tuple[int, int]
) -> ColorMatrix:
    """Return the map between the samples of a YUV frame and RGB.

    Raises:
        MediaError: The matrix is unknown, or not linear in RGB.
    """
    matrix = effective_matrix(color, coded_hw)
    return _color_matrix(pixel_format.bit_depth, matrix, color.full_range)


def effective_matrix(color: ColorTags, coded_hw: tuple[int, int]) -> int:
    """Return the matrix of YUV samples; for untagged video, the one that players assume."""
    if color.matrix not in UNSPECIFIED_MATRICES:
        return color.matrix
    return assumed_matrix(coded_hw)


def assumed_matrix(coded_hw: tuple[int, int]) -> int:
    """Return the matrix that players assume for untagged YUV of this size."""
    return MATRIX_BT709 if coded_hw[0] > _MAX_LINES_OF_BT601 else MATRIX_BT601


def with_stated_matrix(
    color: ColorTags, pixel_format: PixelFormat, coded_hw: tuple[int, int]
) -> ColorTags:
    """Return ``color`` with a matrix: for untagged video, the one that players assume.

    They might assume another one after upscaling.
    """
    if pixel_format.model != "yuv":
        return color
    return replace(color, matrix=effective_matrix(color, coded_hw))


@lru_cache(maxsize=32)
def _color_matrix(bit_depth: int, matrix: int, full_range: bool) -> ColorMatrix:
    if matrix == MATRIX_YCGCO:
        forward = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    else:
        if matrix not in _LUMA_WEIGHTS:
            raise MediaError(
                f"color matrix {matrix} (ITU-T H.273) is not supported; convert the video to "
                "BT.601, BT.709 or BT.2020 non-constant luminance first"
            )
        red, blue = _LUMA_WEIGHTS[matrix]
        luma = np.array([red, 1 - red - blue, blue])
        forward = np.stack(
            [
                luma,
                (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue)),
                (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red)),
            ]
        )
    unit = float(1 << (bit_depth - 8))
    top = float((1 << bit_depth) - 1)
    luma_scale, chroma_scale = (top, top) if full_range else (219 * unit, 224 * unit)
    offset = np.array([0.0 if full_range else 16 * unit, 128 * unit, 128 * unit])
    delta = forward * np.array([luma_scale, chroma_scale, chroma_scale])[:, None]
    back = np.linalg.inv(delta)
    to_rgb = np.concatenate([back, -(back @ offset)[:, None]], axis=1)
    return ColorMatrix(to_rgb=to_rgb.astype(np.float32), delta_from_rgb=delta.astype(np.float32))


@dataclass(frozen=True, slots=True)
class SampleRange:
    """The samples of luma, gray or RGB that stand for 0 and 1."""

    black: float
    white: float

    @property
    def span(self) -> float:
        """Difference between white and black."""
        return self.white - self.black


def is_full_range(pixel_format: PixelFormat, color: ColorTags) -> bool:
    """Whether samples use their whole bit depth; untagged gray and RGB do."""
    return color.full_range or (pixel_format.model != "yuv" and not color.range_known)


def sample_range(pixel_format: PixelFormat, color: ColorTags) -> SampleRange:
    """Return black and white of luma, gray or RGB; ITU-T H.273 (07/2021), section 8.3."""
    if is_full_range(pixel_format, color):
        return SampleRange(0.0, float(pixel_format.max_value))
    unit = 1 << (pixel_format.bit_depth - 8)
    return SampleRange(16.0 * unit, 235.0 * unit)


def luma_weights(color: ColorTags, coded_hw: tuple[int, int]) -> FloatArray:
    """Return the weights of R, G and B in luma, ``(3,)``, summing to 1."""
    matrix = effective_matrix(color, coded_hw)
    if matrix not in _LUMA_WEIGHTS:
        matrix = assumed_matrix(coded_hw)
    red, blue = _LUMA_WEIGHTS[matrix]
    return np.array([red, 1 - red - blue, blue], dtype=np.float32)
