"""How good faces already are, along their tracks: a stage that looks back as far as it likes.

One look tells little, as detail comes and goes with speech, motion and the codec; strength that
followed it would make a face breathe. What counts is the mean along the track so far.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.safeguard.gates import lacking
from vidrestore.types import AlignedFace, DisplayGeometry, Frame, TrackedFace, TrackedFrame

_EVERY_FRAMES = 8
"""A face is looked at in frames whose number this divides, and where it comes in."""
_LOOKS = 32
"""Older looks fade: ten seconds at 25 frames a second."""


@dataclass(slots=True)
class _Mean:
    count: int = 0
    value: float = 0.0

    def add(self, value: float) -> None:
        self.count = min(_LOOKS, self.count + 1)
        self.value += (value - self.value) / self.count


def goodness_noted(
    frames: Iterable[TrackedFrame],
    *,
    geometry: DisplayGeometry,
    cut: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> Iterator[TrackedFrame]:
    """Yield every frame once, in order, with how good its faces are.

    Args:
        frames: In presentation order, from the first frame of a shot on.
        geometry: How their samples lie on the screen.
        cut: Cuts a face out of a frame; None where it misses it.
    """
    means: dict[int, _Mean] = {}
    for frame in frames:
        means = {face.track_id: means.get(face.track_id, _Mean()) for face in frame.faces}
        faces = tuple(
            _noted(frame.frame, face, means[face.track_id], geometry, cut) for face in frame.faces
        )
        yield replace(frame, faces=faces)


def _noted(
    frame: Frame,
    face: TrackedFace,
    mean: _Mean,
    geometry: DisplayGeometry,
    cut: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> TrackedFace:
    if face.left_alone is not None:
        return face
    if mean.count == 0 or frame.index % _EVERY_FRAMES == 0:
        aligned = cut(frame, face)
        if aligned is not None:
            mean.add(1.0 - lacking(frame, geometry.of(frame), aligned))
    return replace(face, goodness=mean.value)
