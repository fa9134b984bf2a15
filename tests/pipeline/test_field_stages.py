"""Fields through the stages: each restored for itself, and woven together in its place."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.faces import face_at, tracked_at
from support.frames import GBR, GRAY16, YUV420, YUV422P10, random_frame
from torch import Tensor, nn

from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline.field_stages import FieldMode
from vidrestore.pipeline.stages import Stages
from vidrestore.restore.restorer import Restorer
from vidrestore.settings import RestoreSettings
from vidrestore.stage_timer import Stopwatch
from vidrestore.types import (
    Assessment,
    Detection,
    DisplayGeometry,
    FinishedFace,
    FinishedFrame,
    Frame,
    PixelFormat,
    Plane,
)

SIZE_HW = (96, 128)
CENTER_XY, EYES_PX = (70.0, 50.0), 14.0
MOST_APART = 7
FIELDS = FieldMode(rule=FieldRule())


class OneFace:
    """Detects the same face in every image."""

    has_fast_refine = True

    def __init__(self, face: Detection) -> None:
        self._face = face

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[Detection, ...]]:
        return [(self._face,) for _ in images]

    def refine(
        self, image: NDArray[np.uint8], predictions: Sequence[Detection]
    ) -> list[Detection | None]:
        return [self._face for _ in predictions]


class Inverted(nn.Module):
    """Turns light into dark."""

    def forward(self, image: Tensor) -> RestorerOutput:
        return RestorerOutput(image=-image)


def stages(geometry: DisplayGeometry, fields: FieldMode = FIELDS, **settings: object) -> Stages:
    spec = RestorerSpec(build=Inverted, crop_size_px=128, license="none")
    return Stages(
        detector=OneFace(face_at(CENTER_XY, eyes_px=EYES_PX)),
        restorer=Restorer(Inverted(), spec, device=torch.device("cpu"), dtype=torch.float32),
        geometry=geometry,
        settings=RestoreSettings(grain=0, steady=0, min_face_px=12, **settings),  # type: ignore[arg-type]
        batch_size=4,
        stopwatch=Stopwatch(),
        fields=fields,
    )


def films(pixel_format: PixelFormat, *, top_first: bool, count: int = 4) -> list[Frame]:
    """Return interlaced frames of waves about as wide as a feature of the face."""
    frames: list[Frame] = []
    for index in range(count):
        frame = random_frame(pixel_format, SIZE_HW, index=index)
        planes: list[Plane] = []
        for number, plane in enumerate(frame.planes):
            step = SIZE_HW[0] / plane.shape[0], SIZE_HW[1] / plane.shape[1]
            y, x = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]]
            wave = 0.5 + 0.2 * np.sin(x * step[1] / 3 + y * step[0] / 4 + index / 9 + number)
            planes.append(np.rint(wave * pixel_format.max_value).astype(plane.dtype))
        frame = frame.with_planes(tuple(planes))
        frames.append(replace(frame, interlaced=True, top_field_first=top_first))
    return frames


def run_stages(stages: Stages, frames: Sequence[Frame]) -> list[FinishedFrame]:
    tracked = stages.analyze(stages.fields.split(frames))
    return list(stages.fields.weave(stages.restore(tracked)))


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(
    "pixel_format", [YUV420, YUV422P10, GRAY16, GBR], ids=lambda pixel_format: pixel_format.name
)
def test_both_fields_change_inside_the_mask_only(
    pixel_format: PixelFormat, top_first: bool
) -> None:
    frames = films(pixel_format, top_first=top_first)

    finished = run_stages(stages(DisplayGeometry(coded_hw=SIZE_HW)), frames)

    assert len(finished) == len(frames)
    for before, after in zip(frames, finished, strict=True):
        assert after.source is before
        assert (after.frame.index, after.frame.timestamp) == (before.index, before.timestamp)
        assert (after.frame.interlaced, after.frame.top_field_first) == (True, top_first)
        (face,) = after.faces
        assert face.mask_xyxy is not None
        left, top, right, bottom = face.mask_xyxy
        for index, (old, new) in enumerate(zip(before.planes, after.frame.planes, strict=True)):
            step_y, step_x = SIZE_HW[0] // old.shape[0], SIZE_HW[1] // old.shape[1]
            rows, columns = np.nonzero(old != new)
            assert top // step_y <= rows.min()
            assert rows.max() < -(-bottom // step_y)
            assert left // step_x <= columns.min()
            assert columns.max() < -(-right // step_x)
            if index == 0:
                assert {*rows % 2} == {0, 1}
                assert rows.max() - rows.min() > 0.6 * (bottom - top)
        assert (right - left) * (bottom - top) < 0.5 * SIZE_HW[0] * SIZE_HW[1]


def test_a_still_scene_is_restored_alike_as_fields_and_as_a_frame() -> None:
    frames = films(YUV420, top_first=True)
    frames = [replace(frame, planes=frames[0].planes) for frame in frames]
    geometry = DisplayGeometry(coded_hw=SIZE_HW)

    full = run_stages(stages(geometry, FieldMode()), frames)
    fields = run_stages(stages(geometry), frames)

    for first, other in zip(full, fields, strict=True):
        for before, plain, woven in zip(
            first.source.planes, first.frame.planes, other.frame.planes, strict=True
        ):
            assert np.abs(plain.astype(int) - woven).max() <= MOST_APART
            assert np.abs(plain.astype(int) - before).max() > 5 * MOST_APART


@pytest.mark.parametrize(
    "geometry",
    [
        DisplayGeometry(coded_hw=SIZE_HW, sample_aspect_ratio=Fraction(16, 11)),
        DisplayGeometry(coded_hw=SIZE_HW, quarter_turns=2),
    ],
)
def test_fields_keep_the_geometry_and_rotation_of_the_film(geometry: DisplayGeometry) -> None:
    frames = films(YUV420, top_first=True)
    frames = [replace(frame, planes=frames[0].planes) for frame in frames]

    full = run_stages(stages(geometry, FieldMode()), frames)
    fields = run_stages(stages(geometry), frames)

    for first, other in zip(full, fields, strict=True):
        apart = first.frame.planes[0].astype(int) - other.frame.planes[0]
        assert np.abs(apart).max() <= MOST_APART


def test_a_progressive_frame_among_interlaced_ones_is_restored_as_one_frame() -> None:
    frames = films(YUV420, top_first=True, count=6)
    frames[2:4] = [replace(frame, interlaced=False) for frame in frames[2:4]]

    fields = list(FIELDS.split(frames))
    finished = run_stages(stages(DisplayGeometry(coded_hw=SIZE_HW)), frames)

    assert [frame.index for frame in fields] == [0, 1, 2, 3, 4, 6, 8, 9, 10, 11]
    assert [frame.source.index for frame in finished] == list(range(6))
    assert [frame.frame.interlaced for frame in finished] == [True, True, False, False, True, True]
    assert all(np.any(frame.frame.planes[0] != frame.source.planes[0]) for frame in finished)
    assert {face.face.track_id for frame in finished for face in frame.faces} == {1}


def test_a_frame_without_faces_is_returned_unchanged() -> None:
    frames = films(YUV420, top_first=True)
    finished = run_stages(stages(DisplayGeometry(coded_hw=SIZE_HW), strength=0.0), frames)
    assert [each.frame is frame for each, frame in zip(finished, frames, strict=True)] == [True] * 4


def test_a_time_range_gives_the_same_woven_frames_as_the_full_film() -> None:
    joined = stages(DisplayGeometry(coded_hw=SIZE_HW))
    step, reach = joined.fields.index_step, joined.context_frames
    first = reach // step + 2
    frames = films(YUV420, top_first=False, count=first + 2)
    tracked = list(joined.analyze(joined.fields.split(frames)))

    finished = list(joined.fields.weave(joined.restore(tracked)))
    part = list(joined.fields.weave(joined.restore(tracked[first * step - reach :])))

    assert [frame.source.index for frame in part[-2:]] == [first, first + 1]
    for one, other in zip(part[-2:], finished[-2:], strict=True):
        for old, new in zip(one.frame.planes, other.frame.planes, strict=True):
            np.testing.assert_array_equal(old, new)


def finished_field(
    field: Frame,
    faces: Sequence[tuple[int, tuple[int, int, int, int] | None, Assessment]],
) -> FinishedFrame:
    points = np.zeros((5, 2), np.float32)
    made = tuple(
        FinishedFace(
            face=tracked_at(points, track_id=track, box_xyxy=(0.0, 0.0, 1.0, 1.0)),
            assessment=verdict,
            mask_xyxy=mask,
            luma_before=None if mask is None else 100.0 + field.index,
        )
        for track, mask, verdict in faces
    )
    return FinishedFrame(frame=field, source=field, shot=3, faces=made, is_monochrome=True)


def test_assessments_of_a_face_in_both_fields_are_merged() -> None:
    first, second = FIELDS.split(films(YUV420, top_first=False, count=1))
    half = Assessment(strength=0.5, reason="too small", identity_similarity=0.4)
    full_strength = Assessment(identity_similarity=0.9)

    (both,) = FIELDS.weave(
        [
            finished_field(first, [(2, (10, 4, 20, 8), full_strength), (5, None, half)]),
            finished_field(second, [(1, (0, 0, 2, 2), full_strength), (2, (12, 2, 24, 6), half)]),
        ]
    )

    assert [face.face.track_id for face in both.faces] == [1, 2, 5]
    one, two, five = both.faces
    assert one.mask_xyxy == (0, 0, 2, 3)
    # The first field is the bottom one: its rows 4 to 7 are 9 to 15; the other's 2 to 5, 4 to 10.
    assert two.mask_xyxy == (10, 4, 24, 16)
    assert two.assessment == Assessment(strength=0.75, reason="too small", identity_similarity=0.4)
    assert two.luma_before == 100.5
    assert (five.mask_xyxy, five.luma_before) == (None, None)
    assert (both.shot, both.is_monochrome) == (3, True)


def test_a_single_field_without_its_pair_is_an_error() -> None:
    frames = films(YUV420, top_first=True, count=2)
    fields = [finished_field(field, []) for field in FIELDS.split(frames)]

    def broken(kept: Sequence[int]) -> Iterator[FinishedFrame]:
        return FIELDS.weave(fields[at] for at in kept)

    with pytest.raises(ValueError, match="no second field"):
        list(broken([0, 1, 2]))
    with pytest.raises(ValueError, match="of two frames"):
        list(broken([1, 2]))
