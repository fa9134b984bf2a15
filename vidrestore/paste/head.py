"""Soft mask of a whole head: hair, ears and neck, as far as the crop shows them.

A rounded shape fills most of the crop and falls to 0 before the crop ends. Its position in the crop
is fixed, so it is as steady as the crop. Three soft limits narrow it:

* color: cells with the color of the border next to and above the head, and not that of the middle,
  are background (as in histogram backprojection: Swain and Ballard 1991, "Color indexing",
  section 4, with Gaussian kernels instead of bins, so that nothing jumps);
* detail: where hair is finer in the film than in the restored crop, the film stays;
* other faces: every pixel belongs to the nearest face, in units of the size of each face.

If the restorer has a parser, its map of the head replaces the limit by color.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.affine import apply_affine, compose_affines
from vidrestore.paste.masks import (
    FaceEllipse,
    cells_to_crop,
    face_units,
    feather,
    mask_confidence,
    mask_on_grid,
    smooth_step,
)
from vidrestore.types import Affine, FloatArray, RestoredFace

HEAD_CELLS = 128
"""Cells along the side of the crop: 4 pixels each, much finer than the ramps of the mask."""
COLOR_CELLS = 32
"""Cells along the side of the crop for color and detail: 16 pixels each, to average out noise."""

# Superellipses in crop pixels: center x and y, half width, half height, exponent. The middle is
# face and hair for heads of all shapes; outside the last is background, except for long hair.
_HEAD = (255.5, 255.5, 246.0, 248.0, 2.6)
_MIDDLE = (255.5, 270.0, 170.0, 220.0, 2.0)
_SURROUNDINGS = (255.5, 310.0, 240.0, 300.0, 2.4)
_FULL_INSIDE = 0.70
"""Radius within which the shape is 1, as a share of the head's; the ramp is about 70 px wide."""
_SHOULDERS_Y_PX = (360.0, 440.0)
"""Below this the border of the crop shows clothes, not background."""
COLOR_SIGMA = 0.07
"""Standard deviation of the kernel that compares colors, in RGB from 0 to 1."""
BASE_DENSITY = 0.01
"""Added to both densities, so that colors found in neither area have no effect."""
_LEAST_EXPONENT = np.float32(-75.0)
HEAD_RATIO = (0.05, 0.5)
"""Ratio of the head in the density of a color: background up to the first, head from the second. A
color of both counts as head."""
OUTLINE_CELLS = 5
"""Side of the window by which a head is dilated, so that both sides of its outline are restored."""
LIMIT_SIGMA_CELLS = 1.2
DETAIL_RATIO = (0.45, 0.8)
"""Detail of the restored crop relative to the film: the film stays up to the first, and the
restored crop is shown from the second."""
MIN_DETAIL = 0.0014
"""Mean difference of neighboring pixels that counts as no detail: 1/3 of a level of 255."""
DETAIL_SIGMA_CELLS = 1.5
NOISE_MARGIN = 1.25
"""Largest ratio of the noise in hair to that in skin, and in dark to lit places."""
_BETWEEN_FACES = 0.25
"""Width of the transition between two faces: difference of distances to them, in face radii."""


def head_mask(
    face: RestoredFace,
    ellipse: FaceEllipse,
    crop_means_chw: Tensor,
    others_xy: Sequence[FloatArray],
) -> FloatArray:
    """Return the weight of the restored crop, ``(HEAD_CELLS, HEAD_CELLS)`` in [0, 1].

    It is 0 in the outermost cells.

    Args:
        face: The restored face with its crop.
        ellipse: The mask of the face alone, a lower bound except near other faces.
        crop_means_chw: ``(3, COLOR_CELLS, COLOR_CELLS)``, means of the crop by area, [0, 1].
        others_xy: ``(5, 2)`` landmarks of every other face in the frame, in display pixels.
    """
    size_hw = (HEAD_CELLS, HEAD_CELLS)
    inner = mask_on_grid(compose_affines(cells_to_crop(HEAD_CELLS), ellipse.to_unit), size_hw)
    colors = np.ascontiguousarray(crop_means_chw.permute(1, 2, 0).float().cpu().numpy())
    detail = detail_weight(face.aligned.crop_chw, face.restored_chw, ellipse)
    mask = np.maximum(inner, head_shape() * _upscale(likely_head(colors) * detail))
    if face.face_mask_hw is not None and face.head_mask_hw is not None:
        confidence = mask_confidence(_cells(face.face_mask_hw), ellipse)
        parsed = np.maximum(inner, head_shape() * _upscale(detail))
        parsed *= _upscale(feather(_cells(face.head_mask_hw)))
        mask += np.float32(confidence) * (parsed - mask)
    if others_xy:
        own_xy, *rest_xy = (
            apply_affine(face.aligned.display_to_crop, landmarks_xy)
            for landmarks_xy in (face.aligned.face.landmarks_xy, *others_xy)
        )
        mask *= _upscale(nearest_face_weight(own_xy, rest_xy))
    return mask


