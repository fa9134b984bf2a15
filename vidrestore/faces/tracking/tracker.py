"""Stage: detection and tracking of faces."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.detection.rotated_search import detect_rotated
from vidrestore.faces.tracking.association import (
    assign_detections,
    is_duplicate,
    is_plausible_match,
)
from vidrestore.faces.tracking.buffered_frame import BufferedFrame, Thumbnail, View
from vidrestore.faces.tracking.searched_picture import SearchedPicture
from vidrestore.faces.tracking.shot_detection import mark_cuts
from vidrestore.faces.tracking.track import Observation, Track
from vidrestore.types import Detection, Frame, TrackedFace, TrackedFrame

_SEARCH_EVERY_SECONDS = 0.4
"""Time between searches of whole pictures. In between, known faces are followed; a new one is
traced back to the last search."""
_MAX_GAP_SECONDS = 0.4
"""Longest gap that is bridged; after it the track ends."""
_LOOKAHEAD_SECONDS = 0.4
"""Delay of the stage; at least the longest gap and the time between searches."""
_MAX_LOOKAHEAD_FRAMES = 32
"""Maximum delay in frames, whatever the time; bounds memory."""
_MAX_SEARCH_MISSES = 3
"""Maximum number of consecutive searches that miss a face which is still found at its predicted
position."""
_ROTATED_SEARCH_SECONDS = 1.0
"""After this time without a face, and at this interval, rotated images are searched, too."""
_ROTATED_THRESHOLD = 0.9
"""Minimum score of a face in a rotated image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingStart:
    """The first frame of a shot: tracking from it on gives what it gives from the film's start."""

    frame_index: int = 0
    shot: int = 0
    track_id: int = 1
    """Number of the first new track."""


def track_faces(
    frames: Iterable[Frame],
    *,
    detector: Detector,
    view: View,
    thumbnail: Thumbnail | None = None,
    start: TrackingStart | None = None,
) -> Iterator[TrackedFrame]:
    """Yield every frame with its shot and its faces, in order.

    The whole picture is searched at the start of every shot and a few times a second, unless there
    is no face and nothing changed. In between, every face is searched for where its motion puts it.
    A face that a search finds is traced back to the frame where it appeared. A cut ends every
    track. ``landmarks_xy`` of the faces are as detected; smoothing is a separate stage.

    A frame is buffered until 0.4 seconds have followed it. The buffer holds at most 32 frames, and
    shot detection two more, so memory does not depend on the film's length. Where timestamps go
    backwards, the bound in frames holds.

    Args:
        frames: In presentation order.
        detector: Finds faces in views.
        view: Renders frames for the detector; called only for frames that it sees.
        thumbnail: Renders every frame for finding cuts and changes; the view where None.
        start: Where to begin, if not at the first frame. Earlier frames are not yielded and only
            serve to find the next cut; ``WARM_UP_FRAMES`` of them make the result what it is from
            the film's start.
    """
    start = start or TrackingStart()
    buffered = (
        BufferedFrame(frame, float(frame.timestamp.seconds), view, thumbnail) for frame in frames
    )
    tracker = _Tracker(detector, start)
    for item, is_cut in mark_cuts(buffered, lambda item: item.luma):
        if item.frame.index < start.frame_index:
            continue
        if is_cut and item.frame.index > start.frame_index:
            yield from tracker.end_shot()
        tracker.push(item)
        yield from tracker.settled()
    yield from tracker.end_shot()


