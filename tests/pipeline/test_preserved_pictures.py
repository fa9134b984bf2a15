"""Image sequences of archives through the pipeline: only the face changes, and only samples."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.dpx import DpxKind, dpx_of
from support.exr import NONE, make_exr
from support.faceclips import FACE_SIZE_HW, face_picture

from vidrestore import RestoreSettings, restore_video
from vidrestore.media.input.folder import load_image
from vidrestore.record import RecordReader

SETTINGS = {"device": "cpu", "precision": "fp32"}
FRAMES = 2


def deep_rgb(number: int, bits: int) -> np.ndarray:
    """Return the face in ``(h, w, 3)`` of some bits, with noise in the lowest."""
    picture = face_picture(number, FACE_SIZE_HW).astype(np.uint32) << (bits - 8)
    noise = np.random.default_rng(number).integers(0, 1 << (bits - 8), picture.shape)
    return (picture + noise).astype(np.uint16)


def write_dpx(path: Path, number: int) -> None:
    path.with_suffix(".dpx").write_bytes(dpx_of(DpxKind(), deep_rgb(number, 10)))


def write_tiff(path: Path, number: int) -> None:
    parameters = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 16]
    cv2.imwrite(str(path.with_suffix(".tif")), deep_rgb(number, 16)[:, :, ::-1], parameters)


def write_png(path: Path, number: int) -> None:
    cv2.imwrite(str(path.with_suffix(".png")), deep_rgb(number, 16)[:, :, ::-1])


def light_channels(number: int) -> dict[str, np.ndarray]:
    """Return the face as light, with a lamp far above white next to it, and depth."""
    light = (deep_rgb(number, 16) / 65535.0) ** 2.4
    light[-40:, -40:] *= 30
    channels = {name: light[:, :, index].astype(np.float16) for index, name in enumerate("RGB")}
    return {**channels, "Z": np.full(FACE_SIZE_HW, 7.5, np.float32)}


def write_exr(path: Path, number: int) -> None:
    path.with_suffix(".exr").write_bytes(make_exr(light_channels(number), compression=NONE))


WRITERS = {"dpx": write_dpx, "tif": write_tiff, "png": write_png, "exr": write_exr}


def make_reel(folder: Path, kind: str) -> Path:
    folder.mkdir()
    for number in range(FRAMES):
        WRITERS[kind](folder / f"reel_{number:04d}", number)
    return folder


@pytest.mark.parametrize("kind", ["dpx", "exr"])
def test_a_strength_of_zero_keeps_every_byte(tmp_path: Path, kind: str) -> None:
    reel = make_reel(tmp_path / "in", kind)

    restore_video(reel, tmp_path / "out", settings=RestoreSettings(strength=0.0, **SETTINGS))

    for path in reel.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_only_samples_under_the_recorded_masks_change(tmp_path: Path, kind: str) -> None:
    reel, record = make_reel(tmp_path / "in", kind), tmp_path / "out.jsonl"

    restore_video(reel, tmp_path / "out", settings=RestoreSettings(record=record, **SETTINGS))

    with RecordReader(record) as lines:
        frames = list(lines)
    assert len(frames) == FRAMES
    for path, line in zip(sorted(reel.iterdir()), frames, strict=True):
        before, after = load_image(path), load_image(tmp_path / "out" / path.name)
        outside = np.ones(before.coded_hw, dtype=bool)
        (face,) = line.faces
        assert face.mask_xyxy is not None
        left, top, right, bottom = face.mask_xyxy
        outside[top:bottom, left:right] = False
        assert outside.mean() > 0.3
        for first, other in zip(before.planes, after.planes, strict=True):
            assert np.array_equal(first[outside], other[outside])
            assert (first[~outside] != other[~outside]).mean() > 0.1
        if kind == "dpx":
            check_no_other_bits(path.read_bytes(), (tmp_path / "out" / path.name).read_bytes())


def check_no_other_bits(before: bytes, after: bytes) -> None:
    start = int.from_bytes(before[4:8], "big")
    assert before[:start] == after[:start]
    # Two bits of every word are no samples.
    arguments = [np.frombuffer(data[start:], ">u4") & 3 for data in (before, after)]
    assert np.array_equal(*arguments)


def test_the_checksums_are_those_of_the_written_film(tmp_path: Path) -> None:
    reel = make_reel(tmp_path / "in", "dpx")
    checksums = tmp_path / "film.framemd5"

    restore_video(
        reel,
        tmp_path / "film.mkv",
        settings=RestoreSettings(codec="ffv1", framemd5=checksums, **SETTINGS),
    )

    lines = checksums.read_text().splitlines()
    assert lines[:2] == ["#format: frame checksums", "#version: 2"]
    assert len([line for line in lines if not line.startswith("#")]) == FRAMES
