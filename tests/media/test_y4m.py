"""Headers of YUV4MPEG2: what programs write is read, and what is written says the same."""

from fractions import Fraction

import pytest

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.y4m import COLOR_SPACES, Y4mHeader, read_header


def test_the_header_of_ffmpeg_is_read() -> None:
    header = read_header(
        b"YUV4MPEG2 W720 H576 F25:1 It A16:15 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED\n"
    )

    assert header == Y4mHeader(
        coded_hw=(576, 720),
        pixel_format=PLANAR["yuv420p"],
        frame_rate=Fraction(25),
        field_order="top first",
        sample_aspect_ratio=Fraction(16, 15),
        chroma_location=1,
        full_range=False,
    )
    assert header.frame_bytes == 720 * 576 * 3 // 2


def test_the_header_of_vapoursynth_is_read() -> None:
    header = read_header(b"YUV4MPEG2 C422p10 W33 H18 F24000:1001 Ip A0:0 XLENGTH=240\n")

    assert header.pixel_format == PLANAR["yuv422p10le"]
    assert header.frame_rate == Fraction(24_000, 1001)
    assert (header.field_order, header.sample_aspect_ratio) == ("progressive", None)
    assert (header.full_range, header.frame_count) == (None, 240)
    assert header.frame_bytes == 2 * 18 * (33 + 17 + 17)


def test_a_bit_depth_given_only_by_an_old_style_comment_is_read() -> None:
    header = read_header(b"YUV4MPEG2 W32 H16 F25:1 Ip A1:1 XYSCSS=420P16\n")

    assert header.pixel_format == PLANAR["yuv420p16le"]


@pytest.mark.parametrize("name", COLOR_SPACES.values())
@pytest.mark.parametrize("order", ["progressive", "top first", "bottom first", "unknown"])
@pytest.mark.parametrize("full_range", [True, False, None])
def test_a_written_header_is_read_back_unchanged(
    name: str, order: str, full_range: bool | None
) -> None:
    header = Y4mHeader(
        coded_hw=(17, 31),
        pixel_format=PLANAR[name],
        frame_rate=Fraction(30_000, 1001),
        field_order=order,  # type: ignore[arg-type]
        sample_aspect_ratio=Fraction(10, 11),
        chroma_location=3 if name == "yuv420p" else 0,
        full_range=full_range,
    )

    assert read_header(header.to_line()) == header


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "standard input is empty"),
        (b"\x1aE\xdf\xa3", "does not begin with YUV4MPEG2"),
        (b"YUV4MPEG2 W32 H16 F25:1 Im\n", "use Ip, It or Ib"),
        (b"YUV4MPEG2 W32 H16 F25:1 Ip C410\n", "C410 is not supported"),
        (b"YUV4MPEG2 W0 H16 F25:1 Ip\n", "W0 is not a size"),
        (b"YUV4MPEG2 W32 H16 F25 Ip\n", "25 is not a ratio"),
    ],
)
def test_another_stream_is_refused_with_the_command_that_converts_it(
    line: bytes, message: str
) -> None:
    with pytest.raises(MediaError, match=message) as refused:
        read_header(line)

    assert not line or "ffmpeg -i FILE -f yuv4mpegpipe" in str(refused.value)
