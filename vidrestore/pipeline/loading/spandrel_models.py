"""Interface to spandrel, an optional package, for networks that this package does not have.

spandrel never sees a file. It gets tensors that were read without running code, recognizes the
network by their names and shapes, and builds it.
"""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.restorer import Restorer
from vidrestore.types import CROP_SIZE_PX
from vidrestore.weights.cache import weights_folder
from vidrestore.weights.license_notice import warn_non_commercial
from vidrestore.weights.manifest import weights_entry
from vidrestore.weights.model_options import reject_model_option

SPANDREL_MODELS = ("restoreformer", "restoreformer++", "codeformer")
"""Names for ``--model`` beside those of the model table; their weights have the same names."""

INSTALL = "pip install 'vidrestore[zoo]'"
_SPANDREL, _EXTRA = "spandrel", "spandrel_extra_arches"

# Their published range is [-1, 1]; spandrel's own call does not convert it for CodeFormer.
_SIGNED = frozenset({"CodeFormer", "GFPGAN", "RestoreFormer"})
# These look up the nearest entries of a codebook. In half precision they find other entries, and
# in spandrel's CodeFormer the look-up fails, despite its flag.
_FP32_ONLY = frozenset({"CodeFormer", "RestoreFormer"})
_PLUS_PLUS_LEVEL = 4
_PLUS_PLUS_HEADS = 4


class _Architecture(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


class _SizeRequirements(Protocol):
    def check(self, width: int, height: int) -> bool: ...


class Descriptor(Protocol):
    """The part of spandrel's model descriptor that this package uses."""

    supports_half: bool
    supports_bfloat16: bool
    scale: int
    input_channels: int
    output_channels: int
    size_requirements: _SizeRequirements

    @property
    def model(self) -> nn.Module:
        """The network, with its weights."""
        ...

    @property
    def architecture(self) -> _Architecture:
        """Architecture of the network."""
        ...

    @property
    def purpose(self) -> str:
        """``SR``, ``FaceSR``, ``Restoration`` or ``Inpainting``."""
        ...

    def __call__(self, image_NCHW: Tensor) -> Tensor:
        """Run the network on one image in [0, 1], of any size."""
        ...


def require_spandrel(name: str) -> None:
    """Check that the optional packages are installed, before weights are downloaded.

    Raises:
        ConfigError: A package is missing; the message says how to install it.
    """
    needed = (_SPANDREL, _EXTRA) if name == "codeformer" else (_SPANDREL,)
    for package in needed:
        if _import_optional(package) is None:
            raise ConfigError(f"{name} needs the package {package}; install it: {INSTALL}")


def identify_network(state: Mapping[str, Tensor], path: Path) -> Descriptor:
    """Return the network that ``state``, read from ``path``, belongs to, on the CPU.

    Raises:
        WeightsError: spandrel is not installed, or knows no such network.
    """
    spandrel, extra = _import_optional(_SPANDREL), _import_optional(_EXTRA)
    if spandrel is None:
        raise WeightsError(
            f"{path}: fits no built-in network; to support many others, run: {INSTALL}"
        )
    registry = spandrel.MAIN_REGISTRY.copy()
    if extra is not None:
        registry.add(*extra.EXTRA_REGISTRY)
    tensors = _network_tensors(state)
    plus_plus = {key: tensors.pop(key) for key in _plus_plus_keys(tensors)}
    try:
        descriptor = cast(Descriptor, registry.load(tensors))
        if plus_plus:
            _convert_to_plus_plus(descriptor.model, plus_plus)
    except spandrel.UnsupportedModelError as error:
        more = "" if extra else f"; to support CodeFormer and some others, run: {INSTALL}"
        raise WeightsError(
            f"{path}: fits no built-in network and none of spandrel's{more}"
        ) from error
    except Exception as error:  # malformed tensors may raise anything in spandrel
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{path}: spandrel cannot build a network from these tensors ({reason}); "
            "check that the checkpoint is complete"
        ) from error
    return descriptor


def supported_dtype(descriptor: Descriptor, requested: torch.dtype) -> torch.dtype:
    """Return the precision nearest to ``requested`` that the network can run in."""
    supported = {
        torch.float32: True,
        torch.bfloat16: descriptor.supports_bfloat16,
        torch.float16: descriptor.supports_half,
    }
    if descriptor.architecture.id in _FP32_ONLY or not supported[requested]:
        return torch.float32
    return requested


