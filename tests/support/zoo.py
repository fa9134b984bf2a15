"""Small checkpoints of networks that spandrel builds, with weights made from nothing."""

from pathlib import Path

import torch
from torch import Tensor


def compact_state(scale: int, *, features: int = 4, seed: int | None = None) -> dict[str, Tensor]:
    """Return the tensors of a Real-ESRGAN Compact network of three convolutions.

    It adds its last convolution to its input, repeated to the larger size; without a seed that
    convolution is zero, so that the network repeats every pixel and does nothing else.
    """
    rng = torch.Generator().manual_seed(seed or 0)
    widths = [(3, features), (features, features), (features, 3 * scale**2)]
    state: dict[str, Tensor] = {}
    for number, (from_channels, to_channels) in enumerate(widths):
        amount = 0.0 if seed is None and number == 2 else 0.15
        shape = (to_channels, from_channels, 3, 3)
        state[f"body.{2 * number}.weight"] = amount * torch.randn(shape, generator=rng)
        state[f"body.{2 * number}.bias"] = amount * 0.1 * torch.randn(to_channels, generator=rng)
        if number < 2:
            state[f"body.{2 * number + 1}.weight"] = torch.full((features,), 0.25)
    return state


def compact_file(folder: Path, scale: int, *, seed: int | None = None) -> Path:
    """Save ``compact_state`` as Real-ESRGAN's checkpoints are saved."""
    path = folder / f"compact_x{scale}.pth"
    torch.save({"params_ema": compact_state(scale, seed=seed)}, path)
    return path
