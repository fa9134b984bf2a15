"""Training checkpoints: written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import WeightsError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``path`` through a temporary file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    part.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what ``save_checkpoint`` wrote, on the CPU.

    Raises:
        WeightsError: The file is missing, unsafe or unreadable.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a training checkpoint: {error}") from error


def part_weights(parts: Mapping[str, Any], part: str, path: Path) -> dict[str, Tensor]:
    """Return the weights of a part of a run: of one with a moving average, that.

    Args:
        parts: By name, as in the checkpoint of a run.
        part: Which.
        path: Of the checkpoint, for messages.

    Raises:
        WeightsError: The run has no such part.
    """
    if part not in parts:
        raise WeightsError(f"{path}: a run without a {part}; it trained: {', '.join(parts)}")
    return dict(parts[part].get("params_ema", parts[part]["network"]))
