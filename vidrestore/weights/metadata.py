"""Metadata in the header of a safetensors file, read without its tensors."""

from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open

from vidrestore.errors import WeightsError

FORMAT_VERSION = "1"
_VERSION, _DEFAULT = "format_version", "default_detail"


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file.

    Raises:
        WeightsError: It is not a safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as file:  # pyright: ignore[reportUnknownVariableType]
            return cast("dict[str, str] | None", file.metadata()) or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {error}") from error


def interpolation_metadata(default_detail: float) -> dict[str, str]:
    """Return the metadata that marks a file with two sets of weights."""
    return {_VERSION: FORMAT_VERSION, _DEFAULT: repr(default_detail)}


def default_detail(metadata: dict[str, str], path: Path) -> float | None:
    """Return the default interpolation between two sets of weights, 0 (fidelity) to 1 (detail).

    Args:
        metadata: Of the file.
        path: Named in messages.

    Returns:
        None for a file with one set of weights.

    Raises:
        WeightsError: This version cannot read the format of its weights.
    """
    text = metadata.get(_DEFAULT)
    if text is None:
        return None
    if (version := metadata.get(_VERSION)) != FORMAT_VERSION:
        raise WeightsError(
            f"{path}: has two sets of weights in format {version}, this version reads "
            f"{FORMAT_VERSION}; get a newer vidrestore"
        )
    try:
        default = float(text)
    except ValueError:
        default = -1.0
    if not 0 <= default <= 1:
        raise WeightsError(f"{path}: {_DEFAULT} is {text!r}, not 0 to 1; export it again")
    return default
