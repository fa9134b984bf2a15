import struct
from pathlib import Path

import av
import numpy as np
import OpenImageIO
import pytest
from support.exr import NONE, RLE, ZIP, ZIPS, make_exr
from support.video_copies import copy_video, frames_of

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.color.code_points import HALF_FLOAT
from vidrestore.media.color.half_float import half_codes, half_floats
from vidrestore.media.images.exr import read_exr, replace_exr_samples
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.video_info import probe

GOLDEN = Path(__file__).parents[2] / "golden"
HW = (40, 37)
KINDS = [(NONE, 0), (RLE, 0), (ZIPS, 0), (ZIP, 0), (ZIP, -7)]


def light_values(name: str, dtype: type = np.float16, hw: tuple[int, int] = HW) -> np.ndarray:
    """Return light from far below black to far above white, smooth enough to compress."""
    y, x = np.mgrid[0 : hw[0], 0 : hw[1]]
    slope = (np.round(np.sin(x // 6 + ord(name)) * 8) * (y // 4) / 4).astype(dtype)
    slope[0, :6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 60_000.0]
    return slope


def channels(names: str = "RGB", dtype: type = np.float16) -> dict[str, np.ndarray]:
    return {name: light_values(name, dtype) for name in names}


def write_exr(folder: Path, data: bytes) -> Path:
    path = folder / "a.exr"
    path.write_bytes(data)
    return path


def chunk_places(data: bytes) -> tuple[int, int]:
    """Return where the two chunks of a file begin: the first right behind their table."""
    places = (struct.unpack_from("<QQ", data, index) for index in range(len(data) - 16))
    return next(pair for index, pair in enumerate(places) if pair[0] == index + 16)


def decoded_by_ffmpeg(data: bytes, name: str) -> np.ndarray:
    """Return a channel as FFmpeg decodes it, in the file's own type."""
    decoder = av.CodecContext.create("exr", "r")
    (frame,) = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    dtype = np.dtype("<f2" if "f16" in frame.format.name else "<f4")
    at = {"G": 0, "B": 1, "R": 2, "A": 3, "Y": 0}[name]
    plane = np.frombuffer(frame.planes[at], dtype).reshape(frame.height, -1)
    return plane[:, : frame.width]


@pytest.mark.parametrize(("compression", "first_line"), KINDS)
@pytest.mark.parametrize("names", ["RGB", "ABGR", "Y"])
def test_every_half_float_is_read_exactly(
    tmp_path: Path, names: str, compression: int, first_line: int
) -> None:
    data = make_exr(channels(names), compression=compression, first_line=first_line)

    picture = read_exr(write_exr(tmp_path, data))

    order = {"RGB": "GBR", "ABGR": "GBRA", "Y": "Y"}[names]
    for plane, name in zip(picture.planes, order, strict=True):
        result = half_floats(plane).view(np.uint16)
        assert np.array_equal(result, light_values(name).view(np.uint16))
    assert picture.color.transfer == HALF_FLOAT
    assert replace_exr_samples(write_exr(tmp_path, data), picture.planes) == data


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("compression", [NONE, RLE, ZIPS, ZIP])
def test_unchanged_samples_keep_every_bit_and_ffmpeg_reads_changed_ones(
    tmp_path: Path, compression: int, dtype: type
) -> None:
    data = make_exr(channels("RGB", dtype), compression=compression)
    picture = read_exr(write_exr(tmp_path, data))
    planes = tuple(plane.copy() for plane in picture.planes)
    planes[0][5:9, 3:20] += 50

    changed = replace_exr_samples(write_exr(tmp_path, data), planes)

    green = decoded_by_ffmpeg(changed, "G")
    inside = np.zeros(HW, dtype=bool)
    inside[5:9, 3:20] = True
    bits = np.uint16 if dtype == np.float16 else np.uint32
    assert np.array_equal(green.view(bits)[~inside], light_values("G", dtype).view(bits)[~inside])
    assert np.array_equal(half_codes(green.astype(np.float16))[inside], planes[0][inside])
    for name in "BR":
        assert np.array_equal(
            decoded_by_ffmpeg(changed, name).view(bits), light_values(name, dtype).view(bits)
        )
    for plane, expected in zip(read_exr(write_exr(tmp_path, changed)).planes, planes, strict=True):
        assert np.array_equal(plane, expected)
    assert changed[: data.index(b"timeCode")] == data[: data.index(b"timeCode")]


def test_changed_float32_samples_keep_their_precision(tmp_path: Path) -> None:
    fine = {name: np.full(HW, 0.5 + 1e-5, np.float32) for name in "RGB"}
    data = make_exr(fine, compression=NONE)
    planes = tuple(plane + 3 for plane in read_exr(write_exr(tmp_path, data)).planes)

    green = decoded_by_ffmpeg(replace_exr_samples(write_exr(tmp_path, data), planes), "G")

    # Three steps of half floats there are 3/2048.
    assert np.allclose(green, 0.5 + 1e-5 + 3 / 2048, rtol=0, atol=1e-8)


def test_other_channels_are_copied(tmp_path: Path) -> None:
    depth = np.arange(HW[0] * HW[1], dtype=np.uint32).reshape(HW)
    data = make_exr({**channels(), "Z": light_values("Z", np.float32), "id": depth})
    planes = tuple(plane.copy() for plane in read_exr(write_exr(tmp_path, data)).planes)
    planes[1][:] += 1

    changed = replace_exr_samples(write_exr(tmp_path, data), planes)

    back = make_exr(
        {
            "R": light_values("R"), "G": light_values("G"), "B": half_floats(planes[1]),
            "Z": light_values("Z", np.float32), "id": depth,
        }
    )  # fmt: skip
    assert changed == back


def test_lines_stored_from_bottom_to_top_are_read_and_kept(tmp_path: Path) -> None:
    data = make_exr(channels(), falling=True)
    assert np.array_equal(
        read_exr(write_exr(tmp_path, data)).planes[0], half_codes(light_values("G"))
    )
    assert (
        replace_exr_samples(write_exr(tmp_path, data), read_exr(write_exr(tmp_path, data)).planes)
        == data
    )


def test_piz_is_read_and_changed_blocks_are_stored_uncompressed(tmp_path: Path) -> None:
    # Written by the OpenEXR library, version 3.4.
    data = (GOLDEN / "exr_piz_half.exr").read_bytes()
    y, x = np.mgrid[0:40, 0:48]
    picture = read_exr(write_exr(tmp_path, data))
    for plane, shift in zip(picture.planes, (1, 2, 0), strict=True):
        expected = ((x // 8 + y // 8 + shift) % 4) * 1.75 - 0.5
        assert np.array_equal(half_floats(plane), expected.astype(np.float16))
    planes = tuple(plane.copy() for plane in picture.planes)
    planes[2][35, 7] += 100

    changed = replace_exr_samples(write_exr(tmp_path, data), planes)

    # The chunk of the first 32 lines is the library's own.
    first, second = chunk_places(data)
    assert chunk_places(changed) == (first, second)
    assert changed[:second] == data[:second]
    for plane, expected in zip(read_exr(write_exr(tmp_path, changed)).planes, planes, strict=True):
        assert np.array_equal(plane, expected)
    assert np.array_equal(half_codes(decoded_by_ffmpeg(changed, "R").copy()), planes[2])


def test_the_header_gives_time_code_reel_and_primaries(tmp_path: Path) -> None:
    picture = read_exr(write_exr(tmp_path, make_exr(channels(), wide_primaries=True)))
    assert picture.metadata["timecode"] == "01:02:03:12"
    assert picture.metadata["reel_name"] == "REEL_A007"
    assert picture.metadata["owner"] == "An Archive"
    assert picture.metadata["frame_rate"] == "18/1"
    assert picture.color.primaries == 9
    assert read_exr(write_exr(tmp_path, make_exr(channels()))).color.primaries == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            make_exr({"R": light_values("R"), "G": light_values("G")}),
            "channels are G, R; it needs R, G and B",
        ),
        (make_exr({**channels(), "B": light_values("B", np.float32)}), "all half or all float"),
        (make_exr(channels()).replace(b"\2\0\0\0", b"\2\2\0\0", 1), "tiled, deep and multi-part"),
        (make_exr(channels(), compression=ZIP)[:-30], "damaged EXR"),
        (make_exr(channels())[:60], "damaged EXR"),
    ],
)
def test_unsupported_files_are_refused_in_one_line(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(ImageFileError, match=message):
        read_exr(write_exr(tmp_path, data))


def make_sequence(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"shot.{index:04d}.exr" for index in range(2)]
    for path in paths:
        path.write_bytes(make_exr(channels()))
    return paths


def test_an_exr_sequence_is_copied_bit_for_bit(tmp_path: Path) -> None:
    paths = make_sequence(tmp_path / "in")

    copy_video(tmp_path / "in", tmp_path / "out")

    for path in paths:
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert (probe(tmp_path / "in").timecode, len(frames_of(tmp_path / "out"))) == ("01:02:03:12", 2)


def test_float_samples_are_not_silently_written_to_formats_of_less_precision(
    tmp_path: Path,
) -> None:
    path = make_sequence(tmp_path / "in")[0]
    with pytest.raises(
        UnsupportedStreamError, match="floating-point images lose precision in a video"
    ):
        copy_video(tmp_path / "in", tmp_path / "out.mkv")
    with pytest.raises(MediaError, match=r"cannot store floating-point samples; write an \.exr"):
        copy_video(path, tmp_path / "out.tif")


@pytest.mark.parametrize("compression", ["dwaa:45", "dwab:45", "b44", "pxr24"])
def test_lossy_compressions_keep_unchanged_samples(tmp_path: Path, compression: str) -> None:
    image = OpenImageIO.ImageBuf(
        np.stack([light_values(name, hw=(300, 40))[:, :] for name in "RGB"], axis=2).clip(-60, 60)
    )
    image.specmod().attribute("compression", compression)
    assert image.write(str(tmp_path / "b.exr"), "half")
    before = read_exr(tmp_path / "b.exr")
    planes = tuple(plane.copy() for plane in before.planes)
    planes[0][5, 7] += 100

    changed = write_exr(tmp_path, replace_exr_samples(tmp_path / "b.exr", planes))

    for plane, expected in zip(read_exr(changed).planes, planes, strict=True):
        assert np.array_equal(plane, expected)
