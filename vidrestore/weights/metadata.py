"""Metadata in the header of a safetensors file, read without its tensors."""

from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open

from vidrestore.errors import WeightsError

FORMAT_VERSION = "1"
DEFAULT_DETAIL = 0.5
"""``--detail`` of models with two sets of weights, where it is not given."""
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


def interpolation_metadata(default_position: float) -> dict[str, str]:
    """Return the metadata that marks a file with two sets of weights."""
    return {_VERSION: FORMAT_VERSION, _DEFAULT: repr(default_position)}


def default_position(metadata: dict[str, str], path: Path) -> float | None:
    """Return the position between two sets of weights at ``DEFAULT_DETAIL``, 0 to 1.

    Args:
        metadata: Metadata of the file.
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


def position_at(detail: float, default_position: float) -> float:
    """Return the position between two sets of weights, 0 (fidelity) to 1 (detail).

    Two straight lines that meet at the default, so that 0.5 is what a model's makers chose, and
    there is room for more on both sides.

    Args:
        detail: Value of ``--detail``, 0 to 1.
        default_position: The position at ``DEFAULT_DETAIL``.
    """
    if detail <= DEFAULT_DETAIL:
        return default_position * detail / DEFAULT_DETAIL
    beyond = (detail - DEFAULT_DETAIL) / (1 - DEFAULT_DETAIL)
    return default_position + beyond * (1 - default_position)
