"""Protocols of degradations and recipes, and helpers that draw random parameters."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import exp, log
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import cv2
import numpy as np

from vidrestore.training.degradations.compression import to_uint8
from vidrestore.types import FloatArray

Range: TypeAlias = tuple[float, float]
_T = TypeVar("_T")

DOWN_FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
UP_FILTERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)


class DegradedPair(NamedTuple):
    """Input and target of a restorer in training, ``(H, W, 3)`` RGB in [0, 1]."""

    degraded: FloatArray
    """Rounded to 8-bit levels."""
    target: FloatArray
    """The original image with the color and brightness of the degraded one: a restored face is
    pasted into its frame, where it must not differ in either."""


class Degradation(Protocol):
    """One drawn degradation of ``(H, W, 3)`` float32 RGB images in [0, 1]."""

    def degrade(self, image_hwc: FloatArray) -> DegradedPair:
        """Return the degraded image and its target."""
        ...

    def degrade_clip(self, frames: Sequence[FloatArray]) -> list[DegradedPair]:
        """Return the frames degraded by the same lens and codec; noise differs between frames."""
        ...


class Recipe(Protocol):
    """A distribution of degradations."""

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw one degradation; equal generators give equal results."""
        ...


class PerFrameDegradation(ABC):
    """A degradation that keeps tones, and whose frames do not depend on each other."""

    __slots__ = ()

    @abstractmethod
    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded; a single image is frame 0."""

    def degrade(self, image_hwc: FloatArray) -> DegradedPair:
        """Return the degraded image, with the original as the target."""
        return DegradedPair(self.degrade_frame(image_hwc, 0), image_hwc)

    def degrade_clip(self, frames: Sequence[FloatArray]) -> list[DegradedPair]:
        """Return the degraded frames, with the originals as the targets."""
        return [
            DegradedPair(self.degrade_frame(frame, index), frame)
            for index, frame in enumerate(frames)
        ]


def frame_rng(seed: int, index: int) -> np.random.Generator:
    """Return the generator of a frame; frame 0 has the generator of a single image."""
    return np.random.default_rng(seed if index == 0 else (seed, index))


def uniform(rng: np.random.Generator, limits: Range) -> float:
    """Draw uniformly from a range."""
    return float(rng.uniform(*limits))


def log_uniform(rng: np.random.Generator, limits: Range) -> float:
    """Draw from a range of positive numbers, uniformly in their logarithm."""
    return exp(rng.uniform(log(limits[0]), log(limits[1])))


def choose(rng: np.random.Generator, choices: Sequence[_T]) -> _T:
    """Draw one of ``choices`` with equal probabilities."""
    return choices[int(rng.integers(len(choices)))]


def draw_seed(rng: np.random.Generator) -> int:
    """Draw the seed of a degradation's random numbers, which are drawn when it is applied."""
    return int(rng.integers(2**31))


def resize(image_hwc: FloatArray, size_wh: tuple[int, int], filter_: int) -> FloatArray:
    """Return the image resized with an OpenCV filter."""
    return np.asarray(cv2.resize(image_hwc, size_wh, interpolation=filter_), dtype=np.float32)


def quantize(image_hwc: FloatArray) -> FloatArray:
    """Round [0, 1] to 8-bit levels."""
    return to_uint8(image_hwc).astype(np.float32) / 255.0
