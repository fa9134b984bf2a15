"""A source read from the middle gives what it gives there when read from its start."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.clips import Clip, make_clip

from vidrestore.errors import MediaError
from vidrestore.media.input.source import open_source
from vidrestore.types import Frame, Timestamp

UNEVEN = tuple(int(sum((400, 512, 700)[index % 3] for index in range(n))) for n in range(70))
LONG = Clip(ticks=tuple(range(70)))
FILMS = {
    "b_frames.mp4": LONG,
    "b_frames.mkv": LONG,
    "b_frames.ts": LONG,
    "mpeg2.mpg": replace(LONG, codec="mpeg2video", options={"g": "12", "bf": "2"}),
    "mpeg4.avi": replace(LONG, codec="mpeg4", options={"g": "12"}),
    "uneven.mp4": replace(
        LONG,
        ticks=UNEVEN,
        time_base=Fraction(1, 12800),
        last_duration_ticks=900,
        container_options={"video_track_timescale": "12800"},
    ),
    "intra.mkv": replace(LONG, codec="ffv1", options={}),
}


def assert_same(first: Frame, other: Frame) -> None:
    for name in ("index", "timestamp", "duration_ticks", "key_frame", "source_name"):
        assert getattr(first, name) == getattr(other, name), (name, first.index)
    for before, after in zip(first.planes, other.planes, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", FILMS)
def test_decoding_from_any_frame_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, FILMS[name])
    with open_source(path) as source:
        full = list(source)
        assert len(full) == 70
        for index in (1, 8, 37, 69):
            for seek in (True, False):
                part = source.frames_from(index, full[index].timestamp, seek=seek)
                for first, other in zip(part, full[index:], strict=True):
                    assert_same(first, other)


def test_frame_numbers_count_from_the_start_of_the_time_range(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", LONG)
    with open_source(path, start_seconds=Fraction(1), end_seconds=Fraction(2)) as source:
        full = list(source)
        part = list(source.frames_from(20, full[20].timestamp))
    assert [frame.index for frame in part] == [20, 21, 22, 23, 24]
    for first, other in zip(part, full[20:], strict=True):
        assert_same(first, other)


def test_an_image_sequence_is_read_from_the_requested_image(tmp_path: Path) -> None:
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8), 40 * number, np.uint8))
    with open_source(tmp_path) as source:
        full = list(source)
        (tmp_path / "1.png").unlink()
        part = list(source.frames_from(3, full[3].timestamp))
    assert [frame.source_name for frame in part] == ["3.png", "4.png"]


def test_a_frame_beyond_the_film_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with open_source(path) as source:
        (first, *_) = source
        later = Timestamp(first.timestamp.ticks + 10**6, first.timestamp.time_base)
        with pytest.raises(MediaError, match="no frame at"):
            next(source.frames_from(9, later))


def test_reading_a_film_twice_at_once_is_an_error(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", LONG)
    with open_source(path) as source:
        first, other = iter(source), iter(source)
        next(first)
        next(other)
        with pytest.raises(RuntimeError, match="a second iteration started"):
            list(first)
