"""Interlaced film in the stages: split into fields before them, woven together after.

A field is one instant, so no face is ever a mix of two. The stages see a film at twice the rate
whose frames have half the rows. ``DisplayGeometry.rows`` says which rows of the screen these are,
so the boxes and landmarks of both fields are in the pixels of the whole frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.media.fields.split_weave import (
    FIELD_INDEX_STEP,
    FieldRule,
    box_in_frame,
    full_frame_of,
    split_fields,
    weave_fields,
)
from vidrestore.types import Assessment, Box, FinishedFace, FinishedFrame, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMode:
    """Whether frames are restored whole or as fields."""

    rule: FieldRule | None = None
    """Which frames are split; None splits none."""

    @property
    def index_step(self) -> int:
        """Difference between the numbers of consecutive whole frames in the stages.

        Frame ``n`` is number ``n * index_step`` there. If it is split, its fields have the numbers
        up to that of the next frame.
        """
        return 1 if self.rule is None else FIELD_INDEX_STEP

    def split(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames or fields for the stages."""
        return iter(frames) if self.rule is None else split_fields(frames, self.rule)

    def weave(self, finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
        """Yield whole frames, each with one face for every track in its fields.

        Holds the first field of a frame until the second arrives.

        Args:
            finished: The finished frames or fields, starting with the first field of a frame.

        Raises:
            ValueError: A field arrives without the other one of its frame.
        """
        return iter(finished) if self.rule is None else _weave_frames(finished)


def _weave_frames(finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
    first: FinishedFrame | None = None
    for current in finished:
        if current.source.field_of is None:
            if first is not None:
                raise ValueError(f"field {first.source.index} has no second field")
            yield _full_frame(current)
        elif first is None:
            first = current
        else:
            yield _weave_pair(first, current)
            first = None
    if first is not None:
        raise ValueError(f"field {first.source.index} has no second field")


def _full_frame(finished: FinishedFrame) -> FinishedFrame:
    source = full_frame_of(finished.source)
    untouched = finished.frame is finished.source
    return replace(
        finished, source=source, frame=source if untouched else full_frame_of(finished.frame)
    )


def _weave_pair(first: FinishedFrame, second: FinishedFrame) -> FinishedFrame:
    source = full_frame_of(first.source)
    if second.source.field_of is not source:
        raise ValueError(f"{first.source.index} and {second.source.index} are of two frames")
    untouched = all(field.frame is field.source for field in (first, second))
    return FinishedFrame(
        frame=source if untouched else weave_fields(first.frame, second.frame),
        source=source,
        shot=first.shot,
        faces=tuple(_faces_of_weave_pair(first, second)),
        is_monochrome=first.is_monochrome and second.is_monochrome,
    )


def _faces_of_weave_pair(first: FinishedFrame, second: FinishedFrame) -> Iterator[FinishedFace]:
    """Yield one face for every track, in order; its position is from the earlier field, if any."""
    by_track: dict[int, list[FinishedFace]] = {}
    for field in (first, second):
        for face in field.faces:
            mask = face.mask_xyxy
            inside = None if mask is None else box_in_frame(mask, field.source)
            placed = replace(face, mask_xyxy=inside)
            by_track.setdefault(face.face.track_id, []).append(placed)
    for track in sorted(by_track):
        faces = by_track[track]
        yield faces[0] if len(faces) == 1 else _face_of_weave_pair(*faces)


def _face_of_weave_pair(first: FinishedFace, second: FinishedFace) -> FinishedFace:
    strengths = [face.assessment.strength for face in (first, second)]
    similarities = [face.assessment.identity_similarity for face in (first, second)]
    return FinishedFace(
        face=first.face,
        assessment=Assessment(
            strength=sum(strengths) / 2,
            reason=first.assessment.reason or second.assessment.reason,
            identity_similarity=min(
                (value for value in similarities if value is not None), default=None
            ),
        ),
        mask_xyxy=_union(first.mask_xyxy, second.mask_xyxy),
        luma_before=_mean(first.luma_before, second.luma_before),
        luma_after=_mean(first.luma_after, second.luma_after),
    )


def _union(first: Box | None, other: Box | None) -> Box | None:
    if first is None or other is None:
        return first or other
    left, top = (min(first[side], other[side]) for side in (0, 1))
    right, bottom = (max(first[side], other[side]) for side in (2, 3))
    return left, top, right, bottom


def _mean(first: float | None, other: float | None) -> float | None:
    if first is None or other is None:
        return other if first is None else first
    return (first + other) / 2
