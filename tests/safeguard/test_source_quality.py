from collections.abc import Callable, Iterator

import numpy as np
import pytest
from support.frames import GRAY, random_frame
from support.safeguards import FloatImage, aligned_face, face_crop, sharp_crop, tracked_face

from vidrestore.safeguard.image_quality import central_slices
from vidrestore.safeguard.source_quality import rate_source_quality
from vidrestore.types import (
    CROP_SIZE_PX,
    CropPart,
    DisplayGeometry,
    Frame,
    TrackedFace,
    TrackedFrame,
)

GEOMETRY = DisplayGeometry(coded_hw=(8, 8))


def film(count: int, face: TrackedFace) -> Iterator[TrackedFrame]:
    for index in range(count):
        frame = random_frame(GRAY, (8, 8), index=index)
        yield TrackedFrame(frame=frame, shot=0, faces=(face,))


def measured_quality(
    count: int, crop_at: Callable[[int], FloatImage], face: TrackedFace | None = None
) -> tuple[list[float], list[int]]:
    """Return the quality in every frame, and the frames in which it was measured."""
    measured_frames: list[int] = []

    def align(frame: Frame, _face: TrackedFace) -> CropPart:
        measured_frames.append(frame.index)
        aligned = aligned_face(crop_at(frame.index))
        rows, columns = central_slices(CROP_SIZE_PX)
        return CropPart(
            display_to_crop=aligned.display_to_crop, rgb_chw=aligned.crop_chw[:, rows, columns]
        )

    frames = film(count, face or tracked_face())
    out = rate_source_quality(frames, geometry=GEOMETRY, align=align)
    return [frame.faces[0].source_quality for frame in out], measured_frames


def test_a_sharp_track_has_good_quality_and_an_old_one_does_not() -> None:
    assert measured_quality(20, lambda _index: sharp_crop())[0] == [1.0] * 20
    assert measured_quality(20, lambda _index: face_crop())[0] == [0.0] * 20


def test_quality_is_the_mean_along_a_track() -> None:
    qualities, _ = measured_quality(
        400, lambda index: sharp_crop() if index // 8 % 2 else face_crop()
    )
    assert qualities[-1] == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.diff(qualities[160:])).max() <= 1 / 20


def test_the_first_frame_and_every_eighth_are_measured() -> None:
    _, measured_frames = measured_quality(30, lambda _index: face_crop())
    assert measured_frames == [0, 8, 16, 24]


def test_skipped_faces_are_not_measured() -> None:
    qualities, measured_frames = measured_quality(
        9, lambda _index: sharp_crop(), tracked_face(skip_reason="too small")
    )
    assert measured_frames == []
    assert qualities == [0.0] * 9


def test_a_face_outside_the_frame_does_not_count() -> None:
    out = list(
        rate_source_quality(film(3, tracked_face()), geometry=GEOMETRY, align=lambda *_: None)
    )
    assert [frame.faces[0].source_quality for frame in out] == [0.0] * 3