class _Tracker:
    """Follows faces through the current shot and buffers its latest frames."""

    def __init__(self, detector: Detector, start: TrackingStart) -> None:
        self._detector = detector
        self._buffer: deque[BufferedFrame] = deque()
        self._live: list[Track] = []
        self._tracks: list[Track] = []
        self._shot = start.shot
        self._next_id = start.track_id
        self._next_search = -inf
        self._searched_index = -1
        self._next_rotated_search = -inf
        self._in_vain = SearchedPicture(_SEARCH_EVERY_SECONDS)

    def push(self, current: BufferedFrame) -> None:
        """Track faces in the next frame of the shot."""
        previous = self._buffer[-1].seconds if self._buffer else -inf
        if current.seconds < previous:
            self._end_tracks()
        self._buffer.append(current)
        # A track that ended in the previous frame goes on, however far apart the two frames are.
        oldest = min(previous, current.seconds - _MAX_GAP_SECONDS)
        self._live = [track for track in self._live if track.last.seconds >= oldest]
        if self._is_search_due(current):
            if not self._is_search_ruled_out(current):
                self._search(current)
            self._next_search = current.seconds + _SEARCH_EVERY_SECONDS
            self._searched_index = current.frame.index
        else:
            self._follow(current, self._live)
        self._drop_duplicates(current)

    def settled(self) -> Iterator[TrackedFrame]:
        """Yield the buffered frames whose faces are final."""
        while self._buffer and self._is_settled(self._buffer[0]):
            yield self._pop()

    def end_shot(self) -> Iterator[TrackedFrame]:
        """End every track and yield all buffered frames."""
        self._end_tracks()
        while self._buffer:
            yield self._pop()
        self._shot += 1
        self._tracks = []

    def _end_tracks(self) -> None:
        self._live = []
        self._next_search = self._next_rotated_search = -inf
        self._in_vain.forget()

    def _pop(self) -> TrackedFrame:
        first = self._buffer.popleft()
        tracked = TrackedFrame(frame=first.frame, shot=self._shot, faces=self._faces_in(first))
        index = first.frame.index
        live = set(map(id, self._live))
        self._tracks = [
            track for track in self._tracks if id(track) in live or track.last.index > index
        ]
        for track in self._tracks:
            track.forget_before(index)
        return tracked

    def _is_settled(self, buffered: BufferedFrame) -> bool:
        waiting_seconds = self._buffer[-1].seconds - buffered.seconds
        return waiting_seconds >= _LOOKAHEAD_SECONDS or len(self._buffer) > _MAX_LOOKAHEAD_FRAMES

    def _is_search_due(self, current: BufferedFrame) -> bool:
        # A face can be traced back only through frames that are still in the buffer.
        unsearched = current.frame.index - self._searched_index
        return (
            current.seconds >= self._next_search
            or (not self._live and unsearched >= _MAX_LOOKAHEAD_FRAMES)
            or not self._detector.has_fast_refine
        )

    def _is_search_ruled_out(self, current: BufferedFrame) -> bool:
        if self._live or not self._detector.has_fast_refine:
            return False
        rotated_due = current.seconds >= self._next_rotated_search
        return self._in_vain.rules_out(current.luma, current.seconds, rotated_due=rotated_due)

    def _search(self, current: BufferedFrame) -> None:
        (detected,) = self._detector.detect([current.view.rgb_hwc])
        rotated_due = not self._live and current.seconds >= self._next_rotated_search
        if detected or rotated_due:
            self._next_rotated_search = current.seconds + _ROTATED_SEARCH_SECONDS
            detected = detected or self._detect_rotated(current)
        if detected or self._live:
            self._in_vain.forget()
        else:
            self._in_vain.add_search(current.luma, current.seconds, with_rotated=rotated_due)
        predicted = [track.predict(current.seconds) for track in self._live]
        assigned = assign_detections(predicted, detected)
        for row, column in assigned.items():
            track = self._live[row]
            track.searched_frames += 1
            track.search_misses = 0
            track.add(current.observe(detected[column]))
        missed_tracks = [track for row, track in enumerate(self._live) if row not in assigned]
        self._follow_missed(current, missed_tracks)
        new = [face for column, face in enumerate(detected) if column not in assigned.values()]
        self._begin_tracks(current, new)

    def _detect_rotated(self, current: BufferedFrame) -> tuple[Detection, ...]:
        detected = detect_rotated(self._detector, current.view.rgb_hwc)
        return tuple(face for face in detected if face.score >= _ROTATED_THRESHOLD)

    def _follow_missed(self, current: BufferedFrame, missed_tracks: Sequence[Track]) -> None:
        for track in missed_tracks:
            track.search_misses += 1
        lost_tracks = [track for track in missed_tracks if track.search_misses > _MAX_SEARCH_MISSES]
        self._live = [track for track in self._live if track not in lost_tracks]
        remaining = [track for track in missed_tracks if track not in lost_tracks]
        if self._detector.has_fast_refine:
            self._follow(current, remaining)
        else:
            for track in remaining:
                track.searched_frames += 1

    def _follow(self, current: BufferedFrame, tracks: Sequence[Track]) -> None:
        """Search for faces at their predicted positions."""
        if not tracks:
            return
        predicted = [track.predict(current.seconds) for track in tracks]
        refined = self._detector.refine(current.view.rgb_hwc, predicted)
        for track, prediction, face in zip(tracks, predicted, refined, strict=True):
            track.searched_frames += 1
            if face is not None and is_plausible_match(prediction, face):
                track.add(current.observe(face))

    def _begin_tracks(self, current: BufferedFrame, faces: Sequence[Detection]) -> None:
        for face in faces:
            known = (track.last for track in self._live)
            if any(o.index == current.frame.index and is_duplicate(o.face, face) for o in known):
                continue
            track = Track(searched_frames=1)
            track.add(current.observe(face))
            self._live.append(track)
            self._tracks.append(track)
            if self._detector.has_fast_refine:
                self._trace_back(track)

    def _trace_back(self, track: Track) -> None:
        """Follow a new face back through the buffered frames, to where it appeared.

        Frames in which it is missed are bridged as they are later on.
        """
        for earlier in list(self._buffer)[-2::-1]:
            if track.first_seconds - earlier.seconds > _MAX_GAP_SECONDS:
                return
            prediction = track.predict(earlier.seconds)
            (face,) = self._detector.refine(earlier.view.rgb_hwc, [prediction])
            track.searched_frames += 1
            if face is None or not is_plausible_match(prediction, face):
                continue
            others = (
                other.observation_at(earlier.frame.index, earlier.seconds, 0.0)
                for other in self._tracks
            )
            if any(other is not None and is_duplicate(other.face, face) for other in others):
                return
            track.add(earlier.observe(face))

    def _drop_duplicates(self, current: BufferedFrame) -> None:
        """If several tracks follow one face, keep the one with the most observations."""
        distinct: list[Track] = []
        for track in sorted(self._live, key=lambda track: -track.hits):
            if track.last.index == current.frame.index and any(
                other.last.index == current.frame.index
                and is_duplicate(other.last.face, track.last.face)
                for other in distinct
            ):
                track.discarded = True
            else:
                distinct.append(track)
        self._live = [track for track in self._live if not track.discarded]

    def _faces_in(self, buffered: BufferedFrame) -> tuple[TrackedFace, ...]:
        accepted: list[tuple[Track, Observation]] = []
        for track in sorted(self._tracks, key=lambda track: -track.hits):
            observation = track.observation_at(
                buffered.frame.index, buffered.seconds, _MAX_GAP_SECONDS
            )
            if observation is None or (track.track_id is None and not track.is_confirmed):
                continue
            if not any(is_duplicate(other.face, observation.face) for _, other in accepted):
                self._assign_track_id(track)
                accepted.append((track, observation))
        faces = (buffered.tracked_face(*pair) for pair in accepted)
        return tuple(sorted(faces, key=lambda face: face.track_id))

    def _assign_track_id(self, track: Track) -> None:
        # Assigned when a track is first yielded, so that the numbers are consecutive.
        if track.track_id is None:
            track.track_id = self._next_id
            self._next_id += 1
