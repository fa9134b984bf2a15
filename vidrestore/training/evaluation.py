"""Measures a restorer on degraded images and clips of faces, compared with the originals."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import PurePath
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.metrics.fid import FeatureStatistics, frechet_distance, vector_statistics
from vidrestore.metrics.scores import (
    MetricNetworks,
    Scores,
    clip_scores,
    image_scores,
    mean_scores,
    unpaired_scores,
)
from vidrestore.restore.detail_blending import blend_clip
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.training.degradations.base import Recipe
from vidrestore.types import FloatArray

Restore: TypeAlias = Callable[[Tensor], Tensor]
"""Restores ``(N, 3, S, S)`` RGB in [0, 1]; the result has the same shape, on the CPU."""
_TILE_PX, _SHEET_ROWS = 256, 8
_UNPAIRED = ("input", "output")
_VARIANTS = (*_UNPAIRED, "original")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """Scores of one image or clip."""

    name: str
    frames: int
    scores: Mapping[str, Scores]
    """Variant (``input``, ``output``, ``original``) -> its metrics."""


@dataclass(slots=True, kw_only=True)
class EvaluationResults:
    """Scores, features for FID, and images for the contact sheet.

    Memory grows by the features alone: of many images the sheet keeps a few.
    """

    items: list[EvaluationItem] = field(default_factory=list[EvaluationItem])
    vectors: dict[str, list[Tensor]] = field(default_factory=dict[str, list[Tensor]])
    """Variant -> ``(1, D)`` features of every image; empty without a network for FID."""
    _rows: list[FloatArray] = field(default_factory=list[FloatArray])
    _row_count: int = 0
    _stride: int = 1

    def add_row(self, *images: Tensor) -> None:
        """Add the input, the output and, where there is one, the original, for the sheet."""
        if self._row_count % self._stride == 0:
            self._rows.append(np.concatenate([_tile(image) for image in images], axis=1))
            if len(self._rows) > 2 * _SHEET_ROWS:
                self._rows, self._stride = self._rows[::2], 2 * self._stride
        self._row_count += 1

    def add_features(self, networks: MetricNetworks, *images: Tensor) -> None:
        """Add the features of input, output and original, if there is a network for FID."""
        if networks.fid is not None:
            for variant, image in zip(_VARIANTS, images, strict=False):
                self.vectors.setdefault(variant, []).append(networks.fid(image[None]))

    def summary(self, variant: str) -> Scores:
        """Return the means over all items of ``input``, ``output`` or ``original``."""
        return mean_scores([item.scores.get(variant, {}) for item in self.items])

    def sheet(self) -> NDArray[np.uint8]:
        """Return an RGB contact sheet: input, output and original of up to eight spaced rows."""
        lines = [self._rows[index] for index in _spaced_indices(len(self._rows), _SHEET_ROWS)]
        return np.rint(np.concatenate(lines) * 255).clip(0, 255).astype(np.uint8)

    def extend(self, other: "EvaluationResults") -> None:
        """Add the items and the rows of other results."""
        self.items += other.items
        for variant, vectors in other.vectors.items():
            self.vectors.setdefault(variant, []).extend(vectors)
        self._rows += other._rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DegradedImage:
    """A degraded face, with the scores that do not depend on a restorer."""

    name: str
    degraded: Tensor
    """``(3, S, S)`` RGB in [0, 1]."""
    target: Tensor
    """Same shape and range."""
    scores: Mapping[str, Scores]
    """Scores of ``input`` and ``original``."""


def degrade_images(
    images: Iterable[tuple[str, Tensor]],
    *,
    recipe: Recipe,
    seed: int,
    metric_networks: MetricNetworks,
) -> Iterator[DegradedImage]:
    """Yield every image degraded; image ``k`` is drawn from ``(seed, k)``.

    Args:
        images: Name and ``(3, S, S)`` RGB in [0, 1].
        recipe: The distribution of degradations.
        seed: Seed of all draws.
        metric_networks: The networks that metrics need.
    """
    for number, (name, original) in enumerate(images):
        degradation = recipe.draw(np.random.default_rng((seed, number)))
        pair = degradation.degrade(_to_hwc(original))
        yield _scored(name, _to_chw(pair.degraded), _to_chw(pair.target), metric_networks)


def pair_images(
    inputs: Iterable[tuple[str, Tensor]],
    originals: Iterable[tuple[str, Tensor]],
    *,
    metric_networks: MetricNetworks,
) -> Iterator[DegradedImage]:
    """Yield images that were degraded already, as published test sets are, with their originals.

    Args:
        inputs: Name and ``(3, S, S)`` RGB in [0, 1].
        originals: Of the same names but for the suffix, in the same order.
        metric_networks: The networks that metrics need.

    Raises:
        ConfigError: The names differ.
    """
    for degraded, original in zip_longest(inputs, originals):
        names = [each and PurePath(each[0]).with_suffix("").as_posix() for each in
                 (degraded, original)]  # fmt: skip
        if degraded is None or original is None or names[0] != names[1]:
            raise ConfigError(
                f"inputs and originals must have the same names; {names[0]} is beside {names[1]}"
            )
        yield _scored(degraded[0], degraded[1], original[1], metric_networks)


def _scored(name: str, degraded: Tensor, target: Tensor, networks: MetricNetworks) -> DegradedImage:
    scores = {
        "input": image_scores(degraded, target, networks),
        "original": unpaired_scores(target, None, networks),
    }
    return DegradedImage(name=name, degraded=degraded, target=target, scores=scores)


def measure_images(
    images: Iterable[DegradedImage], *, restore: Restore, metric_networks: MetricNetworks
) -> EvaluationResults:
    """Restore and measure every image.

    Args:
        images: The output of ``degrade_images``; several restorers can share a list of them.
        restore: The restorer.
        metric_networks: The networks that ``images`` were measured with.
    """
    results = EvaluationResults()
    for image in images:
        restored = restore(image.degraded[None])[0]
        output = image_scores(restored, image.target, metric_networks)
        scores = {**image.scores, "output": output}
        results.items.append(EvaluationItem(name=image.name, frames=1, scores=scores))
        results.add_row(image.degraded, restored, image.target)
        results.add_features(metric_networks, image.degraded, restored, image.target)
    return results


def measure_unpaired(
    images: Iterable[tuple[str, Tensor]], *, restore: Restore, metric_networks: MetricNetworks
) -> EvaluationResults:
    """Restore images that have no originals: NIQE, and identity to the input.

    Args:
        images: Name and ``(3, S, S)`` RGB in [0, 1].
        restore: The restorer.
        metric_networks: The networks that metrics need.
    """
    results = EvaluationResults()
    for name, image in images:
        restored = restore(image[None])[0]
        scores = {
            "input": unpaired_scores(image, None, metric_networks),
            "output": unpaired_scores(restored, image, metric_networks),
        }
        results.items.append(EvaluationItem(name=name, frames=1, scores=scores))
        results.add_row(image, restored)
        results.add_features(metric_networks, image, restored)
    return results


def compute_fid(
    results: EvaluationResults, reference: FeatureStatistics | None = None
) -> dict[str, Scores]:
    """Return the FID of inputs and of outputs to the originals, or to other sharp images.

    Raises:
        ConfigError: There are fewer than two images, or the reference is of another network.
    """
    try:
        sharp = reference or vector_statistics(results.vectors.get("original", []))
        statistics = {name: vector_statistics(results.vectors.get(name, [])) for name in _UNPAIRED}
    except ValueError as error:
        raise ConfigError(f"FID: {error}") from error
    if sharp.mean.shape != statistics["input"].mean.shape:
        raise ConfigError(
            f"FID: the reference has {len(sharp.mean)} features, this network gives "
            f"{len(statistics['input'].mean)}"
        )
    return {name: {"fid": frechet_distance(each, sharp)} for name, each in statistics.items()}


def measure_clip(
    name: str,
    originals: Sequence[Tensor],
    *,
    recipe: Recipe,
    rng: np.random.Generator,
    restore: Restore,
    metric_networks: MetricNetworks,
    temporal: TemporalConfig | None = None,
) -> EvaluationResults:
    """Degrade aligned crops as one clip, restore and measure them, frame by frame and over time.

    Args:
        name: Name of the clip.
        originals: Two or more frames, ``(3, S, S)`` RGB in [0, 1].
        recipe: The distribution that the clip's degradation is drawn from.
        rng: Generator of that draw.
        restore: The restorer.
        metric_networks: The networks that metrics need.
        temporal: How neighboring frames contribute, as in a film; None restores every frame
            independently.
    """
    pairs = recipe.draw(rng).degrade_clip([_to_hwc(original) for original in originals])
    degraded = [_to_chw(pair.degraded) for pair in pairs]
    target = [_to_chw(pair.target) for pair in pairs]
    inputs = degraded
    if temporal is not None:
        inputs = [*denoise_clip(degraded, config=temporal, coarse_color=True)]
    restored = [restore(image[None])[0] for image in inputs]
    if temporal is not None:
        restored = [*blend_clip(zip(degraded, restored, strict=True), config=temporal)]
    scores: dict[str, Scores] = {"original": clip_scores(target, target, metric_networks)}
    for variant, clip in (("input", degraded), ("output", restored)):
        frames = [
            image_scores(image, reference, metric_networks)
            for image, reference in zip(clip, target, strict=True)
        ]
        scores[variant] = {**mean_scores(frames), **clip_scores(clip, target, metric_networks)}
    results = EvaluationResults(
        items=[EvaluationItem(name=name, frames=len(target), scores=scores)]
    )
    for index in _spaced_indices(len(target), 4):
        results.add_row(degraded[index], restored[index], target[index])
    return results


def _spaced_indices(count: int, max_indices: int) -> list[int]:
    """Return up to ``max_indices`` evenly spaced indices below ``count``."""
    return [int(index) for index in np.linspace(0, count - 1, min(max_indices, count))]


def _tile(image_chw: Tensor) -> FloatArray:
    size = (_TILE_PX, _TILE_PX)
    small = cv2.resize(_to_hwc(image_chw), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def _to_hwc(image_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(image_chw.permute(1, 2, 0).numpy())


def _to_chw(image_hwc: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image_hwc.transpose(2, 0, 1)))
