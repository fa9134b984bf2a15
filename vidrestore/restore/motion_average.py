"""A face averaged with what its neighbouring frames show of it: pure functions.

A restorer that brings back detail amplifies what differs from frame to frame, be it noise or the
traces of a codec, and so makes a face tremble. Averaging along the motion before restoring takes
that away where it begins, and leaves the restorer more to go by. Motion and likeness are found in
small pictures, where noise counts little; only the averaging happens at full size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.optical_flow import (
    Flow,
    dense_flow,
    displaced,
    luma_levels,
    places_shown,
    sampled,
    sampled_by_torch,
)
from vidrestore.types import FloatArray
from vidrestore.warp import averaged

_SMALL_PX = 128
_LIGHT_PX = 21
"""Side of the window that separates a change of light from a change of shape, in small pixels:
flicker of the film is not motion of the face."""
_LIKENESS_PX = 5
"""Side of the window over which two pictures are compared, in small pixels."""
_FACE = (slice(_SMALL_PX // 4, -_SMALL_PX // 8), slice(_SMALL_PX // 4, -_SMALL_PX // 4))
"""The part of a crop that is face in every pose: here the noise is measured."""
_LEAST_NOISE, _MOST_NOISE = 0.6 / 255, 12.0 / 255
"""Differences of small pictures that count as noise at least and at most: less is rounding, more
is motion that was not followed."""
_REPEATED = 0.25 / 255
"""A neighbour that differs by less on average is the same picture again, as in films shown at
another rate than they were taken at, and its noise is the same, too; or there is no noise."""
_BAND_ROWS = 32
_MEAN_OF_RGB = np.full((1, 3), 1 / 3, dtype=np.float32)


class Sketch(NamedTuple):
    """A crop made small."""

    rgb_hwc: FloatArray
    """``(128, 128, 3)`` in [0, 1]."""
    grey_hw: NDArray[np.uint8]


class Sighting(NamedTuple):
    """What one frame shows of a face."""

    crop_chw: Tensor
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    sketch: Sketch


class Match(NamedTuple):
    """How a neighbour compares, in small pixels of the frame in question."""

    flow: Flow
    lighter_hwc: FloatArray
    """How much brighter the neighbour is, slowly varying."""
    unlike_hw: FloatArray
    """Mean difference beyond that."""


def sketch_of(crop_chw: Tensor) -> Sketch:
    """Return ``(3, S, S)`` RGB in [0, 1] made small."""
    small = averaged(crop_chw, (_SMALL_PX, _SMALL_PX)).permute(1, 2, 0)
    rgb = np.ascontiguousarray(small.float().cpu().numpy())
    return Sketch(rgb, luma_levels(rgb))


def motion_compensated_average(
    here: Sighting,
    nearest: Sequence[Sighting],
    farther: Sequence[Sighting] = (),
    *,
    strength: float = 1.0,
) -> Tensor:
    """Return a crop averaged with its neighbours, moved to where it shows the same.

    A neighbour counts where it differs by no more than the noise does, and less the more it
    differs: a blink, a word or a hand before the face stays what it is in its own frame, and so
    do the light and all that moves too fast to be followed.

    Args:
        here: The frame in question.
        nearest: Those beside it, which also tell how much noise there is.
        farther: Those beyond.
        strength: Weight of a neighbour that shows the same; 1 is the frame's own.

    Returns:
        ``(3, S, S)`` on the crop's device; the crop itself where nothing is to be added.
    """
    if strength == 0.0:
        return here.crop_chw
    compared = [
        [(other, _matched(here.sketch, other.sketch)) for other in others]
        for others in (nearest, farther)
    ]
    near, far = ([each for each in pairs if not _is_repeated(each[1])] for pairs in compared)
    neighbours = [*near, *far]
    if not neighbours:
        return here.crop_chw
    noise = usual_difference([match for _, match in near or far])
    noise = min(max(noise, _LEAST_NOISE), _MOST_NOISE)
    matches = [match for _, match in neighbours]
    weights = [likeness(match.unlike_hw, noise) * np.float32(strength) for match in matches]
    whole = np.ones_like(weights[0])
    for weight in weights:
        whole += weight
    shares = [np.asarray(weight / whole, dtype=np.float32) for weight in weights]
    light = np.zeros_like(here.sketch.rgb_hwc)
    for match, share in zip(matches, shares, strict=True):
        light += share[:, :, None] * match.lighter_hwc
    averaging = _averaged_by_opencv if here.crop_chw.device.type == "cpu" else _averaged_by_torch
    flows = [match.flow for match in matches]
    crops = [other.crop_chw for other, _ in neighbours]
    return averaging(here.crop_chw, crops, flows, shares, light)


def compared(here: Sketch, other: Sketch, flow: Flow) -> Match:
    """Return how a neighbour, moved by ``flow``, differs from the frame in question."""
    apart = displaced(other.rgb_hwc, flow) - here.rgb_hwc
    lighter = np.asarray(cv2.blur(apart, (_LIGHT_PX, _LIGHT_PX)), dtype=np.float32)
    beyond = cv2.transform(cv2.absdiff(apart, lighter), _MEAN_OF_RGB)
    unlike = np.asarray(cv2.blur(beyond, (_LIKENESS_PX, _LIKENESS_PX)), dtype=np.float32)
    return Match(flow, lighter, unlike)


def usual_difference(matches: Sequence[Match]) -> float:
    """Return the median difference of frames that show the same face, in [0, 1]."""
    return float(np.median(np.stack([match.unlike_hw[_FACE] for match in matches])))


def likeness(unlike_hw: FloatArray, noise: float) -> FloatArray:
    """Return 1 where the difference is at most ``noise``, 0.6 at twice that, 0.01 at four times."""
    excess = np.maximum(0.0, unlike_hw / noise - 1.0)
    return np.exp(-0.5 * excess**2).astype(np.float32)


def _matched(here: Sketch, other: Sketch) -> Match:
    return compared(here, other, dense_flow(here.grey_hw, other.grey_hw, quick=True))


def _is_repeated(match: Match) -> bool:
    return float(match.unlike_hw[_FACE].mean()) < _REPEATED


def _averaged_by_opencv(
    crop_chw: Tensor,
    others: Sequence[Tensor],
    flows: Sequence[Flow],
    shares: Sequence[FloatArray],
    light_hwc: FloatArray,
) -> Tensor:
    """Add to a crop its share of the neighbours, less the light that they have and it has not.

    In bands of rows, which stay in the processor's cache from one step to the next.
    """
    here, pictures = _hwc(crop_chw), [_hwc(other) for other in others]
    size_hw = here.shape[:2]
    places = [places_shown(flow, size_hw) for flow in flows]
    wholes = [_enlarged(share, size_hw) for share in shares]
    total = np.subtract(here, _enlarged(light_hwc, size_hw))
    for top in range(0, size_hw[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        for picture, (x, y), share in zip(pictures, places, wholes, strict=True):
            apart = cv2.subtract(sampled(picture, x[rows], y[rows]), here[rows])
            cv2.accumulateProduct(apart, cv2.merge([share[rows]] * 3), total[rows])
    return torch.from_numpy(total.clip(0.0, 1.0, out=total)).permute(2, 0, 1)


def _averaged_by_torch(
    crop_chw: Tensor,
    others: Sequence[Tensor],
    flows: Sequence[Flow],
    shares: Sequence[FloatArray],
    light_hwc: FloatArray,
) -> Tensor:
    """Do the same on the crop's device."""
    size_hw = (crop_chw.shape[1], crop_chw.shape[2])
    light = torch.from_numpy(_enlarged(light_hwc, size_hw)).to(crop_chw.device)
    total = crop_chw - light.permute(2, 0, 1)
    for other, flow, share in zip(others, flows, shares, strict=True):
        apart = sampled_by_torch(other, *places_shown(flow, size_hw)) - crop_chw
        total += apart * torch.from_numpy(_enlarged(share, size_hw)).to(crop_chw.device)
    return total.clamp_(0.0, 1.0)


def _enlarged(small: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    large = cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def _hwc(crop_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(crop_chw.permute(1, 2, 0).numpy())
