import numpy as np
import pytest
from support.frames import random_frame

from vidrestore.media.color.pixel_conversion import ConversionLoss, convert_frame, loss_between
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice
from vidrestore.types import ColorTags

SIZE_HW = (9, 13)


def is_lossless(loss: ConversionLoss) -> bool:
    return not (loss.color or loss.alpha or loss.chroma or loss.bits)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("yuv420p", "yuv422p10le"), ("yuv420p", "yuv444p"), ("yuv411p", "yuv422p"),
        ("yuv410p", "yuv420p"), ("yuv440p", "yuv444p12le"), ("gray", "yuv420p"),
        ("gray10le", "yuv422p10le"), ("gray", "gbrp"), ("yuv420p", "yuva420p"),
        ("yuv420p9le", "yuv420p10le"), ("gbrp", "gbrp12le"), ("gray12le", "gray16le"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("full_range", [False, True])
def test_a_conversion_reported_as_lossless_can_be_inverted(
    source: str, target: str, full_range: bool
) -> None:
    color = ColorTags(full_range=full_range, range_known=True)
    frame = random_frame(PLANAR[source], SIZE_HW, color=color)

    converted = convert_frame(frame, PLANAR[target])
    back = convert_frame(converted, PLANAR[source])

    assert is_lossless(loss_between(PLANAR[source], PLANAR[target]))
    for plane, original in zip(back.planes, frame.planes, strict=True):
        assert np.array_equal(plane, original)


def test_limited_range_gray_and_white_are_kept_at_higher_depths() -> None:
    frame = random_frame(PLANAR["yuv420p"], SIZE_HW)
    flat = frame.with_planes(
        tuple(np.full_like(frame.planes[index], (235, 128, 128)[index]) for index in range(3))
    )
    wide = convert_frame(flat, PLANAR["yuv422p10le"])
    assert [int(plane.max()) for plane in wide.planes] == [940, 512, 512]


def test_full_range_white_is_kept_at_higher_depths() -> None:
    frame = random_frame(PLANAR["gbrp"], SIZE_HW)
    white = frame.with_planes(tuple(np.full_like(plane, 255) for plane in frame.planes))
    wide = convert_frame(white, PLANAR["gbrp10le"])
    assert {int(plane.min()) for plane in wide.planes} == {1023}


def test_the_conversion_of_rgb_to_bt709_is_noted() -> None:
    frame = random_frame(PLANAR["gbrp"], (4, 4), color=ColorTags(matrix=0, full_range=True))
    red = np.zeros((4, 4), np.uint8)
    yuv = convert_frame(frame.with_planes((red, red, np.full_like(red, 255))), PLANAR["yuv420p"])
    assert (yuv.color.matrix, yuv.color.full_range, yuv.color.range_known) == (1, False, True)
    # ITU-T H.273 for BT.709 red: Y' = 16 + 219 Kr, Cb = 128 - 112 Kr / (1 - Kb), Cr = 240.
    assert [int(plane[0, 0]) for plane in yuv.planes] == [63, 102, 240]


@pytest.mark.parametrize(
    ("codec", "source", "hw", "expected", "lossless"),
    [
        ("h264", "yuv420p", (480, 640), "yuv420p", True),
        ("h264", "yuv422p10le", (480, 640), "yuv422p10le", True),
        ("h264", "yuv420p", (481, 640), "yuv422p", True),
        ("h264", "yuv422p", (481, 640), "yuv422p", True),
        ("h264", "yuv422p", (480, 641), "yuv444p", True),
        ("h264", "gbrp", (480, 640), "bgr0", True),
        ("h264", "yuv411p", (480, 640), "yuv422p", True),
        ("h264", "yuv410p", (480, 640), "yuv420p", True),
        ("h264", "gray", (480, 640), "gray", True),
        ("h264", "yuv420p12le", (480, 640), "yuv420p10le", False),
        ("h265", "yuv420p12le", (480, 640), "yuv420p12le", True),
        ("h265", "gbrp10le", (480, 640), "gbrp10le", True),
        ("h265", "yuv420p", (480, 641), "yuv444p", True),
        ("av1", "yuv422p", (480, 640), "yuv420p", False),
        ("av1", "gray10le", (480, 640), "yuv420p10le", True),
        ("ffv1", "gbrp", (481, 641), "bgr0", True),
        ("ffv1", "gbrap", (480, 640), "bgra", True),
        ("ffv1", "yuv440p", (480, 640), "yuv440p", True),
        ("ffv1", "yuv420p9le", (481, 641), "yuv420p9le", True),
        ("prores", "yuv420p", (480, 640), "yuv422p10le", True),
        ("prores", "yuv444p", (480, 640), "yuv444p10le", True),
        ("prores", "yuva444p10le", (480, 640), "yuva444p10le", True),
    ],
)
def test_the_encoder_gets_the_format_with_the_least_loss(
    codec: str, source: str, hw: tuple[int, int], expected: str, lossless: bool
) -> None:
    choice = encoder_choice(EncoderSettings(codec=codec), PLANAR[source], hw)
    assert choice.name == expected
    assert is_lossless(choice.loss) is lossless


@pytest.mark.parametrize(
    ("source", "target"), [("yuva420p", "yuva444p10le"), ("gbrap", "gbrap16le")]
)
@pytest.mark.parametrize("full_range", [False, True])
def test_alpha_extremes_are_exact_at_higher_depths(
    source: str, target: str, full_range: bool
) -> None:
    color = ColorTags(full_range=full_range, range_known=True)
    frame = random_frame(PLANAR[source], SIZE_HW, color=color)
    alpha = np.where(np.arange(SIZE_HW[1]) % 2, 255, 0).astype(np.uint8)
    planes = (*frame.planes[:3], np.tile(alpha, (SIZE_HW[0], 1)))
    deeper = convert_frame(frame.with_planes(planes), PLANAR[target]).planes[3]
    assert set(np.unique(deeper)) == {0, PLANAR[target].max_value}


def test_limited_range_gray_keeps_black_and_white_at_higher_depths() -> None:
    frame = random_frame(PLANAR["gray"], SIZE_HW, color=ColorTags(range_known=True))
    white = frame.with_planes((np.full(SIZE_HW, 235, np.uint8),))
    deeper = convert_frame(white, PLANAR["yuv420p10le"])
    assert set(np.unique(deeper.planes[0])) == {940}
    assert not deeper.color.full_range


@pytest.mark.parametrize("full_range", [False, True])
def test_white_of_rgb_in_either_range_is_converted_equally(full_range: bool) -> None:
    color = ColorTags(full_range=full_range, range_known=True, primaries=9, transfer=16)
    white = 255 if full_range else 235
    frame = random_frame(PLANAR["gbrp"], SIZE_HW, color=color)
    frame = frame.with_planes(tuple(np.full(SIZE_HW, white, np.uint8) for _ in range(3)))
    yuv = convert_frame(frame, PLANAR["yuv444p10le"])
    assert [int(plane[0, 0]) for plane in yuv.planes] == [940, 512, 512]
    # BT.2020 stays BT.2020: its own matrix, and the curve it had.
    assert (yuv.color.matrix, yuv.color.primaries, yuv.color.transfer) == (9, 9, 16)
