"""The soft mask of a whole head: hair, ears and neck, as far as the crop holds them.

A rounded shape fills most of the crop and falls to 0 before the crop ends. It lies in every crop
at the same place, so it is as steady as the crop itself. Three soft limits narrow it:

* colour: where a cell of the crop looks like the border beside and above the head, and not like
  the middle, the background stays as it was (as histogram backprojection does: Swain and Ballard
  1991, "Color indexing", section 4, with Gaussian kernels for bins, so that nothing jumps);
* detail: hair that is finer in the film than the restorer makes it stays as it was;
* other faces: every place belongs to the nearer face, in units of each face's size.

Where the restorer has a parser, its map of the head replaces the limit by colour.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

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
"""Cells of a head's mask along the crop's side: 4 pixels each, much finer than its ramps."""
COLOUR_CELLS = 32
"""Cells along the crop's side that are compared by mean colour and detail: 16 pixels average noise
away."""

# Superellipses in crop pixels: centre x and y, half width, half height, exponent. The middle holds
# face and hair of heads of all shapes; beyond the last there is background, but for long hair.
_HEAD = (255.5, 255.5, 246.0, 248.0, 2.6)
_MIDDLE = (255.5, 270.0, 170.0, 220.0, 2.0)
_SURROUNDINGS = (255.5, 310.0, 240.0, 300.0, 2.4)
_FULL_INSIDE = 0.70
"""Radius, as a share of the head's, within which the shape is 1: its ramp is about 70 px wide."""
_SHOULDERS_Y_PX = (360.0, 440.0)
"""From here down the crop's border is clothes rather than background."""
_COLOUR_SIGMA = 0.07
"""Colours this far apart, in RGB from 0 to 1, are somewhat alike."""
_UNSEEN = 0.01
"""Density of a colour seen neither in the middle nor at the border: nothing is said of it."""
_HEAD_SHARE = (0.05, 0.5)
"""A cell at most the first share of whose colour is the head's is background, from the second on
it is head: a colour that both have stays in."""
_OUTLINE_CELLS = 5
"""Side of the window over which a head grows, so that its outline is restored from both sides."""
_LIMIT_SIGMA_CELLS = 1.2
_DETAIL_KEPT = (0.45, 0.8)
"""Where restored hair has at most the first share of the film's detail the film's stays, from the
second on the restored is shown."""
_LEAST_DETAIL = 0.0014
"""Mean difference of neighbouring pixels that is no detail yet: a third of a level of 255."""
_DETAIL_SIGMA_CELLS = 1.5
_NOISE_MARGIN = 1.25
"""Noise differs by so much between skin and hair, lit and dark."""
_BETWEEN_FACES = 0.25
"""Where two faces are nearly as near, in face radii, the one gives way to the other by degrees."""


def head_mask(
    face: RestoredFace,
    ellipse: FaceEllipse,
    crop_means_chw: Tensor,
    others_xy: Sequence[FloatArray],
) -> FloatArray:
    """Return how much of a restored crop is shown, ``(HEAD_CELLS, HEAD_CELLS)`` in [0, 1].

    It is 0 in the outermost cells.

    Args:
        face: With its crop.
        ellipse: The mask of the face alone, which the head's never falls below but for others.
        crop_means_chw: ``(3, COLOUR_CELLS, COLOUR_CELLS)``, the crop's means over areas, [0, 1].
        others_xy: ``(5, 2)`` landmarks of every other face in the frame, in display pixels.
    """
    size_hw = (HEAD_CELLS, HEAD_CELLS)
    inner = mask_on_grid(compose_affines(cells_to_crop(HEAD_CELLS), ellipse.to_unit), size_hw)
    colours = np.ascontiguousarray(crop_means_chw.permute(1, 2, 0).float().cpu().numpy())
    detail = detail_kept(face.aligned.crop_chw, face.restored_chw, ellipse)
    mask = np.maximum(inner, _shape() * _enlarged(likely_head(colours) * detail))
    if face.face_mask_hw is not None and face.head_mask_hw is not None:
        trust = mask_confidence(_cells(face.face_mask_hw), ellipse)
        parsed = np.maximum(inner, _shape() * _enlarged(detail))
        parsed *= _enlarged(feather(_cells(face.head_mask_hw)))
        mask += np.float32(trust) * (parsed - mask)
    if others_xy:
        own_xy, *rest_xy = (
            apply_affine(face.aligned.display_to_crop, each)
            for each in (face.aligned.face.landmarks_xy, *others_xy)
        )
        mask *= _enlarged(nearest_share(own_xy, rest_xy))
    return mask


def likely_head(colours_hwc: FloatArray) -> FloatArray:
    """Return how far each cell's colour lets it be head, ``(COLOUR_CELLS, COLOUR_CELLS)``.

    Args:
        colours_hwc: ``(COLOUR_CELLS, COLOUR_CELLS, 3)`` RGB in [0, 1].
    """
    colours = colours_hwc.reshape(-1, 3)
    middle, surroundings = (_density(colours, each) for each in _samples())
    share = np.asarray(middle / (middle + surroundings), np.float32)
    limit = smooth_step(share.reshape(COLOUR_CELLS, COLOUR_CELLS), *_HEAD_SHARE)
    grown = cv2.dilate(limit, np.ones((_OUTLINE_CELLS, _OUTLINE_CELLS), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), _LIMIT_SIGMA_CELLS), np.float32)


