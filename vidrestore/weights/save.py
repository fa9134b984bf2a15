"""Writes weights as a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from vidrestore.storage.atomic_output import partial_file


def save_weights(tensors: Mapping[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file, which appears when it is complete.

    Args:
        tensors: Contiguous tensors that share no memory, by name.
        target: Replaced if it exists; its folder must exist.
        metadata: For the header of the file.
    """
    with partial_file(target) as path:
        save_file(dict(tensors), path, metadata=metadata)
        path.chmod(0o644)  # save_file makes it readable by its owner only
