from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.safeguards import (
    FloatImage,
    aligned_face,
    aligned_frame,
    chw,
    closed_eyes_crop,
    covered_crop,
    face_crop,
    other_crop,
    sharp_crop,
    tracked_face,
)
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.eye_mouth_change import EYES, MOUTH
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.safeguard.stage import check_after_restore, check_before_restore
from vidrestore.types import (
    AlignedFace,
    AlignedFrame,
    Assessment,
    RestoredFace,
    RestoredFrame,
)

CONFIG = SafeguardConfig()
LARGEST_STEP = 1 / 7 + 1e-6


@pytest.fixture(scope="module")
def meter() -> IdentityMeter:
    return IdentityMeter(packaged_dlib_resnet(), device=torch.device("cpu"))


def check_sources(
    frames: Sequence[AlignedFrame], config: SafeguardConfig = CONFIG
) -> list[AlignedFrame]:
    return list(check_before_restore(frames, config=config))


def with_restored_crop(frame: AlignedFrame, crop: FloatImage) -> RestoredFrame:
    faces = (
        RestoredFace(aligned=face, restored_chw=chw(crop).contiguous(), assessment=face.assessment)
        for face in frame.faces
    )
    return RestoredFrame(
        frame=frame.frame, shot=0, faces=tuple(faces), skipped_faces=frame.skipped_faces
    )


def other_person_with_the_same_eyes_and_mouth() -> FloatImage:
    crop = other_crop().copy()
    for left, top, right, bottom in (*EYES, MOUTH):
        part = (slice(top - 8, bottom + 8), slice(left - 8, right + 8))
        crop[part] = face_crop()[part]
    return crop


def film(count: int, face: AlignedFace | None = None) -> list[AlignedFrame]:
    aligned = aligned_face(face_crop()) if face is None else face
    return [aligned_frame(index, aligned) for index in range(count)]


def strength_and_reason(frame: AlignedFrame) -> tuple[float, str | None]:
    if frame.skipped_faces:
        return 0.0, frame.skipped_faces[0].skip_reason
    return frame.faces[0].assessment.strength, frame.faces[0].assessment.reason


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (aligned_face(face_crop(), replace(tracked_face(), source_quality=1.0)), "already good"),
        (aligned_face(face_crop(), tracked_face(nose_shift=0.7)), "turned"),
        (aligned_face(face_crop(), tracked_face(score=0.6)), "unsure"),
        (aligned_face(np.ascontiguousarray(np.flipud(face_crop()))), "occluded"),
    ],
)
def test_a_skipped_face_never_reaches_the_restorer(face: AlignedFace, reason: str) -> None:
    for frame in check_sources(film(6, face)):
        assert frame.faces == ()
        (alone,) = frame.skipped_faces
        assert alone.skip_reason == reason


def test_an_accepted_face_passes_unchanged() -> None:
    for before, after in zip(film(6), check_sources(film(6)), strict=True):
        (face,) = after.faces
        assert face.assessment == Assessment()
        assert torch.equal(face.crop_chw, before.faces[0].crop_chw)


def test_restoration_fades_out_and_in_as_a_head_turns_away_and_back() -> None:
    frames = [
        aligned_frame(
            index,
            aligned_face(face_crop(), tracked_face(nose_shift=0.8 if 14 <= index < 18 else 0.0)),
        )
        for index in range(32)
    ]

    outcomes = [strength_and_reason(frame) for frame in check_sources(frames)]
    strengths = [strength for strength, _ in outcomes]

    assert strengths[14:18] == [0.0] * 4
    assert strengths[0] == strengths[-1] == 1.0
    assert np.abs(np.diff(strengths)).max() <= LARGEST_STEP
    assert all(reason == "turned" for strength, reason in outcomes if strength < 1)


def test_a_face_skipped_by_another_stage_fades_and_keeps_its_reason() -> None:
    face = aligned_face(face_crop())
    small = tracked_face(skip_reason="too small")
    frames = [
        aligned_frame(index, face) if index < 12 else aligned_frame(index, alone=(small,))
        for index in range(16)
    ]

    outcomes = [strength_and_reason(frame) for frame in check_sources(frames)]

    assert outcomes[0] == (1.0, None)
    assert outcomes[-1] == (0.0, "too small")
    assert np.abs(np.diff([strength for strength, _ in outcomes])).max() <= LARGEST_STEP


def test_the_strength_of_the_safeguard_scales_its_reductions() -> None:
    face = aligned_face(face_crop(), tracked_face(nose_shift=0.8))

    half = check_sources(film(3, face), SafeguardConfig(strength=0.5))
    none = check_sources(film(3, face), SafeguardConfig(strength=0.0))

    assert strength_and_reason(half[1]) == (pytest.approx(0.5), "turned")
    assert strength_and_reason(none[1]) == (1.0, None)


