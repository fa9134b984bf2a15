"""Film and video footage in one mixture: beyond the papers, with real codecs (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.media.codec_roundtrip import CodecName, encode_decode
from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    Range,
    drawn_seed,
    frame_rng,
    resized,
    rounded,
    uniform,
)
from vidrestore.training.degradations.blur import gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import to_uint8, video_codec
from vidrestore.training.degradations.noise import add_gaussian_noise, add_grain
from vidrestore.types import FloatArray


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

    @property
    def motion_px(self) -> float:
        """Length of the motion in pixels; 0 where the blur is a lens's."""
        return 4 * self.blur_px if self.motion else 0.0

    def small_px(self, side_px: int) -> int:
        """Return the length of a side of ``side_px`` pixels where grain, noise and codec happen.

        Codecs need even sides, and below 32 px there is nothing left to code.
        """
        return max(32, round(side_px / self.downscale / 2) * 2)

    def apply(self, image_hwc: FloatArray) -> FloatArray:
        """Return the degraded ``(H, W, 3)`` RGB in [0, 1], of the same size, 8-bit levels."""
        height, width = image_hwc.shape[:2]
        image = self._grainy(image_hwc, 0)
        if self.codec is not None:
            image = video_codec(
                image, codec=self.codec, quantiser=self.quantiser, shift_xy=self.shift_xy
            )
        return rounded(resized(image, (width, height), self.up_filter))

    def apply_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the frames after one lens and codec for all, and separate grain for each."""
        height, width = frames[0].shape[:2]
        images = [self._grainy(frame, index) for index, frame in enumerate(frames)]
        if self.codec is not None:
            coded = encode_decode(
                [to_uint8(image) for image in images], codec=self.codec, quantiser=self.quantiser
            )
            images = [picture.astype(np.float32) / 255.0 for picture in coded]
        return [rounded(resized(image, (width, height), self.up_filter)) for image in images]

    def target(self, image_hwc: FloatArray) -> FloatArray:
        """Return the picture itself: its tones are not changed."""
        return image_hwc

    def target_clip(self, frames: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the frames themselves."""
        return list(frames)

    def _grainy(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` blurred, at the footage's size, with its grain and noise."""
        height, width = image_hwc.shape[:2]
        if self.motion:
            image = motion_blur(image_hwc, length_px=self.motion_px, angle=self.angle)
        else:
            image = gaussian_blur(
                image_hwc, sigma_px=self.blur_px, ratio=self.blur_ratio, angle=self.angle
            )
        small_wh = (self.small_px(width), self.small_px(height))
        image = resized(image, small_wh, self.down_filter)
        rng = frame_rng(self.noise_seed, index)
        image = add_grain(image, sigma=self.grain / 255, size_px=self.grain_size_px, rng=rng)
        return add_gaussian_noise(image, sigma=self.colour_noise / 255, rng=rng)


_UP_FILTERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
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
            blur_px=uniform(rng, self.blur_px),
            blur_ratio=uniform(rng, (0.4, 1.0)) if rng.random() < 0.5 else 1.0,
            angle=uniform(rng, (0.0, float(np.pi))),
            downscale=uniform(rng, self.downscale),
            down_filter=DOWN_FILTERS[int(rng.integers(len(DOWN_FILTERS)))],
            up_filter=_UP_FILTERS[int(rng.integers(len(_UP_FILTERS)))],
            grain=uniform(rng, self.grain) if rng.random() < 0.6 else 0.0,
            grain_size_px=uniform(rng, (0.0, 1.2)),
            colour_noise=uniform(rng, self.colour_noise) if rng.random() < 0.5 else 0.0,
            codec=codec,
            quantiser=round(uniform(rng, limits)),
            shift_xy=(int(rng.integers(-3, 4)), int(rng.integers(-3, 4))),
            noise_seed=drawn_seed(rng),
        )
