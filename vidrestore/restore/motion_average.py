"""Motion-compensated average of a crop over time: pure functions.

A restorer amplifies noise and coding artifacts that differ from frame to frame, and the restored
face trembles. Averaging along the motion before restoration removes such differences and leaves
more of the signal. Motion and similarity are measured in thumbnails, where noise is small; only the
averaging happens at full size.
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
    flow_targets,
    luma_levels,
    sample_at,
    sample_at_by_torch,
    warp_by_flow,
)
from vidrestore.types import FloatArray
from vidrestore.warp import average_areas

_THUMBNAIL_PX = 128
_BRIGHTNESS_PX = 21
"""Side of the window that separates a change of brightness from a change of shape, in thumbnail
pixels: flicker of the film is not motion of the face."""
_RESIDUAL_PX = 5
"""Side of the window over which two thumbnails are compared."""
_FACE = (
    slice(_THUMBNAIL_PX // 4, -_THUMBNAIL_PX // 8),
    slice(_THUMBNAIL_PX // 4, -_THUMBNAIL_PX // 4),
)
"""The part of a crop that shows the face in every pose; noise is measured in it."""
_MIN_NOISE, _MAX_NOISE = 0.6 / 255, 12.0 / 255
"""Range of the noise of a thumbnail: less is rounding, more is motion that was not followed."""
_DUPLICATE_RESIDUAL = 0.25 / 255
"""Mean difference below which a neighbor is a repeated frame, as after a conversion of the frame
rate. Its noise is the same, so averaging gains nothing."""
_BAND_ROWS = 32
_MEAN_OF_RGB = np.full((1, 3), 1 / 3, dtype=np.float32)


class Thumbnail(NamedTuple):
    """A crop reduced to 128 px."""

    rgb_hwc: FloatArray
    """``(128, 128, 3)`` in [0, 1]."""
    gray_hw: NDArray[np.uint8]


class CropView(NamedTuple):
    """A crop and its thumbnail."""

    crop_chw: Tensor
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    thumbnail: Thumbnail


class Match(NamedTuple):
    """How a neighbor differs, in thumbnail pixels of the current frame."""

    flow: Flow
    brightness_offset_hwc: FloatArray
    """How much brighter the neighbor is; varies slowly."""
    residual_hw: FloatArray
    """Mean absolute difference apart from that."""


def make_thumbnail(crop_chw: Tensor) -> Thumbnail:
    """Return the thumbnail of ``(3, S, S)`` RGB in [0, 1]."""
    small = average_areas(crop_chw, (_THUMBNAIL_PX, _THUMBNAIL_PX)).permute(1, 2, 0)
    rgb = np.ascontiguousarray(small.float().cpu().numpy())
    return Thumbnail(rgb, luma_levels(rgb))


def motion_compensated_average(
    current: CropView,
    adjacent: Sequence[CropView],
    distant: Sequence[CropView] = (),
    *,
    strength: float = 1.0,
) -> Tensor:
    """Return a crop averaged with its neighbors, which are warped onto it first.

    A neighbor has full weight where it differs by no more than noise, and less the more it differs.
    So a blink, a word, a hand in front of the face, and whatever moves too fast to be followed stay
    as they are in the frame. So does brightness.

    Args:
        current: The frame to average.
        adjacent: The frames next to it; noise is measured in them.
        distant: Frames further away.
        strength: Weight of a neighbor without differences; the frame itself has 1.

    Returns:
        ``(3, S, S)`` on the crop's device; the crop itself if no neighbor counts.
    """
    if strength == 0.0:
        return current.crop_chw
    pairs = [
        [(other, _match(current.thumbnail, other.thumbnail)) for other in others]
        for others in (adjacent, distant)
    ]
    near, far = ([pair for pair in group if not _is_duplicate(pair[1])] for group in pairs)
    neighbors = [*near, *far]
    if not neighbors:
        return current.crop_chw
    noise = median_residual([match for _, match in near or far])
    noise = min(max(noise, _MIN_NOISE), _MAX_NOISE)
    matches = [match for _, match in neighbors]
    weights = [
        similarity_weight(match.residual_hw, noise) * np.float32(strength) for match in matches
    ]
    weight_sum = np.ones_like(weights[0])
    for weight in weights:
        weight_sum += weight
    ratios = [np.asarray(weight / weight_sum, dtype=np.float32) for weight in weights]
    brightness_offset = np.zeros_like(current.thumbnail.rgb_hwc)
    for match, ratio in zip(matches, ratios, strict=True):
        brightness_offset += ratio[:, :, None] * match.brightness_offset_hwc
    average = _average_by_opencv if current.crop_chw.device.type == "cpu" else _average_by_torch
    flows = [match.flow for match in matches]
    crops = [other.crop_chw for other, _ in neighbors]
    return average(current.crop_chw, crops, flows, ratios, brightness_offset)


def compare(current: Thumbnail, other: Thumbnail, flow: Flow) -> Match:
    """Return how a neighbor, warped by ``flow``, differs from the current frame."""
    difference = warp_by_flow(other.rgb_hwc, flow) - current.rgb_hwc
    offset = np.asarray(cv2.blur(difference, (_BRIGHTNESS_PX, _BRIGHTNESS_PX)), dtype=np.float32)
    residual = cv2.transform(cv2.absdiff(difference, offset), _MEAN_OF_RGB)
    smooth = np.asarray(cv2.blur(residual, (_RESIDUAL_PX, _RESIDUAL_PX)), dtype=np.float32)
    return Match(flow, offset, smooth)


def median_residual(matches: Sequence[Match]) -> float:
    """Return the median difference of frames that show the same face, in [0, 1]."""
    return float(np.median(np.stack([match.residual_hw[_FACE] for match in matches])))


def similarity_weight(residual_hw: FloatArray, noise: float) -> FloatArray:
    """Return 1 where the difference is at most ``noise``, 0.6 at twice that, 0.01 at four times."""
    excess = np.maximum(0.0, residual_hw / noise - 1.0)
    return np.exp(-0.5 * excess**2).astype(np.float32)


def _match(current: Thumbnail, other: Thumbnail) -> Match:
    return compare(current, other, dense_flow(current.gray_hw, other.gray_hw, quick=True))


def _is_duplicate(match: Match) -> bool:
    return float(match.residual_hw[_FACE].mean()) < _DUPLICATE_RESIDUAL


def _average_by_opencv(
    crop_chw: Tensor,
    others: Sequence[Tensor],
    flows: Sequence[Flow],
    ratios: Sequence[FloatArray],
    brightness_offset_hwc: FloatArray,
) -> Tensor:
    """Add the neighbors by their ratios, without their difference in brightness.

    Works in bands of rows, which stay in the processor's cache.
    """
    current, neighbors = _hwc(crop_chw), [_hwc(other) for other in others]
    size_hw = current.shape[:2]
    targets = [flow_targets(flow, size_hw) for flow in flows]
    ratios_large = [_enlarge(ratio, size_hw) for ratio in ratios]
    total = np.subtract(current, _enlarge(brightness_offset_hwc, size_hw))
    for top in range(0, size_hw[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        for neighbor, (x, y), ratio in zip(neighbors, targets, ratios_large, strict=True):
            difference = cv2.subtract(sample_at(neighbor, x[rows], y[rows]), current[rows])
            cv2.accumulateProduct(difference, cv2.merge([ratio[rows]] * 3), total[rows])
    return torch.from_numpy(total.clip(0.0, 1.0, out=total)).permute(2, 0, 1)


def _average_by_torch(
    crop_chw: Tensor,
    others: Sequence[Tensor],
    flows: Sequence[Flow],
    ratios: Sequence[FloatArray],
    brightness_offset_hwc: FloatArray,
) -> Tensor:
    """Do the same as ``_average_by_opencv`` on the crop's device."""
    size_hw = (crop_chw.shape[1], crop_chw.shape[2])
    brightness_offset = torch.from_numpy(_enlarge(brightness_offset_hwc, size_hw)).to(
        crop_chw.device
    )
    total = crop_chw - brightness_offset.permute(2, 0, 1)
    for other, flow, ratio in zip(others, flows, ratios, strict=True):
        difference = sample_at_by_torch(other, *flow_targets(flow, size_hw)) - crop_chw
        total += difference * torch.from_numpy(_enlarge(ratio, size_hw)).to(crop_chw.device)
    return total.clamp_(0.0, 1.0)


def _enlarge(small: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    large = cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def _hwc(crop_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(crop_chw.permute(1, 2, 0).numpy())