def likely_head(colors_hwc: FloatArray) -> FloatArray:
    """Return how likely each cell is head by its color, ``(COLOR_CELLS, COLOR_CELLS)``.

    Args:
        colors_hwc: ``(COLOR_CELLS, COLOR_CELLS, 3)`` RGB in [0, 1].
    """
    channels = np.ascontiguousarray(colors_hwc.reshape(-1, 3).T)
    middle, surroundings = (_density(channels, samples) for samples in color_samples())
    ratio = np.asarray(middle / (middle + surroundings), np.float32)
    limit = smooth_step(ratio.reshape(COLOR_CELLS, COLOR_CELLS), *HEAD_RATIO)
    dilated = cv2.dilate(limit, np.ones((OUTLINE_CELLS, OUTLINE_CELLS), np.uint8))
    return np.asarray(cv2.GaussianBlur(dilated, (0, 0), LIMIT_SIGMA_CELLS), np.float32)


def detail_weight(source_chw: Tensor, restored_chw: Tensor, ellipse: FaceEllipse) -> FloatArray:
    """Return how well each cell keeps its detail, ``(COLOR_CELLS, COLOR_CELLS)`` in [0, 1].

    The median over the cells of the face, mostly skin, is taken as noise.

    Args:
        source_chw: ``(3, S, S)`` RGB in [0, 1].
        restored_chw: The restored crop, of the same shape.
        ellipse: Position of the face.
    """
    before, after = _mean_gradient(source_chw), _mean_gradient(restored_chw)
    size_hw = (COLOR_CELLS, COLOR_CELLS)
    core = mask_on_grid(compose_affines(cells_to_crop(COLOR_CELLS), ellipse.to_unit), size_hw) > 0.5
    noise = NOISE_MARGIN * np.median(before[core]) if core.any() else 0.0
    before = np.sqrt(np.maximum(before**2 - np.float32(noise**2), 0.0))
    floor = np.float32(MIN_DETAIL)
    before, after = (
        np.asarray(cv2.GaussianBlur(gradient, (0, 0), DETAIL_SIGMA_CELLS), np.float32) + floor
        for gradient in (before, after)
    )
    return smooth_step(after / before, *DETAIL_RATIO)


