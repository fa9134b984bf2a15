import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.video_copies import copy_video, frames_of

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe

KINDS = [
    (".png", np.uint8, 1), (".png", np.uint8, 3), (".png", np.uint8, 4), (".png", np.uint16, 1),
    (".png", np.uint16, 3), (".png", np.uint16, 4), (".tif", np.uint8, 1), (".tiff", np.uint8, 3),
    (".tif", np.uint16, 3), (".tif", np.uint16, 1), (".bmp", np.uint8, 3),
]  # fmt: skip


def make_folder(
    folder: Path, names: list[str], dtype: type = np.uint8, channels: int = 3, seed: int = 0
) -> dict[str, np.ndarray]:
    """Write noise under ``names``; return it in OpenCV's order."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pictures: dict[str, np.ndarray] = {}
    for name in names:
        shape = (21, 34) if channels == 1 else (21, 34, channels)
        pictures[name] = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
        assert cv2.imwrite(str(folder / name), pictures[name])
    return pictures


@pytest.mark.parametrize(("suffix", "dtype", "channels"), KINDS)
def test_an_image_sequence_keeps_names_depth_channels_and_every_sample(
    tmp_path: Path, suffix: str, dtype: type, channels: int
) -> None:
    names = [f"shot 1 ({number}){suffix}" for number in (1, 2, 10)]
    pictures = make_folder(tmp_path / "in", names, dtype, channels)

    copy_video(tmp_path / "in", tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    for name, picture in pictures.items():
        written = cv2.imread(str(tmp_path / "out" / name), cv2.IMREAD_UNCHANGED)
        assert written.dtype == dtype
        assert np.array_equal(written, picture)


def test_jpeg_images_stay_jpeg_with_a_small_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    y, x = np.mgrid[0:40, 0:60]
    picture = np.stack([x * 4, y * 6, 255 - x * 3], axis=2).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in" / "a.JPG"), picture)

    notes = copy_video(tmp_path / "in", tmp_path / "out")

    decoded = cv2.imread(str(tmp_path / "in" / "a.JPG"))
    written = cv2.imread(str(tmp_path / "out" / "a.JPG"))
    assert np.abs(decoded.astype(int) - written).mean() < 2
    assert any("JPEG" in note for note in notes)


def test_images_are_read_in_natural_order_at_the_given_rate(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", ["f10.png", "f9.png", "F1.png", "f2.png"])

    with open_source(tmp_path / "in", fps=Fraction(24000, 1001)) as source:
        frames = list(source)

    assert [frame.source_name for frame in frames] == ["F1.png", "f2.png", "f9.png", "f10.png"]
    assert [frame.timestamp.seconds for frame in frames] == [
        Fraction(1001 * index, 24000) for index in range(4)
    ]


def test_an_image_sequence_has_25_frames_per_second_by_default(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", ["1.png", "2.png"])
    info = probe(tmp_path / "in")
    assert (info.kind, info.average_rate, info.frame_count_estimate) == ("folder", 25, 2)
    with pytest.raises(ConfigError, match="fps must be > 0"):
        probe(tmp_path / "in", fps=Fraction(0))


def test_files_that_are_not_images_are_ignored(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", ["1.png", "2.png"])
    (tmp_path / "in" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "in" / "sub.png").mkdir()
    assert len(frames_of(tmp_path / "in")) == 2


def test_start_and_end_select_images_by_time(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", [f"{index}.png" for index in range(10)])
    with open_source(tmp_path / "in", start_seconds=0.1, end_seconds=0.24) as source:
        assert [frame.source_name for frame in source] == ["3.png", "4.png", "5.png"]


def test_an_image_of_another_size_is_an_error_that_names_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", ["1.png", "2.png"])
    cv2.imwrite(str(tmp_path / "in" / "3.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(MediaError, match=r"3\.png: is 10x10 gbrp, but earlier images are 34x21"):
        frames_of(tmp_path / "in")


def test_a_damaged_image_is_an_error_that_names_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_folder(tmp_path / "in", ["1.png", "2.png"])
    (tmp_path / "in" / "2.png").write_bytes((tmp_path / "in" / "1.png").read_bytes()[:60])
    with pytest.raises(MediaError, match=r"2\.png: cannot be read"):
        frames_of(tmp_path / "in")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("suffix", "dtype", "channels"), [(".tif", np.uint16, 3), KINDS[0]])
def test_a_single_image_is_written_as_a_single_image(
    tmp_path: Path, suffix: str, dtype: type, channels: int
) -> None:
    pictures = make_folder(tmp_path, [f"portrait{suffix}"], dtype, channels)
    target = tmp_path / "restored.png"

    copy_video(tmp_path / f"portrait{suffix}", target)

    written = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, pictures[f"portrait{suffix}"])


def test_sixteen_bit_images_are_not_silently_written_as_jpeg(tmp_path: Path) -> None:
    make_folder(tmp_path, ["portrait.png"], np.uint16)
    with pytest.raises(MediaError, match="stores 8 bits, not 16"):
        copy_video(tmp_path / "portrait.png", tmp_path / "restored.jpg")
    assert not (tmp_path / "restored.jpg").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_sequence_becomes_a_lossless_film(tmp_path: Path, dtype: type) -> None:
    names = ["1.png", "2.png", "3.png"]
    pictures = make_folder(tmp_path / "in", names, dtype)

    copy_video(tmp_path / "in", tmp_path / "film.mkv", codec="ffv1")

    frames = frames_of(tmp_path / "film.mkv")
    for frame, picture in zip(frames, pictures.values(), strict=True):
        for plane, channel in zip(frame.planes, (1, 0, 2), strict=True):
            assert np.array_equal(plane, picture[:, :, channel])
    assert [frame.timestamp.seconds for frame in frames] == [
        Fraction(index, 25) for index in range(3)
    ]


def exif(orientation: int) -> np.ndarray:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return np.frombuffer(block, np.uint8)


@pytest.mark.skipif(not hasattr(cv2, "imencodeWithMetadata"), reason="OpenCV is too old")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_images_are_oriented_by_their_tags_and_keep_them(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    (tmp_path / "in").mkdir()
    y, x = np.mgrid[0:40, 0:60]
    picture = np.stack([x * 4, y * 6, 255 - x * 3], axis=2).astype(np.uint8)
    path = tmp_path / "in" / f"1{suffix}"
    cv2.imwriteWithMetadata(str(path), picture, [0], [exif(orientation)])

    geometry = probe(path).geometry
    copy_video(tmp_path / "in", tmp_path / "out")

    upright = cv2.imread(str(path), cv2.IMREAD_COLOR)
    coded = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    ours = np.rot90(coded[:, ::-1] if geometry.mirrored else coded, k=-geometry.quarter_turns)
    assert np.array_equal(ours, upright)
    written = cv2.imread(str(tmp_path / "out" / path.name), cv2.IMREAD_COLOR)
    assert written.shape == upright.shape
    assert np.abs(written.astype(int) - upright).mean() < 2


@pytest.mark.skipif(not hasattr(cv2, "imencodeWithMetadata"), reason="OpenCV is too old")
def test_an_image_is_rotated_upright_if_its_output_cannot_hold_an_orientation(
    tmp_path: Path,
) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cv2.imwriteWithMetadata(str(tmp_path / "in.png"), picture, [0], [exif(6)])

    notes = copy_video(tmp_path / "in.png", tmp_path / "out.tif")

    written = cv2.imread(str(tmp_path / "out.tif"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, np.rot90(picture, k=-1))
    assert any("image tags" in note for note in notes)
