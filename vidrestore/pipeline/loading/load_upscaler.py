"""Loads the network of ``--background``: a name from the table, or a checkpoint."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from vidrestore.errors import WeightsError
from vidrestore.models.architecture_detection import detect_architecture
from vidrestore.models.upscalers.registry import UpscalerSpec, upscaler_of, upscaler_spec
from vidrestore.pipeline.background.tiled_upscaler import SuperResolution, Upscaler
from vidrestore.pipeline.loading.spandrel_models import identify_network, supported_dtype
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_state, load_weights, read_state

_DEFAULT_SCALE = 1
"""Scale of the networks inside the package: by default a film keeps its size."""
# Purely convolutional networks are fastest in this layout; attention code often needs the other.
_CHANNELS_LAST = frozenset({"Compact", "ESRGAN"})


def load_upscaler(
    background: str | Path, *, device: torch.device, dtype: torch.dtype, scale: int | None = None
) -> Upscaler:
    """Return the network for whole pictures with a name, or from a checkpoint.

    spandrel, an optional package, builds networks that this package does not have.

    Args:
        background: A name from ``UPSCALERS``, or a checkpoint file.
        device: Device of the network.
        dtype: Requested precision; ``Upscaler.dtype`` is the one in use.
        scale: Enlargement of the output; None is 1 for a name, and the network's factor for a
            file.

    Raises:
        UnknownModelError: There is no such name.
        WeightsError: The checkpoint is missing, unsafe, or not for whole RGB pictures.
        ConfigError: The network cannot make this enlargement.
    """
    if isinstance(background, str):
        spec = upscaler_spec(background)
        network = spec.build()
        with bundled_file(spec.packaged_file) as path:
            load_weights(network, path)
        loaded = _from_table(spec, network, background)
        scale = _DEFAULT_SCALE if scale is None else scale
    else:
        loaded = _from_file(background.expanduser())
    return Upscaler(loaded, device=device, dtype=dtype, scale=scale)


def _from_file(path: Path) -> SuperResolution:
    state = read_state(path)
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if (spec := upscaler_of(shapes)) is not None:
        network = spec.build()
        load_state(network, state, path)
        return _from_table(spec, network, str(path))
    if (restorer := detect_architecture(shapes)) is not None:
        raise _face_restorer_error(path, restorer.architecture)
    descriptor = identify_network(state, path)
    kind = descriptor.architecture.name
    if descriptor.purpose == "FaceSR":
        raise _face_restorer_error(path, kind)
    if descriptor.purpose not in ("SR", "Restoration"):
        raise WeightsError(
            f"{path}: {kind} does not enlarge pictures ({descriptor.purpose}); "
            "name another checkpoint"
        )
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        raise WeightsError(
            f"{path}: this {kind} has {descriptor.input_channels} input and "
            f"{descriptor.output_channels} output channels; --background needs one for RGB"
        )
    return SuperResolution(
        name=str(path),
        kind=kind,
        factor=descriptor.scale,
        module=descriptor.model,
        call=descriptor,
        supported_dtype=partial(supported_dtype, descriptor),
        channels_last=descriptor.architecture.id in _CHANNELS_LAST,
    )


def _from_table(spec: UpscalerSpec, network: nn.Module, name: str) -> SuperResolution:
    return SuperResolution(
        name=name,
        kind=spec.kind,
        factor=spec.factor,
        module=network,
        call=network,
        supported_dtype=lambda requested: requested,
        channels_last=True,
        takes_float32=True,
        context_px=spec.context_px,
    )


def _face_restorer_error(path: Path, kind: str) -> WeightsError:
    return WeightsError(f"{path}: {kind} restores faces, not whole pictures; use --model {path}")
