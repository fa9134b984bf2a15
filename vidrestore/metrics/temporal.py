"""Temporal stability of a clip: warping error, flicker, tOF, identity jitter."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.metrics.identity import angle_degrees, cosine
from vidrestore.optical_flow import Flow, dense_flow, luma_levels, warp_by_flow
from vidrestore.types import FloatArray

_CONSISTENCY = (0.01, 0.5)
"""Forward and backward flow must cancel up to 0.01 of their squared length plus 0.5 px squared
(Sundaram et al. 2010, equation 5); elsewhere there is an occlusion."""


def flow_px(first_hwc: FloatArray, second_hwc: FloatArray) -> Flow:
    """Return the motion from one frame to the next, ``(H, W, 2)`` (x, y) pixels.

    Args:
        first_hwc: ``(H, W, 3)`` RGB in [0, 1].
        second_hwc: The frame after it.
    """
    return dense_flow(luma_levels(first_hwc), luma_levels(second_hwc))


def warping_error(frames: Sequence[FloatArray], reference: Sequence[FloatArray]) -> float:
    """Return how much frames differ from the previous frame, warped as the reference moves.

    The mean absolute difference on a scale of 255, over pixels that stay visible (similar to Lai
    et al. 2018, equation 8). A blurred clip has a small error: read it together with sharpness.

    Args:
        frames: ``(H, W, 3)`` RGB in [0, 1], two or more.
        reference: The clip without degradation, which shows the motion.
    """
    errors: list[float] = []
    pairs = zip(frames, reference, strict=True)
    previous, previous_reference = next(pairs)
    for frame, reference_frame in pairs:
        backward = flow_px(reference_frame, previous_reference)
        forward = flow_px(previous_reference, reference_frame)
        visible = visible_pixels(backward, forward)
        if visible.any():
            difference = np.abs(warp_by_flow(previous, backward) - frame).mean(axis=2)
            errors.append(255 * float(difference[visible].mean()))
        previous, previous_reference = frame, reference_frame
    if not errors:
        raise ValueError("a warping error needs two frames of the same scene")
    return float(np.mean(errors))


def flicker(frames: Sequence[FloatArray], reference: Sequence[FloatArray]) -> float:
    """Return the mean change of the error of mean brightness from frame to frame, of 255."""
    errors = [float(a.mean() - b.mean()) for a, b in zip(frames, reference, strict=True)]
    return 255 * float(np.abs(np.diff(errors)).mean())


def flow_difference_px(frames: Sequence[FloatArray], reference: Sequence[FloatArray]) -> float:
    """Return how much the motion of frames differs from that of the reference, in pixels.

    The tOF of Chu et al. 2020, "Learning temporal coherence via self-supervision", section 4.1,
    with Farneback's flow as in its released code.

    Args:
        frames: ``(H, W, 3)`` RGB in [0, 1], two or more.
        reference: The clip without degradation.

    Raises:
        ValueError: There are fewer than two frames, or as many are not in the reference.
    """
    if len(frames) < 2 or len(frames) != len(reference):
        raise ValueError("tOF needs two frames or more, and a reference as long")
    moved, true = ([_farneback(*pair) for pair in pairwise(clip)] for clip in (frames, reference))
    lengths = [
        np.linalg.norm(first - second, axis=2).mean()
        for first, second in zip(moved, true, strict=True)
    ]
    return float(np.mean(lengths))


def _farneback(first_hwc: FloatArray, second_hwc: FloatArray) -> Flow:
    flow = np.zeros((*first_hwc.shape[:2], 2), dtype=np.float32)
    levels = luma_levels(first_hwc), luma_levels(second_hwc)
    estimated = cv2.calcOpticalFlowFarneback(*levels, flow, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.asarray(estimated, dtype=np.float32)


def identity_jitter_degrees(embeddings_TD: Tensor) -> float:
    """Return the mean angle between the unit embeddings of neighboring frames, in degrees.

    Facial expressions cause jitter, too: compare with that of the reference.
    """
    if len(embeddings_TD) < 2:
        raise ValueError("identity jitter needs two frames or more")
    with torch.inference_mode():
        return float(angle_degrees(cosine(embeddings_TD[1:], embeddings_TD[:-1])).mean())


def visible_pixels(backward: Flow, forward: Flow) -> NDArray[np.bool_]:
    """Return the pixels ``(H, W)`` that stay visible: both flows cancel there.

    A border of 4 px is left out.

    Args:
        backward: Motion from a frame to the previous one.
        forward: Motion from the previous frame to it.
    """
    forward_there = warp_by_flow(forward, backward)
    error = ((backward + forward_there) ** 2).sum(axis=2)
    relative, absolute = _CONSISTENCY
    length = (backward**2).sum(axis=2) + (forward_there**2).sum(axis=2)
    inside = np.zeros(error.shape, dtype=bool)
    inside[4:-4, 4:-4] = True
    return inside & (error <= relative * length + absolute)
