"""Codec passes lose what low bit rates lose, and lose it the same way every time."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrestore.media.codec_generation import CodecGeneration, PassCodec, apply_generation

Picture = NDArray[np.uint8]


def film(frames: int = 3, hw: tuple[int, int] = (48, 66)) -> list[Picture]:
    y, x = np.mgrid[0 : hw[0], 0 : hw[1]]
    waves = 127 + 70 * np.sin(x / 3.0) * np.cos(y / 4.0)
    noise = np.random.default_rng(0).normal(0, 12, hw)
    picture = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return [np.repeat(np.roll(picture, k, axis=1)[:, :, None], 3, axis=2) for k in range(frames)]


def error(first: list[Picture], second: list[Picture]) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs]))


def medium_quality(codec: PassCodec) -> CodecGeneration:
    return CodecGeneration(codec=codec, quantizer=30 if codec in ("h264", "hevc") else 8)


@pytest.mark.parametrize("codec", get_args(PassCodec))
def test_coding_is_reproducible_and_keeps_frame_count_and_size(codec: PassCodec) -> None:
    first, again = (
        apply_generation(film(), medium_quality(codec)),
        apply_generation(film(), medium_quality(codec)),
    )
    assert [tensor.shape for tensor in first] == [(48, 66, 3)] * 3
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0.5 < error(first, film()) < 25


@pytest.mark.parametrize("codec", get_args(PassCodec))
def test_a_coarser_quantizer_loses_more(codec: PassCodec) -> None:
    steps = (18, 30, 44) if codec in ("h264", "hevc") else (2, 8, 28)
    errors = [
        error(apply_generation(film(), CodecGeneration(codec=codec, quantizer=q)), film())
        for q in steps
    ]
    assert all(a < b for a, b in pairwise(errors)), errors


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4", "h264"])
def test_a_lower_bit_rate_loses_more_over_a_clip(codec: PassCodec) -> None:
    clip = film(frames=24)
    errors = [
        error(apply_generation(clip, CodecGeneration(codec=codec, bits_per_pixel=b)), clip)
        for b in (2, 0.1)
    ]
    assert errors[0] < 0.8 * errors[1]


def test_interlaced_coding_differs_from_progressive_coding() -> None:
    clip = film(frames=4)
    for frame in clip:
        frame[1::2] = frame[1::2, ::-1]
    for codec in ("mpeg2video", "mpeg4", "h264"):
        plain, woven = (
            apply_generation(
                clip, CodecGeneration(codec=codec, bits_per_pixel=0.5, interlaced=fields)
            )
            for fields in (False, True)
        )
        assert error(plain, woven) > 0, codec


def test_odd_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        apply_generation(
            [np.zeros((31, 32, 3), np.uint8)], CodecGeneration(codec="mpeg4", quantizer=4)
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either"),
        ({"quantizer": 4, "bits_per_pixel": 0.1}, "either"),
        ({"quantizer": 40}, "1 to 31"),
        ({"bits_per_pixel": 0.0}, "> 0"),
        ({"quantizer": 4, "gop_frames": 0}, ">= 1"),
    ],
)
def test_invalid_codec_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CodecGeneration(codec="mpeg4", **settings)  # type: ignore[arg-type]
