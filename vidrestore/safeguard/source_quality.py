"""Measures how good faces already are, along their tracks: a stage without look-ahead.

A single measurement says little, because detail varies with speech, motion and the codec. A
strength that followed it would flicker, so the mean along the track so far is used.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.safeguard.checks import quality_deficit
from vidrestore.types import AlignedFace, DisplayGeometry, Frame, TrackedFace, TrackedFrame

_EVERY_FRAMES = 8
"""Spacing of the frames in which a face is measured, besides the frame in which it appears."""
_LOOKS = 32
"""Number of measurements in the mean; older ones fade. Ten seconds at 25 frames a second."""


@dataclass(slots=True)
class _Mean:
    count: int = 0
    value: float = 0.0

    def add(self, value: float) -> None:
        self.count = min(_LOOKS, self.count + 1)
        self.value += (value - self.value) / self.count


def rate_source_quality(
    frames: Iterable[TrackedFrame],
    *,
    geometry: DisplayGeometry,
    cut: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> Iterator[TrackedFrame]:
    """Yield every frame once, in order, with how good its faces are.

    Args:
        frames: In presentation order, from the first frame of a shot on.
        geometry: Display geometry of the frames.
        cut: Returns the crop of a face in a frame; None if the crop is outside the frame.
    """
    means: dict[int, _Mean] = {}
    for frame in frames:
        means = {face.track_id: means.get(face.track_id, _Mean()) for face in frame.faces}
        faces = tuple(
            _rate_face(frame.frame, face, means[face.track_id], geometry, cut)
            for face in frame.faces
        )
        yield replace(frame, faces=faces)


def _rate_face(
    frame: Frame,
    face: TrackedFace,
    mean: _Mean,
    geometry: DisplayGeometry,
    cut: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> TrackedFace:
    if face.skip_reason is not None:
        return face
    if mean.count == 0 or frame.index % _EVERY_FRAMES == 0:
        aligned = cut(frame, face)
        if aligned is not None:
            mean.add(1.0 - quality_deficit(frame, geometry.of(frame), aligned))
    return replace(face, source_quality=mean.value)
