"""FID: distance of two sets of images in the features of a network."""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
    count: int | None
    """None where a file of statistics does not say."""


def feature_statistics(batches_NCHW: Iterable[Tensor], embedding: Embedding) -> FeatureStatistics:
    """Return the statistics of all images of ``batches_NCHW``.

    Args:
        batches_NCHW: float RGB in [0, 1].
        embedding: The network.

    Raises:
        ValueError: There are fewer than two images.
    """
    return vector_statistics([embedding(batch) for batch in batches_NCHW])


def vector_statistics(vectors: Sequence[Tensor]) -> FeatureStatistics:
    """Return the statistics of ``(N, D)`` features, given in batches.

    Raises:
        ValueError: There are fewer than two features.
    """
    batches = [batch.detach().double().cpu().numpy() for batch in vectors]
    stacked: Array = np.concatenate(batches) if batches else np.zeros((0, 1))
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


def read_statistics(path: Path) -> FeatureStatistics:
    """Return statistics of a file as pytorch-fid writes it: an ``.npz`` with ``mu`` and ``sigma``.

    Raises:
        WeightsError: The file is missing, damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = (np.asarray(file[key], np.float64) for key in ("mu", "sigma"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not an .npz with mu and sigma: {error}") from error
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise WeightsError(f"{path}: mu is {mean.shape} and sigma {covariance.shape}")
    return FeatureStatistics(mean=mean, covariance=covariance, count=None)


class InceptionEmbedding:
    """The 2048 features before the classifier of an Inception v3, at 299 pixels.

    Args:
        network: Without its classifier.
        antialias: Whether shrinking averages; FID was published without.
    """

    def __init__(self, network: nn.Module, *, antialias: bool = True) -> None:
        self._network = network.eval().requires_grad_(False)
        self._antialias = antialias

    @torch.inference_mode()
    def __call__(self, image_NCHW: Tensor) -> Tensor:
        """Return ``(N, 2048)`` of RGB in [0, 1]."""
        resized = nn.functional.interpolate(
            image_NCHW, (299, 299), mode="bilinear", antialias=self._antialias
        )
        return self._network(resized * 2 - 1)


class PublishedPool(nn.Module):
    """A block of torchvision's Inception with the pooling of the network that FID came with.

    Means there leave out the padding; the last block takes the maximum instead.

    Args:
        block: torchvision's, whose last branch is ``branch_pool`` of a mean.
        takes_maximum: Whether it is the last block.
    """

    def __init__(self, block: nn.Module, *, takes_maximum: bool = False) -> None:
        super().__init__()
        self.block: Any = block
        self._takes_maximum = takes_maximum

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` features of all branches."""
        *branches, _ = self.block._forward(feat_NCHW)
        if self._takes_maximum:
            pooled = nn.functional.max_pool2d(feat_NCHW, 3, stride=1, padding=1)
        else:
            pooled = nn.functional.avg_pool2d(
                feat_NCHW, 3, stride=1, padding=1, count_include_pad=False
            )
        return torch.cat([*branches, self.block.branch_pool(pooled)], dim=1)


_POOLED_BLOCKS = ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b", "7c")
_PUBLISHED_CLASSES = 1008


def inception_embedding(state: Mapping[str, Tensor]) -> InceptionEmbedding:
    """Return the Inception v3 of a file without its classifier: FID's own, or torchvision's.

    FID was published (Heusel et al. 2017) with the network of 2015 with 1008 classes, as ported in
    ``pt_inception-2015-12-05``. Scores by torchvision's are to be compared with each other only.

    Raises:
        WeightsError: The tensors are of neither.
    """
    is_published = is_published_inception(state)
    with torch.device("meta"):
        network = inception_v3(
            weights=None,
            init_weights=False,
            aux_logits=not is_published,
            num_classes=_PUBLISHED_CLASSES if is_published else 1000,
        )
    try:
        network.load_state_dict(dict(state), strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            "tensors match neither the Inception that FID was published with "
            f"(pt_inception-2015-12-05) nor torchvision's Inception v3: {error}"
        ) from error
    if is_published:
        for name in _POOLED_BLOCKS:
            block = getattr(network, f"Mixed_{name}")
            setattr(network, f"Mixed_{name}", PublishedPool(block, takes_maximum=name == "7c"))
    network.fc = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return InceptionEmbedding(network, antialias=not is_published)


def is_published_inception(state: Mapping[str, Tensor]) -> bool:
    """Return whether tensors are those of the network that FID was published with."""
    return "fc.weight" in state and len(state["fc.weight"]) == _PUBLISHED_CLASSES
