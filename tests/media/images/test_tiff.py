import struct
import zlib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from PIL import Image
from support.video_copies import copy_video

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.image_file import read_image, replace_samples
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.folder import load_image
from vidrestore.types import Orientation

NOTE = b"reel 7, frame 12\0"
PRIVATE = bytes(range(200))
NONE, LZW, DEFLATE, PACK_BITS = 1, 5, 8, 32773
PALETTE, SEPARATED, YCBCR, CIE_LAB, COLOR_FILTER_ARRAY = 3, 5, 6, 8, 32803


def noise(channels: int, dtype: type, hw: tuple[int, int] = (40, 61)) -> np.ndarray:
    y, x = np.mgrid[0 : hw[0], 0 : hw[1]]
    slopes = (x * 3 + y * 7)[..., None] * np.arange(1, channels + 1)
    wobble = np.random.default_rng(channels).integers(0, 4, slopes.shape)
    return ((slopes + wobble) % (np.iinfo(dtype).max + 1)).astype(dtype)


def make_tiff(
    cube: np.ndarray,
    *,
    order: str = "<",
    compression: int = NONE,
    predictor: int = 1,
    rows: int = 16,
    tile: int | None = None,
    separate: bool = False,
    photometric: int | None = None,
    orientation: int = 1,
    strip_bytes: int | None = None,
    extra_tags: Mapping[int, tuple[str, tuple[int, ...]]] = MappingProxyType({}),
) -> bytes:
    """Return a TIFF with private tags and bytes that no tag points at.

    With ``strip_bytes``, strips are cut off after so many bytes.
    """
    height, width, channels = cube.shape
    groups = [cube[:, :, index : index + 1] for index in range(channels)] if separate else [cube]
    parts = [
        _coded(part, order, compression, predictor)[:strip_bytes]
        for g in groups
        for part in _parts(g, rows, tile)
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 0)
    body = bytearray(head + b"left by a scanner")
    places = []
    for part in parts:
        places.append(len(body))
        body += part
    kinds = (324, 325) if tile else (273, 279)
    if photometric is None:
        photometric = 2 if channels > 2 else 1
    tags: dict[int, tuple[str, tuple[int, ...] | bytes]] = {
        256: ("I", (width,)), 257: ("I", (height,)), 258: ("H", (8 * cube.itemsize,) * channels),
        259: ("H", (compression,)), 262: ("H", (photometric,)),
        270: ("s", NOTE), kinds[0]: ("I", tuple(places)), kinds[1]: ("I", tuple(map(len, parts))),
        274: ("H", (orientation,)), 277: ("H", (channels,)), 284: ("H", (1 + separate,)),
        317: ("H", (predictor,)), 65000: ("B", PRIVATE),
    }  # fmt: skip
    if tile:
        tags |= {322: ("I", (tile,)), 323: ("I", (tile,))}
    else:
        tags[278] = ("I", (rows,))
    if channels in (2, 4) and photometric < SEPARATED:
        tags[338] = ("H", (2,))
    tags |= extra_tags
    struct.pack_into(order + "I", body, 4, len(body))
    return bytes(body) + _directory(tags, order, len(body))


