"""Checkpoints of training runs: ``last.pt``, which appears whole or not at all.

Version 2 holds ``networks`` (by name: ``network``, ``optimizer``, ``params_ema``), ``scalers``,
``task``, ``step``, ``system`` and ``config``. Version 1, without a number, has older names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from vidrestore.errors import WeightsError

VERSION = 2
_RENAMED = {"parts": "networks", "updater": "scalers", "place": "position"}
"""Key of version 1 -> key of version 2."""
_OLD_OPTIMIZER = "optimiser"
"""Key of an optimizer's state in version 1."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` to ``path`` through a temporary file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(dict(state), part)
    part.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what ``save_checkpoint`` wrote, on the CPU, with the keys of version 2.

    Raises:
        WeightsError: The file is missing, unsafe, unreadable, or of a later version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a training checkpoint: {error}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: not a training checkpoint: holds a {type(state).__name__}")
    return _upgraded(cast("dict[str, Any]", state), path)


def _upgraded(state: dict[str, Any], path: Path) -> dict[str, Any]:
    version = state.get("version", 1)
    if isinstance(version, int) and version > VERSION:
        raise WeightsError(
            f"{path}: a checkpoint of version {version}, newer than {VERSION}; update vidrestore"
        )
    networks = state.get("parts")
    if not isinstance(networks, dict):
        return state
    for network in cast("dict[str, Any]", networks).values():
        if isinstance(network, dict) and _OLD_OPTIMIZER in network:
            network["optimizer"] = network.pop(_OLD_OPTIMIZER)
    return {_RENAMED.get(key, key): value for key, value in state.items()}


def network_weights(networks: Mapping[str, Any], name: str, path: Path) -> dict[str, Tensor]:
    """Return the weights of a network of a run: the moving average, where it has one.

    Args:
        networks: Of the run's checkpoint, by name.
        name: Of the network.
        path: Of the checkpoint, for messages.

    Raises:
        WeightsError: The run has no such network.
    """
    if name not in networks:
        raise WeightsError(f"{path}: this run has no {name}; it has: {', '.join(networks)}")
    return dict(networks[name].get("params_ema", networks[name]["network"]))
