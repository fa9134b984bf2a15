"""A restorer on degraded faces, measured against their originals: stills and clips."""

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
from vidrestore.restore.settings import BlendingConfig, TemporalDenoiseConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.training.degradations.recipes.table import Recipe
from vidrestore.training.losses.feature_extractors import Vgg19Features, feature_network
from vidrestore.training.losses.identity import recognition_network
from vidrestore.types import Detection, FloatArray

Restore: TypeAlias = Callable[[Tensor], Tensor]
"""``(N, 3, S, S)`` RGB in [0, 1] to the same, on the CPU."""
SIDES = ("input", "output", "original")
_TILE_PX, _SHEET_ROWS = 256, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One still or clip."""

    name: str
    frames: int
    scores: Mapping[str, Scores]
    """Side (``input``, ``output``, ``original``) -> its metrics."""


@dataclass(slots=True, kw_only=True)
class Results:
    """What was measured, and a few pictures to look at."""

    entries: list[Entry] = field(default_factory=list[Entry])
    rows: list[tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=list[tuple[Tensor, Tensor, Tensor]]
    )
    """Input, output, original."""

    def summary(self, side: str) -> Scores:
        """Return the means over all entries of ``input``, ``output`` or ``original``."""
        return mean_scores([entry.scores[side] for entry in self.entries])

    def sheet(self) -> NDArray[np.uint8]:
        """Return input, output and original side by side for a few rows, evenly taken, as RGB."""
        picks = np.linspace(0, len(self.rows) - 1, min(_SHEET_ROWS, len(self.rows))).astype(int)
        lines = [
            np.concatenate([_hwc(each) for each in self.rows[int(at)]], axis=1) for at in picks
        ]
        size_wh = (3 * _TILE_PX, _TILE_PX * len(lines))
        small = cv2.resize(np.concatenate(lines), size_wh, interpolation=cv2.INTER_AREA)
        return np.rint(np.asarray(small) * 255).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    """A face, degraded and measured before any restorer has seen it."""

    name: str
    degraded: Tensor
    """``(3, S, S)`` RGB in [0, 1]."""
    target: Tensor
    """What it should become, alike."""
    scores: Mapping[str, Scores]
    """Of ``input`` and ``original``."""


def degraded_stills(
    stills: Iterable[tuple[str, Tensor]], *, recipe: Recipe, seed: int, instruments: MetricNetworks
) -> Iterator[Still]:
    """Yield every still degraded; still ``k`` is drawn from ``(seed, k)``.

    Args:
        stills: Name and ``(3, S, S)`` RGB in [0, 1].
        recipe: What they suffer.
        seed: Of all of them.
        instruments: The networks that metrics need.
    """
    for at, (name, original) in enumerate(stills):
        drawn = recipe.draw(np.random.default_rng((seed, at)))
        hwc = _hwc(original)
        degraded, target = _chw(drawn.apply(hwc)), _chw(drawn.target(hwc))
        scores = {
            "input": image_scores(degraded, target, instruments),
            "original": {"niqe": niqe(_hwc(target))},
        }
        yield Still(name=name, degraded=degraded, target=target, scores=scores)


def measure_stills(
    stills: Iterable[Still], *, restore: Restore, instruments: MetricNetworks
) -> Results:
    """Restore and measure every still.

    Args:
        stills: From ``degraded_stills``; kept, they serve many restorers.
        restore: The restorer.
        instruments: Those that the stills were measured with.
    """
    results = Results()
    for still in stills:
        restored = restore(still.degraded[None])[0]
        output = image_scores(restored, still.target, instruments)
        scores = {"input": still.scores["input"], "output": output}
        scores["original"] = still.scores["original"]
        results.entries.append(Entry(name=still.name, frames=1, scores=scores))
        results.rows.append((still.degraded, restored, still.target))
    return results


def fid_of(results: Results, embedding: Embedding) -> dict[str, Scores]:
    """Return the FID of inputs and outputs to the originals, over all rows."""
    statistics = [
        feature_statistics((row[side][None] for row in results.rows), embedding)
        for side in range(3)
    ]
    return {
        name: {"fid": frechet_distance(found, statistics[2])}
        for name, found in zip(SIDES[:2], statistics[:2], strict=True)
    }


def measure_clip(
    name: str,
    originals: Sequence[Tensor],
    *,
    recipe: Recipe,
    rng: np.random.Generator,
    restore: Restore,
    instruments: MetricNetworks,
    steady: TemporalDenoiseConfig | None = None,
) -> Results:
    """Degrade aligned crops as one clip, restore and measure them, frame by frame and over time.

    Args:
        name: What the clip is called.
        originals: ``(3, S, S)`` RGB in [0, 1], two frames or more.
        recipe: What the clip suffers: one draw.
        rng: To draw it from.
        restore: The restorer.
        instruments: The networks that metrics need.
        steady: How crops are averaged over time before they are restored, as in a film, and their
            detail is blended after, as strongly; None restores every frame for itself.
    """
    drawn = recipe.draw(rng)
    frames = [_hwc(each) for each in originals]
    degraded = [_chw(each) for each in drawn.apply_clip(frames)]
    target = [_chw(each) for each in drawn.target_clip(frames)]
    shown = degraded if steady is None else [*denoise_clip(degraded, config=steady)]
    restored = [restore(each[None])[0] for each in shown]
    if steady is not None:
        blending = BlendingConfig(strength=steady.strength)
        restored = [*blend_clip(zip(shown, restored, strict=True), config=blending)]
    scores: dict[str, Scores] = {"original": clip_scores(target, target, instruments)}
    for side, clip in (("input", degraded), ("output", restored)):
        stills = [image_scores(a, b, instruments) for a, b in zip(clip, target, strict=True)]
        scores[side] = {**mean_scores(stills), **clip_scores(clip, target, instruments)}
    picks = [int(k) for k in np.linspace(0, len(frames) - 1, min(4, len(frames)))]
    return Results(
        entries=[Entry(name=name, frames=len(frames), scores=scores)],
        rows=[(degraded[k], restored[k], target[k]) for k in picks],
    )


def load_identity_embedder(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a recognition network as a function from aligned crops to unit embeddings.

    Args:
        path: Checkpoint of MobileFaceNet or of ArcFace's ResNet.

    Raises:
        WeightsError: The file is missing, unsafe, or holds something else.
    """
    network = recognition_network(path).eval().requires_grad_(False)
    if isinstance(network, MobileFaceNet):
        return lambda crops: embeddings(network, crops, TEMPLATE_LANDMARKS_XY)
    return lambda crops: arcface_embeddings(network, crops)


