from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidrestore.errors import MediaError
from vidrestore.media.input.video_info import probe


def webp(path: Path, *, is_animated: bool) -> Path:
    frames = [Image.fromarray(np.full((16, 24, 3), gray, np.uint8)) for gray in (10, 200)]
    more = {"save_all": True, "append_images": frames[1:], "duration": 100} if is_animated else {}
    frames[0].save(path, **more)
    return path


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "a HEIC image"),
        ("a.jxl", b"\xff\x0a" + bytes(50), "a JPEG XL image"),
        ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "a JPEG XL image"),
        ("a.psd", b"8BPS\0\1" + bytes(100), "a Photoshop document"),
        ("a.NEF", b"MM\0*\0\0\0\x08" + bytes(200), "a camera raw image"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(200), "a camera raw image"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(
        MediaError, match=rf"{name}: {message} is not supported; convert it to PNG or TIFF"
    ):
        probe(tmp_path / name)


def test_an_animated_webp_is_refused_and_a_still_webp_is_read(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="an animated WebP is not supported"):
        probe(webp(tmp_path / "moving.webp", is_animated=True))
    assert probe(webp(tmp_path / "still.webp", is_animated=False)).geometry.coded_hw == (16, 24)


def test_an_avif_is_not_mistaken_for_heic(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(tmp_path / "a.avif")
    assert probe(tmp_path / "a.avif").geometry.coded_hw == (64, 96)