def spandrel_restorer(
    state: Mapping[str, Tensor],
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    fidelity: float | None,
) -> Restorer:
    """Return the restorer of faces that ``state``, read from ``path``, belongs to.

    Args:
        state: Tensors by name.
        path: File name for messages.
        device: Device of the network.
        dtype: Requested precision; float32 is used if the network cannot run in it.
        fidelity: CodeFormer's weight, 0 (codebook) to 1 (input); None is its default.

    Raises:
        WeightsError: The network is not known, or not a restorer of faces.
        ConfigError: ``fidelity`` is given for a network that does not support it.
    """
    descriptor = identify_network(state, path)
    kind = descriptor.architecture.name
    if descriptor.purpose in ("SR", "Restoration"):
        raise WeightsError(
            f"{path}: {kind} upscales or cleans whole frames, not faces; "
            f"use it with --background {path}"
        )
    fits = descriptor.size_requirements.check(CROP_SIZE_PX, CROP_SIZE_PX) and descriptor.scale == 1
    if descriptor.purpose != "FaceSR" or not fits or descriptor.input_channels != 3:
        raise WeightsError(
            f"{path}: {kind} does not restore RGB faces of {CROP_SIZE_PX} px; "
            "name another checkpoint"
        )
    options: dict[str, float] = {}
    if descriptor.architecture.id == "CodeFormer":
        # This license covers the network and its only training, whatever the file is called.
        warn_non_commercial(weights_entry("codeformer"), weights_folder())
        options = {} if fidelity is None else {"weight": fidelity}
    else:
        reject_model_option("fidelity", fidelity, model=kind)
    network = SpandrelRestorer(descriptor, options)
    spec = RestorerSpec(
        build=lambda: network, crop_size_px=CROP_SIZE_PX, license="that of its publisher"
    )
    return Restorer(network, spec, device=device, dtype=supported_dtype(descriptor, dtype))


class SpandrelRestorer(nn.Module):
    """A restorer that spandrel has loaded, with the interface of those of the model table."""

    def __init__(self, descriptor: Descriptor, options: Mapping[str, float]) -> None:
        super().__init__()
        self.network = descriptor.model
        self._call: Callable[[Tensor], Tensor] = descriptor
        self._signed = descriptor.architecture.id in _SIGNED
        self._options = dict(options)

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        """Restore ``(N, 3, 512, 512)`` RGB crops in [-1, 1]."""
        image = image_NCHW.to(next(self.network.parameters()).dtype)
        if self._signed:
            return RestorerOutput(image=self.network(image, **self._options)[0])
        # spandrel guarantees [0, 1], and one image at a time.
        images = [self._call(crop[None] * 0.5 + 0.5) for crop in image]
        return RestorerOutput(image=torch.cat(images) * 2.0 - 1.0)


def _import_optional(package: str) -> Any:
    """Return an optional package, or None if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecation warnings of PyTorch
            return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return None


def _network_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the network, without those for training."""
    prefix = "vqvae."
    if any(key.startswith(prefix) for key in state):  # RestoreFormer, as Lightning saves it
        state = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    return {key: tensor for key, tensor in state.items() if key != "quantize.utility_counter"}


def _plus_plus_keys(state: Mapping[str, Tensor]) -> list[str]:
    if "quantize.embedding.weight" not in state:
        return []
    return [key for key in state if key.startswith(f"decoder.up.{_PLUS_PLUS_LEVEL}.attn.")]


def _convert_to_plus_plus(network: Any, state: Mapping[str, Tensor]) -> None:
    """Turn spandrel's RestoreFormer into RestoreFormer++, which spandrel does not have.

    RestoreFormer++ (Wang et al. 2023, section 3.3) also attends to the features of the encoder
    at the next finer scale; as released it has 4 heads, where RestoreFormer has 8.
    """
    block = cast(Any, type(network.decoder.mid.attn_1))
    level = network.decoder.up[_PLUS_PLUS_LEVEL]
    channels = int(level.block[0].out_channels)
    level.attn.extend(block(channels, _PLUS_PLUS_HEADS) for _ in level.block)
    stem = f"decoder.up.{_PLUS_PLUS_LEVEL}.attn."
    level.attn.load_state_dict({key.removeprefix(stem): tensor for key, tensor in state.items()})
    for module in network.modules():
        if isinstance(module, block):
            module.head_size = _PLUS_PLUS_HEADS
            module.att_size = module.in_channels // _PLUS_PLUS_HEADS
    network.encoder.register_forward_hook(_add_finer_features)


def _add_finer_features(_encoder: nn.Module, _args: object, output: Any) -> dict[str, Tensor]:
    name = f"block_{_PLUS_PLUS_LEVEL}"
    return {**output, f"{name}_atten": output[name]}
