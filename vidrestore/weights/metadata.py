"""What a safetensors file says of itself, read without its tensors."""

from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open

from vidrestore.errors import WeightsError

FORMAT_VERSION = "1"
_VERSION, _DEFAULT = "format_version", "default_detail"


def read_metadata(path: Path) -> dict[str, str]:
    """Return the remarks in the header of a safetensors file.

    Raises:
        WeightsError: It is no such file.
    """
    try:
        with safe_open(path, framework="numpy") as file:  # pyright: ignore[reportUnknownVariableType]
            return cast("dict[str, str] | None", file.metadata()) or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file: {error}") from error


def ends_metadata(default_detail: float) -> dict[str, str]:
    """Return the remarks by which a file with two ends is known."""
    return {_VERSION: FORMAT_VERSION, _DEFAULT: repr(default_detail)}


def default_detail(metadata: dict[str, str], path: Path) -> float | None:
    """Return where between its two ends a file wants to be used, 0 (fidelity) to 1 (detail).

    Args:
        metadata: Of the file.
        path: Named in messages.

    Returns:
        None for a file that has one end.

    Raises:
        WeightsError: It has two ends in a form that this version does not know.
    """
    text = metadata.get(_DEFAULT)
    if text is None:
        return None
    if (version := metadata.get(_VERSION)) != FORMAT_VERSION:
        raise WeightsError(
            f"{path}: has two ends in format {version}, this version reads {FORMAT_VERSION}; "
            "get a newer vidrestore"
        )
    try:
        default = float(text)
    except ValueError:
        default = -1.0
    if not 0 <= default <= 1:
        raise WeightsError(f"{path}: {_DEFAULT} is {text!r}, not 0 to 1; export it again")
    return default
