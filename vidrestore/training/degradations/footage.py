"""The degradation chain of footage: lens, film or camera, tape or broadcast, codec, display."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.media.codec_generation import CodecGeneration, PassCodec, apply_generation
from vidrestore.training.degradations.analog_video import Deinterlacing, Tape, interlace
from vidrestore.training.degradations.base import DegradedPair, frame_rng, quantize, resize
from vidrestore.training.degradations.blur import fast_gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import to_uint8
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.training.degradations.noise import add_fast_gaussian_noise, add_fast_grain
from vidrestore.types import FloatArray

_MIN_PX = 32
"""Minimum side of the footage: codecs destroy smaller frames."""
_LEAD_FRAMES = 1
"""Number of frames before a single image that a codec or a field refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionStep:
    """One codec pass, with its settings for a single image and for a clip."""

    codec: PassCodec
    quantizer: int
    """Quantizer for a single image, which is too short for a bit rate."""
    bits_per_pixel: float | None
    """Bit rate for a clip; None uses the quantizer, as cameras and discs do."""
    interlaced: bool = False

    def apply(self, frames: Sequence[FloatArray], *, still: bool) -> list[FloatArray]:
        """Return the frames after the pass; sides must be even."""
        rate = None if still else self.bits_per_pixel
        generation = CodecGeneration(
            codec=self.codec,
            quantizer=self.quantizer if rate is None else None,
            bits_per_pixel=rate,
            interlaced=self.interlaced,
        )
        images = apply_generation([to_uint8(frame) for frame in frames], generation)
        return [image.astype(np.float32) / 255.0 for image in images]


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageDegradation:
    """One drawn chain; steps that are None are left out. Lengths are in pixels of the footage."""

    tone: Tone
    blur_px: float
    """Blur of the lens, in pixels of the original."""
    motion_px: float
    """Length of the motion blur along ``angle``, in pixels of the original; 0 for none."""
    angle: float
    downscale: float
    down_filter: int
    up_filter: int
    grain: float
    grain_px: float
    color_noise: float
    damage: FilmDamage | None
    fields: Deinterlacing | None
    tape: Tape | None
    compression: tuple[CompressionStep, ...]
    shift_xy: tuple[float, float]
    """Motion between a single image and the frame before it."""
    seed: int

    def degrade(self, image_hwc: FloatArray) -> DegradedPair:
        """Return the degraded image, with the image in the footage's tones as the target.

        If codec or fields need earlier frames, the image is the last frame of a short clip.
        """
        height, width = image_hwc.shape[:2]
        target = self.tone.apply(image_hwc, 0)
        small = self._shrink(target)
        lead = _LEAD_FRAMES if self.compression or self.fields else 0
        frames = [_shift(small, self.shift_xy, -step) for step in range(lead, 0, -1)]
        # Every frame has other grain; the last has index 0, that of a single image.
        recorded = self._record([*frames, small], range(-lead, 1), still=True)
        return DegradedPair(quantize(resize(recorded[-1], (width, height), self.up_filter)), target)

    def degrade_clip(self, frames: Sequence[FloatArray]) -> list[DegradedPair]:
        """Return the degraded frames, with the frames in the footage's tones as the targets."""
        height, width = frames[0].shape[:2]
        targets = [self.tone.apply(frame, index) for index, frame in enumerate(frames)]
        small = [self._shrink(target) for target in targets]
        recorded = self._record(small, range(len(small)), still=False)
        return [
            DegradedPair(quantize(resize(frame, (width, height), self.up_filter)), target)
            for frame, target in zip(recorded, targets, strict=True)
        ]

    def _shrink(self, image_hwc: FloatArray) -> FloatArray:
        height, width = image_hwc.shape[:2]
        image = fast_gaussian_blur(image_hwc, sigma_px=self.blur_px)
        small_wh = (
            max(_MIN_PX, round(width / self.downscale / 2) * 2),
            max(_MIN_PX, round(height / self.downscale / 2) * 2),
        )
        image = resize(image, small_wh, self.down_filter)
        length_px = self.motion_px / self.downscale
        # Sampling blurs shorter motions already.
        return motion_blur(image, length_px=length_px, angle=self.angle) if length_px > 1 else image

    def _record(
        self, frames: Sequence[FloatArray], indices: range, *, still: bool
    ) -> list[FloatArray]:
        """Return the small frames after film, fields, tape and codecs."""
        images = [
            self._expose(frame, abs(index)) for frame, index in zip(frames, indices, strict=True)
        ]
        if self.fields is not None:
            images = interlace(images, self.fields)
        if self.tape is not None:
            images = [
                self.tape.apply(image, abs(index))
                for image, index in zip(images, indices, strict=True)
            ]
        for step in self.compression:
            images = step.apply(images, still=still)
        return images

    def _expose(self, image_hwc: FloatArray, index: int) -> FloatArray:
        rng = frame_rng(self.seed, index)
        image = image_hwc
        if self.grain > 0:
            image = add_fast_grain(image, sigma=self.grain / 255, size_px=self.grain_px, rng=rng)
        if self.color_noise > 0:
            image = add_fast_gaussian_noise(image, sigma=self.color_noise / 255, rng=rng)
        return image if self.damage is None else self.damage.apply(image, index)


def _shift(image_hwc: FloatArray, step_xy: tuple[float, float], steps: int) -> FloatArray:
    height, width = image_hwc.shape[:2]
    affine = np.array([[1.0, 0.0, steps * step_xy[0]], [0.0, 1.0, steps * step_xy[1]]])
    image = cv2.warpAffine(image_hwc, affine, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(image, dtype=np.float32)
