"""The result for every face of a frame, for the record."""

from collections.abc import Callable, Mapping

from vidrestore.paste.composite import face_luma
from vidrestore.types import Assessment, Box, FinishedFace, RestoredFrame


def finished_faces(
    restored: RestoredFrame,
    *,
    masks_xyxy: Mapping[int, Box | None],
    strength_of: Callable[[int], float],
) -> tuple[FinishedFace, ...]:
    """Return the result for every face, in order of track number.

    Args:
        restored: The frame with its restored faces.
        masks_xyxy: Bounds of the samples that each track changed; None for none.
        strength_of: Returns the strength that is set for a track.
    """
    finished = [
        FinishedFace(
            face=face,
            assessment=Assessment(strength=0.0, reason=face.skip_reason),
            mask_xyxy=None,
        )
        for face in restored.skipped_faces
    ]
    for face in restored.faces:
        before = face_luma(face.aligned.crop_chw)
        change = face_luma(face.restored_chw) - before
        track = face.aligned.face.track_id
        strength = strength_of(track) * face.assessment.strength
        finished.append(
            FinishedFace(
                face=face.aligned.face,
                assessment=face.assessment,
                mask_xyxy=masks_xyxy.get(track),
                luma_before=before,
                luma_after=before + strength * change,
            )
        )
    return tuple(sorted(finished, key=lambda result: result.face.track_id))
