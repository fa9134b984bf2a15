"""Measures a restorer on degraded images and clips of faces, compared with the originals."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.fid import Embedding, feature_statistics, frechet_distance
from vidrestore.metrics.identity import arcface_embeddings, embeddings
from vidrestore.metrics.lpips import FeatureDistance
from vidrestore.metrics.niqe import niqe
from vidrestore.metrics.scores import (
    MetricNetworks,
    Scores,
    clip_scores,
    image_scores,
    mean_scores,
)
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.restore.detail_blending import blend_clip
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.training.degradations.recipes.table import Recipe
from vidrestore.training.losses.feature_extractors import Vgg19Features, load_feature_network
from vidrestore.training.losses.identity import load_recognition_network
from vidrestore.types import Detection, FloatArray

Restore: TypeAlias = Callable[[Tensor], Tensor]
"""Restores ``(N, 3, S, S)`` RGB in [0, 1]; the result has the same shape, on the CPU."""
_TILE_PX, _SHEET_ROWS = 256, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """Scores of one image or clip."""

    name: str
    frames: int
    scores: Mapping[str, Scores]
    """Variant (``input``, ``output``, ``original``) -> its metrics."""


@dataclass(slots=True, kw_only=True)
class EvaluationResults:
    """Scores, and images for the contact sheet and FID."""

    items: list[EvaluationItem] = field(default_factory=list[EvaluationItem])
    rows: list[tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=list[tuple[Tensor, Tensor, Tensor]]
    )
    """Input, output, original."""

    def summary(self, variant: str) -> Scores:
        """Return the means over all items of ``input``, ``output`` or ``original``."""
        return mean_scores([item.scores[variant] for item in self.items])

    def sheet(self) -> NDArray[np.uint8]:
        """Return an RGB contact sheet: input, output and original of eight evenly spaced rows."""
        lines = [
            np.concatenate([_to_hwc(image) for image in self.rows[index]], axis=1)
            for index in _spaced_indices(len(self.rows), _SHEET_ROWS)
        ]
        size_wh = (3 * _TILE_PX, _TILE_PX * len(lines))
        small = cv2.resize(np.concatenate(lines), size_wh, interpolation=cv2.INTER_AREA)
        return np.rint(np.asarray(small) * 255).clip(0, 255).astype(np.uint8)


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
        degraded, target = _to_chw(pair.degraded), _to_chw(pair.target)
        scores = {
            "input": image_scores(degraded, target, metric_networks),
            "original": {"niqe": niqe(_to_hwc(target))},
        }
        yield DegradedImage(name=name, degraded=degraded, target=target, scores=scores)


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
        results.rows.append((image.degraded, restored, image.target))
    return results


def compute_fid(results: EvaluationResults, embedding: Embedding) -> dict[str, Scores]:
    """Return the FID of inputs and of outputs to the originals, over all rows."""
    inputs, outputs, originals = (
        feature_statistics((image[None] for image in column), embedding)
        for column in zip(*results.rows, strict=True)
    )
    return {
        "input": {"fid": frechet_distance(inputs, originals)},
        "output": {"fid": frechet_distance(outputs, originals)},
    }


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
        restored = [*blend_clip(zip(inputs, restored, strict=True), config=temporal)]
    scores: dict[str, Scores] = {"original": clip_scores(target, target, metric_networks)}
    for variant, clip in (("input", degraded), ("output", restored)):
        frames = [
            image_scores(image, reference, metric_networks)
            for image, reference in zip(clip, target, strict=True)
        ]
        scores[variant] = {**mean_scores(frames), **clip_scores(clip, target, metric_networks)}
    indices = _spaced_indices(len(target), 4)
    return EvaluationResults(
        items=[EvaluationItem(name=name, frames=len(target), scores=scores)],
        rows=[(degraded[index], restored[index], target[index]) for index in indices],
    )


def _spaced_indices(count: int, max_indices: int) -> list[int]:
    """Return up to ``max_indices`` evenly spaced indices below ``count``."""
    return [int(index) for index in np.linspace(0, count - 1, min(max_indices, count))]


def load_identity_embedder(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a function from aligned crops to unit embeddings of a recognition network.

    Args:
        path: Checkpoint of MobileFaceNet or of ArcFace's ResNet.

    Raises:
        WeightsError: The file is missing, unsafe, or of another network.
    """
    network = load_recognition_network(path).eval().requires_grad_(False)
    if isinstance(network, MobileFaceNet):
        return lambda crops: embeddings(network, crops, TEMPLATE_LANDMARKS_XY)
    return lambda crops: arcface_embeddings(network, crops)


def load_feature_distance(path: Path | None) -> FeatureDistance:
    """Return the distance of features of MobileNetV2 or VGG-19, at one layer of each stage.

    Args:
        path: torchvision's file; None uses the MobileNetV2 of an installed package.

    Raises:
        WeightsError: The file is missing, or of another network.
    """
    if path is not None and not path.is_file():
        raise WeightsError(f"{path}: file not found")
    network = load_feature_network(path)
    name = "vgg19" if isinstance(network, Vgg19Features) else "mobilenet"

    @torch.inference_mode()
    def pyramid(image_NCHW: Tensor) -> Sequence[Tensor]:
        return network(image_NCHW * 2 - 1)

    return FeatureDistance(f"{name}_distance", pyramid)


def detect_landmarks(detector: Detector) -> Callable[[Tensor], NDArray[np.float64] | None]:
    """Return a function from an aligned crop to landmarks ``(5, 2)``, or None without a face."""
    low, high = TEMPLATE_LANDMARKS_XY.min(axis=0), TEMPLATE_LANDMARKS_XY.max(axis=0)
    width, height = high - low
    prediction = Detection(
        box_xyxy=(
            float(low[0] - 0.6 * width),
            float(low[1] - 0.8 * height),
            float(high[0] + 0.6 * width),
            float(high[1] + 0.4 * height),
        ),
        score=1.0,
        landmarks_xy=TEMPLATE_LANDMARKS_XY.astype(np.float32),
    )

    def landmarks(crop_chw: Tensor) -> NDArray[np.float64] | None:
        image = np.rint(_to_hwc(crop_chw) * 255).clip(0, 255).astype(np.uint8)
        (face,) = detector.refine(image, [prediction])
        return None if face is None else face.landmarks_xy.astype(np.float64)

    return landmarks


def _to_hwc(image_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(image_chw.permute(1, 2, 0).numpy())


def _to_chw(image_hwc: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image_hwc.transpose(2, 0, 1)))
