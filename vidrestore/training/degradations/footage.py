"""Whole histories of footage: lens, film or camera, tape or broadcast, codec, screen."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.media.codec_generation import CodecGeneration, PassCodec, coded
from vidrestore.training.degradations.analog_video import Deinterlacing, Tape, interlaced
from vidrestore.training.degradations.base import (
    frame_rng,
    resized,
    rounded,
)
from vidrestore.training.degradations.blur import fast_gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import to_uint8
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.training.degradations.noise import add_quick_grain, add_white_noise
from vidrestore.types import FloatArray

_LEAST_PX = 32
"""Below, there is nothing left to code."""
_LEAD_FRAMES = 1
"""Frames before a still that a codec or a field can refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """A codec pass as told for a still and for a clip."""

    codec: PassCodec
    quantiser: int
    """Of a still: a bit rate means nothing for three frames."""
    bits_per_pixel: float | None
    """Of a clip; None keeps the quantiser, as a camera or a disc does."""
    interlaced: bool = False

    def apply(self, frames: Sequence[FloatArray], *, still: bool) -> list[FloatArray]:
        """Return the frames, of even sides, after the pass."""
        rate = None if still else self.bits_per_pixel
        generation = CodecGeneration(
            codec=self.codec,
            quantiser=self.quantiser if rate is None else None,
            bits_per_pixel=rate,
            interlaced=self.interlaced,
        )
        pictures = coded([to_uint8(frame) for frame in frames], generation)
        return [picture.astype(np.float32) / 255.0 for picture in pictures]


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageDegradation:
    """One history; what is None did not happen. Sizes are in pixels of the footage."""

    tone: Tone
    blur_px: float
    """Of the lens, in pixels of the original."""
    motion_px: float
    """Smear of the exposure along ``angle``, in pixels of the original; 0 for none."""
    angle: float
    downscale: float
    down_filter: int
    up_filter: int
    grain: float
    grain_px: float
    colour_noise: float
    damage: FilmDamage | None
    fields: Deinterlacing | None
    tape: Tape | None
    codings: tuple[Coding, ...]
    shift_xy: tuple[float, float]
    """How far a still's face moved from the frame before it."""
    seed: int

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded ``(H, W, 3)`` RGB in [0, 1], of the same size, 8-bit levels.

        The picture is the last of a short clip in which it moved, where codec or fields ask for
        one.
        """
        height, width = image_hwc.shape[:2]
        small = self._small(self.target(image_hwc))
        lead = _LEAD_FRAMES if self.codings or self.fields else 0
        frames = [_shifted(small, self.shift_xy, -back) for back in range(lead, 0, -1)]
        # Every frame gets its own grain, and the still, last of all, is the one that is damaged.
        recorded = self._recorded([*frames, small], range(-lead, 1), still=True)
        return rounded(resized(recorded[-1], (width, height), self.up_filter))

    def apply_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the frames after one history."""
        height, width = frames[0].shape[:2]
        small = [self._small(frame) for frame in self.target_clip(frames)]
        recorded = self._recorded(small, range(len(small)), still=False)
        return [rounded(resized(each, (width, height), self.up_filter)) for each in recorded]

    def target(self, image_hwc: FloatArray) -> FloatArray:
        """Return the picture in the tone of the footage, and nothing worse."""
        return self.tone.apply(image_hwc, 0)

    def target_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the frames in the tones of the footage, and nothing worse."""
        return [self.tone.apply(frame, index) for index, frame in enumerate(frames)]

    def _small(self, image_hwc: FloatArray) -> FloatArray:
        height, width = image_hwc.shape[:2]
        image = fast_gaussian_blur(image_hwc, sigma_px=self.blur_px)
        small_wh = (
            max(_LEAST_PX, round(width / self.downscale / 2) * 2),
            max(_LEAST_PX, round(height / self.downscale / 2) * 2),
        )
        image = resized(image, small_wh, self.down_filter)
        smear_px = self.motion_px / self.downscale
        # Shorter than a pixel, a motion is no more than the sampling itself.
        return motion_blur(image, length_px=smear_px, angle=self.angle) if smear_px > 1 else image

    def _recorded(
        self, frames: Sequence[FloatArray], indices: range, *, still: bool
    ) -> list[FloatArray]:
        """Return the small frames after film, fields, tape and codecs."""
        images = [
            self._exposed(frame, abs(index)) for frame, index in zip(frames, indices, strict=True)
        ]
        if self.fields is not None:
            images = interlaced(images, self.fields)
        if self.tape is not None:
            images = [
                self.tape.apply(image, abs(index))
                for image, index in zip(images, indices, strict=True)
            ]
        for coding in self.codings:
            images = coding.apply(images, still=still)
        return images

    def _exposed(self, image_hwc: FloatArray, index: int) -> FloatArray:
        rng = frame_rng(self.seed, index)
        image = image_hwc
        if self.grain > 0:
            image = add_quick_grain(image, sigma=self.grain / 255, size_px=self.grain_px, rng=rng)
        if self.colour_noise > 0:
            image = add_white_noise(image, sigma=self.colour_noise / 255, rng=rng)
        return image if self.damage is None else self.damage.apply(image, index)


def _shifted(image_hwc: FloatArray, step_xy: tuple[float, float], steps: int) -> FloatArray:
    height, width = image_hwc.shape[:2]
    move = np.array([[1.0, 0.0, steps * step_xy[0]], [0.0, 1.0, steps * step_xy[1]]])
    moved = cv2.warpAffine(image_hwc, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)
