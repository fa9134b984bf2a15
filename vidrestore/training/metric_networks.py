"""Loads the networks that metrics need, from files that the user names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.fid import inception_embedding, is_published_inception
from vidrestore.metrics.identity import arcface_embeddings, embeddings
from vidrestore.metrics.lpips import (
    FeatureDistance,
    ImageDistance,
    alexnet_lpips,
    shift_tolerant_lpips,
    vgg16_lpips,
)
from vidrestore.metrics.niqe import published_model
from vidrestore.metrics.scores import MetricNetworks
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.training.losses.feature_extractors import Vgg19Features, load_feature_network
from vidrestore.training.losses.identity import load_recognition_network
from vidrestore.types import Detection
from vidrestore.weights.load import read_state

PACKAGE = "package"
"""Stands for the MobileNetV2 of an installed package."""
_HOW_TO_GIVE = {
    "identity": "--identity with ArcFace's or MobileFaceNet's file",
    "lpips": "--lpips ALEXNET HEADS",
    "lpips_vgg": "--lpips-vgg VGG16 HEADS",
    "features": "--features package, or a file",
    "fid": "--fid INCEPTION_V3",
}
"""Field of ``MetricFiles`` -> option of ``scripts/evaluate.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFiles:
    """Files of the networks that metrics need; a metric whose file is None is left out."""

    identity: Path | None = None
    """Checkpoint of MobileFaceNet or of ArcFace's ResNet."""
    lpips: Sequence[Path] | None = None
    """torchvision's AlexNet, and the authors' linear layers."""
    lpips_vgg: Sequence[Path] | None = None
    """torchvision's VGG-16, and the authors' linear layers."""
    st_lpips: bool = False
    """Whether to measure shift-tolerant LPIPS, by the package ``stlpips-pytorch``."""
    features: str | None = None
    """``package``, or torchvision's file of MobileNetV2 or VGG-19."""
    fid: Path | None = None
    """Inception v3: the published one of 2015, or torchvision's."""
    niqe: Path | None = None
    """The published parameters; None takes the package's model."""

    def load(self, detector: Detector) -> tuple[MetricNetworks, dict[str, str], dict[str, str]]:
        """Return the networks, what each metric is measured by, and why others are left out.

        Raises:
            WeightsError: A file is missing, or of another network.
            ConfigError: A package is missing.
        """
        left_out = {
            name.replace("features", "mobilenet_distance"): f"no network; give {option}"
            for name, option in _HOW_TO_GIVE.items()
            if getattr(self, name) is None
        }
        names = {"niqe": "the package's model" if self.niqe is None else "published parameters"}
        lpips: list[ImageDistance] = [
            build(*(read_state(path) for path in paths))
            for paths, build in ((self.lpips, alexnet_lpips), (self.lpips_vgg, vgg16_lpips))
            if paths is not None
        ]
        if self.st_lpips:
            lpips.append(shift_tolerant_lpips())
        fid = features = None
        if self.fid is not None:
            state = read_state(self.fid)
            published = is_published_inception(state)
            names["fid"] = f"{'published' if published else 'torchvision'} Inception v3"
            fid = inception_embedding(state)
        if self.identity is not None:
            names["identity"] = names["identity_angle"] = self.identity.name
        if self.features is not None:
            features = load_feature_distance(
                None if self.features == PACKAGE else Path(self.features)
            )
        networks = MetricNetworks(
            identity=None if self.identity is None else load_identity_embedder(self.identity),
            landmarks=detect_landmarks(detector),
            lpips=lpips,
            features=features,
            fid=fid,
            niqe=None if self.niqe is None else published_model(self.niqe),
        )
        return networks, names, left_out


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
        image = np.rint(crop_chw.permute(1, 2, 0).numpy() * 255).clip(0, 255).astype(np.uint8)
        (face,) = detector.refine(image, [prediction])
        return None if face is None else face.landmarks_xy.astype(np.float64)

    return landmarks
