"""The two stages: what they leave alone, what they lower, and that they look no further."""

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
    covered_crop,
    face_crop,
    other_crop,
    sharp_crop,
    shut_eyes_crop,
    tracked,
)

from vidrestore.errors import ConfigError
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.eye_mouth_change import EYES, MOUTH
from vidrestore.safeguard.identity import IdentityMeter, embedded_face_embedding
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
    return IdentityMeter(embedded_face_embedding(), device=torch.device("cpu"))


def guarded(frames: Sequence[AlignedFrame], config: SafeguardConfig = CONFIG) -> list[AlignedFrame]:
    return list(check_before_restore(frames, config=config))


def restored(frame: AlignedFrame, crop: FloatImage) -> RestoredFrame:
    faces = (
        RestoredFace(aligned=each, restored_chw=chw(crop).contiguous(), assessment=each.assessment)
        for each in frame.faces
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
    shown = aligned_face(face_crop()) if face is None else face
    return [aligned_frame(index, shown) for index in range(count)]


def strength_and_reason(frame: AlignedFrame) -> tuple[float, str | None]:
    if frame.skipped_faces:
        return 0.0, frame.skipped_faces[0].skip_reason
    return frame.faces[0].assessment.strength, frame.faces[0].assessment.reason


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (aligned_face(face_crop(), replace(tracked(), source_quality=1.0)), "already good"),
        (aligned_face(face_crop(), tracked(nose_shift=0.7)), "turned"),
        (aligned_face(face_crop(), tracked(score=0.6)), "unsure"),
        (aligned_face(np.ascontiguousarray(np.flipud(face_crop()))), "occluded"),
    ],
)
def test_a_face_to_be_left_alone_never_reaches_the_restorer(face: AlignedFace, reason: str) -> None:
    for frame in guarded(film(6, face)):
        assert frame.faces == ()
        (alone,) = frame.skipped_faces
        assert alone.skip_reason == reason


def test_a_face_that_may_be_restored_passes_unchanged() -> None:
    for before, after in zip(film(6), guarded(film(6)), strict=True):
        (face,) = after.faces
        assert face.assessment == Assessment()
        assert torch.equal(face.crop_chw, before.faces[0].crop_chw)


def test_a_head_that_turns_away_and_back_fades_out_and_in() -> None:
    frames = [
        aligned_frame(
            index,
            aligned_face(face_crop(), tracked(nose_shift=0.8 if 14 <= index < 18 else 0.0)),
        )
        for index in range(32)
    ]

    found = [strength_and_reason(each) for each in guarded(frames)]
    strengths = [strength for strength, _ in found]

    assert strengths[14:18] == [0.0] * 4
    assert strengths[0] == strengths[-1] == 1.0
    assert np.abs(np.diff(strengths)).max() <= LARGEST_STEP
    assert all(reason == "turned" for strength, reason in found if strength < 1)


def test_a_face_left_alone_by_others_fades_and_keeps_its_reason() -> None:
    face = aligned_face(face_crop())
    small = tracked(skip_reason="too small")
    frames = [
        aligned_frame(index, face) if index < 12 else aligned_frame(index, alone=(small,))
        for index in range(16)
    ]

    found = [strength_and_reason(each) for each in guarded(frames)]

    assert found[0] == (1.0, None)
    assert found[-1] == (0.0, "too small")
    assert np.abs(np.diff([strength for strength, _ in found])).max() <= LARGEST_STEP


def test_a_weaker_safeguard_hears_less_and_none_hears_nothing() -> None:
    face = aligned_face(face_crop(), tracked(nose_shift=0.8))

    half = guarded(film(3, face), SafeguardConfig(strength=0.5))
    none = guarded(film(3, face), SafeguardConfig(strength=0.0))

    assert strength_and_reason(half[1]) == (pytest.approx(0.5), "turned")
    assert strength_and_reason(none[1]) == (1.0, None)


