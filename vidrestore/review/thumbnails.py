"""Make the images of a review in one pass over source and result."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.record import RecordHeader
from vidrestore.review.frame_seek import FrameTime, first_seconds, frames_at
from vidrestore.review.frame_selection import (
    MOST_CHANGED,
    ROLES,
    ShotView,
    candidate_positions,
    sampled_positions,
    shot_views,
)
from vidrestore.review.jpeg import (
    VIEW_BYTES,
    VIEW_SIDE_PX,
    FacePair,
    Jpeg,
    Rgb,
    face_pair,
    frame_rgb,
    jpeg,
)
from vidrestore.review.tracks import Track, VideoTracks

MAX_TRACKS = 24
"""Number of tracks with images and charts: those with the most changed frames. The others are only
in the table."""
MAX_SHOTS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackThumbnail:
    """One selected frame of a track."""

    position: int
    """Index in the arrays of the track."""
    roles: tuple[str, ...]
    pair: FacePair


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotThumbnail:
    """One frame of the result for a shot."""

    view: ShotView
    image: Jpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnails:
    """All images of a page."""

    frames_of_track: Mapping[int, tuple[TrackThumbnail, ...]]
    """Track number -> its selected frames in order of time; only tracks with images."""
    shots: tuple[ShotThumbnail, ...]


def make_thumbnails(
    tracks: VideoTracks, header: RecordHeader, source: Path, result: Path, *, fps: Fraction
) -> Thumbnails:
    """Make the images of a page from source and result.

    One frame of each is in memory at a time, and all images as JPEG.

    Raises:
        MediaError: A file cannot be read, or is not the one that the record describes.
    """
    if not tracks.tracks:
        return Thumbnails(frames_of_track={}, shots=())
    selected = _selected_tracks(tracks.tracks)
    preferred = {track.shot for track in selected}
    views = {
        view.frame_index: view
        for view in shot_views(tracks.tracks, max_shots=MAX_SHOTS, preferred=preferred)
    }
    faces = _faces_by_frame(selected)
    pairs: dict[tuple[int, int], FacePair] = {}
    shots: list[ShotThumbnail] = []
    pts_of = {index: view.pts for index, view in views.items()}
    for track in selected:
        pts_of.update((int(track.frame_index[p]), int(track.pts[p])) for p in _positions(track))
    for index, before, after in _frame_pairs(pts_of, tracks, header, source, result, fps):
        for track, position in faces[index]:
            pair = face_pair(before, after, track.box_xyxy[position])
            pairs[track.number, position] = pair
        if index in views:
            image = jpeg(after, max_side_px=VIEW_SIDE_PX, max_bytes=VIEW_BYTES)
            shots.append(ShotThumbnail(view=views[index], image=image))
    return Thumbnails(
        frames_of_track={track.number: _track_thumbnails(track, pairs) for track in selected},
        shots=tuple(shots),
    )


def _selected_tracks(tracks: Sequence[Track]) -> list[Track]:
    changed = [track for track in tracks if (track.strength > 0).any()]
    longest = sorted(changed, key=lambda track: -int((track.strength > 0).sum()))[:MAX_TRACKS]
    return sorted(longest, key=lambda track: track.number)


def _positions(track: Track) -> list[int]:
    return sorted({*candidate_positions(track).values(), *sampled_positions(track).tolist()})


def _faces_by_frame(tracks: Sequence[Track]) -> Mapping[int, list[tuple[Track, int]]]:
    """Return frame index -> tracks of which the face is needed, with its position."""
    faces: defaultdict[int, list[tuple[Track, int]]] = defaultdict(list)
    for track in tracks:
        for position in _positions(track):
            faces[int(track.frame_index[position])].append((track, position))
    return faces


def _frame_pairs(
    pts_of: Mapping[int, int],
    tracks: VideoTracks,
    header: RecordHeader,
    source: Path,
    result: Path,
    fps: Fraction,
) -> Iterator[tuple[int, Rgb, Rgb]]:
    """Yield frame index, frame of the source and frame of the result, in order."""
    indexes = sorted(pts_of)
    seconds = [pts_of[index] * header.time_base for index in indexes]
    offset = first_seconds(result, fps=fps) - tracks.first_pts * header.time_base
    in_source = [FrameTime(seconds=time) for time in seconds]
    # A result may be a time range of the source, and have two frames for one of the source.
    in_result = [
        FrameTime(seconds=time + offset, number=index - tracks.first_index)
        for index, time in zip(indexes, seconds, strict=True)
    ]
    pairs = zip(
        indexes,
        frames_at(source, in_source, fps=fps),
        frames_at(result, in_result, fps=fps),
        strict=True,
    )
    for index, (before, before_from), (after, after_from) in pairs:
        before_geometry, after_geometry = before_from.info.geometry, after_from.info.geometry
        _check_size(source, before_geometry.display_hw, header.display_hw, "source")
        height, width = header.display_hw
        enlarged_hw = (height * header.scale, width * header.scale)
        _check_size(result, after_geometry.display_hw, enlarged_hw, "result")
        yield index, frame_rgb(before, before_geometry), frame_rgb(after, after_geometry)


def _check_size(
    path: Path, display_hw: tuple[int, int], recorded_hw: tuple[int, int], which: str
) -> None:
    # Containers store the pixel aspect as a rounded ratio.
    if max(abs(a - b) for a, b in zip(display_hw, recorded_hw, strict=True)) <= 2:
        return
    raise MediaError(
        f"{path}: is {display_hw[1]}x{display_hw[0]}, but the record describes a {which} of "
        f"{recorded_hw[1]}x{recorded_hw[0]}; pass the files of this record"
    )


def _track_thumbnails(
    track: Track, pairs: Mapping[tuple[int, int], FacePair]
) -> tuple[TrackThumbnail, ...]:
    roles: defaultdict[int, list[str]] = defaultdict(list)
    candidates = dict(candidate_positions(track))
    changed = [position for position in _positions(track) if track.strength[position] > 0]
    candidates[MOST_CHANGED] = max(changed, key=lambda p: pairs[track.number, p].change)
    for role, position in candidates.items():
        roles[position].append(role)
    return tuple(
        TrackThumbnail(
            position=position,
            roles=tuple(sorted(roles[position], key=ROLES.index)),
            pair=pairs[track.number, position],
        )
        for position in sorted(roles)
    )
