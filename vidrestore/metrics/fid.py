"""FID: distance of two sets of images in the features of a network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import inception_v3

from vidrestore.errors import WeightsError

Array = NDArray[np.float64]


class Embedding(Protocol):
    """A function from images to vectors."""

    def __call__(self, image_NCHW: Tensor) -> Tensor:
        """Return ``(N, D)`` of RGB in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of the features of a set of images."""

    mean: Array
    covariance: Array
    count: int


def feature_statistics(batches_NCHW: Iterable[Tensor], embedding: Embedding) -> FeatureStatistics:
    """Return the statistics of all images of ``batches_NCHW``.

    Args:
        batches_NCHW: float RGB in [0, 1].
        embedding: The network.

    Raises:
        ValueError: There are fewer than two images.
    """
    vectors = [embedding(batch).detach().double().cpu().numpy() for batch in batches_NCHW]
    stacked: Array = np.concatenate(vectors) if vectors else np.zeros((0, 1))
    if len(stacked) < 2:
        raise ValueError(f"a set needs two images or more, got {len(stacked)}")
    return FeatureStatistics(
        mean=stacked.mean(axis=0),
        covariance=np.atleast_2d(np.cov(stacked, rowvar=False)),
        count=len(stacked),
    )


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Return ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` (Heusel et al. 2017, equation 6).

    It is biased upwards for small sets: compare only sets of equal size.
    """
    root = _square_root(first.covariance)
    values = np.linalg.eigvalsh(root @ second.covariance @ root)
    cross = float(np.sqrt(np.clip(values, 0, None)).sum())
    means = float(((first.mean - second.mean) ** 2).sum())
    traces = float(np.trace(first.covariance) + np.trace(second.covariance))
    return max(0.0, means + traces - 2 * cross)


def _square_root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


class InceptionEmbedding:
    """The 2048 features before the classifier of torchvision's Inception v3, at 299 pixels."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, image_NCHW: Tensor) -> Tensor:
        """Return ``(N, 2048)`` of RGB in [0, 1]."""
        resized = nn.functional.interpolate(image_NCHW, (299, 299), mode="bilinear", antialias=True)
        return self._network(resized * 2 - 1)


def inception_embedding(state: Mapping[str, Tensor]) -> InceptionEmbedding:
    """Return torchvision's Inception v3 without its classifier, from its tensors.

    FID was published with other weights: compare scores with each other, not with papers.

    Raises:
        WeightsError: They do not match.
    """
    network = inception_v3(weights=None, init_weights=False)
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise WeightsError(f"tensors do not match torchvision's Inception v3: {error}") from error
    network.fc = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return InceptionEmbedding(network)
