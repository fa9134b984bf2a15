"""Checkpoints of training runs: ``last.pt``, which appears when it is complete.

Version 2 holds ``networks`` (by name: ``network``, ``optimizer``, ``params_ema``), ``scalers``,
``task``, ``step``, ``system`` and ``config``. Version 1, without a number, has older names.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.storage.atomic_output import partial_file
from vidrestore.storage.file_errors import file_errors

VERSION = 2
_RENAMED = {"parts": "networks", "updater": "scalers", "place": "position"}
"""Key of version 1 -> key of version 2."""
_OLD_OPTIMIZER = "optimiser"
"""Key of an optimizer's state in version 1."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` to ``path``, which is replaced when the new file is complete.

    Raises:
        MediaError: It cannot be written, for instance because the disk is full. What was at
            ``path`` stays, and nothing else is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_errors(path, "write"), partial_file(path) as partial:
        try:
            _write(dict(state), partial)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def _write(state: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # torch's writer hides the error of the file.
            cause = error.__cause__ or error.__context__
            if isinstance(cause, OSError):
                raise cause from error
            raise OSError(None, f"torch: {error}") from error
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint that ``save_checkpoint`` wrote, on the CPU, with the keys of version 2.

    Raises:
        WeightsError: The file is missing, unsafe, unreadable, or of a later version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a training checkpoint: {error}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: not a training checkpoint: holds a {type(state).__name__}")
    return _upgrade(cast("dict[str, Any]", state), path)


def _upgrade(state: dict[str, Any], path: Path) -> dict[str, Any]:
    version = state.get("version", 1)
    if isinstance(version, int) and version > VERSION:
        raise WeightsError(
            f"{path}: checkpoint version {version} is newer than {VERSION}; update vidrestore"
        )
    networks = state.get("parts")
    if not isinstance(networks, dict):
        return state
    for network in cast("dict[str, Any]", networks).values():
        if isinstance(network, dict) and _OLD_OPTIMIZER in network:
            network["optimizer"] = network.pop(_OLD_OPTIMIZER)
    return {_RENAMED.get(key, key): value for key, value in state.items()}


def network_weights(networks: Mapping[str, Any], name: str, path: Path) -> dict[str, Tensor]:
    """Return the weights of one network of a run: its moving average, if it has one.

    Args:
        networks: The checkpoint's networks by name.
        name: The network's name.
        path: The checkpoint's path, for messages.

    Raises:
        WeightsError: The run has no such network.
    """
    if name not in networks:
        raise WeightsError(f"{path}: this run has no {name}; it has: {', '.join(networks)}")
    return dict(networks[name].get("params_ema", networks[name]["network"]))
