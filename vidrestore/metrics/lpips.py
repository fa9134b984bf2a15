"""Distance of two images in the features of a network: LPIPS, and the same without its weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models import alexnet, vgg16

from vidrestore.errors import ConfigError, WeightsError

_ALEXNET_TAPS = (1, 4, 7, 9, 11)
"""Layers of torchvision's AlexNet whose outputs are compared: its five ReLUs."""
_VGG16_TAPS = (3, 8, 15, 22, 29)
"""The last ReLU of each of VGG-16's five stages."""
_MEAN = (-0.030, -0.088, -0.188)
_DEVIATION = (0.458, 0.448, 0.450)


class FeaturePyramid(Protocol):
    """A function from images to features at several depths."""

    def __call__(self, image_NCHW: Tensor) -> Sequence[Tensor]:
        """Return ``(N, C, H, W)`` features of RGB in [0, 1], shallow to deep."""
        ...


class ImageDistance(Protocol):
    """A distance between two images."""

    @property
    def name(self) -> str:
        """Name of the metric."""
        ...

    def distance(self, first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
        """Return the distance of each pair of RGB in [0, 1], ``(N,)``; 0 for equal images."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lpips:
    """The learned perceptual metric of Zhang et al. 2018, equation 1."""

    features: FeaturePyramid
    weights: Sequence[Tensor]
    """``(C,)`` weight of every channel, one tensor for each depth."""
    name: str = "lpips"
    """Of the metric: ``lpips`` on AlexNet, ``lpips_vgg`` on VGG-16."""

    def distance(self, first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
        """Return the distance of each pair, ``(N,)``; 0 for equal images.

        Args:
            first_NCHW: float RGB in [0, 1].
            second_NCHW: Same shape.

        Raises:
            ValueError: The numbers of features and weights differ.
        """
        total = first_NCHW.new_zeros(len(first_NCHW))
        squares = _squared_differences(self.features, first_NCHW, second_NCHW)
        for square_NCHW, weight_C in zip(squares, self.weights, strict=True):
            weighted = square_NCHW * weight_C[:, None, None]
            total = total + weighted.sum(dim=1).mean(dim=(1, 2))
        return total


@dataclass(frozen=True, slots=True, eq=False)
class ShiftTolerantLpips:
    """LPIPS that tolerates shifts by a pixel (Ghildyal and Liu 2022, "Shift-tolerant LPIPS").

    Its package holds the weights of network and heads, so it needs no file.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    """Two batches of RGB in [-1, 1] to a distance for each pair."""
    name: str = "st_lpips"

    @torch.inference_mode()
    def distance(self, first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
        """Return the distance of each pair of RGB in [0, 1], ``(N,)``; 0 for equal images."""
        return self.network(first_NCHW * 2 - 1, second_NCHW * 2 - 1).flatten()


def shift_tolerant_lpips() -> ShiftTolerantLpips:
    """Return the metric on the AlexNet of the package ``stlpips-pytorch``.

    Raises:
        ConfigError: A package is missing.
    """
    try:
        package = import_module("stlpips_pytorch.stlpips")
    except ImportError as error:
        raise ConfigError(
            f"{error.name}: not installed; pip install stlpips-pytorch torchsummary ipython"
        ) from error
    return ShiftTolerantLpips(package.LPIPS(net="alex", variant="shift_tolerant", verbose=False))


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDistance:
    """The distance of Zhang et al. 2018, equation 1, with all weights 1, as a mean over depths.

    Unlike the weights of LPIPS, these were not learned from human judgments. Compare values of the
    same network only. A restorer trained with this network scores better than it looks.
    """

    name: str
    """Name of the metric, after its network: ``mobilenet_distance``."""
    features: FeaturePyramid

    def distance(self, first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
        """Return the distance of each pair, ``(N,)``: 0 for equal images, 4 at most.

        Args:
            first_NCHW: float RGB in [0, 1].
            second_NCHW: Same shape.
        """
        squares = _squared_differences(self.features, first_NCHW, second_NCHW)
        depths = [square.sum(dim=1).mean(dim=(1, 2)) for square in squares]
        return torch.stack(depths).mean(dim=0)


def _squared_differences(
    features: FeaturePyramid, first_NCHW: Tensor, second_NCHW: Tensor
) -> Iterator[Tensor]:
    """Yield the squared difference of features of unit length, ``(N, C, h, w)`` at each depth."""
    for first, second in zip(features(first_NCHW), features(second_NCHW), strict=True):
        yield (_unit_length(first) - _unit_length(second)).square()


def _unit_length(feat_NCHW: Tensor) -> Tensor:
    return feat_NCHW / (feat_NCHW.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


class TappedFeatures:
    """The layers of a network of torchvision that LPIPS was published with.

    Args:
        layers: Its convolutional part.
        taps: Indices of the layers whose outputs are compared.
    """

    def __init__(self, layers: nn.Sequential, taps: Sequence[int] = _ALEXNET_TAPS) -> None:
        self._layers = layers.eval().requires_grad_(False)
        self._taps = taps

    @torch.inference_mode()
    def __call__(self, image_NCHW: Tensor) -> Sequence[Tensor]:
        """Return the five features of RGB in [0, 1]."""
        mean = image_NCHW.new_tensor(_MEAN)[:, None, None]
        deviation = image_NCHW.new_tensor(_DEVIATION)[:, None, None]
        feat = (image_NCHW * 2 - 1 - mean) / deviation
        taps: list[Tensor] = []
        for index, layer in enumerate(self._layers):
            feat = layer(feat)
            if index in self._taps:
                # The next layer may work in place.
                taps.append(feat.clone())
        return taps


def alexnet_lpips(backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> Lpips:
    """Return the published metric on AlexNet from the tensors of its two files.

    Args:
        backbone: torchvision's AlexNet, with or without its classifier.
        heads: The linear layers that come with the authors' package (``v0.1/alex.pth``).

    Raises:
        WeightsError: They do not match.
    """
    features = _loaded_features(alexnet, backbone, "AlexNet")
    weights = _head_weights(heads, (64, 192, 384, 256, 256), "AlexNet (v0.1/alex.pth)")
    return Lpips(TappedFeatures(features, _ALEXNET_TAPS), weights)


def vgg16_lpips(backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> Lpips:
    """Return the published metric on VGG-16, that of GFP-GAN's tables, from its two files.

    Args:
        backbone: torchvision's VGG-16, with or without its classifier.
        heads: The linear layers that come with the authors' package (``v0.1/vgg.pth``).

    Raises:
        WeightsError: They do not match.
    """
    features = _loaded_features(vgg16, backbone, "VGG-16")
    weights = _head_weights(heads, (64, 128, 256, 512, 512), "VGG-16 (v0.1/vgg.pth)")
    return Lpips(TappedFeatures(features, _VGG16_TAPS), weights, name="lpips_vgg")


def _loaded_features(
    build: Callable[..., nn.Module], backbone: Mapping[str, Tensor], name: str
) -> nn.Sequential:
    """Return the convolutional part of a network of torchvision, with the tensors of a file."""
    with torch.device("meta"):  # its classifier, which nothing here uses, has up to 494 MB
        features = build(weights=None).get_submodule("features")
    assert isinstance(features, nn.Sequential)
    own = {
        key.removeprefix("features."): tensor
        for key, tensor in backbone.items()
        if not key.startswith("classifier.")
    }
    try:
        features.load_state_dict(own, strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"tensors do not match torchvision's {name}: {error}") from error
    return features


def _head_weights(heads: Mapping[str, Tensor], widths: Sequence[int], name: str) -> list[Tensor]:
    shapes = {f"lin{depth}.model.1.weight": (1, width, 1, 1) for depth, width in enumerate(widths)}
    if {key: tuple(tensor.shape) for key, tensor in heads.items()} != shapes:
        raise WeightsError(f"tensors do not match the linear layers of LPIPS on {name}")
    return [heads[key].flatten() for key in shapes]
