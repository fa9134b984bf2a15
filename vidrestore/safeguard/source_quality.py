"""Stage: running source quality of each track.

Detail varies with speech, motion and the codec; a strength that followed it would flicker. So the
running mean along the track is used.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.safeguard.checks import quality_deficit
from vidrestore.types import AlignedFace, DisplayGeometry, Frame, TrackedFace, TrackedFrame

_INTERVAL_FRAMES = 8
"""Frames between measurements; the first frame of a track is always measured."""
_MEASUREMENTS = 32
"""Number of measurements in the mean; older ones fade. Ten seconds at 25 frames a second."""


@dataclass(slots=True)
class _RunningMean:
    count: int = 0
    value: float = 0.0

    def add(self, value: float) -> None:
        self.count = min(_MEASUREMENTS, self.count + 1)
        self.value += (value - self.value) / self.count


def rate_source_quality(
    frames: Iterable[TrackedFrame],
    *,
    geometry: DisplayGeometry,
    align: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> Iterator[TrackedFrame]:
    """Yield every frame once, in order, with ``source_quality`` of its faces.

    Args:
        frames: Frames in presentation order, from the start of a shot.
        geometry: Display geometry of the frames.
        align: Returns the aligned crop of a face; None if the crop is outside the frame.
    """
    means: dict[int, _RunningMean] = {}
    for frame in frames:
        means = {face.track_id: means.get(face.track_id, _RunningMean()) for face in frame.faces}
        faces = tuple(
            _rate_face(frame.frame, face, means[face.track_id], geometry, align)
            for face in frame.faces
        )
        yield replace(frame, faces=faces)


def _rate_face(
    frame: Frame,
    face: TrackedFace,
    mean: _RunningMean,
    geometry: DisplayGeometry,
    align: Callable[[Frame, TrackedFace], AlignedFace | None],
) -> TrackedFace:
    if face.skip_reason is not None:
        return face
    if mean.count == 0 or frame.index % _INTERVAL_FRAMES == 0:
        aligned = align(frame, face)
        if aligned is not None:
            mean.add(1.0 - quality_deficit(frame, geometry.of(frame), aligned))
    return replace(face, source_quality=mean.value)
