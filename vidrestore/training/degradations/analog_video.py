"""Degradation by analog video: fields, narrow chroma, noise along lines, tape faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from vidrestore.training.degradations.base import frame_rng
from vidrestore.training.degradations.noise import fast_normal
from vidrestore.types import FloatArray

Deinterlacing: TypeAlias = Literal["none", "bob", "blend"]
"""``none`` weaves the two fields, which combs moving edges. ``bob`` keeps one field and
interpolates the other. ``blend`` averages lines, which doubles moving edges."""


def interlace(frames: Sequence[FloatArray], deinterlacing: Deinterlacing) -> list[FloatArray]:
    """Return frames that were interlaced, then deinterlaced.

    Args:
        frames: ``(H, W, 3)`` in order; the odd lines are taken halfway to the next frame.
        deinterlacing: The method.
    """
    results: list[FloatArray] = []
    for index, frame in enumerate(frames):
        later = frames[min(index + 1, len(frames) - 1)]
        woven = frame.copy()
        woven[1::2] = 0.5 * (frame[1::2] + later[1::2])
        if deinterlacing == "bob":
            woven[1:-1:2] = 0.5 * (woven[:-2:2] + woven[2::2])[: len(woven[1:-1:2])]
        elif deinterlacing == "blend":
            kernel = np.array([[0.25], [0.5], [0.25]], dtype=np.float32)
            woven = np.asarray(cv2.filter2D(woven, -1, kernel), dtype=np.float32)
        results.append(woven)
    return results


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """Bandwidths and faults of a video cassette; lengths are in pixels of a line."""

    luma_px: float
    """Standard deviation of the blur of luma along a line."""
    overshoot: float
    """Strength of the edge enhancement after that blur."""
    chroma_px: float
    """Standard deviation of the blur of chroma along a line."""
    chroma_lines: float
    """Standard deviation of the blur of chroma across lines."""
    chroma_shift_px: float
    """Shift of chroma to the right."""
    luma_noise: float
    """Standard deviation relative to the range, as ``chroma_noise``."""
    chroma_noise: float
    jitter_px: float
    """Horizontal displacement of lines."""
    dropouts_per_frame: float
    """Mean number of streaks where the tape has lost its coating."""
    seed: int

    def apply(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, ``(H, W, 3)`` in [0, 1], played back."""
        rng = frame_rng(self.seed, index)
        image = np.clip(image_hwc, 0, 1).astype(np.float32)
        ycc = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb), dtype=np.float32)
        luma, chroma = ycc[:, :, 0], np.ascontiguousarray(ycc[:, :, 1:])
        luma = _smooth(luma, self.luma_px, 0.0)
        luma = luma + self.overshoot * (luma - _smooth(luma, 2.0 + self.luma_px, 0.0))
        chroma = _smooth(chroma, self.chroma_px, self.chroma_lines)
        luma = (luma + self.luma_noise * _noise(luma.shape, 0.8, 0.0, rng)).astype(np.float32)
        for channel in range(2):
            noise = _noise(luma.shape, 1.0 + 0.5 * self.chroma_px, 0.6, rng)
            chroma[:, :, channel] += self.chroma_noise * noise
        luma = self._add_dropouts(luma, rng)
        shift = _line_shift(luma.shape[0], self.jitter_px, rng)
        luma = _shift_lines(luma, shift)
        chroma = _shift_lines(chroma, shift + self.chroma_shift_px)
        ycc = np.dstack([luma, chroma]).astype(np.float32)
        return np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), dtype=np.float32)

    def _add_dropouts(self, luma: FloatArray, rng: np.random.Generator) -> FloatArray:
        height, width = luma.shape
        for _ in range(int(rng.poisson(self.dropouts_per_frame))):
            line, start = int(height * rng.random()), int(width * rng.random())
            length = int(0.12 * width * rng.standard_exponential()) + 4
            stop = min(width, start + length)
            # A dropout starts abruptly and fades out, as players conceal it.
            noise = np.asarray(rng.uniform(0.3, 1.0, stop - start), dtype=np.float32)
            fade = noise * np.linspace(1.0, 0.2, stop - start, dtype=np.float32)
            level = 1.0 if rng.random() < 0.8 else 0.0
            luma[line, start:stop] += fade * (level - luma[line, start:stop])
        return luma


def _smooth(image: FloatArray, along_px: float, across_px: float) -> FloatArray:
    if max(along_px, across_px) < 0.15:
        return image
    sigma_x, sigma_y = max(along_px, 0.15), max(across_px, 0.15)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_x, sigmaY=sigma_y), dtype=np.float32)


def _noise(
    shape_hw: tuple[int, ...], along_px: float, across_px: float, rng: np.random.Generator
) -> FloatArray:
    """Return noise of unit deviation, correlated along and across lines."""
    noise = _smooth(fast_normal(shape_hw[:2], rng), along_px, across_px)
    return (noise / max(1e-6, float(noise.std()))).astype(np.float32, copy=False)


def _line_shift(lines: int, jitter_px: float, rng: np.random.Generator) -> FloatArray:
    """Return the displacement of every line: a slow sway, and independent jitter."""
    sway = _smooth(rng.standard_normal((lines, 1)).astype(np.float32), 0.15, 6.0)[:, 0]
    sway /= max(1e-6, float(sway.std()))
    jitter = rng.standard_normal(lines).astype(np.float32)
    return (jitter_px * (0.8 * sway + 0.4 * jitter)).astype(np.float32)


def _shift_lines(image: FloatArray, shift_px: FloatArray) -> FloatArray:
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] - shift_px[:, None]
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    x = x.astype(np.float32)
    shifted = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted, dtype=np.float32)
