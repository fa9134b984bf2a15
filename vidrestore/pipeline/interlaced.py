"""Interlaced film through the stages: split into fields before them, woven together after.

A field shows one moment, so no face is ever made of two. The stages see a film of twice the rate
whose frames are half as high; ``DisplayGeometry.rows`` says where their rows lie, so that boxes
and landmarks of both fields are in one space, that of the whole frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.media.fields import (
    FIELD_INDEX_STEP,
    FieldRule,
    box_in_whole,
    split_fields,
    whole_of,
    woven,
)
from vidrestore.types import FinishedFace, FinishedFrame, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMode:
    """Whether frames go through the stages whole or as fields."""

    rule: FieldRule | None = None
    """Which frames are split; None: all stay whole."""

    @property
    def index_step(self) -> int:
        """How far apart the numbers of two frames' first parts are between the stages.

        Frame ``n`` goes through them as number ``n * index_step``, and as the numbers up to the
        next frame's where it is split; it is woven of these and no others.
        """
        return 1 if self.rule is None else FIELD_INDEX_STEP

    def split(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield what the stages are to see of ``frames``."""
        return iter(frames) if self.rule is None else split_fields(frames, self.rule)

    def woven(self, finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
        """Yield whole frames again, with the faces of both fields; nothing else is kept waiting.

        Args:
            finished: What the stages made of ``split``, from the first part of a frame on.

        Raises:
            ValueError: A field comes without the other of its frame.
        """
        return iter(finished) if self.rule is None else _woven_frames(finished)


def _woven_frames(finished: Iterable[FinishedFrame]) -> Iterator[FinishedFrame]:
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
    source = whole_of(finished.source)
    untouched = finished.frame is finished.source
    return replace(finished, source=source, frame=source if untouched else whole_of(finished.frame))


def _both(first: FinishedFrame, second: FinishedFrame) -> FinishedFrame:
    source = whole_of(first.source)
    untouched = all(each.frame is each.source for each in (first, second))
    faces = [face for each in (first, second) for face in _faces_in_whole(each)]
    return FinishedFrame(
        frame=source if untouched else woven(first.frame, second.frame),
        source=source,
        shot=first.shot,
        faces=tuple(sorted(faces, key=lambda each: each.face.track_id)),
        one_tone=first.one_tone and second.one_tone,
    )


def _faces_in_whole(finished: FinishedFrame) -> Iterator[FinishedFace]:
    for face in finished.faces:
        mask = face.mask_xyxy
        inside = None if mask is None else box_in_whole(mask, finished.source)
        yield replace(face, mask_xyxy=inside)
