"""Motion-compensated average of a crop over time: pure functions.

A restorer amplifies noise and coding artifacts that differ from frame to frame, and the restored
face trembles. Averaging along the motion before restoration removes such differences and leaves
more of the signal. Motion and similarity are measured in thumbnails, where noise is small; only the
averaging happens at full size.

Most films store color at half the resolution. Of such films luma is averaged at full size, color at
half size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from cv2.typing import MatLike
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
from vidrestore.restore.luma import luma_of_crop, without_luma
from vidrestore.types import FloatArray
from vidrestore.warp import average_areas

THUMBNAIL_PX = 128
BRIGHTNESS_PX = 21
"""Side of the window that separates a change of brightness from a change of shape, in thumbnail
pixels: flicker of the film is not motion of the face."""
RESIDUAL_PX = 5
"""Side of the window over which two thumbnails are compared."""
FACE = (
    slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 8),
    slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 4),
)
"""The part of a crop that shows the face in every pose; noise is measured in it."""
MIN_NOISE, MAX_NOISE = 0.6 / 255, 12.0 / 255
"""Range of the noise of a thumbnail: less is rounding, more is motion that was not followed."""
DUPLICATE_RESIDUAL = 0.25 / 255
"""Mean difference below which a neighbor is a repeated frame, as after a conversion of the frame
rate. Its noise is the same, so averaging gains nothing."""
_BAND_ROWS = 128
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
    images: tuple[FloatArray, ...]
    """What is averaged on a CPU: RGB and a channel of zeros, ``(S, S, 4)``; or, where color is
    stored coarsely, luma ``(S, S)`` and the same at half size. Other devices average the crop.
    OpenCV interpolates four channels in half the time of three."""


class Match(NamedTuple):
    """How a neighbor differs, in thumbnail pixels of the current frame."""

    flow: Flow
    brightness_offset_hwc: FloatArray
    """How much brighter the neighbor is; varies slowly."""
    residual_hw: FloatArray
    """Mean absolute difference apart from that."""


def make_thumbnail(crop_chw: Tensor) -> Thumbnail:
    """Return the thumbnail of ``(3, S, S)`` RGB in [0, 1]."""
    small = average_areas(crop_chw, (THUMBNAIL_PX, THUMBNAIL_PX)).permute(1, 2, 0)
    rgb = np.ascontiguousarray(small.float().cpu().numpy())
    return Thumbnail(rgb, luma_levels(rgb))


def make_view(crop_chw: Tensor, *, coarse_color: bool = False) -> CropView:
    """Return the view of ``(3, S, S)`` RGB in [0, 1].

    Args:
        crop_chw: The crop.
        coarse_color: Whether the film stores color at a lower resolution than luma, or none.
    """
    on_cpu = crop_chw.device.type == "cpu"
    if not (on_cpu and coarse_color):
        images = (_padded_hwc(crop_chw),) if on_cpu else ()
        return CropView(crop_chw, make_thumbnail(crop_chw), images)
    side_px = THUMBNAIL_PX * max(1, crop_chw.shape[1] // (2 * THUMBNAIL_PX))
    half_chw = average_areas(crop_chw, (side_px, side_px))
    images = luma_of_crop(crop_chw), _padded_hwc(half_chw)
    return CropView(crop_chw, make_thumbnail(half_chw), images)


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
    noise = min(max(noise, MIN_NOISE), MAX_NOISE)
    matches = [match for _, match in neighbors]
    weights = [
        similarity_weight(match.residual_hw, noise) * np.float32(strength) for match in matches
    ]
    weight_sum = np.ones_like(weights[0])
    for weight in weights:
        weight_sum += weight
    ratios = [np.asarray(weight / weight_sum, dtype=np.float32) for weight in weights]
    others = [other for other, _ in neighbors]
    average = _average_by_opencv if current.images else _average_by_torch
    return average(current, others, matches, ratios)


def compare(current: Thumbnail, other: Thumbnail, flow: Flow) -> Match:
    """Return how a neighbor, warped by ``flow``, differs from the current frame."""
    difference = warp_by_flow(other.rgb_hwc, flow) - current.rgb_hwc
    offset = np.asarray(cv2.blur(difference, (BRIGHTNESS_PX, BRIGHTNESS_PX)), dtype=np.float32)
    residual = cv2.transform(cv2.absdiff(difference, offset), _MEAN_OF_RGB)
    smooth = np.asarray(cv2.blur(residual, (RESIDUAL_PX, RESIDUAL_PX)), dtype=np.float32)
    return Match(flow, offset, smooth)


def median_residual(matches: Sequence[Match]) -> float:
    """Return the median difference of frames that show the same face, in [0, 1]."""
    return float(np.median(np.stack([match.residual_hw[FACE] for match in matches])))


def similarity_weight(residual_hw: FloatArray, noise: float) -> FloatArray:
    """Return 1 where the difference is at most ``noise``, 0.6 at twice that, 0.01 at four times."""
    excess = np.maximum(0.0, residual_hw / noise - 1.0)
    return np.exp(-0.5 * excess**2).astype(np.float32)


def _match(current: Thumbnail, other: Thumbnail) -> Match:
    return compare(current, other, dense_flow(current.gray_hw, other.gray_hw, quick=True))


def _is_duplicate(match: Match) -> bool:
    return float(match.residual_hw[FACE].mean()) < DUPLICATE_RESIDUAL


def _average_by_opencv(
    current: CropView,
    others: Sequence[CropView],
    matches: Sequence[Match],
    ratios: Sequence[FloatArray],
) -> Tensor:
    """Add the neighbors by their ratios, without their difference in brightness."""
    flows = [match.flow for match in matches]
    change, *half_size = (
        warped_change(image, [other.images[index] for other in others], flows, ratios)
        for index, image in enumerate(current.images)
    )
    coarse = -_weighted_sum([match.brightness_offset_hwc for match in matches], ratios)
    if half_size:
        change = cv2.cvtColor(change, cv2.COLOR_GRAY2RGB)
        color = without_luma(_unpadded(half_size[0]))
        coarse = enlarge(coarse, color.shape) + color
    else:
        change = _unpadded(change)
    rgb = _hwc(current.crop_chw)
    total = enlarge(coarse, rgb.shape)
    cv2.add(rgb, cv2.add(change, total, dst=total), dst=total)
    return torch.from_numpy(np.clip(total, 0.0, 1.0, out=total)).permute(2, 0, 1)


def _weighted_sum(images_hwc: Sequence[FloatArray], ratios_hw: Sequence[FloatArray]) -> FloatArray:
    total = np.zeros_like(images_hwc[0])
    for image, ratio in zip(images_hwc, ratios_hw, strict=True):
        cv2.accumulateProduct(image, _repeated(ratio, image.shape[2]), total)
    return total


def _average_by_torch(
    current: CropView,
    others: Sequence[CropView],
    matches: Sequence[Match],
    ratios: Sequence[FloatArray],
) -> Tensor:
    """Do the same on the crop's device, with color at full size."""
    crop_chw = current.crop_chw
    size_hw = (crop_chw.shape[1], crop_chw.shape[2])
    offset = _weighted_sum([match.brightness_offset_hwc for match in matches], ratios)
    offset_large = torch.from_numpy(enlarge(offset, size_hw)).to(crop_chw.device)
    total = crop_chw - offset_large.permute(2, 0, 1)
    for other, match, ratio in zip(others, matches, ratios, strict=True):
        warped = sample_at_by_torch(other.crop_chw, *flow_targets(match.flow, size_hw))
        weight = torch.from_numpy(enlarge(ratio, size_hw)).to(crop_chw.device)
        total += (warped - crop_chw) * weight
    return total.clamp_(0.0, 1.0)


