"""All available metrics of an image or a clip against its target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.metrics.fid import Embedding
from vidrestore.metrics.identity import angle_degrees, cosine
from vidrestore.metrics.landmarks import landmark_distance_px, landmark_jitter_px
from vidrestore.metrics.lpips import FeatureDistance, ImageDistance
from vidrestore.metrics.niqe import NiqeModel, niqe
from vidrestore.metrics.psnr_ssim import gradient_magnitude, ms_ssim, psnr_db, ssim
from vidrestore.metrics.temporal import (
    flicker,
    flow_difference_px,
    identity_jitter_degrees,
    warping_error,
)
from vidrestore.types import FloatArray

Scores = dict[str, float]
"""Name of a metric -> value; NaN if a face was not found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricNetworks:
    """The networks that metrics need; a metric whose network is None is left out."""

    identity: Callable[[Tensor], Tensor] | None = None
    """``(N, 3, S, S)`` crops in [0, 1] to unit embeddings ``(N, D)``."""
    landmarks: Callable[[Tensor], NDArray[np.float64] | None] | None = None
    """A ``(3, S, S)`` crop to its ``(5, 2)`` landmarks, or None if no face is found."""
    lpips: Sequence[ImageDistance] = ()
    features: FeatureDistance | None = None
    fid: Embedding | None = None
    niqe: NiqeModel | None = None
    """None is the package's, of sharp faces."""


def image_scores(image_chw: Tensor, target_chw: Tensor, networks: MetricNetworks) -> Scores:
    """Return every metric of an image against its target.

    Args:
        image_chw: float RGB in [0, 1], at least 192 pixels on a side.
        target_chw: Same shape.
        networks: The available networks.

    Returns:
        ``psnr`` (dB), ``ssim``, ``ms_ssim``, ``sharpness`` (mean gradient over the target's),
        ``niqe``; and with their networks ``identity`` (cosine), ``identity_angle`` (degrees),
        ``landmark_distance`` (pixels), and those named by ``lpips`` and ``features``.
    """
    pair = image_chw[None].float(), target_chw[None].float()
    scores: Scores = {
        "psnr": float(psnr_db(*pair)),
        "ssim": float(ssim(*pair)),
        "ms_ssim": float(ms_ssim(*pair)),
        "sharpness": float(gradient_magnitude(pair[0]) / gradient_magnitude(pair[1])),
        **unpaired_scores(image_chw, target_chw, networks),
    }
    if networks.landmarks is not None:
        landmarks, reference = networks.landmarks(image_chw), networks.landmarks(target_chw)
        if landmarks is None or reference is None:
            scores["landmark_distance"] = float("nan")
        else:
            scores["landmark_distance"] = landmark_distance_px(landmarks, reference)
    for lpips in networks.lpips:
        scores[lpips.name] = float(lpips.distance(*pair))
    if networks.features is not None:
        scores[networks.features.name] = float(networks.features.distance(*pair))
    return scores


def unpaired_scores(
    image_chw: Tensor, other_chw: Tensor | None, networks: MetricNetworks
) -> Scores:
    """Return the metrics that need no target.

    Args:
        image_chw: float RGB in [0, 1], at least 192 pixels on a side.
        other_chw: The face that ``image_chw`` should be of, as large: the input of a restorer.
        networks: The available networks.

    Returns:
        ``niqe``; and with their network and a face, ``identity`` and ``identity_angle``.
    """
    scores: Scores = {"niqe": niqe(_hwc(image_chw), model=networks.niqe)}
    if networks.identity is not None and other_chw is not None:
        faces = (networks.identity(face[None].float()) for face in (image_chw, other_chw))
        similarity = cosine(*faces)
        scores["identity"] = float(similarity)
        scores["identity_angle"] = float(angle_degrees(similarity))
    return scores


def clip_scores(
    frames: Sequence[Tensor], target: Sequence[Tensor], networks: MetricNetworks
) -> Scores:
    """Return the temporal metrics of aligned crops against the target clip.

    Args:
        frames: ``(3, S, S)`` float RGB in [0, 1], two or more.
        target: As many frames.
        networks: The available networks.

    Returns:
        ``warping_error`` and ``flicker`` (of 255), ``tof`` (pixels); with their networks
        ``identity_jitter`` (degrees from frame to frame), ``identity_spread`` (standard deviation
        of the cosine to the target), ``landmark_jitter`` (pixels) and ``faces_found`` (share of the
        frames).
    """
    images, reference = [_hwc(frame) for frame in frames], [_hwc(frame) for frame in target]
    scores: Scores = {
        "warping_error": warping_error(images, reference),
        "flicker": flicker(images, reference),
        "tof": flow_difference_px(images, reference),
    }
    if networks.identity is not None:
        restored, true = (
            torch.cat([networks.identity(frame[None]) for frame in clip])
            for clip in (frames, target)
        )
        scores["identity_jitter"] = identity_jitter_degrees(restored)
        scores["identity_spread"] = float(cosine(restored, true).std())
    if networks.landmarks is not None:
        landmarks, true_landmarks = (
            _clip_landmarks(clip, networks.landmarks) for clip in (frames, target)
        )
        scores["landmark_jitter"] = landmark_jitter_px(landmarks, true_landmarks)
        scores["faces_found"] = float(np.isfinite(landmarks[:, 0, 0]).mean())
    return scores


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of every metric over the items that have it, without NaN."""
    names = {name: None for item in scores for name in item}
    means: Scores = {}
    for name in names:
        values = np.array([item[name] for item in scores if name in item])
        finite = values[np.isfinite(values)]
        means[name] = float(finite.mean()) if finite.size else float("nan")
    return means


def _clip_landmarks(
    clip: Sequence[Tensor], landmarks: Callable[[Tensor], NDArray[np.float64] | None]
) -> NDArray[np.float64]:
    faces = [landmarks(frame) for frame in clip]
    return np.stack([np.full((5, 2), np.nan) if face is None else face for face in faces])


def _hwc(image_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(image_chw.permute(1, 2, 0).float().cpu().numpy())
