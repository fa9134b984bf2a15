"""How samples encode colours: matrix, range and the weights of luma.

Matrices follow ITU-T H.273 (07/2021), section 8.3.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vidrestore.errors import MediaError
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
_UNSPECIFIED = (2, 3)
_YCGCO = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColorMatrix:
    """The affine map between sample values and RGB in [0, 1]."""

    to_rgb: FloatArray
    """``(3, 4)``: RGB from (Y, Cb, Cr, 1) in sample units."""
    delta_from_rgb: FloatArray
    """``(3, 3)``: change of (Y, Cb, Cr) in sample units from a change of RGB."""


def sample_coding(
    pixel_format: PixelFormat, color: ColorTags, coded_hw: tuple[int, int]
) -> ColorMatrix:
    """Return how samples of a YUV frame encode RGB.

    A film that does not say its matrix gets BT.601 up to 576 lines and BT.709 above, as
    players do.

    Raises:
        MediaError: The matrix is one that is not linear in RGB or not known.
    """
    return _coding(pixel_format.bit_depth, color.matrix, color.full_range, coded_hw[0] > 576)


@lru_cache(maxsize=32)
def _coding(bit_depth: int, matrix: int, full_range: bool, large: bool) -> ColorMatrix:
    if matrix == _YCGCO:
        forward = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    else:
        if matrix in _UNSPECIFIED or matrix == 0:
            matrix = 1 if large else 6
        if matrix not in _LUMA_WEIGHTS:
            raise MediaError(
                f"colour matrix {matrix} (ITU-T H.273) is not supported; convert the film to "
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
    """Which samples are 0 and 1, of gray and RGB and of luma."""

    black: float
    white: float

    @property
    def span(self) -> float:
        """How many steps lie between them."""
        return self.white - self.black


def is_full_range(pixel_format: PixelFormat, color: ColorTags) -> bool:
    """Whether samples fill their depth; gray and RGB do unless they say otherwise."""
    return color.full_range or (pixel_format.model != "yuv" and not color.range_known)


def sample_range(pixel_format: PixelFormat, color: ColorTags) -> SampleRange:
    """Return black and white of luma, gray or RGB; ITU-T H.273 (07/2021), section 8.3."""
    if is_full_range(pixel_format, color):
        return SampleRange(0.0, float(pixel_format.max_value))
    unit = 1 << (pixel_format.bit_depth - 8)
    return SampleRange(16.0 * unit, 235.0 * unit)


def luma_weights(color: ColorTags, coded_hw: tuple[int, int]) -> FloatArray:
    """Return the weights of R, G and B in luma, ``(3,)``, summing to 1."""
    matrix = color.matrix
    if matrix not in _LUMA_WEIGHTS:
        matrix = 1 if coded_hw[0] > 576 else 6
    red, blue = _LUMA_WEIGHTS[matrix]
    return np.array([red, 1 - red - blue, blue], dtype=np.float32)
