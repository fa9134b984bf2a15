"""The stages that protect faces: one before they are restored, one after."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vidrestore.safeguard.assessment import Reading, least, reading
from vidrestore.safeguard.checks import check_occlusion, check_track, detail_of, luma_of
from vidrestore.safeguard.config import (
    IDENTITY,
    IDENTITY_CHECK_INTERVAL,
    OCCLUSION_CHECK_INTERVAL,
    OPENING,
    SafeguardConfig,
)
from vidrestore.safeguard.eye_mouth_change import eye_mouth_change
from vidrestore.safeguard.identity import IdentityMeter, similarity_of
from vidrestore.safeguard.strength_smoothing import Looked, smoothed
from vidrestore.types import (
    AlignedFrame,
    RestoredFace,
    RestoredFrame,
    TrackedFace,
    Verdict,
)


def check_before_restore(
    frames: Iterable[AlignedFrame], *, config: SafeguardConfig
) -> Iterator[AlignedFrame]:
    """Yield every frame once, in order, with the largest strength allowed for each face.

    A face with strength 0 is moved to those left alone, with the reason, and is not restored. Faces
    left alone by other stages fade out and in, too. Holds the next seven frames; a result depends
    on ``config.reach_frames`` to each side.

    Args:
        frames: Frames in presentation order.
        config: How strongly faces are protected.
    """
    for looked in smoothed(_looked_at(frames, config)):
        frame = looked.item
        verdicts = {track: _verdict(Reading(), found) for track, found in looked.readings.items()}
        alone = [
            replace(each.face, skip_reason=verdicts[each.face.track_id].reason)
            for each in frame.faces
            if verdicts[each.face.track_id].strength == 0.0
        ]
        kept = (
            replace(each, verdict=verdicts[each.face.track_id])
            for each in frame.faces
            if verdicts[each.face.track_id].strength > 0.0
        )
        yield replace(
            frame, faces=tuple(kept), skipped_faces=_in_order([*frame.skipped_faces, *alone])
        )


def _looked_at(
    frames: Iterable[AlignedFrame], config: SafeguardConfig
) -> Iterator[Looked[AlignedFrame]]:
    before: set[int] = set()
    for frame in frames:
        readings: dict[int, Reading] = {
            face.track_id: Reading(0.0, face.skip_reason) for face in frame.skipped_faces
        }
        for each in frame.faces:
            track = each.face.track_id
            found = [check_track(each.face, config)]
            if _is_due(frame.frame.index, OCCLUSION_CHECK_INTERVAL, track, before):
                found.append(check_occlusion(each))
            readings[track] = least(found).heard(config.strength)
        before = {each.face.track_id for each in frame.faces}
        yield Looked(frame, readings)


def check_after_restore(
    frames: Iterable[RestoredFrame], *, meter: IdentityMeter, config: SafeguardConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with the verdict on each restored face.

    Adds to what ``check_before_restore`` found whether the face is still the same person, and its
    eyes and mouth as they were. Holds seven frames that come after; what is yielded depends on
    ``config.reach_frames`` to each side.

    Args:
        frames: Frames in presentation order.
        meter: Compares identities.
        config: How strongly faces are protected.
    """
    for judged in smoothed(_judged(frames, meter, config)):
        frame = judged.item
        faces = (
            replace(
                each,
                verdict=_verdict(
                    Reading(each.verdict.strength, each.verdict.reason),
                    judged.readings[each.aligned.face.track_id],
                ),
            )
            for each in frame.faces
        )
        yield replace(frame, faces=tuple(faces))


def _judged(
    frames: Iterable[RestoredFrame], meter: IdentityMeter, config: SafeguardConfig
) -> Iterator[Looked[RestoredFrame]]:
    before: set[int] = set()
    for frame in frames:
        tracks = {each.aligned.face.track_id: each for each in frame.faces}
        readings: dict[int, Reading] = {}
        for track, each in tracks.items():
            # A blink lasts three frames, so eyes are compared in every frame.
            person = _is_due(frame.frame.index, IDENTITY_CHECK_INTERVAL, track, before)
            found = check_restored_face(each, meter if person else None)
            readings[track] = found.heard(config.strength)
        before = set(tracks)
        yield Looked(frame, readings)


def check_restored_face(face: RestoredFace, meter: IdentityMeter | None) -> Reading:
    """Return the reading of eyes and mouth, and of identity if there is a ``meter``."""
    source = face.aligned.crop_chw
    luma = luma_of(source)
    detail_px = detail_of(face.aligned, luma)
    eyes, mouth = eye_mouth_change(luma, luma_of(face.restored_chw), detail_px=detail_px)
    found = [reading(OPENING(eyes), "eyes"), reading(OPENING(mouth), "mouth")]
    if meter is None:
        return least(found)
    distance = meter.distance(source, face.restored_chw, detail_px=detail_px)
    person = reading(IDENTITY(distance), "identity")
    return replace(least([person, *found]), similarity=similarity_of(distance))


def _is_due(index: int, every: int, track: int, before: set[int]) -> bool:
    return index % every == 0 or track not in before


def _verdict(earlier: Reading, later: Reading) -> Verdict:
    """Return both readings combined; the reason is that of the lower one."""
    # The sum of seven sevenths may differ from 1 by a rounding error.
    strength = min(1.0, earlier.strength * later.strength)
    reason = least([earlier, later]).reason
    return Verdict(
        strength=strength,
        reason=reason if strength < 1.0 else None,
        identity_similarity=later.similarity,
    )


def _in_order(faces: Iterable[TrackedFace]) -> tuple[TrackedFace, ...]:
    return tuple(sorted(faces, key=lambda face: face.track_id))