def test_a_faithful_restorer_is_trusted_and_how_alike_the_faces_are_is_told(
    meter: IdentityMeter,
) -> None:
    frames = [restored(each, face_crop()) for each in film(10)]

    for frame in check_after_restore(frames, meter=meter, config=CONFIG):
        (face,) = frame.faces
        assert (face.assessment.strength, face.assessment.reason) == (1.0, None)
        assert face.assessment.identity_similarity == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("blink", [range(16, 20), range(17, 19), range(19, 20)])
def test_a_restorer_that_opens_closed_eyes_is_refused_there_and_nowhere_else(
    meter: IdentityMeter, blink: range
) -> None:
    shut, open_ = aligned_face(shut_eyes_crop()), aligned_face(face_crop())
    sources = [aligned_frame(at, shut if at in blink else open_) for at in range(36)]
    frames = [restored(each, face_crop()) for each in sources]

    found = [f.faces[0].assessment for f in check_after_restore(frames, meter=meter, config=CONFIG)]
    strengths = [each.strength for each in found]

    assert max(strengths[at] for at in blink) < 1e-6
    assert strengths[:8] == strengths[-8:] == pytest.approx([1.0] * 8)
    assert np.abs(np.diff(strengths)).max() <= LARGEST_STEP
    assert found[blink[0]].reason == "eyes"


@pytest.mark.parametrize(("first", "count"), [(0, 1), (3, 2), (1, 13), (4, 9)])
def test_a_restorer_that_makes_another_person_is_refused_to_the_last_frame(
    meter: IdentityMeter, first: int, count: int
) -> None:
    crop = other_person_with_the_same_eyes_and_mouth()
    source = aligned_face(face_crop())
    frames = [restored(aligned_frame(first + at, source), crop) for at in range(count)]

    judged = list(check_after_restore(frames, meter=meter, config=CONFIG))
    assert len(judged) == count
    for frame in judged:
        verdict = frame.faces[0].assessment
        assert verdict.strength == 0.0
        assert verdict.reason == "identity"
        assert verdict.identity_similarity is not None
        assert verdict.identity_similarity < 0.6


def test_what_both_stages_found_is_multiplied(meter: IdentityMeter) -> None:
    face = aligned_face(face_crop(), tracked(nose_shift=0.55))
    (before, *_) = frames = guarded(film(5, face))
    assert 0 < before.faces[0].assessment.strength < 1

    (after, *_) = check_after_restore(
        [restored(each, face_crop()) for each in frames], meter=meter, config=CONFIG
    )

    verdict = after.faces[0].assessment
    assert verdict.strength == pytest.approx(before.faces[0].assessment.strength)
    assert verdict.reason == "turned"


def test_a_part_gives_what_the_whole_gives_bit_for_bit(meter: IdentityMeter) -> None:
    crops = [face_crop(), covered_crop(), sharp_crop()]
    sources = [
        aligned_frame(
            index,
            aligned_face(
                crops[(index // 13) % 3], tracked(nose_shift=0.3 + 0.2 * np.sin(index / 3))
            ),
        )
        for index in range(48)
    ]
    made = [face_crop(), 0.6 * face_crop() + 0.4 * other_crop()]

    def verdicts(frames: Sequence[AlignedFrame]) -> dict[int, Assessment | str | None]:
        passed = (restored(each, made[each.frame.index // 9 % 2]) for each in guarded(frames))
        judged = check_after_restore(passed, meter=meter, config=CONFIG)
        return {
            each.frame.index: each.faces[0].assessment
            if each.faces
            else each.skipped_faces[0].skip_reason
            for each in judged
        }

    whole = verdicts(sources)
    reach = 2 * CONFIG.reach_frames
    part = verdicts(sources[22 - reach : 26 + reach])

    assert {at: part[at] for at in range(22, 26)} == {at: whole[at] for at in range(22, 26)}
    assert len({str(each) for each in whole.values()}) > 8


@pytest.mark.parametrize(
    ("name", "setting"), [("strength", "safeguard"), ("keep_good", "keep_good")]
)
def test_settings_out_of_range_are_refused_by_their_name(name: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be a number from 0 to 1, got 1.5"):
        SafeguardConfig(**{name: 1.5})
