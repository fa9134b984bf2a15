"""The stage that finds and follows faces: frames in, the same frames with faces out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from vidrestore.faces.config import ShotConfig, TrackerConfig
from vidrestore.faces.detection.detector import Detector, Picture
from vidrestore.faces.detection.rotated_search import detect_rotated
from vidrestore.faces.tracking.association import (
    assign_detections,
    is_duplicate,
    is_plausible_match,
)
from vidrestore.faces.tracking.shot_detection import mark_cuts
from vidrestore.faces.tracking.track import Sighting, Track
from vidrestore.types import Detection, Frame, RgbView, TrackedFace, TrackedFrame

View = Callable[[Frame, int], RgbView]
"""Renders a frame upright with at most so many pixels on the longer side."""
Thumbnail = Callable[[Frame], Picture]
"""Renders a frame upright and as small as the cut finder takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingStart:
    """The first frame of a shot: from it on, faces can be followed as from the film's start."""

    frame_index: int = 0
    shot: int = 0
    track_id: int = 1
    """Number of the first new track from here on."""


def track_faces(
    frames: Iterable[Frame],
    *,
    detector: Detector,
    view: View,
    thumbnail: Thumbnail | None = None,
    config: TrackerConfig | None = None,
    shot_config: ShotConfig | None = None,
    start: TrackingStart | None = None,
) -> Iterator[TrackedFrame]:
    """Yield every frame with its shot and its faces, in order.

    The whole picture is searched at the start of every shot and a few times a second; in
    between, every face is looked for where its motion puts it. A face found by a search is
    traced back to where it came in. A cut ends every track. ``landmarks_xy`` of the faces are as
    measured; smoothing is a separate stage.

    Frames are held until ``lookahead_seconds`` more have been seen, and at most
    ``max_lookahead_frames`` of them, plus the two that the cut finder holds: memory does not
    depend on the film's length. Where time stamps go backwards, the bound in frames holds.

    Args:
        frames: In presentation order.
        detector: Finds faces in views.
        view: Renders frames for the detector; called where one is looked at only.
        thumbnail: Renders every frame for the cut finder; the view where None.
        config: How to follow faces.
        shot_config: What counts as a cut.
        start: Where to begin, if not at the first frame. Frames before are left out, and serve to
            find the next cut; ``WARM_UP_FRAMES`` of them make the result what it is from the
            film's start.
    """
    config = config or TrackerConfig()
    start = start or TrackingStart()
    side_px = config.view_max_side_px
    held = (_Held(frame, float(frame.timestamp.seconds), view, side_px) for frame in frames)

    def small(item: _Held) -> Picture:
        return item.view.rgb_hwc if thumbnail is None else thumbnail(item.frame)

    tracker = _Tracker(detector, config, start)
    for now, cut in mark_cuts(held, small, config=shot_config):
        if now.frame.index < start.frame_index:
            continue
        if cut and now.frame.index > start.frame_index:
            tracker.end_shot()
            yield from tracker.finished(all_of_them=True)
        tracker.take(now)
        yield from tracker.finished()
    tracker.end_shot()
    yield from tracker.finished(all_of_them=True)


@dataclass(frozen=True, eq=False)
class _Held:
    frame: Frame
    seconds: float
    render: View
    max_side_px: int

    @cached_property
    def view(self) -> RgbView:
        return self.render(self.frame, self.max_side_px)


