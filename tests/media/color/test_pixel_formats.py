import av
import numpy as np
import pytest

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import (
    PLANAR,
    frame_planes,
    plane_views,
    repacked,
    source_layout,
)

SIZES_HW = [(16, 32), (17, 31)]
PACKED = (
    "yuyv422", "uyvy422", "yvyu422", "y210le", "y212le", "rgb24", "bgr24", "rgb0", "bgr0",
    "0rgb", "0bgr", "rgba", "bgra", "argb", "abgr", "rgb48le", "rgb48be", "bgr48le", "rgba64le",
    "rgba64be", "x2rgb10le", "x2bgr10le", "yuv420p10be", "yuv444p16be", "gray16be", "gbrp10be",
)  # fmt: skip


def random_picture(name: str, hw: tuple[int, int]) -> av.VideoFrame:
    picture = av.VideoFrame(hw[1], hw[0], name)
    rng = np.random.default_rng(7)
    planar = PLANAR[name]
    for view in plane_views(picture, planar):
        view[...] = rng.integers(0, planar.max_value + 1, view.shape)
    return picture


@pytest.mark.parametrize("hw", SIZES_HW, ids=str)
@pytest.mark.parametrize("name", PACKED)
def test_unpacking_keeps_every_sample_of_a_packed_format(name: str, hw: tuple[int, int]) -> None:
    if hw[1] % 2 and name in ("yuyv422", "uyvy422", "yvyu422", "y210le", "y212le"):
        pytest.skip("pairs of pixels have no odd widths")
    layout = source_layout(name)
    planar = random_picture(layout.planar.name, hw)
    expected = [view.copy() for view in plane_views(planar, layout.planar)]

    planes = frame_planes(repacked(planar, name), layout)

    assert all(
        np.array_equal(plane, wanted) for plane, wanted in zip(planes, expected, strict=True)
    )


@pytest.mark.parametrize("hw", SIZES_HW, ids=str)
@pytest.mark.parametrize(
    ("name", "low_bits", "order"),
    [
        ("nv12", 0, (0, 1)), ("nv21", 0, (1, 0)), ("nv16", 0, (0, 1)), ("nv24", 0, (0, 1)),
        ("nv42", 0, (1, 0)), ("p010le", 6, (0, 1)), ("p012le", 4, (0, 1)), ("p016le", 0, (0, 1)),
        ("p210le", 6, (0, 1)), ("p216le", 0, (0, 1)), ("p410le", 6, (0, 1)), ("p416le", 0, (0, 1)),
    ],
)  # fmt: skip
def test_interleaved_chroma_is_separated_into_planes(
    name: str, low_bits: int, order: tuple[int, int], hw: tuple[int, int]
) -> None:
    layout = source_layout(name)
    expected = plane_views(random_picture(layout.planar.name, hw), layout.planar)
    picture = av.VideoFrame(hw[1], hw[0], name)
    chroma = np.stack([expected[1 + at] for at in order], axis=2)
    for plane, samples in zip(picture.planes, (expected[0], chroma), strict=True):
        raw = (samples << low_bits).reshape(samples.shape[0], -1)
        lines = np.frombuffer(plane, raw.dtype).reshape(samples.shape[0], -1)
        lines[:, : raw.shape[1]] = raw

    planes = frame_planes(picture, layout)

    for plane, wanted in zip(planes, expected, strict=True):
        assert np.array_equal(plane, wanted)


def packed_bytes(name: str, hw: tuple[int, int], samples: np.ndarray) -> av.VideoFrame:
    picture = av.VideoFrame(hw[1], hw[0], name)
    lines = np.frombuffer(picture.planes[0], np.uint8).reshape(-1, picture.planes[0].line_size)
    lines.flags.writeable or pytest.fail("the buffer cannot be filled")
    raw = samples.reshape(hw[0], -1).view(np.uint8)
    lines[: hw[0], : raw.shape[1]] = raw
    return picture