def features_by(path: Path | None) -> FeatureDistance:
    """Return the distance by the features of MobileNetV2 or VGG-19, one tap a stage.

    Args:
        path: torchvision's file; None takes the MobileNetV2 of a package that is installed.

    Raises:
        WeightsError: It is missing, or something else.
    """
    if path is not None and not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    network = feature_network(path)
    name = "vgg19" if isinstance(network, Vgg19Features) else "mobilenet"

    @torch.inference_mode()
    def pyramid(image_NCHW: Tensor) -> Sequence[Tensor]:
        return network(image_NCHW * 2 - 1)

    return FeatureDistance(f"{name}_distance", pyramid)


def detect_landmarks(detector: Detector) -> Callable[[Tensor], NDArray[np.float64] | None]:
    """Return a function that finds the five points of a face where an aligned crop has it."""
    low, high = TEMPLATE_LANDMARKS_XY.min(axis=0), TEMPLATE_LANDMARKS_XY.max(axis=0)
    width, height = high - low
    guess = Detection(
        box_xyxy=(
            float(low[0] - 0.6 * width),
            float(low[1] - 0.8 * height),
            float(high[0] + 0.6 * width),
            float(high[1] + 0.4 * height),
        ),
        score=1.0,
        landmarks_xy=TEMPLATE_LANDMARKS_XY.astype(np.float32),
    )

    def points(crop_chw: Tensor) -> NDArray[np.float64] | None:
        picture = np.rint(_hwc(crop_chw) * 255).clip(0, 255).astype(np.uint8)
        (found,) = detector.refine(picture, [guess])
        return None if found is None else found.landmarks_xy.astype(np.float64)

    return points


def _hwc(picture_chw: Tensor) -> FloatArray:
    return np.ascontiguousarray(picture_chw.permute(1, 2, 0).numpy())


def _chw(image_hwc: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image_hwc.transpose(2, 0, 1)))
