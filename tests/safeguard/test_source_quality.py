"""How good a face already is follows the track, not the frame."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.frames import GRAY, random_frame
from support.safeguards import FloatImage, aligned_face, face_crop, sharp_crop, tracked

from vidrestore.safeguard.source_quality import rate_source_quality
from vidrestore.types import AlignedFace, DisplayGeometry, Frame, TrackedFace, TrackedFrame

GEOMETRY = DisplayGeometry(coded_hw=(8, 8))


def film(count: int, face: TrackedFace) -> Iterator[TrackedFrame]:
    for index in range(count):
        frame = random_frame(GRAY, (8, 8), index=index)
        yield TrackedFrame(frame=frame, shot=0, faces=(face,))


def noted(
    count: int, crop_at: Callable[[int], FloatImage], face: TrackedFace | None = None
) -> tuple[list[float], list[int]]:
    """Return how good the face is in every frame, and in which it was looked at."""
    looked: list[int] = []

    def cut(frame: Frame, face: TrackedFace) -> AlignedFace:
        looked.append(frame.index)
        return replace(aligned_face(crop_at(frame.index)), face=face)

    frames = film(count, face or tracked())
    out = rate_source_quality(frames, geometry=GEOMETRY, cut=cut)
    return [each.faces[0].source_quality for each in out], looked


def test_a_sharp_track_is_good_and_an_old_one_is_not() -> None:
    assert noted(20, lambda _index: sharp_crop())[0] == [1.0] * 20
    assert noted(20, lambda _index: face_crop())[0] == [0.0] * 20


def test_a_track_that_is_now_sharp_now_not_keeps_its_mean() -> None:
    found, _ = noted(400, lambda index: sharp_crop() if index // 8 % 2 else face_crop())
    assert found[-1] == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.diff(found[160:])).max() <= 1 / 20


def test_only_a_few_frames_are_looked_at_and_the_first_always() -> None:
    _, looked = noted(30, lambda _index: face_crop())
    assert looked == [0, 8, 16, 24]


def test_faces_left_alone_are_not_looked_at() -> None:
    found, looked = noted(9, lambda _index: sharp_crop(), tracked(skip_reason="too small"))
    assert looked == []
    assert found == [0.0] * 9


def test_a_frame_that_misses_the_face_counts_for_nothing() -> None:
    out = list(rate_source_quality(film(3, tracked()), geometry=GEOMETRY, cut=lambda *_: None))
    assert [each.faces[0].source_quality for each in out] == [0.0] * 3
