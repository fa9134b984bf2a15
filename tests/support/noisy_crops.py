"""Face crops with noise, as consecutive frames show them."""

from functools import cache

import numpy as np
import torch
from support.faces import example_images
from torch import Tensor


@cache
def crops(count: int = 4) -> tuple[Tensor, ...]:
    """Return face crops of 512 px with noise, each moved by two pixels from the one before."""
    cut = torch.from_numpy(example_images(1)[0][0:256, 170:426].copy())
    clean = (cut.permute(2, 0, 1).float() / 255).repeat_interleave(2, 1).repeat_interleave(2, 2)
    noise = np.random.default_rng(0).normal(0, 0.02, (count, *clean.shape)).astype(np.float32)
    return tuple(
        (clean.roll(2 * index, dims=2) + torch.from_numpy(noise[index])).clamp(0, 1)
        for index in range(count)
    )