def warped_change(
    current: FloatArray,
    others: Sequence[FloatArray],
    flows: Sequence[Flow],
    ratios: Sequence[FloatArray],
) -> FloatArray:
    """Return what neighbors, warped by their flows and weighted, change.

    Works in bands of rows, which stay in the processor's cache from one step to the next.

    Args:
        current: ``(H, W)`` or ``(H, W, C)`` float32.
        others: Likewise.
        flows: From the current picture to each, found in pictures a whole number of times smaller.
        ratios: Weight of each at every place, in the flow's size.

    Returns:
        The sum of weighted differences, in the shape of ``current``.
    """
    total = np.zeros_like(current)
    channels = 1 if current.ndim == 2 else current.shape[2]
    for other, flow, ratio in zip(others, flows, ratios, strict=True):
        times = current.shape[1] // flow.shape[1]
        small = [*_padded_targets(flow, times), _padded(ratio)]
        band = max(1, _BAND_ROWS // times)
        for first in range(0, len(flow), band):
            rows = slice(first * times, (first + band) * times)
            cells = slice(first, first + band + 2)
            x, y, weights = (_enlarged_inside(part[cells], times) for part in small)
            difference = cv2.subtract(sample_at(other, x, y), current[rows])
            each = _repeated(weights, channels)
            cv2.accumulateProduct(difference, each, total[rows])
    return total


def _repeated(weights_hw: FloatArray, channels: int) -> FloatArray:
    if channels == 1:
        return weights_hw
    code = cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_GRAY2RGBA
    return np.asarray(cv2.cvtColor(weights_hw, code), dtype=np.float32)


def _padded_targets(flow: Flow, times: int) -> tuple[FloatArray, FloatArray]:
    """Return x and y of every cell's target in pixels, ``times`` of them a cell, padded by one."""
    height, width = flow.shape[:2]
    x, y = (_padded(move) for move in cv2.split(flow * np.float32(times)))
    middle = np.float32((times - 1) / 2)
    x += np.arange(-1, width + 1, dtype=np.float32) * times + middle
    y += (np.arange(-1, height + 1, dtype=np.float32) * times + middle)[:, None]
    return x, y


def _padded(cells: MatLike) -> FloatArray:
    return np.asarray(cv2.copyMakeBorder(cells, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.float32)


def _enlarged_inside(cells: FloatArray, times: int) -> FloatArray:
    """Return cells without those at the border, interpolated to ``times`` as many each way."""
    height, width = cells.shape
    large = cv2.resize(cells, (width * times, height * times), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[times:-times, times:-times], dtype=np.float32)


def enlarge(small: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return cells interpolated to the size of an image; the same array if they have it."""
    if small.shape[:2] == shape[:2]:
        return small
    large = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def _hwc(crop_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(crop_chw.permute(1, 2, 0).numpy())


def _padded_hwc(crop_chw: Tensor) -> FloatArray:
    return np.asarray(cv2.cvtColor(_hwc(crop_chw), cv2.COLOR_RGB2RGBA), dtype=np.float32)


def _unpadded(image_hwc: FloatArray) -> FloatArray:
    return np.asarray(cv2.cvtColor(image_hwc, cv2.COLOR_RGBA2RGB), dtype=np.float32)
