from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.dpx import DpxKind, line_bytes, make_dpx
from support.video_copies import copy_video, frames_of

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.color.pixel_formats import frame_planes, source_layout
from vidrestore.media.images.dpx import read_dpx, replace_dpx_samples, resize_dpx
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe

KINDS = [
    DpxKind(descriptor=descriptor, bits=bits, packing=packing, big_endian=big_endian)
    for descriptor, bits, packing in [
        (50, 8, 0), (51, 8, 0), (52, 8, 0), (6, 8, 0), (50, 16, 0), (51, 16, 0), (6, 16, 0),
        (50, 10, 1), (50, 10, 2), (51, 10, 1), (6, 10, 1), (6, 10, 2), (50, 10, 0),
        (50, 12, 0), (50, 12, 1), (50, 12, 2), (51, 12, 0), (6, 12, 1), (102, 10, 1),
    ]
    for big_endian in (True, False)
]  # fmt: skip
NOT_IN_FFMPEG = [(50, 10, 0), (52, 8, 0), (102, 10, 1)]


def name_of(kind: DpxKind) -> str:
    order = "big" if kind.big_endian else "little"
    return f"{kind.descriptor}-{kind.bits} bits-packing {kind.packing}-{order}"


def decoded_by_ffmpeg(data: bytes) -> tuple[str, tuple[np.ndarray, ...]]:
    context = av.CodecContext.create("dpx", "r")
    frame = (context.decode(av.Packet(data)) + context.decode(None))[0]
    layout = source_layout(frame.format.name)
    return layout.planar.name, frame_planes(frame, layout)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_changing_samples_keeps_every_other_bit_of_the_file(kind: DpxKind) -> None:
    data = make_dpx(kind, (5, 35))
    picture = read_dpx(data)
    inverted = tuple(
        (picture.pixel_format.max_value - plane).astype(plane.dtype) for plane in picture.planes
    )

    changed = replace_dpx_samples(data, inverted)

    assert replace_dpx_samples(data, picture.planes) == data
    assert (
        changed[: len(data) - line_bytes(kind, 35 * len(picture.planes)) * 5]
        == (data[: len(data) - line_bytes(kind, 35 * len(picture.planes)) * 5])
    )
    for plane, expected in zip(read_dpx(changed).planes, inverted, strict=True):
        assert np.array_equal(plane, expected)
    assert replace_dpx_samples(changed, picture.planes) == data
    # Exactly the bits of samples differ.
    different = np.frombuffer(data, np.uint8) ^ np.frombuffer(changed, np.uint8)
    assert np.unpackbits(different).sum() == 5 * 35 * len(picture.planes) * kind.bits


@pytest.mark.parametrize(
    "kind",
    [k for k in KINDS if (k.descriptor, k.bits, k.packing) not in [*NOT_IN_FFMPEG, (50, 10, 2)]],
    ids=name_of,
)
def test_dpx_samples_equal_those_read_by_ffmpeg(kind: DpxKind) -> None:
    data = make_dpx(kind, (6, 36))

    picture, (name, planes) = read_dpx(data), decoded_by_ffmpeg(data)

    assert picture.pixel_format.name == name
    for own, other in zip(picture.planes, planes, strict=True):
        assert np.array_equal(own, other)


def test_unpadded_lines_are_recognized_by_the_file_size() -> None:
    kind = DpxKind(descriptor=6, bits=8, packing=0)
    data = make_dpx(kind, (6, 36))
    short = data[: len(data) - 6 * 36] + bytes(range(35)) * 6
    short = short[:772] + (35).to_bytes(4, "big") + short[776:]

    picture = read_dpx(short)

    assert picture.planes[0].tolist() == [list(range(35))] * 6
    assert replace_dpx_samples(short, picture.planes) == short


def test_the_header_gives_time_code_reel_and_keycode() -> None:
    metadata = read_dpx(make_dpx(DpxKind(), (4, 4))).metadata

    assert metadata["timecode"] == "01:02:03:12"
    assert metadata["reel_name"] == "REEL_A007"
    assert metadata["keycode"] == "01 23 456789 0012"
    assert metadata["frame_rate"] == "18"
    assert (metadata["project"], metadata["slate"]) == ("The Lost Film", "slate 3")


