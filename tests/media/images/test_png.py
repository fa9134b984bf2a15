import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.video_copies import copy_video

from vidrestore.media.images.image_file import replace_samples
from vidrestore.media.input.folder import load_image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(cube: np.ndarray, *, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Return a PNG of ``(h, w, channels)`` samples with chunks before and after them."""
    height, width, channels = cube.shape
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * cube.itemsize, COLOR_TYPES[channels], 0, 0, 0
    )
    lines = cube.astype(">u2" if cube.itemsize == 2 else "u1").reshape(height, -1).view(np.uint8)
    raw = np.hstack([np.zeros((height, 1), np.uint8), lines])
    before = b"".join(chunk(kind, body) for kind, body in extra)
    data = zlib.compress(raw.tobytes(), 9)
    parts = [chunk(b"IDAT", data[index : index + 50]) for index in range(0, len(data), 50)]
    after = chunk(b"tEXt", b"Comment\0after the samples") + chunk(b"IEND", b"")
    return SIGNATURE + chunk(b"IHDR", header) + before + b"".join(parts) + after


EXTRA = (
    (b"gAMA", struct.pack(">I", 45455)),
    (b"pHYs", struct.pack(">IIB", 3780, 7560, 1)),
    (b"tEXt", b"Source\0reel 7, frame 12"),
    (b"iTXt", "Titel\0\0\0de\0Titel\0Gl\u00e4ser".encode()),
    (b"arCh", b"private to an archive"),
    (b"tIME", bytes((7, 230, 1, 2, 3, 4, 5))),
)


def noise(channels: int, dtype: type, hw: tuple[int, int] = (21, 34)) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max + 1, (*hw, channels), dtype=dtype)


def chunks_but_samples(data: bytes) -> list[bytes]:
    at, result = len(SIGNATURE), []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] != b"IDAT":
            result.append(data[at : at + 12 + length])
        at += 12 + length
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_changing_samples_keeps_every_other_chunk(
    tmp_path: Path, channels: int, dtype: type
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make_png(noise(channels, dtype), extra=EXTRA))
    picture = load_image(path)
    planes = tuple(plane[::-1].copy() for plane in picture.planes)

    changed = replace_samples(path, picture.pixel_format, planes)

    assert changed is not None
    assert chunks_but_samples(changed) == chunks_but_samples(path.read_bytes())
    path.write_bytes(changed)
    for plane, expected in zip(load_image(path).planes, planes, strict=True):
        assert np.array_equal(plane, expected)
    Image.open(path).load()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_unchanged_sequence_of_16_bit_pngs_keeps_every_byte(
    tmp_path: Path, channels: int
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.png", "2.png"):
        data = make_png(noise(channels, np.uint16), extra=EXTRA)
        (tmp_path / "in" / name).write_bytes(data)

    copy_video(tmp_path / "in", tmp_path / "out")

    for name in ("1.png", "2.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_color_cannot_replace_the_samples_of_a_gray_png_with_alpha(tmp_path: Path) -> None:
    data = make_png(noise(2, np.uint8))
    (tmp_path / "a.png").write_bytes(data)
    picture = load_image(tmp_path / "a.png")
    green, blue, red, alpha = picture.planes

    assert (
        replace_samples(tmp_path / "a.png", picture.pixel_format, (green, blue[::-1], red, alpha))
        is None
    )


def test_an_unchanged_palette_image_keeps_its_palette(tmp_path: Path) -> None:
    image = Image.fromarray(noise(1, np.uint8)[:, :, 0] % 8, mode="P")
    image.putpalette([index % 256 for index in range(768)])
    image.save(tmp_path / "a.png")

    copy_video(tmp_path / "a.png", tmp_path / "b.png")

    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_samples_of_another_size_cannot_replace_those_of_a_png(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(3, np.uint8))
    picture = load_image(tmp_path / "a.png")
    larger = tuple(plane.repeat(2, 0) for plane in picture.planes)

    assert replace_samples(tmp_path / "a.png", picture.pixel_format, larger) is None