def test_a_faithful_restorer_keeps_full_strength_and_high_similarity(
    meter: IdentityMeter,
) -> None:
    frames = [with_restored_crop(frame, face_crop()) for frame in film(10)]

    for frame in check_after_restore(frames, meter=meter, config=CONFIG):
        (face,) = frame.faces
        assert (face.assessment.strength, face.assessment.reason) == (1.0, None)
        assert face.assessment.identity_similarity == pytest.approx(1.0, abs=1e-3)


def test_identity_is_measured_more_often_where_the_face_has_changed() -> None:
    measured: list[float] = []

    class CountingMeter(IdentityMeter):
        def distance(
            self, source_chw: Tensor, restored_chw: Tensor, *, resolution_px: float
        ) -> float:
            measured.append(resolution_px)
            return 0.0

    counting = CountingMeter(packaged_dlib_resnet(), device=torch.device("cpu"))
    counts: list[int] = []
    for crop in (face_crop(), np.asarray(other_crop(), np.float32)):
        measured.clear()
        frames = [with_restored_crop(frame, crop) for frame in film(31)]
        checked = list(check_after_restore(frames, meter=counting, config=CONFIG))
        counts.append(len(measured))
        assert all(frame.faces[0].assessment.identity_similarity == 1.0 for frame in checked)
    assert counts == [4, 10]


@pytest.mark.parametrize("blink", [range(16, 20), range(17, 19), range(19, 20)])
def test_eyes_opened_by_the_restorer_lower_strength_only_around_the_blink(
    meter: IdentityMeter, blink: range
) -> None:
    shut, open_ = aligned_face(closed_eyes_crop()), aligned_face(face_crop())
    sources = [aligned_frame(index, shut if index in blink else open_) for index in range(36)]
    frames = [with_restored_crop(frame, face_crop()) for frame in sources]

    outcomes = [
        f.faces[0].assessment for f in check_after_restore(frames, meter=meter, config=CONFIG)
    ]
    strengths = [assessment.strength for assessment in outcomes]

    assert max(strengths[index] for index in blink) < 1e-6
    assert strengths[:8] == strengths[-8:] == pytest.approx([1.0] * 8)
    assert np.abs(np.diff(strengths)).max() <= LARGEST_STEP
    assert outcomes[blink[0]].reason == "eyes"


@pytest.mark.parametrize(("first", "count"), [(0, 1), (3, 2), (1, 13), (4, 9)])
def test_a_restorer_that_changes_the_identity_gets_strength_0_in_every_frame(
    meter: IdentityMeter, first: int, count: int
) -> None:
    crop = other_person_with_the_same_eyes_and_mouth()
    source = aligned_face(face_crop())
    frames = [
        with_restored_crop(aligned_frame(first + index, source), crop) for index in range(count)
    ]

    checked = list(check_after_restore(frames, meter=meter, config=CONFIG))
    assert len(checked) == count
    for frame in checked:
        assessment = frame.faces[0].assessment
        assert assessment.strength == 0.0
        assert assessment.reason == "identity"
        assert assessment.identity_similarity is not None
        assert assessment.identity_similarity < 0.6


def test_strengths_of_both_stages_are_multiplied(meter: IdentityMeter) -> None:
    face = aligned_face(face_crop(), tracked_face(nose_shift=0.55))
    (before, *_) = frames = check_sources(film(5, face))
    assert 0 < before.faces[0].assessment.strength < 1

    (after, *_) = check_after_restore(
        [with_restored_crop(frame, face_crop()) for frame in frames], meter=meter, config=CONFIG
    )

    assessment = after.faces[0].assessment
    assert assessment.strength == pytest.approx(before.faces[0].assessment.strength)
    assert assessment.reason == "turned"


def test_a_segment_alone_gives_the_same_bits_as_within_the_film(meter: IdentityMeter) -> None:
    crops = [face_crop(), covered_crop(), sharp_crop()]
    sources = [
        aligned_frame(
            index,
            aligned_face(
                crops[(index // 13) % 3], tracked_face(nose_shift=0.3 + 0.2 * np.sin(index / 3))
            ),
        )
        for index in range(48)
    ]
    restored_crops = [face_crop(), 0.6 * face_crop() + 0.4 * other_crop()]

    def outcomes(frames: Sequence[AlignedFrame]) -> dict[int, Assessment | str | None]:
        passed = (
            with_restored_crop(frame, restored_crops[frame.frame.index // 9 % 2])
            for frame in check_sources(frames)
        )
        checked = check_after_restore(passed, meter=meter, config=CONFIG)
        return {
            frame.frame.index: frame.faces[0].assessment
            if frame.faces
            else frame.skipped_faces[0].skip_reason
            for frame in checked
        }

    full = outcomes(sources)
    context = 2 * CONFIG.context_frames
    part = outcomes(sources[22 - context : 26 + context])

    assert [part[index] for index in range(22, 26)] == [full[index] for index in range(22, 26)]
    assert len(set(map(str, full.values()))) > 8


@pytest.mark.parametrize(
    ("name", "setting"), [("strength", "safeguard"), ("keep_good", "keep_good")]
)
def test_settings_out_of_range_are_refused_by_their_name(name: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be a number from 0 to 1, got 1.5"):
        SafeguardConfig(**{name: 1.5})
