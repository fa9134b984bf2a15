"""Weights inside the package."""

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import nn

from vidrestore.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)


def bundled_file(file_name: str) -> AbstractContextManager[Path]:
    """Return a file of ``vidrestore/models/data``: a context manager that yields its path."""
    return as_file(files("vidrestore.models") / "data" / file_name)


def load_packaged(network: Network, file_name: str) -> Network:
    """Return ``network`` with the weights of a file of ``vidrestore/models/data``.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    with bundled_file(file_name) as path:
        try:
            network.load_state_dict(load_file(path), strict=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise WeightsError(f"{path}: {error}; reinstall vidrestore") from error
    return network
