"""Stages: the safeguard's checks before and after restoration."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from vidrestore.safeguard.assessment import assess, combine, scale_limit, strictest
from vidrestore.safeguard.checks import check_occlusion, check_track, crop_luma, crop_resolution_px
from vidrestore.safeguard.config import (
    EYE_MOUTH_CHANGE,
    IDENTITY,
    IDENTITY_CHECK_INTERVAL,
    OCCLUSION_CHECK_INTERVAL,
    SURE_IDENTITY_INTERVAL,
    SURELY_SAME_FACE,
    SafeguardConfig,
)
from vidrestore.safeguard.eye_mouth_change import eye_mouth_change
from vidrestore.safeguard.identity import IdentityMeter, distance_to_similarity
from vidrestore.safeguard.strength_smoothing import Assessments, smooth_strengths
from vidrestore.types import (
    AlignedFrame,
    Assessment,
    RestoredFace,
    RestoredFrame,
    TrackedFace,
)


class FaceChange(NamedTuple):
    """How far restoration changed a face."""

    eyes: float
    """See ``eye_mouth_change``."""
    mouth: float
    identity: float | None = None
    """See ``IdentityMeter.distance``; None if it is not measured."""


DueFaces = list[tuple[RestoredFace, bool]]
"""Faces, each with whether its identity is to be compared."""


def check_before_restore(
    frames: Iterable[AlignedFrame], *, config: SafeguardConfig
) -> Iterator[AlignedFrame]:
    """Yield every frame once, in order, with the maximum strength of each face.

    A face of strength 0 becomes a skipped face, with the reason, and is not restored. Strength
    fades to and from faces that other stages skipped. Buffers the next seven frames; a result
    depends on ``config.context_frames`` to each side.

    Args:
        frames: Frames in presentation order.
        config: How strongly faces are protected.
    """
    for frame, assessments in smooth_strengths(_assess_sources(frames, config)):
        faces = [replace(face, assessment=assessments[face.face.track_id]) for face in frame.faces]
        skipped = [
            replace(face.face, skip_reason=face.assessment.reason)
            for face in faces
            if face.assessment.strength == 0.0
        ]
        yield replace(
            frame,
            faces=tuple(face for face in faces if face.assessment.strength > 0.0),
            skipped_faces=_by_track([*frame.skipped_faces, *skipped]),
        )


def _assess_sources(
    frames: Iterable[AlignedFrame], config: SafeguardConfig
) -> Iterator[tuple[AlignedFrame, Assessments]]:
    previous: set[int] = set()
    for frame in frames:
        assessments = {
            face.track_id: Assessment(0.0, face.skip_reason) for face in frame.skipped_faces
        }
        for face in frame.faces:
            track = face.face.track_id
            checks = [check_track(face.face, config)]
            if _is_due(frame.frame.index, OCCLUSION_CHECK_INTERVAL, track, previous):
                checks.append(check_occlusion(face))
            assessments[track] = scale_limit(strictest(checks), config.strength)
        previous = {face.face.track_id for face in frame.faces}
        yield frame, assessments


def check_after_restore(
    frames: Iterable[RestoredFrame], *, meter: IdentityMeter, config: SafeguardConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with the final assessment of each restored face.

    Combines the assessment of ``check_before_restore`` with that of identity, eyes and mouth.
    Buffers the next seven frames; a result depends on ``config.context_frames`` to each side.

    Args:
        frames: Frames in presentation order.
        meter: Compares identities.
        config: How strongly faces are protected.
    """
    measured = (
        (frame, [measure_change(face, meter, from_change=limit) for face, limit in faces])
        for frame, faces in _with_limits(frames)
    )
    yield from assess_changes(measured, config=config)


def with_due_faces(frames: Iterable[RestoredFrame]) -> Iterator[tuple[RestoredFrame, DueFaces]]:
    """Yield every frame with its faces, some of which are due.

    A blink lasts three frames, so eyes and mouth are compared in every frame.
    """
    for frame, faces in _with_limits(frames, sure_interval=IDENTITY_CHECK_INTERVAL):
        yield frame, [(face, limit < inf) for face, limit in faces]


def _with_limits(
    frames: Iterable[RestoredFrame], *, sure_interval: int = SURE_IDENTITY_INTERVAL
) -> Iterator[tuple[RestoredFrame, list[tuple[RestoredFace, float]]]]:
    """Yield every frame with its faces, each with the change from which identity is compared.

    Args:
        frames: In presentation order.
        sure_interval: Frames between checks of a face that is surely the same.
    """
    previous: set[int] = set()
    for frame in frames:
        tracks = [face.aligned.face.track_id for face in frame.faces]
        index = frame.frame.index
        usual = inf if index % IDENTITY_CHECK_INTERVAL else SURELY_SAME_FACE
        sure = [_is_due(index, sure_interval, track, previous) for track in tracks]
        previous = {*tracks}
        limits = [0.0 if is_due else usual for is_due in sure]
        yield frame, [*zip(frame.faces, limits, strict=True)]


def assess_changes(
    measured: Iterable[tuple[RestoredFrame, Sequence[FaceChange]]], *, config: SafeguardConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with the final assessment of each restored face.

    Args:
        measured: Frames with the change of each face, in presentation order.
        config: How strongly faces are protected.
    """
    assessed = (
        (
            frame,
            {
                face.aligned.face.track_id: scale_limit(assess_change(change), config.strength)
                for face, change in zip(frame.faces, changes, strict=True)
            },
        )
        for frame, changes in measured
    )
    for frame, assessments in smooth_strengths(assessed):
        faces = (
            replace(
                face,
                assessment=combine(face.assessment, assessments[face.aligned.face.track_id]),
            )
            for face in frame.faces
        )
        yield replace(frame, faces=tuple(faces))


def measure_change(
    face: RestoredFace, meter: IdentityMeter, *, from_change: float = 0.0
) -> FaceChange:
    """Return the change of eyes and mouth, and of identity if the face changed enough.

    Args:
        face: The restored face.
        meter: Compares identities.
        from_change: The change of the face, relative to its contrast, from which it does.
    """
    source = face.aligned.crop_chw
    luma = crop_luma(source)
    resolution_px = crop_resolution_px(face.aligned, luma)
    eyes, mouth, whole = eye_mouth_change(
        luma, crop_luma(face.restored_chw), resolution_px=resolution_px
    )
    if whole < from_change:
        return FaceChange(eyes, mouth)
    distance = meter.distance(source, face.restored_chw, resolution_px=resolution_px)
    return FaceChange(eyes, mouth, distance)


def assess_change(change: FaceChange) -> Assessment:
    """Return the assessment of what changed."""
    checks = [
        assess(EYE_MOUTH_CHANGE(change.eyes), "eyes"),
        assess(EYE_MOUTH_CHANGE(change.mouth), "mouth"),
    ]
    if change.identity is None:
        return strictest(checks)
    identity = assess(IDENTITY(change.identity), "identity")
    similarity = distance_to_similarity(change.identity)
    return replace(strictest([identity, *checks]), identity_similarity=similarity)


def _is_due(index: int, interval: int, track: int, previous: set[int]) -> bool:
    return index % interval == 0 or track not in previous


def _by_track(faces: Iterable[TrackedFace]) -> tuple[TrackedFace, ...]:
    return tuple(sorted(faces, key=lambda face: face.track_id))
