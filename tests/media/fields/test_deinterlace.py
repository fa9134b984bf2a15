from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, make_clip
from support.fields import best_matching_instant, combing, interlaced_clip, moving_picture
from support.frames import random_frame

from vidrestore.errors import MediaError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.fields import deinterlace as deinterlace_module
from vidrestore.media.fields.deinterlace import DeinterlacedSource
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.source import Source, open_source
from vidrestore.media.input.video_info import FieldOrder, VideoInfo
from vidrestore.types import DisplayGeometry, Frame, PixelFormat, Timestamp
from vidrestore.types.time_range import TimeRange

SIZE_HW = (48, 96)
FRAMES = 12
VARIABLE_TICKS = (0, 3, 4, 10, 11, 12, 20, 21, 30, 31, 32, 40)


@contextmanager
def open_deinterlaced(
    path: Path,
    *,
    twice: bool,
    rule: FieldRule | None = None,
    start_seconds: Fraction | None = None,
    end_seconds: Fraction | None = None,
) -> Generator[tuple[DeinterlacedSource, Source]]:
    with open_source(path, start_seconds=start_seconds, end_seconds=end_seconds) as source:
        yield DeinterlacedSource(source, rule or FieldRule(), twice=twice), source


def same(first: Frame, other: Frame) -> bool:
    return (first.index, first.timestamp, first.duration_ticks) == (
        other.index,
        other.timestamp,
        other.duration_ticks,
    ) and all(np.array_equal(*pair) for pair in zip(first.planes, other.planes, strict=True))


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_at_frame_rate_each_output_frame_shows_the_first_field_at_its_timestamp(
    tmp_path: Path, order: str
) -> None:
    path = interlaced_clip(tmp_path / "film.mkv", order=order)

    with open_deinterlaced(path, twice=False) as (film, source):
        before, after = list(source), list(film)

    assert [frame.index for frame in after] == list(range(FRAMES))
    assert [(frame.timestamp, frame.duration_ticks) for frame in before] == [
        (frame.timestamp, frame.duration_ticks) for frame in after
    ]
    assert film.info.field_order == "progressive"
    instants = range(2 * FRAMES)
    assert [best_matching_instant(frame.planes[0], SIZE_HW, instants) for frame in after] == [
        *instants[::2]
    ]
    for old, new in zip(before, after, strict=True):
        assert not new.interlaced
        assert combing(old.planes[0]) > 5
        assert combing(new.planes[0]) < 0.2


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_at_field_rate_each_field_becomes_a_frame_and_keeps_its_rows(
    tmp_path: Path, order: str
) -> None:
    path = interlaced_clip(tmp_path / "film.mkv", order=order)

    with open_deinterlaced(path, twice=True) as (film, source):
        before, after = list(source), list(film)

    instants = range(2 * FRAMES)
    assert [best_matching_instant(frame.planes[0], SIZE_HW, instants) for frame in after] == [
        *instants
    ]
    assert (source.info.average_rate, film.info.average_rate) == (25, 50)
    for number, frame in enumerate(after):
        assert frame.index == number
        own = slice((number + (order == "bff")) % 2, None, 2)
        for plane, original in zip(frame.planes, before[number // 2].planes, strict=True):
            np.testing.assert_array_equal(plane[own], original[own])
        assert combing(frame.planes[0]) < 0.2


def test_field_rate_times_halve_variable_frame_times_exactly(tmp_path: Path) -> None:
    path = interlaced_clip(
        tmp_path / "film.mkv",
        ticks=VARIABLE_TICKS,
        time_base=Fraction(1, 1000),
        last_duration_ticks=5,
    )

    with open_deinterlaced(path, twice=True) as (film, source):
        before, after = list(source), list(film)

    assert film.info.time_base == source.info.time_base / 2
    assert len(after) == 2 * FRAMES
    for old, new in zip(before, after[::2], strict=True):
        assert new.timestamp.seconds == old.timestamp.seconds
    for first, next_one in pairwise(after):
        end = first.timestamp.ticks + first.duration_ticks
        assert end == next_one.timestamp.ticks
        assert next_one.timestamp.ticks > first.timestamp.ticks


class Frames:
    """A source of frames that are there already."""

    damaged_packets = repaired_timestamps = 0
    time_range = TimeRange()

    def __init__(self, frames: list[Frame], order: FieldOrder = "top first") -> None:
        first = frames[0]
        self._frames = frames
        self.info = VideoInfo(
            path=Path("film"),
            kind="film",
            container="none",
            geometry=DisplayGeometry(coded_hw=first.coded_hw),
            pixel_format_name=first.pixel_format.name,
            pixel_format=first.pixel_format,
            color=first.color,
            time_base=first.timestamp.time_base,
            field_order=order,
            codec="none",
            metadata={},
        )

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def frames_from(self, index: int, timestamp: Timestamp, *, seek: bool = True):
        return iter(self._frames[index:])


def flagged(frame: Frame) -> Frame:
    return replace(frame, interlaced=True, top_field_first=True)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("twice", [False, True])
def test_deinterlacing_the_shortest_films_loses_no_frame(count: int, twice: bool) -> None:
    frames = [
        flagged(random_frame(PLANAR["yuv420p"], (16, 16), index=index)) for index in range(count)
    ]
    film = DeinterlacedSource(Frames(frames), FieldRule(), twice=twice)
    assert [frame.index for frame in film] == list(range(count * (1 + twice)))


@pytest.mark.parametrize("name", sorted(PLANAR))
def test_every_pixel_format_keeps_its_rows_and_interpolates_the_others_within_range(
    name: str,
) -> None:
    pixel_format: PixelFormat = PLANAR[name]
    frames: list[Frame] = []
    for index in range(3):
        noise = random_frame(pixel_format, (16, 24), seed=index, index=index)
        # Of extremes, so that what is filled in would overshoot.
        planes = tuple(
            np.where(plane > pixel_format.max_value // 2, pixel_format.max_value, 0).astype(
                plane.dtype
            )
            for plane in noise.planes
        )
        frames.append(flagged(noise.with_planes(planes)))

    after = list(DeinterlacedSource(Frames(frames), FieldRule(), twice=True))

    assert len(after) == 6
    for number, frame in enumerate(after):
        assert frame.pixel_format == pixel_format
        own = slice(number % 2, None, 2)
        for plane, original in zip(frame.planes, frames[number // 2].planes, strict=True):
            np.testing.assert_array_equal(plane[own], original[own])
            assert plane.max() <= pixel_format.max_value
            assert not plane.flags.writeable


@pytest.mark.parametrize("twice", [False, True])
def test_progressive_frames_among_interlaced_ones_are_unchanged(twice: bool) -> None:
    frames = [
        random_frame(PLANAR["yuv420p"], (16, 24), seed=index, index=index) for index in range(5)
    ]
    frames = [flagged(frame) if index in (0, 1, 4) else frame for index, frame in enumerate(frames)]

    after = list(DeinterlacedSource(Frames(frames), FieldRule(), twice=twice))

    assert len(after) == (8 if twice else 5)
    progressive = [
        frame for frame in after if frame.timestamp.seconds in (Fraction(2, 25), Fraction(3, 25))
    ]
    for old, new in zip(frames[2:4], progressive, strict=True):
        assert new.planes is old.planes
        end = new.duration_ticks * new.timestamp.time_base
        assert end == Fraction(1, 25)


def test_frames_without_field_flags_are_deinterlaced_only_on_request(tmp_path: Path) -> None:
    path = interlaced_clip(tmp_path / "film.mkv", order="bff", flagged=False)

    rule = FieldRule(every_frame=True, top_first=False)
    with open_deinterlaced(path, twice=True, rule=rule) as (film, _):
        after = list(film)
    with open_deinterlaced(path, twice=True) as (film, source):
        untouched = list(zip(list(source), list(film), strict=True))

    instants = range(2 * FRAMES)
    assert [best_matching_instant(frame.planes[0], SIZE_HW, instants) for frame in after] == [
        *instants
    ]
    assert all(old.planes[0].tobytes() == new.planes[0].tobytes() for old, new in untouched)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("passed_before", [False, True])
def test_starting_at_any_frame_gives_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: bool, passed_before: bool
) -> None:
    monkeypatch.setattr(deinterlace_module, "_SEEK_POINT_INTERVAL_FRAMES", 4)
    path = interlaced_clip(tmp_path / "film.mkv", ticks=VARIABLE_TICKS)

    with open_deinterlaced(path, twice=twice) as (film, _):
        full = list(film)
    with open_deinterlaced(path, twice=twice) as (film, _):
        if passed_before:
            list(film)
        for index in (0, 1, 5, 9, len(full) - 1):
            again = list(film.frames_from(index, full[index].timestamp))
            assert len(again) == len(full) - index
            assert all(same(*pair) for pair in zip(again, full[index:], strict=True))
        with pytest.raises(MediaError, match="no frame at"):
            list(film.frames_from(len(full), full[-1].timestamp))


def test_a_time_range_gives_only_its_frames(tmp_path: Path) -> None:
    path = interlaced_clip(tmp_path / "film.mkv")
    start, end = Fraction(4, 25), Fraction(8, 25)
    with open_deinterlaced(path, twice=True, start_seconds=start, end_seconds=end) as (film, _):
        assert [frame.timestamp.seconds for frame in film] == [
            Fraction(index, 50) for index in range(8, 16)
        ]


def test_frames_too_small_for_the_filter_are_refused() -> None:
    frames = [flagged(random_frame(PLANAR["yuv420p"], (4, 16)))]
    with pytest.raises(MediaError, match="too small to deinterlace"):
        DeinterlacedSource(Frames(frames), FieldRule(), twice=False)


def test_deinterlacing_a_progressive_film_changes_nothing(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(picture=moving_picture))
    with open_deinterlaced(path, twice=False) as (film, source):
        assert all(same(*pair) for pair in zip(list(film), list(source), strict=True))
