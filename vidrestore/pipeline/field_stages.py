"""Interlaced film in the stages: split into fields before them, woven together after.

A field shows one moment, so no face is ever made of two. The stages see a film of twice the rate
whose frames are half as high; ``DisplayGeometry.rows`` says where their rows lie, so that boxes
and landmarks of both fields are in one space, that of the whole frame.
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
    """Whether frames go through the stages whole or as fields."""

    rule: FieldRule | None = None
    """Which frames are split; None: all stay whole."""

    @property
    def index_step(self) -> int:
        """Difference between the numbers of consecutive whole frames, as counted in the stages.

        Frame ``n`` goes through them as number ``n * index_step``, and as the numbers up to the
        next frame's where it is split; it is woven of these and no others.
        """
        return 1 if self.rule is None else FIELD_INDEX_STEP

    def split(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames or fields that the stages see of ``frames``."""
        return iter(frames) if self.rule is None else split_fields(frames, self.rule)

    def weave(self, finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
        """Yield whole frames again, each with one face for every track in its fields.

        Holds the first field of a frame until the second comes.

        Args:
            finished: What the stages made of ``split``, from the first part of a frame on.

        Raises:
            ValueError: A field comes without the other of its frame.
        """
        return iter(finished) if self.rule is None else _weave_frames(finished)


def _weave_frames(finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
    first: FinishedFrame | None = None
    for each in finished:
        if each.source.field_of is None:
            if first is not None:
                raise ValueError(f"field {first.source.index} has lost the other one")
            yield _whole(each)
        elif first is None:
            first = each
        else:
            yield _both(first, each)
            first = None
    if first is not None:
        raise ValueError(f"field {first.source.index} has lost the other one")


def _whole(finished: FinishedFrame) -> FinishedFrame:
    source = full_frame_of(finished.source)
    untouched = finished.frame is finished.source
    return replace(
        finished, source=source, frame=source if untouched else full_frame_of(finished.frame)
    )


def _both(first: FinishedFrame, second: FinishedFrame) -> FinishedFrame:
    source = full_frame_of(first.source)
    if second.source.field_of is not source:
        raise ValueError(f"{first.source.index} and {second.source.index} are of two frames")
    untouched = all(each.frame is each.source for each in (first, second))
    return FinishedFrame(
        frame=source if untouched else weave_fields(first.frame, second.frame),
        source=source,
        shot=first.shot,
        faces=tuple(_faces_of_both(first, second)),
        is_monochrome=first.is_monochrome and second.is_monochrome,
    )


def _faces_of_both(first: FinishedFrame, second: FinishedFrame) -> Iterator[FinishedFace]:
    """Yield one face for every track, in order; its position is from the earlier field, if any."""
    found: dict[int, list[FinishedFace]] = {}
    for each in (first, second):
        for face in each.faces:
            mask = face.mask_xyxy
            inside = None if mask is None else box_in_frame(mask, each.source)
            placed = replace(face, mask_xyxy=inside)
            found.setdefault(face.face.track_id, []).append(placed)
    for track in sorted(found):
        faces = found[track]
        yield faces[0] if len(faces) == 1 else _face_of_both(*faces)


def _face_of_both(first: FinishedFace, second: FinishedFace) -> FinishedFace:
    strengths = [each.assessment.strength for each in (first, second)]
    known = [each.assessment.identity_similarity for each in (first, second)]
    return FinishedFace(
        face=first.face,
        assessment=Assessment(
            strength=sum(strengths) / 2,
            reason=first.assessment.reason or second.assessment.reason,
            identity_similarity=min((each for each in known if each is not None), default=None),
        ),
        mask_xyxy=_union(first.mask_xyxy, second.mask_xyxy),
        luma_before=_mean(first.luma_before, second.luma_before),
        luma_after=_mean(first.luma_after, second.luma_after),
    )


def _union(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    left, top = (min(one[at], other[at]) for at in (0, 1))
    right, bottom = (max(one[at], other[at]) for at in (2, 3))
    return left, top, right, bottom


def _mean(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return (one + other) / 2
