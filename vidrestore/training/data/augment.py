"""Augments training faces: mirror images, and small changes of exposure and color."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import FloatArray

_MIRRORED_LABELS = ((4, 5), (6, 7), (8, 9))
"""Labels of eyes, brows and ears, which swap sides in a mirror image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A small change of exposure, contrast and tint."""

    gamma: float
    gain_rgb: tuple[float, float, float]
    lift: float
    gray: bool
    """Whether every channel becomes the mean of the channels."""

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return ``(H, W, 3)`` float32 RGB in [0, 1] with this change."""
        image = image_hwc**self.gamma * np.array(self.gain_rgb) + self.lift
        image = np.clip(image, 0, 1)
        if self.gray:
            image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
        return image.astype(np.float32)


def draw_exposure(rng: np.random.Generator, *, gray_probability: float) -> Exposure:
    """Draw a change of exposure; it is gray with ``gray_probability``."""
    gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
    red, green, blue = rng.uniform(0.85, 1.0) * rng.uniform(0.94, 1.06, size=3)
    return Exposure(
        gamma=gamma,
        gain_rgb=(red, green, blue),
        lift=rng.uniform(0, 0.05),
        gray=bool(rng.random() < gray_probability),
    )


def mirror(
    face_hwc: NDArray[np.uint8], points_xy: NDArray[np.float64], labels_hw: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
    """Return mirrored image, landmarks and labels; "left" always means the left of the image."""
    points = points_xy[[1, 0, 2, 4, 3]].copy()
    points[:, 0] = face_hwc.shape[1] - 1 - points[:, 0]
    swap = np.arange(256, dtype=np.uint8)
    for left, right in _MIRRORED_LABELS:
        swap[left], swap[right] = right, left
    return face_hwc[:, ::-1], points, np.ascontiguousarray(swap[labels_hw[:, ::-1]])
