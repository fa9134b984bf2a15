"""Recipes for four kinds of footage: cinema film, video cassette, broadcast, and early web video.

The ranges were chosen by eye, by comparing previews with real footage; no paper gives them.
"""

from dataclasses import dataclass

import numpy as np

from vidrestore.media.codec_generation import PassCodec
from vidrestore.training.degradations.analog_video import Deinterlacing, Tape
from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    UP_FILTERS,
    Range,
    choose,
    draw_seed,
    log_uniform,
    uniform,
)
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.training.degradations.footage import CompressionStep, FootageDegradation

_PI = float(np.pi)
_FIELDS: tuple[Deinterlacing, ...] = ("none", "bob", "blend")


def _uniform_or_zero(rng: np.random.Generator, probability: float, limits: Range) -> float:
    """Draw from a range with a probability; return 0 otherwise."""
    return uniform(rng, limits) if rng.random() < probability else 0.0


def _draw_shift(rng: np.random.Generator) -> tuple[float, float]:
    return 1.2 * rng.standard_normal(), 0.7 * rng.standard_normal()


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFilmRecipe:
    """Cinema and home film, scanned: grain, scratches, dust, flicker, faded or no colors."""

    blur_px: Range = (0.7, 5.0)
    downscale: Range = (1.2, 5.0)
    grain: Range = (1.5, 15.0)
    gray_probability: float = 0.65
    quantizer: Range = (2, 9)

    def draw(self, rng: np.random.Generator) -> FootageDegradation:
        """Draw each parameter from its range."""
        downscale = log_uniform(rng, self.downscale)
        return FootageDegradation(
            tone=self._draw_tone(rng),
            blur_px=log_uniform(rng, self.blur_px),
            motion_px=_uniform_or_zero(rng, 0.2, (2.0, 12.0)),
            angle=uniform(rng, (0.0, _PI)),
            downscale=downscale,
            down_filter=choose(rng, DOWN_FILTERS[:2]),
            up_filter=choose(rng, UP_FILTERS),
            grain=uniform(rng, self.grain),
            grain_px=uniform(rng, (0.5, 1.6)) / max(1.0, downscale / 2),
            color_noise=_uniform_or_zero(rng, 0.3, (1.0, 5.0)),
            damage=self._draw_damage(rng) if rng.random() < 0.75 else None,
            fields=choose(rng, _FIELDS) if rng.random() < 0.15 else None,
            tape=None,
            compression=self._draw_compression(rng),
            shift_xy=_draw_shift(rng),
            seed=draw_seed(rng),
        )

    def _draw_tone(self, rng: np.random.Generator) -> Tone:
        gray = rng.random() < self.gray_probability
        tint = (1.0, 1.0, 1.0)
        if gray and rng.random() < 0.35:
            sepia = uniform(rng, (0.2, 1.0))
            tint = (1.0, 1.0 - 0.1 * sepia, 1.0 - 0.32 * sepia)
        elif not gray:
            # Cyan dye fades first, which leaves films red; some stock is cold or warm.
            red, blue = 0.06 * rng.standard_normal(), 0.08 * rng.standard_normal()
            tint = (1.03 + red, 1.0, 0.96 + blue)
        return Tone(
            gray=1.0 if gray else _uniform_or_zero(rng, 0.6, (0.1, 0.6)),
            tint_rgb=tint,
            lift=_uniform_or_zero(rng, 0.6, (0.01, 0.14)),
            gamma=log_uniform(rng, (0.75, 1.35)),
            flicker=_uniform_or_zero(rng, 0.7, (0.01, 0.07)),
            seed=draw_seed(rng),
        )

    def _draw_damage(self, rng: np.random.Generator) -> FilmDamage:
        return FilmDamage(
            scratches=int(rng.poisson(0.9)),
            scratch_strength=uniform(rng, (0.15, 0.75)),
            specks_per_frame=float(rng.exponential(2.0)),
            speck_px=log_uniform(rng, (0.6, 2.2)),
            hair_probability=_uniform_or_zero(rng, 0.4, (0.02, 0.15)),
            unevenness=_uniform_or_zero(rng, 0.6, (0.005, 0.04)),
            seed=draw_seed(rng),
        )

    def _draw_compression(self, rng: np.random.Generator) -> tuple[CompressionStep, ...]:
        if rng.random() < 0.3:
            return ()
        codec = choose(rng, ("mpeg2video", "mpeg4", "h264"))
        return (_draw_step(rng, codec, self.quantizer, bits=(0.06, 0.4)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class VhsRecipe:
    """Video cassettes: half the horizontal detail, blurred and shifted chroma, noise, jitter."""

    blur_px: Range = (0.7, 4.0)
    downscale: Range = (1.8, 5.0)
    quantizer: Range = (2, 10)

    def draw(self, rng: np.random.Generator) -> FootageDegradation:
        """Draw each parameter from its range."""
        wear = uniform(rng, (0.15, 1.0))
        return FootageDegradation(
            tone=_draw_video_tone(rng),
            blur_px=log_uniform(rng, self.blur_px),
            motion_px=_uniform_or_zero(rng, 0.2, (2.0, 12.0)),
            angle=uniform(rng, (0.0, _PI)),
            downscale=log_uniform(rng, self.downscale),
            down_filter=choose(rng, DOWN_FILTERS[:2]),
            up_filter=choose(rng, UP_FILTERS),
            grain=0.0,
            grain_px=0.0,
            color_noise=_uniform_or_zero(rng, 0.5, (1.0, 5.0)),
            damage=None,
            fields=choose(rng, _FIELDS) if rng.random() < 0.7 else None,
            tape=Tape(
                luma_px=uniform(rng, (0.5, 1.5)),
                overshoot=_uniform_or_zero(rng, 0.7, (0.2, 1.0)),
                chroma_px=uniform(rng, (2.0, 6.0)),
                chroma_lines=uniform(rng, (0.5, 2.0)),
                chroma_shift_px=0.8 + 1.2 * rng.standard_normal(),
                luma_noise=0.05 * wear,
                chroma_noise=0.022 * wear * uniform(rng, (0.5, 1.3)),
                jitter_px=0.6 * wear * rng.random(),
                dropouts_per_frame=_uniform_or_zero(rng, 0.3, (0.2, 1.5)),
                seed=draw_seed(rng),
            ),
            compression=_draw_transfer_compression(rng, self.quantizer),
            shift_xy=_draw_shift(rng),
            seed=draw_seed(rng),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelevisionRecipe:
    """Broadcasts in standard definition: fields, sharpened edges, MPEG-2, composite video."""

    blur_px: Range = (0.5, 4.0)
    downscale: Range = (1.3, 5.0)
    quantizer: Range = (3, 16)

    def draw(self, rng: np.random.Generator) -> FootageDegradation:
        """Draw each parameter from its range."""
        fields = choose(rng, _FIELDS) if rng.random() < 0.75 else None
        codec = choose(rng, ("mpeg2video", "mpeg2video", "mpeg1video", "mpeg4"))
        return FootageDegradation(
            tone=_draw_video_tone(rng),
            blur_px=log_uniform(rng, self.blur_px),
            motion_px=_uniform_or_zero(rng, 0.2, (2.0, 12.0)),
            angle=uniform(rng, (0.0, _PI)),
            downscale=log_uniform(rng, self.downscale),
            down_filter=choose(rng, DOWN_FILTERS[:2]),
            up_filter=choose(rng, UP_FILTERS),
            grain=_uniform_or_zero(rng, 0.3, (2.0, 8.0)),
            grain_px=0.5,
            color_noise=_uniform_or_zero(rng, 0.6, (1.0, 6.0)),
            damage=None,
            fields=fields,
            tape=Tape(
                luma_px=uniform(rng, (0.2, 0.8)),
                overshoot=_uniform_or_zero(rng, 0.7, (0.2, 1.2)),
                chroma_px=uniform(rng, (0.8, 2.5)),
                chroma_lines=uniform(rng, (0.0, 0.8)),
                chroma_shift_px=0.4 * rng.standard_normal(),
                luma_noise=uniform(rng, (0.0, 0.02)),
                chroma_noise=uniform(rng, (0.0, 0.015)),
                jitter_px=0.0,
                dropouts_per_frame=0.0,
                seed=draw_seed(rng),
            ),
            compression=(
                _draw_step(
                    rng, codec, self.quantizer, bits=(0.06, 0.4), interlaced=fields == "none"
                ),
            ),
            shift_xy=_draw_shift(rng),
            seed=draw_seed(rng),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebVideoRecipe:
    """Small clips of cheap cameras, compressed once or twice at low bit rates."""

    blur_px: Range = (0.3, 4.0)
    downscale: Range = (1.2, 6.0)
    mpeg_quantizer: Range = (5, 22)
    h264_quantizer: Range = (26, 42)

    def draw(self, rng: np.random.Generator) -> FootageDegradation:
        """Draw each parameter from its range."""
        compression = [self._draw_step(rng) for _ in range(1 + int(rng.random() < 0.35))]
        return FootageDegradation(
            tone=Tone(),
            blur_px=log_uniform(rng, self.blur_px),
            motion_px=_uniform_or_zero(rng, 0.2, (2.0, 12.0)),
            angle=uniform(rng, (0.0, _PI)),
            downscale=log_uniform(rng, self.downscale),
            down_filter=choose(rng, DOWN_FILTERS),
            up_filter=choose(rng, UP_FILTERS),
            grain=0.0,
            grain_px=0.0,
            color_noise=_uniform_or_zero(rng, 0.7, (1.0, 12.0)),
            damage=None,
            fields=None,
            tape=None,
            compression=tuple(compression),
            shift_xy=_draw_shift(rng),
            seed=draw_seed(rng),
        )

    def _draw_step(self, rng: np.random.Generator) -> CompressionStep:
        probabilities: dict[PassCodec, float] = {
            "h264": 0.4,
            "mpeg4": 0.2,
            "flv1": 0.15,
            "wmv2": 0.1,
            "mjpeg": 0.1,
            "hevc": 0.05,
        }
        index = int(rng.choice(len(probabilities), p=list(probabilities.values())))
        codec = list(probabilities)[index]
        limits = self.h264_quantizer if codec in ("h264", "hevc") else self.mpeg_quantizer
        return _draw_step(rng, codec, limits, bits=(0.02, 0.2))


def _draw_video_tone(rng: np.random.Generator) -> Tone:
    """Draw a slight color cast and the levels of video; some video is gray."""
    return Tone(
        gray=1.0 if rng.random() < 0.12 else _uniform_or_zero(rng, 0.4, (0.05, 0.35)),
        tint_rgb=(1 + 0.03 * rng.standard_normal(), 1.0, 1 + 0.04 * rng.standard_normal()),
        lift=_uniform_or_zero(rng, 0.4, (0.01, 0.07)),
        gamma=log_uniform(rng, (0.85, 1.2)),
    )


def _draw_transfer_compression(
    rng: np.random.Generator, quantizer: Range
) -> tuple[CompressionStep, ...]:
    if rng.random() < 0.35:
        return ()
    codec = choose(rng, ("mpeg2video", "mpeg4", "wmv2", "h264"))
    return (_draw_step(rng, codec, quantizer, bits=(0.05, 0.35)),)


def _draw_step(
    rng: np.random.Generator,
    codec: PassCodec,
    limits: Range,
    *,
    bits: Range,
    interlaced: bool = False,
) -> CompressionStep:
    """Draw one codec pass; for H.264, MPEG quantizers are mapped to about the same loss."""
    quantizer = uniform(rng, limits)
    if codec in ("h264", "hevc") and limits[1] < 25:
        quantizer = 12 + 6 * float(np.log2(quantizer))
    return CompressionStep(
        codec=codec,
        quantizer=round(quantizer),
        bits_per_pixel=log_uniform(rng, bits) if rng.random() < 0.7 else None,
        interlaced=interlaced and codec in ("mpeg2video", "mpeg4"),
    )
