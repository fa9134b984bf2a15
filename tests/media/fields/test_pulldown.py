from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, make_clip
from support.fields import (
    NTSC,
    best_matching_instant,
    combing,
    interlaced_picture,
    moving_picture,
    pulldown_fields,
    telecined_clip,
    telecined_picture,
)

from vidrestore.errors import MediaError
from vidrestore.media.fields.pulldown import InverseTelecineSource
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.source import open_source
from vidrestore.types import Frame

SIZE_HW = (48, 96)
COUNT = 25
TOP_FIRST = FieldRule(top_first=True)


def film_frames(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(InverseTelecineSource(source, TOP_FIRST))


def same_samples(frame: Frame, other: Frame) -> bool:
    return all(np.array_equal(*pair) for pair in zip(frame.planes, other.planes, strict=True))


@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gray", "bgr0"])
def test_pulldown_removal_restores_the_four_film_frames_bit_for_bit(
    tmp_path: Path, pixel_format: str, flagged: bool
) -> None:
    # Without subsampling in height both fields of one moment hold all of its samples.
    path = telecined_clip(tmp_path / "film.mkv", COUNT, flagged=flagged, pixel_format=pixel_format)
    plain = make_clip(
        tmp_path / "plain.mkv",
        Clip(
            codec="ffv1",
            options={"level": "3"},
            picture=moving_picture,
            ticks=tuple(range(20)),
            pixel_format=pixel_format,
        ),
    )

    frames = film_frames(path)

    assert len(frames) == 20
    with open_source(plain) as source:
        originals = list(source)
    for frame, original in zip(frames, originals, strict=True):
        assert not frame.interlaced
        if pixel_format == "yuv420p":
            np.testing.assert_array_equal(frame.planes[0], original.planes[0])
        else:
            assert same_samples(frame, original)


def test_four_frames_are_spaced_evenly_over_the_duration_of_five(tmp_path: Path) -> None:
    path = telecined_clip(tmp_path / "film.mp4", COUNT, codec="libx264")
    with open_source(path) as source:
        film = InverseTelecineSource(source, TOP_FIRST)
        frames = list(film)

    assert film.info.average_rate == NTSC * Fraction(4, 5)
    assert [frame.index for frame in frames] == list(range(20))
    step = Fraction(1001, 24_000)
    assert [frame.timestamp.seconds for frame in frames] == [index * step for index in range(20)]
    assert {frame.duration_ticks * frame.timestamp.time_base for frame in frames[:-1]} == {step}
    assert {frame.timestamp.time_base for frame in frames} == {film.info.time_base}


@pytest.mark.parametrize("count", [1, 4, 5, 8, 12])
def test_pulldown_removal_keeps_the_last_frames_at_any_length(tmp_path: Path, count: int) -> None:
    path = telecined_clip(tmp_path / "film.mp4", count, codec="libx264")
    with open_source(path) as source:
        before = list(source)

    frames = film_frames(path)

    last = before[-1]
    end = last.timestamp.seconds + last.duration_ticks * last.timestamp.time_base
    assert frames[0].timestamp.seconds == before[0].timestamp.seconds
    for first, after in pairwise(frames):
        assert first.timestamp.ticks + first.duration_ticks == after.timestamp.ticks
        assert first.duration_ticks > 0
    last = frames[-1]
    assert last.timestamp.seconds + last.duration_ticks * last.timestamp.time_base == end
    assert len(frames) == count - count // 5


def test_rounded_times_stay_in_order_and_in_sync_with_the_audio(tmp_path: Path) -> None:
    ticks = tuple(round(index * 1001 / 30) for index in range(COUNT))
    path = telecined_clip(
        tmp_path / "film.mkv",
        COUNT,
        ticks=ticks,
        time_base=Fraction(1, 1000),
        last_duration_ticks=33,
    )
    frames = film_frames(path)
    for number, frame in enumerate(frames):
        assert abs(float(frame.timestamp.seconds) - number * 1001 / 24_000) < 0.0015


def test_video_frames_among_pulldown_keep_their_samples_and_flags(tmp_path: Path) -> None:
    def picture(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        return (telecined_picture if number < 15 else interlaced_picture)(number, size_hw)

    path = telecined_clip(tmp_path / "film.mkv", COUNT, picture=picture)

    frames = film_frames(path)

    video = frames[12:]
    assert sum(frame.interlaced for frame in video) >= 6
    assert all(combing(frame.planes[0]) < 0.2 for frame in frames if not frame.interlaced)


def test_starting_at_any_frame_gives_the_same_frames(tmp_path: Path) -> None:
    path = telecined_clip(tmp_path / "film.mkv", COUNT)
    full = film_frames(path)
    with open_source(path) as source:
        film = InverseTelecineSource(source, TOP_FIRST)
        for index in (0, 3, 4, 9, 19):
            again = list(film.frames_from(index, full[index].timestamp))
            assert [frame.index for frame in again] == list(range(index, 20))
            assert all(same_samples(*pair) for pair in zip(again, full[index:], strict=True))
        with pytest.raises(MediaError, match="no frame at"):
            list(film.frames_from(20, full[19].timestamp))


def test_pulldown_is_removed_from_every_frame_of_a_long_film(tmp_path: Path) -> None:
    # More frames than there are sample values to number them by.
    count = 230
    path = telecined_clip(tmp_path / "film.mkv", count, size_hw=(32, 64))
    frames = film_frames(path)
    instants = [instant for pair in pulldown_fields(count) for instant in pair]
    assert len(frames) == 184 == instants[-1] + 1
    for number in (0, 99, 160, 170, 183):
        near = range(max(0, number - 3), number + 4)
        assert best_matching_instant(frames[number].planes[0], (32, 64), near) == number
