"""Files with two ends, as ``scripts/export_lite.py`` writes them."""

from pathlib import Path

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from vidrestore.weights.interpolation import pack
from vidrestore.weights.metadata import interpolation_metadata


def perturb_weights(state: dict[str, Tensor], *, share: float, seed: int = 0) -> dict[str, Tensor]:
    """Return weights that differ from ``state`` like after more training.

    The difference varies from channel to channel, and affects constant tensors, too.

    Args:
        state: Weights before.
        share: Standard deviation of the difference relative to that of the tensor, roughly.
        seed: Seed of the differences.
    """
    rng = torch.Generator().manual_seed(seed)
    changed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        draws = (
            torch.randn(tensor.shape, generator=rng)
            * torch.rand(tensor.shape, generator=rng).sqrt()
        )
        of_channel = torch.rand(len(tensor), *[1] * (tensor.ndim - 1), generator=rng) + 0.5
        size = tensor.std(correction=0).clamp_min(0.02)
        changed[name] = tensor + share * size * draws * of_channel
    return changed


def save_ends(
    path: Path, fidelity: dict[str, Tensor], detail: dict[str, Tensor], *, default: float = 0.5
) -> Path:
    """Write both ends to ``path`` and return it."""
    save_file(pack(fidelity, detail), path, metadata=interpolation_metadata(default))
    return path