@pytest.mark.parametrize(
    ("bcd", "text"),
    [(0x01020352, "01:02:03;12"), (0xFFFFFFFF, None), (0x0A020312, None)],
)
def test_drop_frame_and_undefined_time_codes_are_read(bcd: int, text: str | None) -> None:
    assert read_dpx(make_dpx(DpxKind(timecode=bcd), (4, 4))).metadata.get("timecode") == text


def test_logarithmic_samples_are_recognized_by_the_header() -> None:
    logarithmic, video = (
        read_dpx(make_dpx(DpxKind(transfer=index), (4, 4))).color for index in (1, 6)
    )
    assert (logarithmic.transfer, video.transfer) == (PRINTING_DENSITY, 1)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (770, b"\0\3", "3 image elements"),
        (800, b"\x07", "descriptor 7"),
        (803, b"\x20", "32 bits"),
        (806, b"\0\1", "run-length"),
        (780, b"\0\0\0\1", "signed"),
        (776, b"\0\0\x10\0", "shorter than its header"),
    ],
)
def test_unsupported_files_are_refused_in_one_line(at: int, value: bytes, message: str) -> None:
    data = make_dpx(DpxKind(), (4, 4))
    with pytest.raises(ImageFileError, match=message):
        read_dpx(data[:at] + value + data[at + len(value) :])


@pytest.mark.parametrize("length", [3, 700, 1500, 2100])
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(ImageFileError, match="get another copy"):
        read_dpx(make_dpx(DpxKind(), (64, 64))[:length])


def test_an_enlarged_image_keeps_all_headers_except_sizes() -> None:
    data = make_dpx(DpxKind(), (4, 5))
    larger = tuple(plane.repeat(2, 0).repeat(2, 1) for plane in read_dpx(data).planes)

    enlarged = resize_dpx(data, larger)

    assert len(enlarged) == int.from_bytes(enlarged[16:20], "big")
    sizes = {*range(16, 20), *range(772, 780)}
    start = int.from_bytes(data[4:8], "big")
    assert all(enlarged[index] == data[index] for index in range(start) if index not in sizes)
    for plane, expected in zip(decoded_by_ffmpeg(enlarged)[1], larger, strict=True):
        assert np.array_equal(plane, expected)


def make_reel(folder: Path, count: int = 3, kind: DpxKind | None = None) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"reel7.{index:06d}.dpx" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_bytes(make_dpx(kind or DpxKind(), (12, 20), seed=index))
    return paths


def test_a_dpx_sequence_is_copied_bit_for_bit_with_its_headers(tmp_path: Path) -> None:
    paths = make_reel(tmp_path / "in")

    copy_video(tmp_path / "in", tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [p.name for p in paths]
    for path in paths:
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_dpx_sequence_becomes_a_lossless_film(tmp_path: Path) -> None:
    make_reel(tmp_path / "in")

    copy_video(tmp_path / "in", tmp_path / "film.mkv", codec="ffv1")

    for picture, frame in zip(
        frames_of(tmp_path / "in"), frames_of(tmp_path / "film.mkv"), strict=True
    ):
        assert picture.pixel_format.name == frame.pixel_format.name == "gbrp10le"
        for first, other in zip(picture.planes, frame.planes, strict=True):
            assert np.array_equal(first, other)


def test_info_prints_the_orientation_and_time_code_of_a_dpx_sequence(tmp_path: Path) -> None:
    make_reel(tmp_path / "in", kind=DpxKind(orientation=5))

    info = probe(tmp_path / "in", fps=Fraction(18))

    assert (info.codec, info.geometry.display_hw) == ("dpx", (20, 12))
    assert info.geometry.quarter_turns == 1
    assert info.metadata["timecode"] == "01:02:03:12"


def test_writing_dpx_needs_a_dpx_source(tmp_path: Path) -> None:
    copy_video(make_reel(tmp_path / "in")[0], tmp_path / "one.png")
    with pytest.raises(MediaError, match=r"\.dpx output needs a \.dpx source.*TIFF or PNG"):
        copy_video(tmp_path / "one.png", tmp_path / "two.dpx")


def test_a_damaged_frame_of_a_dpx_sequence_is_named(tmp_path: Path) -> None:
    paths = make_reel(tmp_path / "in")
    paths[1].write_bytes(paths[1].read_bytes()[:-40])
    with (
        pytest.raises(MediaError, match=r"reel7\.000001\.dpx: .*shorter than its header"),
        open_source(tmp_path / "in") as source,
    ):
        list(source)