@pytest.mark.parametrize(
    ("name", "order"),
    [("rgb24", "RGB"), ("bgr24", "BGR"), ("rgba", "RGBA"), ("bgra", "BGRA"), ("argb", "ARGB")],
)
def test_rgb_planes_are_ordered_green_blue_red_alpha(name: str, order: str) -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 256, (4, 8, len(order)), dtype=np.uint8)

    planes = frame_planes(packed_bytes(name, (4, 8), samples), source_layout(name))

    for plane, letter in zip(planes, "GBRA", strict=False):
        assert np.array_equal(plane, samples[:, :, order.index(letter)])


def test_uyvy_is_unpacked_to_luma_and_chroma_in_order() -> None:
    samples = np.arange(4 * 16, dtype=np.uint8).reshape(4, 16)

    y, u, v = frame_planes(packed_bytes("uyvy422", (4, 8), samples), source_layout("uyvy422"))

    assert np.array_equal(y, samples[:, 1::2])
    assert np.array_equal(u, samples[:, 0::4])
    assert np.array_equal(v, samples[:, 2::4])


@pytest.mark.parametrize(("name", "dtype"), [("ya8", "u1"), ("ya16le", "<u2"), ("ya16be", ">u2")])
def test_gray_with_alpha_is_expanded_to_three_equal_colors_and_alpha(name: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    samples = rng.integers(0, 250, (4, 8, 2)).astype(dtype)

    green, blue, red, alpha = frame_planes(packed_bytes(name, (4, 8), samples), source_layout(name))

    assert np.array_equal(green, samples[:, :, 0])
    assert np.array_equal(alpha, samples[:, :, 1])
    assert green is blue is red or (np.array_equal(green, blue) and np.array_equal(green, red))


def test_a_palette_is_expanded_to_its_colors() -> None:
    picture = av.VideoFrame(8, 4, "pal8")
    indexes = np.arange(32, dtype=np.uint8).reshape(4, 8)
    lines = np.frombuffer(picture.planes[0], np.uint8).reshape(-1, picture.planes[0].line_size)
    lines[:4, :8] = indexes
    palette = np.frombuffer(picture.planes[1], np.uint8).reshape(256, 4)
    palette[...] = np.random.default_rng(3).integers(0, 256, (256, 4))

    planes = frame_planes(picture, source_layout("pal8"))

    for plane, at in zip(planes, (1, 0, 2, 3), strict=True):
        assert np.array_equal(plane, palette[indexes][:, :, at])


@pytest.mark.parametrize(("name", "black"), [("monob", 0), ("monow", 255)])
def test_one_bit_samples_become_black_and_white(name: str, black: int) -> None:
    picture = av.VideoFrame(16, 2, name)
    lines = np.frombuffer(picture.planes[0], np.uint8).reshape(-1, picture.planes[0].line_size)
    lines[:2, :2] = [[0b10110000, 0], [0, 0b00000001]]

    (plane,) = frame_planes(picture, source_layout(name))

    bits = np.unpackbits(lines[:2, :2], axis=1).astype(bool)
    assert np.array_equal(plane, np.where(bits, 255 - black, black))


@pytest.mark.parametrize("name", sorted(PLANAR))
def test_every_planar_format_has_the_layout_of_ffmpeg(name: str) -> None:
    planar = PLANAR[name]
    reference = av.VideoFormat(name, 33, 17)

    assert len({part.plane for part in reference.components}) == planar.plane_count
    assert {part.bits for part in reference.components} == {planar.bit_depth}
    for part in reference.components:
        assert planar.plane_hw(part.plane, (17, 33)) == (part.height, part.width)


def test_yuvj_formats_imply_full_range() -> None:
    layout = source_layout("yuvj422p")
    assert layout.full_range
    assert layout.planar.name == "yuv422p"


def test_formats_outside_8_to_16_bits_are_refused() -> None:
    with pytest.raises(MediaError, match="bayer_rggb8 is not supported"):
        source_layout("bayer_rggb8")


@pytest.mark.parametrize("name", ["xyz12le", "gbrpf32le"])
def test_xyz_and_float_formats_are_refused_with_advice(name: str) -> None:
    with pytest.raises(MediaError, match=f"{name} is not supported; convert the video"):
        source_layout(name)
