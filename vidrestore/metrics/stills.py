"""A restorer measured on stills with a reference, degraded by a recipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidrestore.metrics.identity import cosine, embeddings
from vidrestore.metrics.pixel import gradient_magnitude, psnr_db, ssim


@dataclass(frozen=True, slots=True, kw_only=True)
class StillScores:
    """One still, before and after restoration, against its original."""

    psnr_db: float
    ssim: float
    identity: float | None
    """Cosine to the original; None without a recognition network."""
    sharpness: float
    """Mean gradient magnitude over the original's."""


def score(
    picture_chw: Tensor,
    original_chw: Tensor,
    *,
    points_xy: NDArray[np.float64],
    recognition: nn.Module | None,
) -> StillScores:
    """Compare a ``(3, S, S)`` crop in [0, 1] with its original, aligned to ``points_xy``."""
    pair = picture_chw[None], original_chw[None]
    identity = None
    if recognition is not None:
        first, second = (embeddings(recognition, each, points_xy) for each in pair)
        identity = float(cosine(first, second)[0])
    ratio = gradient_magnitude(pair[0]) / gradient_magnitude(pair[1])
    return StillScores(
        psnr_db=float(psnr_db(*pair)[0]),
        ssim=float(ssim(*pair)[0]),
        identity=identity,
        sharpness=float(ratio[0]),
    )


def measure(
    originals: Sequence[Tensor],
    *,
    degrade: Callable[[int, Tensor], Tensor],
    restore: Callable[[Tensor], Tensor],
    points_xy: NDArray[np.float64],
    recognition: nn.Module | None,
) -> list[tuple[StillScores, StillScores]]:
    """Return the scores of every still's degraded input and of its restoration.

    Args:
        originals: ``(3, S, S)`` RGB in [0, 1].
        degrade: Still number and original to degraded picture.
        restore: ``(N, 3, S, S)`` to the same shape.
        points_xy: ``(5, 2)`` landmarks that all stills are aligned to.
        recognition: Identity network, or None.
    """
    scores: list[tuple[StillScores, StillScores]] = []
    for at, original in enumerate(originals):
        degraded = degrade(at, original)
        with torch.inference_mode():
            restored = restore(degraded[None])[0]
        scores.append(
            (
                score(degraded, original, points_xy=points_xy, recognition=recognition),
                score(restored, original, points_xy=points_xy, recognition=recognition),
            )
        )
    return scores
