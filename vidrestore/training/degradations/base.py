"""What a degradation is: drawn once, applied to a picture or to a clip, replayable."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import exp, log
from typing import Protocol, TypeAlias, TypeVar

import cv2
import numpy as np

from vidrestore.training.degradations.compression import to_uint8
from vidrestore.types import FloatArray

Range: TypeAlias = tuple[float, float]
_T = TypeVar("_T")

DOWN_FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
UP_FILTERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)


class Degradation(Protocol):
    """One drawn degradation. Pictures are ``(H, W, 3)`` float32 RGB in [0, 1]."""

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded picture, of the same size, in 8-bit levels."""
        ...

    def apply_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the degraded frames: one lens, one codec, but noise and damage of each frame."""
        ...

    def target(self, image_hwc: FloatArray) -> FloatArray:
        """Return the restorer's target for ``apply(image_hwc)``.

        That is the picture itself, but in the tones of the footage where those were changed: a
        face is pasted back into its frame, so colouring or brightening it would be a fault.
        """
        ...

    def target_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the restorer's targets for ``apply_clip(frames)``."""
        ...


class Recipe(Protocol):
    """Ranges to draw degradations from."""

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw one degradation; equal generators give equal results."""
        ...


class PerFrameDegradation(ABC):
    """A degradation that does to each frame of a clip what it does to a picture."""

    __slots__ = ()

    @abstractmethod
    def apply_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip degraded; a picture is frame 0."""

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded picture, of the same size, in 8-bit levels."""
        return self.apply_frame(image_hwc, 0)

    def apply_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the degraded frames; only noise differs from frame to frame."""
        return [self.apply_frame(frame, index) for index, frame in enumerate(frames)]

    def target(self, image_hwc: FloatArray) -> FloatArray:
        """Return the picture itself: its tones are not changed."""
        return image_hwc

    def target_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the frames themselves."""
        return list(frames)


def frame_rng(seed: int, index: int) -> np.random.Generator:
    """Return the source of randomness of one frame; that of frame 0 is the picture's."""
    return np.random.default_rng(seed if index == 0 else (seed, index))


def uniform(rng: np.random.Generator, limits: Range) -> float:
    """Draw from a range, evenly."""
    return float(rng.uniform(*limits))


def log_uniform(rng: np.random.Generator, limits: Range) -> float:
    """Draw from a range of positive numbers, evenly in ratios."""
    return exp(rng.uniform(log(limits[0]), log(limits[1])))


def one_of(rng: np.random.Generator, choices: Sequence[_T]) -> _T:
    """Draw one of ``choices``, all alike."""
    return choices[int(rng.integers(len(choices)))]


def drawn_seed(rng: np.random.Generator) -> int:
    """Draw a seed for what is random in applying."""
    return int(rng.integers(2**31))


def resized(image_hwc: FloatArray, size_wh: tuple[int, int], filter_: int) -> FloatArray:
    """Return the picture at another size, by an OpenCV filter."""
    return np.asarray(cv2.resize(image_hwc, size_wh, interpolation=filter_), dtype=np.float32)


def rounded(image_hwc: FloatArray) -> FloatArray:
    """Return [0, 1] in 8-bit levels."""
    return to_uint8(image_hwc).astype(np.float32) / 255.0