def _mean_gradient(crop_chw: Tensor) -> FloatArray:
    """Return the mean difference of neighboring pixels per cell, in half the pixels of green."""
    image_hwc = np.ascontiguousarray(crop_chw.permute(1, 2, 0).float().cpu().numpy())
    green: FloatArray = np.asarray(cv2.extractChannel(image_hwc, 1), dtype=np.float32)
    center, right, below = (
        np.ascontiguousarray(green[row::2, column::2]) for row, column in ((0, 0), (0, 1), (1, 0))
    )
    steps = cv2.add(cv2.absdiff(right, center), cv2.absdiff(below, center))
    means = cv2.resize(steps, (COLOR_CELLS, COLOR_CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32)


def nearest_face_weight(
    landmarks_xy: NDArray[np.float64], others_xy: Sequence[NDArray[np.float64]]
) -> FloatArray:
    """Return how much each cell belongs to a face, ``(COLOR_CELLS, COLOR_CELLS)`` in [0, 1].

    The weights of two faces sum to 1 everywhere in the frame, those of more faces to at most 1.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks of the face in pixels of its crop.
        others_xy: Landmarks of the other faces, in the same pixels.
    """
    own = _radii(face_units(landmarks_xy))
    weight = np.ones_like(own)
    for other_xy in others_xy:
        nearer = _radii(face_units(other_xy)) - own
        weight *= smooth_step(nearer, -_BETWEEN_FACES, _BETWEEN_FACES)
    return weight


def _radii(crop_to_unit: Affine) -> FloatArray:
    """Return the distance of every color cell from the center of a face, in its radii."""
    units = apply_affine(
        compose_affines(cells_to_crop(COLOR_CELLS), crop_to_unit), _cell_centers(COLOR_CELLS)
    )
    radii = np.hypot(units[:, 0], units[:, 1]).astype(np.float32)
    return radii.reshape(COLOR_CELLS, COLOR_CELLS)


def _density(channels: FloatArray, samples: tuple[NDArray[np.intp], FloatArray]) -> FloatArray:
    """Return the density of each color among the weighted cells ``samples``, ``(N,)``.

    Args:
        channels: ``(3, N)``, the colors.
        samples: Indexes and weights.
    """
    indexes, weights = samples
    # No matrix product: the summation order of BLAS may depend on the number of threads.
    similarity = np.zeros((channels.shape[1], len(indexes)), np.float32)
    for channel in channels:
        difference = np.subtract.outer(channel, channel[indexes])
        difference *= difference
        similarity += difference
    similarity *= np.float32(-0.5 / COLOR_SIGMA**2)
    # Below this it counts as nothing beside the floor, and numbers near 0 are slow.
    np.exp(np.maximum(similarity, _LEAST_EXPONENT, out=similarity), out=similarity)
    similarity *= weights
    return np.asarray(similarity.sum(axis=1) + np.float32(BASE_DENSITY), np.float32)


@cache
def color_samples() -> tuple[tuple[NDArray[np.intp], FloatArray], ...]:
    """Return indexes and weights of every third cell of middle and border; weights sum to 1."""
    middle = smooth_step(1.0 - _superellipse(COLOR_CELLS, _MIDDLE), 0.0, 0.3)
    outside = smooth_step(_superellipse(COLOR_CELLS, _SURROUNDINGS), 1.0, 1.12)
    first, last = _SHOULDERS_Y_PX
    y_px = apply_affine(cells_to_crop(COLOR_CELLS), _cell_centers(COLOR_CELLS))[:, 1].astype(
        np.float32
    )
    above = smooth_step(-y_px, -last, -first)
    samples: list[tuple[NDArray[np.intp], FloatArray]] = []
    for weights in (middle.ravel(), outside.ravel() * above):
        indexes = np.flatnonzero(weights > 0.05)[::3]
        samples.append((indexes, weights[indexes] / weights[indexes].sum()))
    return tuple(samples)


@cache
def head_shape() -> FloatArray:
    """Return the head's shape, ``(HEAD_CELLS, HEAD_CELLS)`` in [0, 1]."""
    radius = _superellipse(HEAD_CELLS, _HEAD)
    shape = smooth_step(-radius, -1.0, -_FULL_INSIDE)
    shape.setflags(write=False)
    return shape


def _superellipse(cells: int, outline: tuple[float, float, float, float, float]) -> FloatArray:
    """Return the radius of every cell in a superellipse, ``(cells, cells)``; 1 on its outline."""
    center_x, center_y, half_width, half_height, power = outline
    x, y = apply_affine(cells_to_crop(cells), _cell_centers(cells)).T
    across, down = np.abs(x - center_x) / half_width, np.abs(y - center_y) / half_height
    radius = (across**power + down**power) ** (1.0 / power)
    return radius.astype(np.float32).reshape(cells, cells)


@cache
def _cell_centers(cells: int) -> NDArray[np.float64]:
    """Return x and y of every cell, ``(cells * cells, 2)``, row by row."""
    index = np.arange(cells, dtype=np.float64)
    return np.stack(np.meshgrid(index, index), axis=-1).reshape(-1, 2)


def _cells(mask_hw: Tensor) -> FloatArray:
    return np.ascontiguousarray(mask_hw.float().cpu().numpy())


def _upscale(cells: FloatArray) -> FloatArray:
    side = (HEAD_CELLS, HEAD_CELLS)
    return np.asarray(cv2.resize(cells, side, interpolation=cv2.INTER_LINEAR), np.float32)
