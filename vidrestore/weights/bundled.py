"""Weights inside the package."""

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import nn

from vidrestore.errors import WeightsError
from vidrestore.storage.checksums import file_sha256

Network = TypeVar("Network", bound=nn.Module)


def bundled_file(file_name: str) -> AbstractContextManager[Path]:
    """Return a file of ``vidrestore/models/data``: a context manager that yields its path."""
    return as_file(files("vidrestore.models") / "data" / file_name)


def require_bundled(file_name: str) -> None:
    """Check that a file of ``vidrestore/models/data`` is there.

    Raises:
        WeightsError: It is not.
    """
    with bundled_file(file_name) as path:
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; reinstall vidrestore")


def bundled_sha256(file_name: str | None) -> str | None:
    """Return the checksum of a file of ``vidrestore/models/data``; None for None."""
    if file_name is None:
        return None
    with bundled_file(file_name) as path:
        return file_sha256(path)


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