class _Tracker:
    """Follows faces through the shot at hand and holds its latest frames."""

    def __init__(self, detector: Detector, config: TrackerConfig, start: TrackingStart) -> None:
        self._detector = detector
        self._config = config
        self._held: deque[_Held] = deque()
        self._live: list[Track] = []
        self._tracks: list[Track] = []
        self._shot = start.shot
        self._next_id = start.track_id
        self._search_at = -inf
        self._turned_at = -inf

    def take(self, now: _Held) -> None:
        """Search the next frame of the shot."""
        before = self._held[-1].seconds if self._held else -inf
        if now.seconds < before:
            self._restart()
        self._held.append(now)
        # However far frames lie apart, a face of the last one has not left yet.
        gone = min(before, now.seconds - self._config.max_gap_seconds)
        self._live = [track for track in self._live if track.last.seconds >= gone]
        if now.seconds >= self._search_at or not self._detector.has_fast_refine:
            self._search(now)
        else:
            self._follow(now, self._live)
        self._drop_duplicates(now)

    def end_shot(self) -> None:
        """End every track, at the end of a shot."""
        self._restart()

    def _restart(self) -> None:
        self._live = []
        self._search_at = self._turned_at = -inf

    def finished(self, *, all_of_them: bool = False) -> Iterator[TrackedFrame]:
        """Yield the held frames whose faces are final (or all held frames)."""
        while self._held and (all_of_them or self._is_due(self._held[0])):
            held = self._held.popleft()
            yield TrackedFrame(frame=held.frame, shot=self._shot, faces=self._faces_in(held))
            index = held.frame.index
            live = set(map(id, self._live))
            self._tracks = [
                track for track in self._tracks if id(track) in live or track.last.index > index
            ]
            for track in self._tracks:
                track.forget_before(index)
        if all_of_them:
            self._shot += 1
            self._tracks = []

    def _is_due(self, held: _Held) -> bool:
        waited = self._held[-1].seconds - held.seconds
        return (
            waited >= self._config.lookahead_seconds
            or len(self._held) > self._config.max_lookahead_frames
        )

    def _search(self, now: _Held) -> None:
        self._search_at = now.seconds + self._config.search_every_seconds
        (seen,) = self._detector.detect([now.view.rgb_hwc])
        if not seen and not self._live and now.seconds >= self._turned_at:
            self._turned_at = now.seconds + self._config.turned_search_after_seconds
            seen = self._turned_faces(now)
        elif seen:
            self._turned_at = now.seconds + self._config.turned_search_after_seconds
        paired = assign_detections([track.expected(now.seconds) for track in self._live], seen)
        for row, column in paired.items():
            track = self._live[row]
            track.looked += 1
            track.search_misses = 0
            track.saw(Sighting(now.frame.index, now.seconds, seen[column]))
        missed = [track for row, track in enumerate(self._live) if row not in paired]
        self._follow_missed(now, missed)
        new = [face for column, face in enumerate(seen) if column not in paired.values()]
        self._begin(now, new)

    def _turned_faces(self, now: _Held) -> tuple[Detection, ...]:
        found = detect_rotated(self._detector, now.view.rgb_hwc)
        return tuple(face for face in found if face.score >= self._config.turned_threshold)

    def _follow_missed(self, now: _Held, missed: Sequence[Track]) -> None:
        for track in missed:
            track.search_misses += 1
        lost = [track for track in missed if track.search_misses > self._config.max_search_misses]
        self._live = [track for track in self._live if track not in lost]
        kept = [track for track in missed if track not in lost]
        if self._detector.has_fast_refine:
            self._follow(now, kept)
        else:
            for track in kept:
                track.looked += 1

    def _follow(self, now: _Held, tracks: Sequence[Track]) -> None:
        """Look for faces where they are expected."""
        if not tracks:
            return
        expected = [track.expected(now.seconds) for track in tracks]
        seen = self._detector.refine(now.view.rgb_hwc, expected)
        for track, guess, face in zip(tracks, expected, seen, strict=True):
            track.looked += 1
            if face is not None and is_plausible_match(guess, face):
                track.saw(Sighting(now.frame.index, now.seconds, face))

    def _begin(self, now: _Held, faces: Sequence[Detection]) -> None:
        for face in faces:
            known = (track.last for track in self._live)
            if any(s.index == now.frame.index and is_duplicate(s.face, face) for s in known):
                continue
            track = Track(looked=1)
            track.saw(Sighting(now.frame.index, now.seconds, face))
            self._live.append(track)
            self._tracks.append(track)
            if self._detector.has_fast_refine:
                self._trace_back(track)

    def _trace_back(self, track: Track) -> None:
        """Follow a new face back through the held frames, to where it appeared."""
        for held in list(self._held)[-2::-1]:
            guess = track.expected(held.seconds)
            (face,) = self._detector.refine(held.view.rgb_hwc, [guess])
            track.looked += 1
            if face is None or not is_plausible_match(guess, face):
                return
            others = (other.at(held.frame.index, held.seconds, 0.0) for other in self._tracks)
            if any(other is not None and is_duplicate(other.face, face) for other in others):
                return
            track.saw(Sighting(held.frame.index, held.seconds, face))

    def _drop_duplicates(self, now: _Held) -> None:
        """If several tracks follow one face, keep the one seen most often."""
        kept: list[Track] = []
        for track in sorted(self._live, key=lambda each: -each.hits):
            if track.last.index == now.frame.index and any(
                other.last.index == now.frame.index
                and is_duplicate(other.last.face, track.last.face)
                for other in kept
            ):
                track.discarded = True
            else:
                kept.append(track)
        self._live = [track for track in self._live if not track.discarded]

    def _faces_in(self, held: _Held) -> tuple[TrackedFace, ...]:
        shown: list[tuple[Track, Sighting]] = []
        for track in sorted(self._tracks, key=lambda each: -each.hits):
            sighting = track.at(held.frame.index, held.seconds, self._config.max_gap_seconds)
            if sighting is None or not self._is_accepted(track):
                continue
            if not any(is_duplicate(other.face, sighting.face) for _, other in shown):
                self._number(track)
                shown.append((track, sighting))
        faces = (_tracked(track, sighting, held.view) for track, sighting in shown)
        return tuple(sorted(faces, key=lambda face: face.track_id))

    def _is_accepted(self, track: Track) -> bool:
        return track.track_id is not None or track.convinces(self._config)

    def _number(self, track: Track) -> None:
        # Numbered when a track is first yielded, so that the numbers are consecutive.
        if track.track_id is None:
            track.track_id = self._next_id
            self._next_id += 1


def _tracked(track: Track, sighting: Sighting, view: RgbView) -> TrackedFace:
    face = sighting.face.mapped(view.view_to_display)
    return TrackedFace(
        track_id=track.track_id or 0,
        box_xyxy=face.box_xyxy,
        score=face.score,
        landmarks_xy=face.landmarks_xy,
        raw_landmarks_xy=face.landmarks_xy,
        interpolated=sighting.interpolated,
    )
