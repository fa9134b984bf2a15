from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import Clip, make_clip, number_of

from vidrestore.errors import MediaError
from vidrestore.review.frame_seek import FrameTime, frames_at

FPS = Fraction(25)


def numbers_at(path: Path, times: list[FrameTime]) -> list[int]:
    return [number_of(frame) for frame, _ in frames_at(path, times, fps=FPS)]


def frame_times(*seconds: Fraction) -> list[FrameTime]:
    return [FrameTime(seconds=value) for value in seconds]


def test_a_frame_is_found_by_its_time(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")

    times = frame_times(Fraction(0), Fraction(2, 25), Fraction(5, 50), Fraction(11, 25))
    assert numbers_at(path, times) == [0, 2, 2, 11]


def test_seeking_skips_frames_and_finds_the_right_ones(tmp_path: Path) -> None:
    ticks = tuple(range(0, 3000, 5))  # two minutes at 5 frames a second
    clip = Clip(ticks=ticks, last_duration_ticks=5, size_hw=(16, 96))
    path = make_clip(tmp_path / "film.mp4", clip)

    expected = [0, 1, 150, 151, 420, 599]
    assert numbers_at(path, frame_times(*(Fraction(number, 5) for number in expected))) == expected


def test_a_frame_of_long_duration_is_found_after_a_seek(tmp_path: Path) -> None:
    clip = Clip(ticks=(0, 25, 50, 1000), size_hw=(16, 96))
    path = make_clip(tmp_path / "film.mkv", clip)

    assert numbers_at(path, frame_times(Fraction(0), Fraction(30), Fraction(40))) == [0, 2, 3]


def test_times_rounded_by_the_container_find_their_frames_after_a_seek(tmp_path: Path) -> None:
    base = Fraction(1001, 24_000)
    clip = Clip(ticks=tuple(range(640)), time_base=base, size_hw=(16, 96))
    path = make_clip(tmp_path / "film.mkv", clip)  # Matroska counts milliseconds

    expected = [0, *range(600, 640)]
    times = [FrameTime(seconds=number * base, number=number) for number in expected]
    assert numbers_at(path, times) == expected


@pytest.mark.parametrize("name", ["film.avi", "film.mkv", "film.mp4"])
def test_a_frame_is_found_by_number_for_any_container_times(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, Clip(size_hw=(16, 96), ticks=tuple(range(400))))

    expected = [0, 4, 7, 380, 399]
    # AVI has no timestamps: with B-frames, those that are made up are off by a frame.
    times = [FrameTime(seconds=Fraction(number, 25), number=number) for number in expected]
    assert numbers_at(path, times) == expected


def test_a_time_after_the_end_is_refused_with_the_name_of_the_film(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")

    with pytest.raises(MediaError, match=r"film\.mkv: no frame at 7\.000 s"):
        numbers_at(path, frame_times(Fraction(0), Fraction(7)))
