"""Fixed noise of many orientations: what fine texture is mixed from.

Skin, hair and cloth beyond what a degraded picture shows cannot be known, only their strength and
direction. Noise filtered along four orientations at two scales, mixed in strengths that vary from
place to place, looks like them (Heeger and Bergen 1995, "Pyramid-based texture
analysis/synthesis"). It is the same for every picture: in a film, texture stays where it is on the
face instead of boiling.
"""

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ORIENTATIONS = 4
_OCTAVES = (0.7, 1.4)
"""Widths of lines at two scales: the sigma across them, in pixels; along them it is three times."""

TEXTURES = 2 + _ORIENTATIONS * len(_OCTAVES)
"""Single pixels, grains, and lines of every orientation and scale."""


@cache
def texture_basis(side_px: int) -> Tensor:
    """Return ``(TEXTURES, S, S)`` float32 noise of mean 0 and deviation 1, the same on any machine.

    It continues seamlessly beyond its edges. Not to be changed in place: it is kept.
    """
    basis = np.stack(
        [
            _filtered(_white_noise(side_px, number), kernel)
            for number, kernel in enumerate(_kernels(side_px))
        ]
    )
    basis -= basis.mean(axis=(1, 2), keepdims=True)
    basis /= basis.std(axis=(1, 2), keepdims=True)
    return torch.from_numpy(basis.astype(np.float32))


def _kernels(side_px: int) -> list[NDArray[np.float64]]:
    """Return filters as large as the noise, their centres at its origin."""
    at = np.fft.fftfreq(side_px, 1 / side_px)
    y, x = np.meshgrid(at, at, indexing="ij")
    radius = x**2 + y**2
    kernels = [np.where(radius == 0, 1.0, 0.0), _gaussian(radius, 1.0) - _gaussian(radius, 2.0)]
    for sigma in _OCTAVES:
        for turn in range(_ORIENTATIONS):
            angle = math.pi * turn / _ORIENTATIONS
            along = x * math.cos(angle) + y * math.sin(angle)
            across = (y * math.cos(angle) - x * math.sin(angle)) / sigma
            # A second derivative across: bright beside dark, without a mean.
            profile = (1 - across**2) * np.exp(-(across**2) / 2)
            kernels.append(profile * np.exp(-(along**2) / (2 * (3 * sigma) ** 2)))
    return kernels


def _gaussian(radius_squared: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    weight = np.exp(-radius_squared / (2 * sigma**2))
    return weight / weight.sum()


def _filtered(noise_hw: NDArray[np.float64], kernel_hw: NDArray[np.float64]) -> NDArray[np.float64]:
    product = np.fft.rfft2(noise_hw) * np.fft.rfft2(kernel_hw)
    return np.fft.irfft2(product, s=noise_hw.shape)


def _white_noise(side_px: int, number: int) -> NDArray[np.float64]:
    """Return uniform noise by hashing the pixels' numbers (splitmix64; Steele et al. 2014).

    Weights learnt with it must meet the same noise under every version of every library, which
    their random generators do not promise.
    """
    index = np.arange(side_px * side_px, dtype=np.uint64) + np.uint64(number << 40)
    mixed = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    uniform = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return (uniform - 0.5).reshape(side_px, side_px)
