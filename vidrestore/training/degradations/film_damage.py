"""Damage of film: scratches that persist, dust and hairs that change with every frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.training.degradations.base import frame_rng
from vidrestore.types import FloatArray

_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmDamage:
    """Scratches, dust, hairs and uneven density of a clip."""

    scratches: int
    """Number of lines along the film, which persist and drift."""
    scratch_strength: float
    """Opacity of scratches, 0 to 1."""
    specks_per_frame: float
    """Mean number of specks of dust and dirt, new in every frame."""
    speck_px: float
    """Median radius of a speck, in pixels of the footage."""
    hair_probability: float
    """Probability of a hair or fiber in a frame."""
    unevenness: float
    """Relative standard deviation of the slow changes of density across a frame."""
    seed: int

    def apply(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, ``(H, W, 3)`` in [0, 1], damaged."""
        rng = frame_rng(self.seed, index + 1)
        image = image_hwc
        if self.unevenness > 0:
            coarse = rng.normal(1.0, self.unevenness, (3, 4)).astype(np.float32)
            size_wh = (image.shape[1], image.shape[0])
            field = np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC))
            image = image * field[:, :, None]
        for number in range(self.scratches):
            image = self._add_scratch(image, number, index, rng)
        return self._add_dust(image, rng)

    def _add_scratch(
        self, image: FloatArray, number: int, index: int, rng: np.random.Generator
    ) -> FloatArray:
        height, width = image.shape[:2]
        scratch_rng = np.random.default_rng((self.seed, 0, number))
        start = width * scratch_rng.random()
        drift, wobble = 0.25 * scratch_rng.standard_normal(), 0.6 * scratch_rng.random()
        thickness, bright = scratch_rng.uniform(0.3, 0.9), scratch_rng.random() < 0.6
        strength = self.scratch_strength * scratch_rng.uniform(0.4, 1.0)
        persistence = scratch_rng.random()
        if rng.random() > 0.4 + 0.6 * persistence:
            return image
        rows = np.arange(height, dtype=np.float32)
        slant = scratch_rng.normal(0, 0.01) * rows
        bow = slant + wobble * np.sin(rows / scratch_rng.uniform(15, 60))
        center = start + drift * index + rng.normal(0, 0.3) + bow
        from_center = (np.arange(width, dtype=np.float32)[None] - center[:, None]) / thickness
        along = rng.uniform(0.3, 1.0, max(2, height // 12)).astype(np.float32)
        along = np.asarray(cv2.resize(along[:, None], (1, height)), dtype=np.float32)
        opacity = (strength * along * np.exp(-0.5 * from_center**2))[:, :, None]
        return (image + opacity * (float(bright) - image)).astype(np.float32)

    def _add_dust(self, image: FloatArray, rng: np.random.Generator) -> FloatArray:
        height, width = image.shape[:2]
        count = int(rng.poisson(self.specks_per_frame))
        has_hair = rng.random() < self.hair_probability
        for bright in (False, True):
            # Dirt on a negative prints white; dust on the print is dark.
            dark_count = int(rng.binomial(count, 0.5))
            specks = count if bright else dark_count
            count -= specks
            draws_hair = has_hair and bright == (rng.random() < 0.4)
            if not specks and not draws_hair:
                continue
            mask = np.zeros((height, width), dtype=np.uint8)
            for _ in range(specks):
                _draw_speck(mask, self.speck_px, rng)
            if draws_hair:
                _draw_hair(mask, rng)
            soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.5), dtype=np.float32) / 255
            opacity = (rng.uniform(0.5, 0.95) * soft)[:, :, None]
            level = rng.uniform(0.85, 1.0) if bright else rng.uniform(0.0, 0.15)
            image = (image + opacity * (level - image)).astype(np.float32)
        return image


def _draw_speck(mask: np.ndarray, radius_px: float, rng: np.random.Generator) -> None:
    """Draw an irregular spot into the mask."""
    height, width = mask.shape
    center = rng.uniform((0, 0), (width, height))
    radius = radius_px * float(np.exp(rng.normal(0, 0.5)))
    angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    stretch = rng.uniform(0.4, 1.0, 2)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * stretch * radius
    outline *= rng.uniform(0.5, 1.3, (9, 1))
    corners = np.rint((center + outline) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [corners], (255,), cv2.LINE_AA, _SHIFT)


def _draw_hair(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a thin curl into the mask."""
    height, width = mask.shape
    steps = 24
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, steps))
    stride = rng.uniform(0.1, 0.5) * max(height, width) / steps
    path = rng.uniform((0, 0), (width, height)) + stride * np.cumsum(
        np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0
    )
    points = np.rint(path * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(mask, [points], False, (200,), 1, cv2.LINE_AA, _SHIFT)
