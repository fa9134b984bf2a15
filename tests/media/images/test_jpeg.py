from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.icc import LIGHTNESS, make_cmyk_profile, srgb_of_lightness
from support.video_copies import copy_video

from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.image_file import read_image, replace_samples
from vidrestore.media.images.still_image import ImageFileError
from vidrestore.media.input.video_info import probe
from vidrestore.types import Orientation

INKS = {"cyan": 0, "magenta": 1, "yellow": 2, "black": 3}


def smooth(channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    slopes = [(x * 3 + y * 2 + 40 * channel) % 256 for channel in range(channels)]
    blocks = np.stack(slopes, axis=2) // 64 * 64
    return blocks.astype(np.uint8)


def changed_file(path: Path, region: tuple[slice, slice]) -> bytes:
    image = read_image(path)
    planes = tuple(plane.copy() for plane in image.planes)
    for plane in planes:
        plane[region] = 255 - plane[region]
    data = replace_samples(path, image.pixel_format, planes)
    assert data is not None
    return data


def test_changing_samples_keeps_metadata_and_resolution(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.fromarray(smooth()).save(
        tmp_path / "a.jpg", exif=exif, dpi=(300, 300), comment=b"reel 7", quality=90
    )
    before = read_image(tmp_path / "a.jpg")
    region = (slice(16, 32), slice(16, 40))

    (tmp_path / "b.jpg").write_bytes(changed_file(tmp_path / "a.jpg", region))

    after = read_image(tmp_path / "b.jpg")
    assert after.orientation == before.orientation == Orientation(quarter_turns=1)
    for old, new in zip(before.planes, after.planes, strict=True):
        inside = np.zeros(old.shape, dtype=bool)
        inside[region] = True
        target = np.where(inside, 255 - old, old).astype(int)
        assert np.abs(new - target).mean() < 2
    with Image.open(tmp_path / "a.jpg") as source, Image.open(tmp_path / "b.jpg") as result:
        assert result.info["dpi"] == (300, 300)
        assert result.info["comment"] == b"reel 7"
        assert result.info["exif"] == source.info["exif"]


def test_gray_stays_gray(tmp_path: Path) -> None:
    Image.fromarray(smooth(1)[:, :, 0]).save(tmp_path / "a.jpg", dpi=(72, 72))
    (tmp_path / "b.jpg").write_bytes(changed_file(tmp_path / "a.jpg", (slice(8), slice(8))))
    assert read_image(tmp_path / "b.jpg").pixel_format == PLANAR["gray"]


def make_cmyk(path: Path, profile: bytes | None) -> None:
    """Write a row of blocks of one ink each."""
    inks = np.zeros((16, 64, 4), np.uint8)
    for number in INKS.values():
        inks[:, 16 * number : 16 * number + 16, number] = 255
    settings = {"quality": 100} if path.suffix == ".jpg" else {}
    Image.fromarray(inks, mode="CMYK").save(path, icc_profile=profile, **settings)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_is_converted_to_srgb_by_its_profile(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    make_cmyk(path, make_cmyk_profile())

    image = read_image(path)

    for plane in image.planes:
        for ink, number in INKS.items():
            assert plane[8, 16 * number + 8] == pytest.approx(
                srgb_of_lightness(LIGHTNESS[ink]), abs=3
            )
    assert image.pixel_format == PLANAR["gbrp"]
    assert replace_samples(path, image.pixel_format, image.planes) == path.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_a_profile_is_refused(tmp_path: Path, suffix: str) -> None:
    make_cmyk(tmp_path / f"a{suffix}", None)
    with pytest.raises(ImageFileError, match=r"CMYK without profile.*convert it to RGB"):
        read_image(tmp_path / f"a{suffix}")


def test_changed_cmyk_is_written_as_rgb_without_the_cmyk_profile(tmp_path: Path) -> None:
    make_cmyk(tmp_path / "a.jpg", make_cmyk_profile())

    (tmp_path / "b.jpg").write_bytes(changed_file(tmp_path / "a.jpg", (slice(4), slice(4))))
    copy_video(tmp_path / "a.jpg", tmp_path / "c.png")

    for name in ("b.jpg", "c.png"):
        with Image.open(tmp_path / name) as image:
            assert (image.mode, image.info.get("icc_profile")) == ("RGB", None)
    assert probe(tmp_path / "a.jpg").metadata["color_model"] == "CMYK"


def test_a_file_truncated_in_its_header_is_refused(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:200])
    with pytest.raises(ImageFileError, match="damaged"):
        read_image(tmp_path / "a.jpg")
