"""Finished frames, with the result for every face, for the record."""

from collections.abc import Callable, Mapping, Sequence

from vidrestore.paste.composite import PasteResult, face_luma
from vidrestore.types import (
    Assessment,
    Box,
    FinishedFace,
    FinishedFrame,
    RestoredFace,
    RestoredFrame,
)


def finished_frame(
    restored: RestoredFrame,
    pasted: PasteResult,
    pasted_faces: Sequence[RestoredFace],
    *,
    strength_of: Callable[[int], float],
) -> FinishedFrame:
    """Return a finished frame.

    Args:
        restored: The frame with its restored faces.
        pasted: The frame as it is written.
        pasted_faces: The faces of which ``pasted`` has the masks.
        strength_of: Returns the strength that is set for a track.
    """
    tracks = [face.aligned.face.track_id for face in pasted_faces]
    masks_xyxy = dict(zip(tracks, pasted.masks_xyxy, strict=True))
    return FinishedFrame(
        frame=pasted.frame,
        source=restored.frame.decoded,
        shot=restored.shot,
        faces=finished_faces(restored, masks_xyxy=masks_xyxy, strength_of=strength_of),
        repair=restored.frame.repair,
        is_monochrome=restored.is_monochrome,
    )


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
                crop_side_px=face.aligned.side_px,
                luma_before=before,
                luma_after=before + strength * change,
            )
        )
    return tuple(sorted(finished, key=lambda result: result.face.track_id))
