"""Recipes: ranges, from which one degradation is drawn first and applied second.

A drawn degradation is a value: it can be logged, compared and applied again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

import cv2
import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.media.roundtrip import CodecName
from vidrestore.training.degradations.blur import gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import jpeg, to_uint8, video_codec
from vidrestore.training.degradations.noise import add_gaussian_noise, add_grain
from vidrestore.types import FloatArray

Range: TypeAlias = tuple[float, float]


class Degradation(Protocol):
    """One drawn degradation."""

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded ``(H, W, 3)`` RGB in [0, 1], of the same size, 8-bit levels."""
        ...


class Recipe(Protocol):
    """Ranges to draw degradations from."""

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw one degradation; equal generators give equal results."""
        ...


def _uniform(rng: np.random.Generator, limits: Range) -> float:
    return float(rng.uniform(*limits))


def _resized(image_hwc: FloatArray, size_wh: tuple[int, int], filter_: int) -> FloatArray:
    return np.asarray(cv2.resize(image_hwc, size_wh, interpolation=filter_), dtype=np.float32)


def _rounded(image_hwc: FloatArray) -> FloatArray:
    return to_uint8(image_hwc).astype(np.float32) / 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpganDegradation:
    """``[(y * k_sigma) downsampled by r + n_delta] JPEG_q``, then back to size."""

    sigma_px: float
    downscale: float
    noise: float
    jpeg_quality: int
    noise_seed: int

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded ``(H, W, 3)`` RGB in [0, 1], of the same size, 8-bit levels."""
        height, width = image_hwc.shape[:2]
        small_wh = (
            max(2, round(width / self.downscale)),
            max(2, round(height / self.downscale)),
        )
        image = gaussian_blur(image_hwc, sigma_px=self.sigma_px, ratio=1.0, angle=0.0)
        image = _resized(image, small_wh, cv2.INTER_LINEAR)
        rng = np.random.default_rng(self.noise_seed)
        image = add_gaussian_noise(image, sigma=self.noise / 255.0, rng=rng)
        image = jpeg(image, quality=self.jpeg_quality)
        return _rounded(_resized(image, (width, height), cv2.INTER_LINEAR))


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpganRecipe:
    """The degradation model of GFP-GAN, section 4.1, with its published ranges."""

    sigma_px: Range = (0.2, 10.0)
    downscale: Range = (1.0, 8.0)
    noise: Range = (0.0, 15.0)
    """Standard deviation on a scale of 255."""
    jpeg_quality: Range = (60, 100)

    def draw(self, rng: np.random.Generator) -> GfpganDegradation:
        """Draw each parameter uniformly from its range."""
        return GfpganDegradation(
            sigma_px=_uniform(rng, self.sigma_px),
            downscale=_uniform(rng, self.downscale),
            noise=_uniform(rng, self.noise),
            jpeg_quality=round(_uniform(rng, self.jpeg_quality)),
            noise_seed=int(rng.integers(2**31)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmDegradation:
    """Lens or motion blur, a small picture, grain or noise, a codec, back to size."""

    motion: bool
    blur_px: float
    blur_ratio: float
    angle: float
    downscale: float
    down_filter: int
    up_filter: int
    grain: float
    grain_size_px: float
    colour_noise: float
    codec: CodecName | None
    quantiser: int
    shift_xy: tuple[int, int]
    noise_seed: int

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded ``(H, W, 3)`` RGB in [0, 1], of the same size, 8-bit levels."""
        height, width = image_hwc.shape[:2]
        if self.motion:
            image = motion_blur(image_hwc, length_px=4 * self.blur_px, angle=self.angle)
        else:
            image = gaussian_blur(
                image_hwc, sigma_px=self.blur_px, ratio=self.blur_ratio, angle=self.angle
            )
        # Codecs need even sides, and below 32 px there is nothing left to code.
        small_wh = (
            max(32, round(width / self.downscale / 2) * 2),
            max(32, round(height / self.downscale / 2) * 2),
        )
        image = _resized(image, small_wh, self.down_filter)
        rng = np.random.default_rng(self.noise_seed)
        image = add_grain(image, sigma=self.grain / 255, size_px=self.grain_size_px, rng=rng)
        image = add_gaussian_noise(image, sigma=self.colour_noise / 255, rng=rng)
        if self.codec is not None:
            image = video_codec(
                image, codec=self.codec, quantiser=self.quantiser, shift_xy=self.shift_xy
            )
        return _rounded(_resized(image, (width, height), self.up_filter))


_FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
_CODECS: tuple[CodecName, ...] = ("mpeg1video", "mpeg2video", "mpeg4", "h264")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRecipe:
    """Film and video footage: beyond the papers, with real codecs (ours)."""

    blur_px: Range = (0.2, 6.0)
    downscale: Range = (1.0, 6.0)
    grain: Range = (0.0, 16.0)
    colour_noise: Range = (0.0, 8.0)
    mpeg_quantiser: Range = (2, 14)
    h264_quantiser: Range = (20, 38)

    def draw(self, rng: np.random.Generator) -> FilmDegradation:
        """Draw each parameter; codecs, filters and motion by fixed odds."""
        codec = _CODECS[int(rng.integers(len(_CODECS)))] if rng.random() < 0.85 else None
        limits = self.h264_quantiser if codec == "h264" else self.mpeg_quantiser
        return FilmDegradation(
            motion=bool(rng.random() < 0.2),
            blur_px=_uniform(rng, self.blur_px),
            blur_ratio=_uniform(rng, (0.4, 1.0)) if rng.random() < 0.5 else 1.0,
            angle=_uniform(rng, (0.0, float(np.pi))),
            downscale=_uniform(rng, self.downscale),
            down_filter=_FILTERS[int(rng.integers(len(_FILTERS)))],
            up_filter=_FILTERS[1 + int(rng.integers(len(_FILTERS) - 1))],
            grain=_uniform(rng, self.grain) if rng.random() < 0.6 else 0.0,
            grain_size_px=_uniform(rng, (0.0, 1.2)),
            colour_noise=_uniform(rng, self.colour_noise) if rng.random() < 0.5 else 0.0,
            codec=codec,
            quantiser=round(_uniform(rng, limits)),
            shift_xy=(int(rng.integers(-3, 4)), int(rng.integers(-3, 4))),
            noise_seed=int(rng.integers(2**31)),
        )


@dataclass(frozen=True, slots=True)
class Untouched:
    """No degradation: teaches a restorer to leave good faces alone."""

    def draw(self, rng: np.random.Generator) -> "Untouched":
        """Return itself; the generator is not used."""
        return self

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the picture rounded to 8-bit levels."""
        return _rounded(image_hwc)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"gfpgan": GfpganRecipe(), "film": FilmRecipe(), "untouched": Untouched()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRecipe:
    """Several recipes, drawn from by their shares."""

    recipes: tuple[Recipe, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.recipes) != len(self.shares) or min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ConfigError(f"one share >= 0 per recipe is needed, got {self.shares}")

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Pick a recipe, then draw from it."""
        shares = np.asarray(self.shares) / sum(self.shares)
        return self.recipes[int(rng.choice(len(self.recipes), p=shares))].draw(rng)
