"""How visible and how stable a restoration is, from the luma of a face before and after.

No reference is needed, so any pair of films can be measured. A mean gradient does not separate
clarity from noise: an unsharp mask raises both. A face looks clear if edges are stronger and skin
is no rougher, so both are measured, as two percentiles of the gradient.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.metrics.temporal import visible_pixels
from vidrestore.optical_flow import MIN_FLOW_SIDE_PX, fine_flow, warp_by_flow
from vidrestore.types import FloatArray

EDGE_PERCENTILE, FLAT_PERCENTILE = 99.0, 25.0
"""Percentiles of the gradient's length in a face: edges of eyes, brows, lips and hair; and skin."""
HIGH_PASS_SIGMA_PX = 2.0
"""Sigma of the Gaussian that is subtracted before trembling is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Changes of a face. Ratios are after over before, NaN where before is 0."""

    frames: int
    """Number of measured pairs of frames."""
    edges: float
    """Strength of edges, the 99th percentile of the gradient: ratio of the means over frames."""
    flat: float
    """Roughness of flat skin, the 25th percentile: ratio of the means over frames."""
    change_levels: float
    """Mean absolute difference of luma, in levels of 255."""
    tremble: float
    """Trembling of fine detail: ratio of the means over frames; NaN without three in a row."""
    flicker: float
    """Flicker of fine detail along the motion: ratio of the means over frames; NaN without two in a
    row."""

    @property
    def clarity(self) -> float:
        """Edges over flat: above 1 where edges gained more than noise did."""
        return _ratio(self.edges, self.flat)


def visibility(runs: Iterable[tuple[FloatArray, FloatArray]]) -> Visibility:
    """Return the visibility of a restoration over all frames of all runs.

    Args:
        runs: Luma of one face before and after, in consecutive frames at one position: two
            ``(T, H, W)`` float arrays in levels, 0 to 255, of the same shape with sides of at least
            2. A face that moves far is two runs.

    Raises:
        ValueError: There is no frame, or the shapes do not fit.
    """
    measured = [_measure_run(before, after) for before, after in runs]
    if not measured:
        raise ValueError("visibility needs a frame")
    gradients, changes, trembles, flickers = (
        np.concatenate(arrays) for arrays in zip(*measured, strict=True)
    )
    edges_before, flat_before, edges_after, flat_after = gradients.mean(axis=0)
    return Visibility(
        frames=len(gradients),
        edges=_ratio(edges_after, edges_before),
        flat=_ratio(flat_after, flat_before),
        change_levels=float(changes.mean()),
        tremble=_ratio_of_means(trembles),
        flicker=_ratio_of_means(flickers),
    )


def edges_and_flat(luma_HW: FloatArray) -> tuple[float, float]:
    """Return the 99th and the 25th percentile of the gradient's length, in levels per pixel.

    Args:
        luma_HW: Luma in levels, sides of at least 2; differences are central.
    """
    along_y, along_x = np.gradient(luma_HW)
    edges, flat = np.percentile(np.hypot(along_x, along_y), (EDGE_PERCENTILE, FLAT_PERCENTILE))
    return float(edges), float(flat)


def trembling(luma_THW: FloatArray) -> NDArray[np.float64]:
    """Return the mean absolute second difference over time of fine detail, ``(T - 2,)`` levels.

    A second difference ignores steady changes: fading light and slow motion.

    Args:
        luma_THW: Luma in levels of consecutive frames; the result of fewer than three is empty.
    """
    fine_THW = np.stack([_high_pass(frame) for frame in luma_THW])
    second = fine_THW[2:] - 2 * fine_THW[1:-1] + fine_THW[:-2]
    return np.abs(second).mean(axis=(1, 2), dtype=np.float64)


def flickering(before_THW: FloatArray, after_THW: FloatArray) -> NDArray[np.float64]:
    """Return how much fine detail of both changes along the motion of the first, ``(T - 1, 2)``.

    The mean absolute difference from the previous frame, in levels, over pixels that stay visible.
    Motion is found to a fraction of a pixel only, so stronger edges differ more. A step in which
    nothing stays visible is left out, and so is a picture too small for motion to be found.

    Args:
        before_THW: Luma in levels of consecutive frames, which shows the motion.
        after_THW: The same frames restored.
    """
    levels = np.clip(np.rint(before_THW), 0, 255).astype(np.uint8)
    fine_2THW = [[_high_pass(frame) for frame in luma] for luma in (before_THW, after_THW)]
    steps: list[list[float]] = []
    is_large = min(levels.shape[1:]) >= MIN_FLOW_SIDE_PX
    for index in range(1, len(levels)) if is_large else ():
        backward = fine_flow(levels[index], levels[index - 1])
        visible = visible_pixels(backward, fine_flow(levels[index - 1], levels[index]))
        if visible.any():
            steps.append(
                [
                    float(
                        np.abs(warp_by_flow(fine[index - 1], backward) - fine[index])[
                            visible
                        ].mean()
                    )
                    for fine in fine_2THW
                ]
            )
    return np.array(steps, dtype=np.float64).reshape(-1, 2)


def _measure_run(before_THW: FloatArray, after_THW: FloatArray) -> tuple[NDArray[np.float64], ...]:
    """Return ``(T, 4)`` percentiles, ``(T,)`` changes, trembling and flicker before and after."""
    shape = before_THW.shape
    if after_THW.shape != shape or len(shape) != 3 or not shape[0] or min(shape[1:]) < 2:
        raise ValueError(
            f"luma must be (T, H, W) with sides of at least 2, equal before and after; got {shape} "
            f"and {after_THW.shape}"
        )
    gradients = [
        (*edges_and_flat(before), *edges_and_flat(after))
        for before, after in zip(before_THW, after_THW, strict=True)
    ]
    changes = np.abs(after_THW - before_THW).mean(axis=(1, 2), dtype=np.float64)
    return (
        np.array(gradients),
        changes,
        np.stack([trembling(before_THW), trembling(after_THW)], axis=1),
        flickering(before_THW, after_THW),
    )


def _high_pass(luma_HW: FloatArray) -> FloatArray:
    low_pass = cv2.GaussianBlur(luma_HW, (0, 0), HIGH_PASS_SIGMA_PX)
    return luma_HW - np.asarray(low_pass, dtype=luma_HW.dtype)


def _ratio_of_means(before_after: NDArray[np.float64]) -> float:
    if not len(before_after):
        return float("nan")
    before, after = before_after.mean(axis=0)
    return _ratio(after, before)


def _ratio(after: float, before: float) -> float:
    return float(after / before) if before else float("nan")
