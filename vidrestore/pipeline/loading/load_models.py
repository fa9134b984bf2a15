"""The networks of a run: a restorer and a detector by name, with their weights."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from vidrestore.errors import ConfigError, UnknownModelError, WeightsError
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.models.architecture_detection import detect_architecture, explain_unsupported
from vidrestore.models.registry import RESTORERS, RestorerSpec, SmallNetwork, restorer_spec
from vidrestore.pipeline.loading.spandrel_models import (
    SPANDREL_MODELS,
    require_spandrel,
    spandrel_restorer,
)
from vidrestore.progress import DownloadCallback, not_shown
from vidrestore.restore.restorer import Restorer
from vidrestore.settings import DetectorName
from vidrestore.weights.bundled import require_bundled
from vidrestore.weights.cache import ensure_local, weights_folder
from vidrestore.weights.license_notice import entry_for_file, warn_non_commercial
from vidrestore.weights.load import load_state, load_weights, read_state, read_weights
from vidrestore.weights.model_options import reject_model_option
from vidrestore.weights.priors import load_bundled_restorer

_CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".bin")
DETECTORS: tuple[DetectorName, ...] = get_args(DetectorName)
_RETINAFACE_WEIGHTS = {
    "retinaface": "retinaface-resnet50",
    "retinaface-mobile": "retinaface-mobile0.25",
}


def load_restorer(
    model: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    fidelity: float | None = None,
    detail: float | None = None,
    on_download: DownloadCallback = not_shown,
) -> Restorer:
    """Return the restorer called ``model``, or the one in the checkpoint file ``model``.

    Published checkpoints are downloaded if they are missing. spandrel, an optional package, builds
    networks that this package does not have.

    Args:
        model: A name, or a checkpoint file.
        device: Device of the network.
        dtype: Requested precision; ``Restorer.dtype`` is the one in use.
        fidelity: CodeFormer's weight, 0 (codebook) to 1 (input); None is its default.
        detail: Interpolation between two sets of weights, 0 (closest to the film) to 1 (sharpest);
            None is their default.
        on_download: Called with the progress of a download.

    Raises:
        UnknownModelError: ``model`` is neither a name from the table nor a file.
        WeightsError: The checkpoint is missing, unsafe or fits no network.
        ConfigError: An optional package is missing, or ``fidelity`` or ``detail`` is out of range
            or not for this model.
    """
    if model in SPANDREL_MODELS:
        reject_model_option("detail", detail, model=model)
        require_spandrel(model)
        path = ensure_local(model, on_progress=partial(on_download, model))
        return spandrel_restorer(
            read_state(path), path, device=device, dtype=dtype, fidelity=fidelity
        )
    if model in RESTORERS:
        reject_model_option("fidelity", fidelity, model=model)
        spec = restorer_spec(model)
        if spec.packaged_file is None:  # known before anything is fetched
            reject_model_option("detail", detail, model=model)
        return _load_named(model, spec, device, dtype, detail, on_download)
    path = _checkpoint_path(model)
    if (entry := entry_for_file(path)) is not None:
        warn_non_commercial(entry, weights_folder())
    weights = read_weights(path, detail=detail)
    state = weights.state
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    architecture = detect_architecture(shapes)
    if architecture is None:
        if (other := explain_unsupported(shapes)) is not None:
            raise WeightsError(f"{path}: is not a restorer but {other}")
        return spandrel_restorer(state, path, device=device, dtype=dtype, fidelity=fidelity)
    reject_model_option("fidelity", fidelity, model=model)
    parts = _fetch_parts(architecture.spec, on_download, exclude=architecture.submodule)
    network = architecture.spec.build()
    load_state(network.get_submodule(architecture.submodule), state, path)
    _load_parts(network, parts)
    return Restorer(network, architecture.spec, device=device, dtype=dtype, detail=weights.detail)


def fetch_networks(model: str, *, detector: str, on_download: DownloadCallback) -> None:
    """Download the missing weights of a restorer and a detector; load nothing.

    Raises:
        UnknownModelError: As for ``load_restorer``.
        WeightsError: A checkpoint cannot be downloaded.
    """
    if detector in _RETINAFACE_WEIGHTS:
        weights = _RETINAFACE_WEIGHTS[detector]
        ensure_local(weights, on_progress=partial(on_download, weights))
    if model in SPANDREL_MODELS:
        require_spandrel(model)
        ensure_local(model, on_progress=partial(on_download, model))
    elif model in RESTORERS:
        _fetch_parts(restorer_spec(model), on_download, exclude=None)
    else:
        _checkpoint_path(model)


def _checkpoint_path(model: str) -> Path:
    path = Path(model).expanduser()
    if path.suffix not in _CHECKPOINT_SUFFIXES and not path.is_file():
        names = sorted({*RESTORERS, *SPANDREL_MODELS})
        near = get_close_matches(model, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownModelError(
            f"unknown model {model!r}; {hint}choose from: {', '.join(names)}, or name a "
            f"checkpoint file ({', '.join(_CHECKPOINT_SUFFIXES)})"
        )
    return path


def _load_named(
    model: str,
    spec: RestorerSpec,
    device: torch.device,
    dtype: torch.dtype,
    detail: float | None,
    on_download: DownloadCallback,
) -> Restorer:
    parts = _fetch_parts(spec, on_download, exclude=None)
    network = spec.build()
    if spec.packaged_file is not None:
        detail = load_bundled_restorer(network, spec.packaged_file, detail=detail, model=model)
    _load_parts(network, parts)
    return Restorer(
        network,
        spec,
        device=device,
        dtype=dtype,
        detail=detail,
        small_networks=_small_networks(spec, detail),
    )


def _small_networks(spec: RestorerSpec, detail: float | None) -> dict[int, Callable[[], nn.Module]]:
    """Return how to load the networks for smaller crops, by the side of the crop.

    Raises:
        WeightsError: A file of the package is missing. What is wrong in a file shows when it is
            loaded.
    """
    used = [small for small in spec.small_networks if detail or not small.adds_detail]
    for small in used:
        for name in small.packaged_files:
            require_bundled(name)
    return {small.crop_size_px: partial(_load_small, small, detail) for small in used}


def _load_small(small: SmallNetwork, detail: float | None) -> nn.Module:
    network = small.build()
    detail = None if small.adds_detail else detail
    load_bundled_restorer(network, small.packaged_file, detail=detail)
    return network


def _fetch_parts(
    spec: RestorerSpec, on_download: DownloadCallback, *, exclude: str | None
) -> dict[str, Path]:
    """Download missing weights of all parts but ``exclude``; return the files by part."""
    return {
        part: ensure_local(name, on_progress=partial(on_download, name))
        for part, name in spec.download_names.items()
        if part != exclude
    }


def _load_parts(network: nn.Module, parts: dict[str, Path]) -> None:
    for part, path in parts.items():
        load_weights(network.get_submodule(part), path)


def load_detector(
    name: str,
    *,
    device: torch.device,
    on_download: DownloadCallback = not_shown,
) -> Detector:
    """Return the detector called ``name``; RetinaFace's weights are downloaded at first use.

    Raises:
        ConfigError: There is no such detector.
        WeightsError: Its weights are missing and cannot be downloaded.
    """
    if name == "mtcnn":
        return MtcnnDetector(packaged_mtcnn(), device=device)
    if name in _RETINAFACE_WEIGHTS:
        # facexlib takes seconds to import, so it is imported only when it is needed.
        from vidrestore.faces.detection.retinaface_detector import RetinaFaceDetector

        weights = _RETINAFACE_WEIGHTS[name]
        path = ensure_local(weights, on_progress=partial(on_download, weights))
        return RetinaFaceDetector(name, path, device=device)
    raise ConfigError(f"unknown detector {name!r}; choose from: {', '.join(DETECTORS)}")
