"""Converts frames to another pixel format, for encoders that do not support the first.

If the target can store every sample, none is lost: low bits are added, chroma is repeated, gray
gets neutral chroma. Otherwise samples are rounded or averaged.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.code_points import (
    CHROMA_CENTER,
    MATRIX_BT709,
    MATRIX_BT2020,
    MATRIX_RGB,
    PRIMARIES_BT2020,
)
from vidrestore.media.color.matrices import color_matrix, is_full_range, sample_range
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.types import ColorTags, Frame, PixelFormat, Plane

_YUV444 = {False: "yuv444p", True: "yuva444p"}


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class ConversionLoss:
    """What a conversion loses; smaller is better. The worst losses come first."""

    color: bool
    alpha: bool
    chroma: int
    """Octaves of chroma resolution lost."""
    bits: int
    """Bits of depth lost; RGB to YUV rounds, and counts as one bit."""
    excess: int
    """Cost of what the target stores needlessly: larger files, fewer players."""


def loss_between(source: PixelFormat, target: PixelFormat) -> ConversionLoss:
    """Return what converting frames of ``source`` to ``target`` loses."""
    shifts = [
        (0, 0)
        if source.model == "gray"
        else (target_shift - source_shift, source_shift - target_shift)
        for source_shift, target_shift in zip(
            source.chroma_shift_xy, target.chroma_shift_xy, strict=True
        )
    ]
    gained = sum(max(0, more) for _, more in shifts)
    if source.model == "gray" and target.model != "gray":
        # Gray gets the smallest chroma planes.
        gained = 4 if target.model == "rgb" else max(1, 3 - sum(target.chroma_shift_xy))
    return ConversionLoss(
        color=target.model == "gray" and source.model != "gray",
        alpha=source.has_alpha and not target.has_alpha,
        chroma=sum(max(0, lost) for lost, _ in shifts),
        bits=max(0, source.bit_depth - target.bit_depth) + int(_changes_model(source, target)),
        excess=10 * gained
        + max(0, target.bit_depth - source.bit_depth)
        + 5 * (target.has_alpha and not source.has_alpha),
    )


def _changes_model(source: PixelFormat, target: PixelFormat) -> bool:
    return {source.model, target.model} == {"rgb", "yuv"}


def convert_frame(frame: Frame, target: PixelFormat) -> Frame:
    """Return ``frame`` in the pixel format ``target``."""
    if frame.pixel_format == target:
        return frame
    if frame.pixel_format.model == "rgb" and target.model == "yuv":
        frame = _rgb_to_yuv(frame, target.bit_depth)
    source = frame.pixel_format
    full_range = is_full_range(source, frame.color)
    count = source.plane_count - int(source.has_alpha)
    # Alpha is always full range.
    planes = [
        _with_depth(
            plane, source.bit_depth, target.bit_depth, full_range=full_range or number == count
        )
        for number, plane in enumerate(frame.planes)
    ]
    alpha = planes.pop() if source.has_alpha else None
    height, width = frame.coded_hw
    if target.model == "gray":
        planes = planes[:1]
    elif source.model == "gray":
        planes = _planes_of_gray(planes[0], target, (height, width))
    elif source.model == "yuv":
        planes = [
            planes[0],
            *(_resampled_chroma(plane, source, target, (height, width)) for plane in planes[1:]),
        ]
    if target.has_alpha:
        opaque = np.full((height, width), target.max_value, planes[0].dtype)
        planes.append(opaque if alpha is None else alpha)
    color = converted_color(frame.color, source, target)
    return replace(frame, planes=tuple(planes), pixel_format=target, color=color)


def converted_color(color: ColorTags, source: PixelFormat, target: PixelFormat) -> ColorTags:
    """Return the color tags of frames after ``convert_frame``."""
    if (source.model, target.model) == ("rgb", "yuv"):
        return replace(
            color,
            matrix=MATRIX_BT2020 if color.primaries == PRIMARIES_BT2020 else MATRIX_BT709,
            full_range=False,
            range_known=True,
            chroma_location=CHROMA_CENTER,
        )
    if target.model == "rgb" and source.model == "gray":
        return replace(color, matrix=MATRIX_RGB, range_known=True)
    # Untagged gray is full range, which the new format does not imply.
    return color if source.model == target.model else replace(color, range_known=True)


def _rgb_to_yuv(frame: Frame, bit_depth: int) -> Frame:
    """Return an RGB frame as YUV 4:4:4 of limited range; ITU-T H.273 (07/2021), section 8.3."""
    target = PLANAR[
        _YUV444[frame.pixel_format.has_alpha] + ("" if bit_depth == 8 else f"{bit_depth}le")
    ]
    color = converted_color(frame.color, frame.pixel_format, target)
    green, blue, red = (plane.astype(np.float32) for plane in frame.planes[:3])
    span = sample_range(frame.pixel_format, frame.color)
    rgb = np.stack([red, green, blue], axis=2) - np.float32(span.black)
    rgb *= np.float32(1 / span.span)
    unit = 1 << (bit_depth - 8)
    offsets = np.array([16 * unit, 128 * unit, 128 * unit], dtype=np.float32)
    matrix = color_matrix(target, color, frame.coded_hw)
    samples = np.rint(rgb @ matrix.delta_from_rgb.T + offsets)
    yuv = np.clip(samples, 0, target.max_value).astype(np.uint32)
    planes = [_as_plane(yuv[:, :, channel], bit_depth) for channel in range(3)]
    if frame.pixel_format.has_alpha:
        depth = frame.pixel_format.bit_depth
        planes.append(_with_depth(frame.planes[3], depth, bit_depth, full_range=True))
    return replace(frame, planes=tuple(planes), pixel_format=target, color=color)


def _with_depth(plane: Plane, depth: int, target: int, *, full_range: bool) -> Plane:
    """Return samples with another bit depth: full range is scaled, limited range shifted."""
    if depth == target:
        return plane
    samples = plane.astype(np.uint32)
    if target > depth:
        shifted = (samples << (target - depth)).astype(np.uint32)
        if full_range:
            shifted |= samples >> max(0, 2 * depth - target)
        samples = shifted
    elif full_range:
        top, target_top = (1 << depth) - 1, (1 << target) - 1
        samples = ((samples * target_top + top // 2) // top).astype(np.uint32)
    else:
        half = 1 << (depth - target - 1)
        rounded = (samples + half) >> (depth - target)
        samples = np.minimum(rounded, (1 << target) - 1).astype(np.uint32)
    return _as_plane(samples, target)


def _as_plane(samples: NDArray[np.uint32], depth: int) -> Plane:
    return samples.astype(np.uint8) if depth == 8 else samples.astype(np.uint16)


def _planes_of_gray(gray: Plane, target: PixelFormat, coded_hw: tuple[int, int]) -> list[Plane]:
    if target.model == "rgb":
        return [gray, gray, gray]
    neutral = np.full(target.plane_hw(1, coded_hw), 1 << (target.bit_depth - 1), gray.dtype)
    return [gray, neutral, neutral]


def _resampled_chroma(
    plane: Plane, source: PixelFormat, target: PixelFormat, coded_hw: tuple[int, int]
) -> Plane:
    """Change the subsampling of chroma: repeat samples, or average them."""
    height, width = target.plane_hw(1, coded_hw)
    for axis, size in ((0, height), (1, width)):
        xy = 1 - axis
        change = source.chroma_shift_xy[xy] - target.chroma_shift_xy[xy]
        if change > 0:
            plane = plane.repeat(1 << change, axis=axis)
        elif change < 0:
            plane = _average(plane, axis, 1 << -change)
        plane = plane.take(np.arange(size), axis=axis)
    return plane


def _average(plane: Plane, axis: int, count: int) -> Plane:
    missing = -plane.shape[axis] % count
    padded = np.pad(plane, [(0, missing if side == axis else 0) for side in (0, 1)], mode="edge")
    shape = list(padded.shape)
    shape[axis : axis + 1] = [shape[axis] // count, count]
    total = padded.reshape(shape).sum(axis=axis + 1, dtype=np.uint32)
    mean = (total + count // 2) // count
    return mean.astype(np.uint8) if plane.dtype == np.uint8 else mean.astype(np.uint16)


def describe_change(source: PixelFormat, target: PixelFormat, loss: ConversionLoss) -> str:
    """Return a note for the user about a conversion."""
    losses = [
        text
        for is_lost, text in (
            (loss.color, "color"),
            (loss.alpha, "transparency"),
            (loss.chroma > 0, "chroma resolution"),
            (source.bit_depth > target.bit_depth, "bits of depth"),
            (_changes_model(source, target), "exact RGB values"),
        )
        if is_lost
    ]
    change = f"{source.name} is encoded as {target.name}"
    return f"{change}: loses {', '.join(losses)}" if losses else f"{change}: loses nothing"