def _parts(cube: np.ndarray, rows: int, tile: int | None) -> list[np.ndarray]:
    if tile is None:
        return [cube[index : index + rows] for index in range(0, len(cube), rows)]
    height, width = (-(-side // tile) * tile for side in cube.shape[:2])
    padded = np.pad(cube, [(0, height - cube.shape[0]), (0, width - cube.shape[1]), (0, 0)], "edge")
    places = product(range(0, height, tile), range(0, width, tile))
    return [padded[y : y + tile, x : x + tile] for y, x in places]


def _coded(part: np.ndarray, order: str, compression: int, predictor: int) -> bytes:
    if predictor == 2:
        part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
    raw = part.astype(f"{order}u{part.itemsize}").tobytes()
    return {NONE: bytes, LZW: _lzw, DEFLATE: zlib.compress, PACK_BITS: _pack_bits}[compression](raw)


def _lzw(raw: bytes) -> bytes:
    """Code bytes as themselves, in 9 bits; the table is cleared before codes grow."""
    bits = ""
    for start in range(0, len(raw), 200):
        bits += f"{256:09b}" + "".join(f"{byte:09b}" for byte in raw[start : start + 200])
    bits += f"{257:09b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _pack_bits(raw: bytes) -> bytes:
    runs = (raw[start : start + 128] for start in range(0, len(raw), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def _directory(tags: dict, order: str, at: int) -> bytes:
    entries, beside = b"", b""
    start = at + 2 + 12 * len(tags) + 4
    for tag, (code, values) in sorted(tags.items()):
        kind = {"B": 1, "s": 2, "H": 3, "I": 4}[code]
        raw = (
            values
            if isinstance(values, bytes)
            else struct.pack(f"{order}{len(values)}{code}", *values)
        )
        place = raw.ljust(4, b"\0")
        if len(raw) > 4:
            place = struct.pack(order + "I", start + len(beside))
            beside += raw + b"\0" * (len(raw) % 2)
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + place
    return struct.pack(order + "H", len(tags)) + entries + bytes(4) + beside


def write_tiff(folder: Path, data: bytes) -> Path:
    path = folder / "a.tif"
    path.write_bytes(data)
    return path


LAYOUTS = [
    {"compression": compression, "predictor": predictor}
    for compression, predictor in [
        (NONE, 1),
        (LZW, 1),
        (LZW, 2),
        (DEFLATE, 1),
        (DEFLATE, 2),
        (PACK_BITS, 1),
    ]
]
LAYOUTS += [
    {"tile": 32, "compression": DEFLATE},
    {"tile": 16},
    {"separate": True, "compression": LZW},
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint16), (2, np.uint16), (3, np.uint8), (4, np.uint16)]
)
def test_only_changed_strips_are_written_and_every_tag_is_kept(
    tmp_path: Path, channels: int, dtype: type, order: str, layout: dict[str, int]
) -> None:
    cube = noise(channels, dtype)
    data = make_tiff(cube, order=order, **layout)
    picture = read_image(write_tiff(tmp_path, data))
    planes = tuple(plane.copy() for plane in picture.planes)
    inverted = 85 ^ planes[0][3:9, 5:30]
    for plane in planes[: 3 if channels > 1 else 1]:
        plane[3:9, 5:30] = inverted

    changed = replace_samples(tmp_path / "a.tif", picture.pixel_format, planes)

    assert changed is not None
    assert np.array_equal(picture.planes[-1], cube[:, :, {3: 0}.get(channels, -1)])
    for plane, expected in zip(
        read_image(write_tiff(tmp_path, changed)).planes, planes, strict=True
    ):
        assert np.array_equal(plane, expected)
    assert NOTE in changed
    assert PRIVATE in changed
    assert b"left by a scanner" in changed
    # OpenCV has no gray with alpha, and mixes alpha into planes that are stored apart.
    if channels != 2 and not (channels == 4 and layout.get("separate")):
        by_libtiff = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)
        by_libtiff = by_libtiff.reshape(*cube.shape[:2], -1)
        for plane, at in zip(
            planes, {1: (0,), 3: (1, 0, 2), 4: (1, 0, 2, 3)}[channels], strict=True
        ):
            assert np.array_equal(by_libtiff[:, :, at], plane)


def test_unchanged_strips_keep_their_bytes(tmp_path: Path) -> None:
    data = make_tiff(noise(3, np.uint16), compression=LZW, predictor=2)
    picture = read_image(write_tiff(tmp_path, data))
    planes = tuple(plane.copy() for plane in picture.planes)
    planes[0][20, 20] ^= 1

    changed = replace_samples(tmp_path / "a.tif", picture.pixel_format, planes)

    assert changed is not None
    # The second strip of three, the entries of its place and size; what grew lies at the end.
    different = [index for index in range(len(data)) if data[index] != changed[index]]
    assert 0 < len(different) < len(data) // 2


def test_an_unchanged_tiff_sequence_keeps_every_byte(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.tif").write_bytes(make_tiff(noise(3, np.uint16), compression=LZW))
    (tmp_path / "in" / "2.tif").write_bytes(make_tiff(noise(3, np.uint16), tile=16, order=">"))

    copy_video(tmp_path / "in", tmp_path / "out")

    for name in ("1.tif", "2.tif"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_white_is_zero_tiffs_are_read_and_stay_white_is_zero(tmp_path: Path) -> None:
    cube = noise(1, np.uint8)
    data = make_tiff(cube, photometric=0)
    picture = read_image(write_tiff(tmp_path, data))

    assert np.array_equal(picture.planes[0], 255 - cube[:, :, 0])
    changed = replace_samples(tmp_path / "a.tif", picture.pixel_format, (cube[:, :, 0],))
    assert changed is not None
    assert np.array_equal(read_image(write_tiff(tmp_path, changed)).planes[0], cube[:, :, 0])


def test_the_orientation_is_read(tmp_path: Path) -> None:
    path = write_tiff(tmp_path, make_tiff(noise(1, np.uint8), orientation=6))
    assert read_image(path).orientation == Orientation(quarter_turns=1)


def test_a_page_of_an_unsupported_layout_is_read_by_opencv(tmp_path: Path) -> None:
    Image.fromarray(noise(3, np.uint8)).save(tmp_path / "a.tif", compression="jpeg", quality=95)

    picture = load_image(tmp_path / "a.tif")

    assert picture.pixel_format.name == "gbrp"
    copy_video(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "a.tif").read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_damaged_file_is_refused_in_one_line(
    tmp_path: Path, layout: dict[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(make_tiff(noise(3, np.uint16), **layout))
    # Every strip now lies behind the end of the file.
    del data[200:1200]
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.tif: cannot be read as an image; .*another copy"):
        load_image(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACK_BITS])
def test_a_truncated_strip_is_an_error(tmp_path: Path, compression: int) -> None:
    data = make_tiff(noise(1, np.uint8), compression=compression, strip_bytes=30)

    with pytest.raises(ImageFileError, match="damaged"):
        read_image(write_tiff(tmp_path, data))
    with pytest.raises(ImageFileError, match="damaged"):
        replace_samples(tmp_path / "a.tif", PLANAR["gray"], (noise(1, np.uint8)[:, :, 0],))


@pytest.mark.parametrize(
    ("photometric", "channels", "message"),
    [
        (CIE_LAB, 3, r"colors are CIE L\*a\*b\*; convert it to RGB"),
        (COLOR_FILTER_ARRAY, 1, "camera's color filter array"),
        (SEPARATED, 4, "CMYK without profile"),
    ],
)
def test_other_color_models_are_refused_by_name(
    tmp_path: Path, photometric: int, channels: int, message: str
) -> None:
    data = make_tiff(noise(channels, np.uint8), photometric=photometric)
    with pytest.raises(ImageFileError, match=message):
        read_image(write_tiff(tmp_path, data))


@pytest.mark.parametrize(("code", "dtype"), [(2, np.int16), (3, np.float32), (1, np.uint32)])
def test_other_sample_types_are_refused_by_name(tmp_path: Path, code: int, dtype: type) -> None:
    samples = noise(3, np.uint16).astype(dtype).view(f"u{np.dtype(dtype).itemsize}")
    data = make_tiff(samples, extra_tags={339: ("H", (code,) * 3)})
    with pytest.raises(ImageFileError, match=f"R, G, B of {np.dtype(dtype).name}; convert it"):
        read_image(write_tiff(tmp_path, data))


def test_ycbcr_is_converted_to_rgb(tmp_path: Path) -> None:
    rgb = cv2.GaussianBlur(noise(3, np.uint8), (9, 9), 0)
    ycbcr = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[:, :, [0, 2, 1]]
    data = make_tiff(ycbcr, photometric=YCBCR, extra_tags={530: ("H", (1, 1))})

    green, blue, red = read_image(write_tiff(tmp_path, data)).planes

    assert np.abs(np.stack([red, green, blue], axis=2).astype(int) - rgb).max() <= 3


def test_a_palette_is_expanded_to_its_exact_colors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    index = rng.integers(0, 256, (20, 30, 1), dtype=np.uint8)
    # Sixteen bits as 256 times eight, as many programs write them.
    table = tuple(int(value) * 256 for value in colors.T.ravel())
    data = make_tiff(index, photometric=PALETTE, extra_tags={320: ("H", table)})

    green, blue, red = read_image(write_tiff(tmp_path, data)).planes

    assert np.array_equal(np.stack([red, green, blue], axis=2), colors[index[:, :, 0]])
