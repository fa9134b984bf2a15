"""LPIPS: how far two pictures are apart in the features of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models import alexnet

from vidrestore.errors import WeightsError

_ALEXNET_TAPS = (1, 4, 7, 9, 11)
"""Layers of torchvision's AlexNet whose outputs are compared: its five rectified convolutions."""
_MEAN = (-0.030, -0.088, -0.188)
_DEVIATION = (0.458, 0.448, 0.450)


class FeaturePyramid(Protocol):
    """A network seen as a function from pictures to features at several depths."""

    def __call__(self, image_NCHW: Tensor) -> Sequence[Tensor]:
        """Return ``(N, C, H, W)`` features of RGB in [0, 1], shallow to deep."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lpips:
    """The learned perceptual metric of Zhang et al. 2018, equation 1."""

    features: FeaturePyramid
    weights: Sequence[Tensor]
    """``(C,)`` weight of every channel, one tensor for each depth."""

    def distance(self, first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
        """Return the distance of each pair, ``(N,)``; 0 for equal pictures.

        Args:
            first_NCHW: float RGB in [0, 1].
            second_NCHW: Same shape.

        Raises:
            ValueError: The network gives features at more or fewer depths than there are weights.
        """
        total = first_NCHW.new_zeros(len(first_NCHW))
        pairs = zip(self.features(first_NCHW), self.features(second_NCHW), strict=True)
        for (a, b), weight_C in zip(pairs, self.weights, strict=True):
            apart = (_unit(a) - _unit(b)).square() * weight_C[:, None, None]
            total = total + apart.sum(dim=1).mean(dim=(1, 2))
        return total


def _unit(feat_NCHW: Tensor) -> Tensor:
    return feat_NCHW / (feat_NCHW.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


class AlexNetFeatures:
    """The taps of torchvision's AlexNet that LPIPS was published with."""

    def __init__(self, layers: nn.Sequential) -> None:
        self._layers = layers.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, image_NCHW: Tensor) -> Sequence[Tensor]:
        """Return the five features of RGB in [0, 1]."""
        mean = image_NCHW.new_tensor(_MEAN)[:, None, None]
        deviation = image_NCHW.new_tensor(_DEVIATION)[:, None, None]
        feat = (image_NCHW * 2 - 1 - mean) / deviation
        taps: list[Tensor] = []
        for at, layer in enumerate(self._layers):
            feat = layer(feat)
            if at in _ALEXNET_TAPS:
                # The next layers may work in place.
                taps.append(feat.clone())
        return taps


def alexnet_lpips(backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> Lpips:
    """Return the published metric from the tensors of its two files.

    Args:
        backbone: torchvision's AlexNet.
        heads: The linear layers that come with the authors' package (``v0.1/alex.pth``).

    Raises:
        WeightsError: They are something else.
    """
    network = alexnet(weights=None)
    try:
        network.load_state_dict(dict(backbone), strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"these are not the tensors of torchvision's AlexNet: {error}"
        ) from error
    names = [f"lin{depth}.model.1.weight" for depth in range(len(_ALEXNET_TAPS))]
    if set(heads) != set(names):
        raise WeightsError("these are not the linear layers of LPIPS on AlexNet (v0.1/alex.pth)")
    return Lpips(AlexNetFeatures(network.features), [heads[name].flatten() for name in names])
