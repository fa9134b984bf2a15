from dataclasses import replace

import numpy as np
import pytest
from support.faces import landmarks_at, tracked_frames
from support.restoring import face_at

from vidrestore.faces.crop_side import choose_crop_sides
from vidrestore.types import TrackedFrame


def film(sizes_px: list[dict[int, float]]) -> list[TrackedFrame]:
    """Return frames with faces whose crops cover so many pixels, by track."""
    blank = tracked_frames(landmarks_at((8.0, 6.0))[None].repeat(len(sizes_px), axis=0))
    return [
        replace(
            frame,
            faces=tuple(
                face_at((300, 300), size_px=size, angle=0.5, track_id=track)
                for track, size in sizes.items()
            ),
        )
        for frame, sizes in zip(blank, sizes_px, strict=True)
    ]


def sides_of(track: int, sizes_px: list[dict[int, float]]) -> list[int]:
    return [
        face.crop_side_px
        for frame in choose_crop_sides(film(sizes_px))
        for face in frame.faces
        if face.track_id == track
    ]


@pytest.mark.parametrize(
    ("size_px", "side_px"), [(20, 128), (45, 128), (47, 256), (383, 256), (385, 512), (900, 512)]
)
def test_a_crop_is_small_if_the_face_is(size_px: float, side_px: int) -> None:
    assert sides_of(1, [{1: size_px}]) == [side_px]


def test_a_face_about_as_large_as_the_limit_keeps_the_size_of_its_crop() -> None:
    assert sides_of(1, [{1: size} for size in (380, 390, 380, 400)]) == [256] * 4
    assert sides_of(1, [{1: size} for size in (390, 380, 390, 340)]) == [512] * 4


def test_a_face_that_comes_closer_changes_over_once_and_back() -> None:
    sizes = [*np.linspace(250, 500, 10), *np.linspace(500, 250, 10)]
    sides = sides_of(1, [{1: float(size)} for size in sizes])
    assert [int(step) for step in np.diff(sides) if step] == [256, -256]


def test_a_crop_is_tiny_if_a_large_face_has_next_to_no_detail() -> None:
    def sides(resolutions_px: list[float | None]) -> list[int]:
        frames = film([{1: 300.0}] * len(resolutions_px))
        rated = [
            replace(frame, faces=tuple(replace(f, source_resolution_px=value) for f in frame.faces))
            for frame, value in zip(frames, resolutions_px, strict=True)
        ]
        return [frame.faces[0].crop_side_px for frame in choose_crop_sides(rated)]

    assert sides([33.6]) == [128]
    assert sides([60.0]) == [256]
    assert sides([None]) == [256]
    assert sides([44.0, 50.0, 54.0, 56.0, 50.0, 40.0, 30.0]) == [128] * 3 + [256] * 3 + [128]


def test_tracks_are_independent_and_a_new_one_starts_anew() -> None:
    frames = [{1: 360.0, 2: 600.0}, {1: 390.0, 2: 380.0}, {2: 380.0}, {1: 390.0, 2: 380.0}]
    assert sides_of(1, frames) == [256, 256, 512]
    assert sides_of(2, frames) == [512] * 4
