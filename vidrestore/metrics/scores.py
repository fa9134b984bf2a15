"""All metrics there are instruments for, of a picture or a clip against its target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.metrics.identity import angle_degrees, cosine
from vidrestore.metrics.landmarks import landmark_distance_px, landmark_jitter_px
from vidrestore.metrics.lpips import FeatureDistance, Lpips
from vidrestore.metrics.niqe import niqe
from vidrestore.metrics.psnr_ssim import gradient_magnitude, ms_ssim, psnr_db, ssim
from vidrestore.metrics.temporal import flicker, identity_jitter_degrees, warping_error
from vidrestore.types import FloatArray

Scores = dict[str, float]
"""Name of a metric -> value. NaN where a face was not found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricNetworks:
    """The networks that metrics need; a metric whose network is None is left out."""

    identity: Callable[[Tensor], Tensor] | None = None
    """``(N, 3, S, S)`` crops in [0, 1] to unit embeddings ``(N, D)``."""
    landmarks: Callable[[Tensor], NDArray[np.float64] | None] | None = None
    """A ``(3, S, S)`` crop to its ``(5, 2)`` points, or None where no face is seen."""
    lpips: Lpips | None = None
    features: FeatureDistance | None = None


def image_scores(picture_chw: Tensor, target_chw: Tensor, instruments: MetricNetworks) -> Scores:
    """Return every metric of a picture against its target.

    Args:
        picture_chw: float RGB in [0, 1], at least 192 pixels on a side.
        target_chw: Same shape.
        instruments: The networks at hand.

    Returns:
        ``psnr`` (dB), ``ssim``, ``ms_ssim``, ``sharpness`` (mean gradient over the target's),
        ``niqe``; and with their networks ``identity`` (cosine), ``identity_angle`` (degrees),
        ``landmark_distance`` (pixels), ``lpips``, and the name of ``features``.
    """
    pair = picture_chw[None].float(), target_chw[None].float()
    scores: Scores = {
        "psnr": float(psnr_db(*pair)),
        "ssim": float(ssim(*pair)),
        "ms_ssim": float(ms_ssim(*pair)),
        "sharpness": float(gradient_magnitude(pair[0]) / gradient_magnitude(pair[1])),
        "niqe": niqe(_hwc(picture_chw)),
    }
    if instruments.identity is not None:
        similarity = cosine(instruments.identity(pair[0]), instruments.identity(pair[1]))
        scores["identity"] = float(similarity)
        scores["identity_angle"] = float(angle_degrees(similarity))
    if instruments.landmarks is not None:
        found = instruments.landmarks(picture_chw), instruments.landmarks(target_chw)
        seen = found[0] is not None and found[1] is not None
        scores["landmark_distance"] = landmark_distance_px(*found) if seen else float("nan")  # type: ignore[arg-type]
    if instruments.lpips is not None:
        scores["lpips"] = float(instruments.lpips.distance(*pair))
    if instruments.features is not None:
        scores[instruments.features.name] = float(instruments.features.distance(*pair))
    return scores


def clip_scores(
    frames: Sequence[Tensor], target: Sequence[Tensor], instruments: MetricNetworks
) -> Scores:
    """Return the temporal metrics of aligned crops against the clip they should be.

    Args:
        frames: ``(3, S, S)`` float RGB in [0, 1], two or more.
        target: As many.
        instruments: The networks at hand.

    Returns:
        ``warping_error`` and ``flicker`` (of 255); with their networks ``identity_jitter``
        (degrees from frame to frame), ``identity_spread`` (standard deviation of the cosine to
        the target), ``landmark_jitter`` (pixels) and ``faces_found`` (share of the frames).
    """
    pictures, wanted = [_hwc(each) for each in frames], [_hwc(each) for each in target]
    scores: Scores = {
        "warping_error": warping_error(pictures, wanted),
        "flicker": flicker(pictures, wanted),
    }
    if instruments.identity is not None:
        found, true = (
            torch.cat([instruments.identity(each[None]) for each in clip])
            for clip in (frames, target)
        )
        scores["identity_jitter"] = identity_jitter_degrees(found)
        scores["identity_spread"] = float(cosine(found, true).std())
    if instruments.landmarks is not None:
        points, reference = (_points(clip, instruments.landmarks) for clip in (frames, target))
        scores["landmark_jitter"] = landmark_jitter_px(points, reference)
        scores["faces_found"] = float(np.isfinite(points[:, 0, 0]).mean())
    return scores


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of every metric over those that have it, NaN left out."""
    names = {name: None for each in scores for name in each}
    means: Scores = {}
    for name in names:
        values = np.array([each[name] for each in scores if name in each])
        known = values[np.isfinite(values)]
        means[name] = float(known.mean()) if known.size else float("nan")
    return means


def _points(
    clip: Sequence[Tensor], landmarks: Callable[[Tensor], NDArray[np.float64] | None]
) -> NDArray[np.float64]:
    found = [landmarks(frame) for frame in clip]
    return np.stack([np.full((5, 2), np.nan) if each is None else each for each in found])


def _hwc(picture_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(picture_chw.permute(1, 2, 0).float().cpu().numpy())