def detail_kept(source_chw: Tensor, restored_chw: Tensor, ellipse: FaceEllipse) -> FloatArray:
    """Return how far each cell keeps its detail when restored, ``(COLOUR_CELLS, COLOUR_CELLS)``.

    What half of the face's cells show, which are skin, may be noise, and noise is no detail.

    Args:
        source_chw: ``(3, S, S)`` RGB in [0, 1].
        restored_chw: The same restored.
        ellipse: Where the face is.
    """
    before, after = _steepness(source_chw), _steepness(restored_chw)
    size_hw = (COLOUR_CELLS, COLOUR_CELLS)
    core = (
        mask_on_grid(compose_affines(cells_to_crop(COLOUR_CELLS), ellipse.to_unit), size_hw) > 0.5
    )
    noise = _NOISE_MARGIN * np.median(before[core]) if core.any() else 0.0
    before = np.sqrt(np.maximum(before**2 - np.float32(noise**2), 0.0))
    least = np.float32(_LEAST_DETAIL)
    before, after = (
        np.asarray(cv2.GaussianBlur(each, (0, 0), _DETAIL_SIGMA_CELLS), np.float32) + least
        for each in (before, after)
    )
    return smooth_step(after / before, *_DETAIL_KEPT)


def _steepness(crop_chw: Tensor) -> FloatArray:
    """Return the mean difference of neighbouring pixels in each cell, of every second of green."""
    green = crop_chw[1]
    here, right, below = green[::2, ::2], green[::2, 1::2], green[1::2, ::2]
    steps = (right - here).abs_() + (below - here).abs_()
    means = F.avg_pool2d(steps[None], steps.shape[-1] // COLOUR_CELLS)[0]
    return np.ascontiguousarray(means.float().cpu().numpy())


def nearest_share(
    landmarks_xy: NDArray[np.float64], others_xy: Sequence[NDArray[np.float64]]
) -> FloatArray:
    """Return how far each cell belongs to a face and not to others, ``(COLOUR_CELLS,) * 2``.

    Of two faces the shares sum to 1 at every place of the picture, of more to at most 1.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks in pixels of the face's crop.
        others_xy: Those of the other faces, in the same pixels.
    """
    own = _radii(face_units(landmarks_xy))
    share = np.ones_like(own)
    for other_xy in others_xy:
        nearer = _radii(face_units(other_xy)) - own
        share *= smooth_step(nearer, -_BETWEEN_FACES, _BETWEEN_FACES)
    return share


def _radii(crop_to_unit: Affine) -> FloatArray:
    """Return the distance of every colour cell from a face's centre, in units of its radius."""
    units = apply_affine(
        compose_affines(cells_to_crop(COLOUR_CELLS), crop_to_unit), _places(COLOUR_CELLS)
    )
    radii = np.hypot(units[:, 0], units[:, 1]).astype(np.float32)
    return radii.reshape(COLOUR_CELLS, COLOUR_CELLS)


def _density(colours: FloatArray, samples: tuple[NDArray[np.intp], FloatArray]) -> FloatArray:
    """Return how common each colour is among the weighted cells ``samples``, ``(N,)``."""
    chosen, weights = samples
    seen = colours[chosen]
    # No matrix product: BLAS may sum in another order with another number of threads.
    apart = np.zeros((len(colours), len(seen)), np.float32)
    for channel in range(3):
        apart += np.square(colours[:, None, channel] - seen[:, channel])
    alike = np.exp(apart * np.float32(-0.5 / _COLOUR_SIGMA**2)) * weights
    return np.asarray(alike.sum(axis=1) + np.float32(_UNSEEN), np.float32)


@cache
def _samples() -> tuple[tuple[NDArray[np.intp], FloatArray], ...]:
    """Return every third cell of the middle and of the surroundings, and weights of sum 1."""
    middle = smooth_step(1.0 - _superellipse(COLOUR_CELLS, _MIDDLE), 0.0, 0.3)
    outside = smooth_step(_superellipse(COLOUR_CELLS, _SURROUNDINGS), 1.0, 1.12)
    first, last = _SHOULDERS_Y_PX
    y_px = apply_affine(cells_to_crop(COLOUR_CELLS), _places(COLOUR_CELLS))[:, 1].astype(np.float32)
    above = smooth_step(-y_px, -last, -first)
    found: list[tuple[NDArray[np.intp], FloatArray]] = []
    for weights in (middle.ravel(), outside.ravel() * above):
        chosen = np.flatnonzero(weights > 0.05)[::3]
        found.append((chosen, weights[chosen] / weights[chosen].sum()))
    return tuple(found)


@cache
def _shape() -> FloatArray:
    """Return the head's shape, ``(HEAD_CELLS, HEAD_CELLS)`` in [0, 1]."""
    radius = _superellipse(HEAD_CELLS, _HEAD)
    shape = smooth_step(-radius, -1.0, -_FULL_INSIDE)
    shape.setflags(write=False)
    return shape


def _superellipse(cells: int, outline: tuple[float, float, float, float, float]) -> FloatArray:
    """Return the radius of every cell in a superellipse, 1 on its outline, ``(cells, cells)``."""
    centre_x, centre_y, half_width, half_height, power = outline
    x, y = apply_affine(cells_to_crop(cells), _places(cells)).T
    across, down = np.abs(x - centre_x) / half_width, np.abs(y - centre_y) / half_height
    radius = (across**power + down**power) ** (1.0 / power)
    return radius.astype(np.float32).reshape(cells, cells)


@cache
def _places(cells: int) -> NDArray[np.float64]:
    """Return x and y of every cell, ``(cells * cells, 2)``, row by row."""
    at = np.arange(cells, dtype=np.float64)
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)


def _cells(mask_hw: Tensor) -> FloatArray:
    return np.ascontiguousarray(mask_hw.float().cpu().numpy())


def _enlarged(cells: FloatArray) -> FloatArray:
    side = (HEAD_CELLS, HEAD_CELLS)
    return np.asarray(cv2.resize(cells, side, interpolation=cv2.INTER_LINEAR), np.float32)
