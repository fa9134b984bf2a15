"""Read the tracks of a record as arrays with one value per frame."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidrestore.record import FaceRecord, FrameRecord
from vidrestore.record.schema import PointsXy
from vidrestore.types.landmark_jump import landmark_jump_px

Series = NDArray[np.float32]
"""``(N,)``: one value for each frame of a track, NaN where there is none."""

_MAX_REASONS = 12
_OTHER_REASONS = "other reasons"
_COLUMNS = (
    "similarity",
    "strength",
    "luma_before",
    "luma_after",
    "left",
    "top",
    "right",
    "bottom",
    "jitter_before_px",
    "jitter_after_px",
)
_TEMPLATE_RADIUS_PX = 79.31
"""Root mean square distance of the five landmarks of the 512 px template from their mean."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One face followed through one shot; every array has one value for each of its frames."""

    number: int
    shot: int
    frame_index: NDArray[np.int64]
    """Increasing; index in the result."""
    pts: NDArray[np.int64]
    """Ticks of the record's time base."""
    box_xyxy: NDArray[np.float32]
    """``(N, 4)``, display pixels of the source."""
    similarity: Series
    strength: Series
    luma_before: Series
    luma_after: Series
    jitter_before_px: Series
    """``jitter_px`` of the detected landmarks."""
    jitter_after_px: Series
    """``jitter_px`` of the smoothed landmarks."""
    reasons: Mapping[str, int]
    """Reason for a lower strength -> number of frames, the most frequent first."""

    @property
    def frames(self) -> int:
        """Number of frames with the face."""
        return len(self.frame_index)

    @property
    def side_px(self) -> Series:
        """Longer side of the box in display pixels."""
        left, top, right, bottom = self.box_xyxy.T
        return np.maximum(right - left, bottom - top)

    @property
    def flicker_before(self) -> Series:
        """Change of the mean luma of the face since the previous frame, 0 to 255."""
        return _change(self.frame_index, self.luma_before)

    @property
    def flicker_after(self) -> Series:
        """The same in the result."""
        return _change(self.frame_index, self.luma_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTracks:
    """The tracks of a video, and counts of its frames, faces and shots."""

    tracks: tuple[Track, ...]
    """In order of track number."""
    first_index: int
    """``FrameRecord.index`` of the first frame."""
    first_pts: int
    """Its time."""
    frames: int
    faces: int
    """Faces, counted once per frame."""
    changed_faces: int
    """Faces that were changed."""
    shots: int


def read_tracks(frames: Iterable[FrameRecord]) -> VideoTracks:
    """Collect the tracks of a record.

    Each face of each frame takes about 60 bytes: two hours with two faces take 20 MB.
    """
    builders: dict[int, _TrackBuilder] = {}
    first: FrameRecord | None = None
    count = faces = changed = 0
    shots: set[int] = set()
    for frame in frames:
        first = first or frame
        count += 1
        shots.add(frame.shot)
        for face in frame.faces:
            faces += 1
            changed += face.mask_xyxy is not None
            builders.setdefault(face.track, _TrackBuilder(frame.shot)).add(frame, face)
    return VideoTracks(
        tracks=tuple(builder.track(number) for number, builder in sorted(builders.items())),
        first_index=0 if first is None else first.index,
        first_pts=0 if first is None else first.pts,
        frames=count,
        faces=faces,
        changed_faces=changed,
        shots=len(shots),
    )


def jitter_px(before: FaceRecord, face: FaceRecord, after: FaceRecord, *, smoothed: bool) -> float:
    """Return ``landmark_jump_px`` in pixels of the 512 px crop.

    Crop pixels follow the size of the face, so that near and far faces can be compared.

    Args:
        before: The same face in the previous frame.
        face: The face; its smoothed landmarks give the scale.
        after: The same face in the next frame.
        smoothed: Whether to measure the smoothed landmarks, or the detected ones.
    """
    radius = _radius_px(face.points_xy)
    if radius == 0:
        return float("nan")
    three = [
        neighbor.points_xy if smoothed else neighbor.points_measured_xy
        for neighbor in (before, face, after)
    ]
    return landmark_jump_px(*three) * _TEMPLATE_RADIUS_PX / radius


def _radius_px(points_xy: PointsXy) -> float:
    """Return the root mean square distance of points from their mean."""
    count = len(points_xy)
    mean_x, mean_y = (sum(values) / count for values in zip(*points_xy, strict=True))
    return math.sqrt(sum((x - mean_x) ** 2 + (y - mean_y) ** 2 for x, y in points_xy) / count)


@dataclass(slots=True)
class _TrackBuilder:
    """A track while the record is read: packed numbers, and the last two faces."""

    shot: int
    index: "array[int]" = field(default_factory=lambda: array("q"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    columns: "dict[str, array[float]]" = field(
        default_factory=lambda: {name: array("f") for name in _COLUMNS}
    )
    reasons: Counter[str] = field(default_factory=Counter[str])
    last_two: list[tuple[int, FaceRecord]] = field(default_factory=list[tuple[int, FaceRecord]])

    def add(self, frame: FrameRecord, face: FaceRecord) -> None:
        self.index.append(frame.index)
        self.pts.append(frame.pts)
        values = (
            face.identity_similarity,
            face.strength,
            face.luma_before,
            face.luma_after,
            *face.box_xyxy,
            None,
            None,
        )
        for name, value in zip(_COLUMNS, values, strict=True):
            self.columns[name].append(float("nan") if value is None else value)
        if face.reason is not None:
            is_listed = face.reason in self.reasons or len(self.reasons) < _MAX_REASONS
            self.reasons[face.reason if is_listed else _OTHER_REASONS] += 1
        self._measure_jitter(frame.index, face)

    def _measure_jitter(self, index: int, face: FaceRecord) -> None:
        """Add the jitter of the previous frame, which depends on this one."""
        three = [*self.last_two, (index, face)]
        self.last_two = three[-2:]
        if len(three) < 3 or three[2][0] - three[0][0] != 2:
            return
        faces = [face for _, face in three]
        self.columns["jitter_after_px"][-2] = jitter_px(*faces, smoothed=True)
        # The landmarks of an interpolated face do not come from the detector.
        if not any(face.interpolated for face in faces):
            self.columns["jitter_before_px"][-2] = jitter_px(*faces, smoothed=False)

    def track(self, number: int) -> Track:
        columns = {name: np.array(values, np.float32) for name, values in self.columns.items()}
        return Track(
            number=number,
            shot=self.shot,
            frame_index=np.array(self.index, np.int64),
            pts=np.array(self.pts, np.int64),
            box_xyxy=np.stack(
                [columns.pop(side) for side in ("left", "top", "right", "bottom")], 1
            ),
            reasons=dict(self.reasons.most_common()),
            **columns,
        )


def _change(frame_index: NDArray[np.int64], values: Series) -> Series:
    change = np.full(len(values), np.nan, np.float32)
    neighbors = np.diff(frame_index) == 1
    change[1:][neighbors] = np.abs(np.diff(values))[neighbors]
    return change
