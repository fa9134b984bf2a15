"""The networks of a run: a restorer and a detector by name, with their weights."""

from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import nn

from vidrestore.errors import ConfigError, UnknownModelError, WeightsError
from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.detector import Detector
from vidrestore.faces.mtcnn import MtcnnDetector, embedded_mtcnn
from vidrestore.models.recognition import recognised
from vidrestore.models.table import RESTORERS, RestorerSpec, restorer_spec
from vidrestore.restore.restorer import Restorer
from vidrestore.weights.load import load_state, load_weights, read_state
from vidrestore.weights.store import fetch

DETECTORS = ("mtcnn", "retinaface", "retinaface-mobile")
_CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".bin")
_RETINAFACE_WEIGHTS = {
    "retinaface": "retinaface-resnet50",
    "retinaface-mobile": "retinaface-mobile0.25",
}


def load_restorer(model: str, *, device: torch.device, dtype: torch.dtype) -> Restorer:
    """Return the restorer called ``model``, or the one whose checkpoint ``model`` names.

    Raises:
        UnknownModelError: Neither a name of the table nor a file.
        WeightsError: The checkpoint is missing, unsafe or fits no network.
    """
    if model in RESTORERS:
        return _named(restorer_spec(model), device, dtype)
    path = Path(model).expanduser()
    if path.suffix not in _CHECKPOINT_SUFFIXES and not path.is_file():
        known = ", ".join(sorted(RESTORERS))
        raise UnknownModelError(
            f"unknown model {model!r}; choose from: {known}, or name a checkpoint file "
            f"({', '.join(_CHECKPOINT_SUFFIXES)})"
        )
    state = read_state(path)
    found = recognised({key: tuple(tensor.shape) for key, tensor in state.items()})
    if found is None:
        raise WeightsError(
            f"{path}: holds the tensors of no network known here "
            f"({', '.join(sorted(RESTORERS))}); choose another checkpoint"
        )
    network = found.spec.build()
    load_state(network.get_submodule(found.part), state, path)
    _load_parts(network, found.spec, but=found.part)
    return Restorer(network, found.spec, device=device, dtype=dtype)


def _named(spec: RestorerSpec, device: torch.device, dtype: torch.dtype) -> Restorer:
    network = spec.build()
    if spec.embedded_file is not None:
        with as_file(files("vidrestore.models") / "data" / spec.embedded_file) as path:
            load_weights(network, path)
    _load_parts(network, spec, but=None)
    return Restorer(network, spec, device=device, dtype=dtype)


def _load_parts(network: nn.Module, spec: RestorerSpec, *, but: str | None) -> None:
    """Load the fetched weights of every part of ``network``, except that of path ``but``."""
    for part, name in spec.fetched.items():
        if part != but:
            load_weights(network.get_submodule(part), fetch(name))


def load_detector(name: str, *, device: torch.device, config: DetectorConfig) -> Detector:
    """Return the detector called ``name``; RetinaFace's weights are fetched when first used.

    Raises:
        ConfigError: There is no such detector.
        WeightsError: Its weights are not to be had.
    """
    if name == "mtcnn":
        return MtcnnDetector(embedded_mtcnn(), device=device, config=config)
    if name in _RETINAFACE_WEIGHTS:
        # facexlib takes seconds to import, so it is imported only where it is asked for.
        from vidrestore.faces.retinaface import RetinaFaceDetector

        return RetinaFaceDetector(
            name, fetch(_RETINAFACE_WEIGHTS[name]), device=device, config=config
        )
    raise ConfigError(f"unknown detector {name!r}; choose from: {', '.join(DETECTORS)}")
