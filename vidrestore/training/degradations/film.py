"""The recipe ``film``: film and video footage in one mixture, with real codecs.

``lite`` was trained with it. ``footage`` models the same in more detail; ``film`` stays, so that
runs can be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidrestore.media.codec_generation import SimpleCodec, encode_decode
from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    UP_FILTERS,
    DegradedPair,
    Range,
    choose,
    draw_seed,
    frame_rng,
    quantize,
    resize,
    uniform,
)
from vidrestore.training.degradations.blur import gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import to_uint8, video_codec
from vidrestore.training.degradations.noise import add_gaussian_noise, add_grain
from vidrestore.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmDegradation:
    """Lens or motion blur, a smaller size, grain or noise, a codec, and the original size."""

    motion: bool
    blur_px: float
    blur_ratio: float
    angle: float
    downscale: float
    down_filter: int
    up_filter: int
    grain: float
    grain_size_px: float
    color_noise: float
    codec: SimpleCodec | None
    quantizer: int
    shift_xy: tuple[int, int]
    noise_seed: int

    @property
    def motion_px(self) -> float:
        """Length of the motion in pixels; 0 for a blur of the lens."""
        return 4 * self.blur_px if self.motion else 0.0

    def small_px(self, side_px: int) -> int:
        """Return the length of a side of ``side_px`` pixels while grain, noise and codec are added.

        Codecs need even sides, and destroy images of less than 32 px.
        """
        return max(32, round(side_px / self.downscale / 2) * 2)

    def degrade(self, image_hwc: FloatArray) -> DegradedPair:
        """Return the image as the degraded last frame of a short clip, and itself as the target."""
        height, width = image_hwc.shape[:2]
        image = self._record(image_hwc, 0)
        if self.codec is not None:
            image = video_codec(
                image, codec=self.codec, quantizer=self.quantizer, shift_xy=self.shift_xy
            )
        return DegradedPair(quantize(resize(image, (width, height), self.up_filter)), image_hwc)

    def degrade_clip(self, frames: Sequence[FloatArray]) -> list[DegradedPair]:
        """Return the frames degraded by the same lens and codec, each with its own grain."""
        height, width = frames[0].shape[:2]
        images = [self._record(frame, index) for index, frame in enumerate(frames)]
        if self.codec is not None:
            decoded = encode_decode(
                [to_uint8(image) for image in images], codec=self.codec, quantizer=self.quantizer
            )
            images = [image.astype(np.float32) / 255.0 for image in decoded]
        return [
            DegradedPair(quantize(resize(image, (width, height), self.up_filter)), frame)
            for image, frame in zip(images, frames, strict=True)
        ]

    def _record(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` blurred, at the footage's size, with grain and noise."""
        height, width = image_hwc.shape[:2]
        if self.motion:
            image = motion_blur(image_hwc, length_px=self.motion_px, angle=self.angle)
        else:
            image = gaussian_blur(
                image_hwc, sigma_px=self.blur_px, ratio=self.blur_ratio, angle=self.angle
            )
        small_wh = (self.small_px(width), self.small_px(height))
        image = resize(image, small_wh, self.down_filter)
        rng = frame_rng(self.noise_seed, index)
        image = add_grain(image, sigma=self.grain / 255, size_px=self.grain_size_px, rng=rng)
        return add_gaussian_noise(image, sigma=self.color_noise / 255, rng=rng)


_CODECS: tuple[SimpleCodec, ...] = ("mpeg1video", "mpeg2video", "mpeg4", "h264")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRecipe:
    """Ranges of film and video footage."""

    blur_px: Range = (0.2, 6.0)
    downscale: Range = (1.0, 6.0)
    grain: Range = (0.0, 16.0)
    color_noise: Range = (0.0, 8.0)
    mpeg_quantizer: Range = (2, 14)
    h264_quantizer: Range = (20, 38)

    def draw(self, rng: np.random.Generator) -> FilmDegradation:
        """Draw each parameter from its range; codecs, filters and motion by fixed probabilities."""
        codec = choose(rng, _CODECS) if rng.random() < 0.85 else None
        limits = self.h264_quantizer if codec == "h264" else self.mpeg_quantizer
        return FilmDegradation(
            motion=bool(rng.random() < 0.2),
            blur_px=uniform(rng, self.blur_px),
            blur_ratio=uniform(rng, (0.4, 1.0)) if rng.random() < 0.5 else 1.0,
            angle=uniform(rng, (0.0, float(np.pi))),
            downscale=uniform(rng, self.downscale),
            down_filter=choose(rng, DOWN_FILTERS),
            up_filter=choose(rng, UP_FILTERS),
            grain=uniform(rng, self.grain) if rng.random() < 0.6 else 0.0,
            grain_size_px=uniform(rng, (0.0, 1.2)),
            color_noise=uniform(rng, self.color_noise) if rng.random() < 0.5 else 0.0,
            codec=codec,
            quantizer=round(uniform(rng, limits)),
            shift_xy=(int(rng.integers(-3, 4)), int(rng.integers(-3, 4))),
            noise_seed=draw_seed(rng),
        )
