"""Restored frames, read one by one: the same as in a lossless result, and no thread left."""

import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture

import vidrestore
from vidrestore import ConfigError, MediaError, RestoreSettings
from vidrestore.media.input.source import open_source

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")


pytestmark = pytest.mark.usefixtures("use_fake_restorer")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def film(frames: int = 8, **changes: Any) -> Path:
        clip: dict[str, Any] = {
            "size_hw": FACE_SIZE_HW,
            "ticks": range(frames),
            "picture": face_picture,
        }
        return make_clip(tmp_path / "film.mkv", Clip(**{**clip, **changes}))

    return film


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ticks": (0, 1, 2, 5, 6, 9)},
        {"pixel_format": "yuv422p10le"},
        {"field_order": "tff"},
        {"rotation_degrees": 90},
    ],
    ids=["variable rate", "10 bits", "interlaced", "turned"],
)
def test_iterated_frames_equal_those_of_a_lossless_output(
    make: Callable[..., Path], changes: dict[str, Any]
) -> None:
    film = make(**changes)
    result = film.with_name("restored.mkv")
    vidrestore.restore_video(film, result, settings=SETTINGS)

    frames = list(vidrestore.open(film, settings=SETTINGS).restored())
    with open_source(result) as opened:
        written = list(opened)

    assert [frame.index for frame in frames] == list(range(len(written)))
    assert [frame.pts_seconds for frame in frames] == [frame.timestamp.seconds for frame in written]
    for frame, other in zip(frames, written, strict=True):
        for one, two in zip(frame.planes, other.planes, strict=True):
            np.testing.assert_array_equal(one, two)
    assert any(face.restored for frame in frames for face in frame.faces)


def test_planes_differ_from_the_decoded_ones_only_inside_the_face_masks(
    make: Callable[..., Path],
) -> None:
    for frame in vidrestore.open(make(), settings=SETTINGS).restored():
        (face,) = frame.faces
        assert face.mask_xyxy is not None
        left, top, right, bottom = face.mask_xyxy
        changed = frame.planes[0] != frame.source.planes[0]
        assert changed.any()
        changed[top:bottom, left:right] = False
        assert not changed.any()


def test_rgb_keeps_the_colors_and_bit_depth_of_the_film(make: Callable[..., Path]) -> None:
    def blue(_number: int, size_hw: tuple[int, int]) -> np.ndarray:
        return np.full((*size_hw, 3), (20, 60, 200), dtype=np.uint8)

    for pixel_format, dtype, depth in (("yuv420p", np.uint8, 8), ("yuv444p10le", np.uint16, 10)):
        film = make(1, picture=blue, pixel_format=pixel_format, color=(6, 6, 6, 1))
        (frame,) = vidrestore.open(film, settings=SETTINGS).restored()
        rgb = frame.to_rgb()

        top = 2**depth - 1
        assert (rgb.shape, rgb.dtype) == ((*FACE_SIZE_HW, 3), dtype)
        assert rgb.reshape(-1, 3).mean(axis=0) / top * 255 == pytest.approx((20, 60, 200), abs=2)
        tensor = frame.to_tensor()
        assert (tensor.shape, tensor.dtype) == ((3, *FACE_SIZE_HW), torch.float32)
        np.testing.assert_allclose(tensor.permute(1, 2, 0) * top, rgb, atol=0.51)


def test_closing_the_iterator_stops_the_threads_and_a_second_pass_starts_over(
    make: Callable[..., Path],
) -> None:
    video = vidrestore.open(make(30), settings=SETTINGS)
    assert not threads()
    for frame in video.restored():
        assert threads()
        assert frame.index == 0
        break
    assert not threads()

    with closing(video.restored()) as frames:
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    assert not threads()


def test_memory_does_not_grow_with_the_length_of_the_film(make: Callable[..., Path]) -> None:
    def most_alive(count: int) -> int:
        film = make(count, size_hw=(64, 96), picture=None)
        alive, planes = 0, list[weakref.ref[Any]]()
        for frame in vidrestore.open(film, settings=SETTINGS).restored():
            # Not by gc.get_objects: what it returns breaks tuples that other threads are filling.
            planes.append(weakref.ref(frame.source.planes[0]))
            if frame.index % 20 == 0:
                alive = max(alive, sum(reference() is not None for reference in planes))
        return alive

    assert most_alive(260) <= most_alive(130) + 8


def test_a_time_range_selects_frames_and_an_empty_one_is_refused(
    make: Callable[..., Path],
) -> None:
    film = make(8)
    some = RestoreSettings(start_seconds=Fraction(2, 25), end_seconds=Fraction(4, 25))
    none = RestoreSettings(start_seconds=Fraction(9))

    frames = list(vidrestore.open(film, settings=some).restored())
    assert [frame.pts_seconds for frame in frames] == [Fraction(2, 25), Fraction(3, 25)]
    with pytest.raises(MediaError, match="no frame between --start and --end"):
        next(vidrestore.open(film, settings=none).restored())


def test_a_missing_source_and_output_settings_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mkv"):
        vidrestore.open(tmp_path / "gone.mkv")
    with pytest.raises(ConfigError, match="record: frames are read, and no file is written"):
        vidrestore.open("film.mkv", settings=RestoreSettings(record=Path("r.jsonl")))
