"""The pictures of a review: one pass over source and result together."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.record import RecordHeader
from vidrestore.review.frame_seek import Moment, first_seconds, frames_at
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
from vidrestore.review.tracks import FilmTracks, Track

MAX_TRACKS = 24
"""Tracks shown with pictures and curves, those with the most changed frames; the others are in
the table only."""
MAX_SHOTS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFrame:
    """One chosen frame of a track."""

    position: int
    """In the arrays of the track."""
    roles: tuple[str, ...]
    pair: FacePair


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownShot:
    """One shot as a picture of the result."""

    view: ShotView
    picture: Jpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What the page shows as pictures."""

    frames_of_track: Mapping[int, tuple[ShownFrame, ...]]
    """Track number -> its chosen frames in order of time; tracks without pictures are missing."""
    shots: tuple[ShownShot, ...]


def gallery(
    film: FilmTracks, header: RecordHeader, source: Path, result: Path, *, fps: Fraction
) -> Gallery:
    """Cut the pictures out of both films.

    One frame of each film is held at a time, and pictures as JPEG.

    Raises:
        MediaError: A film cannot be read, or is not the one that the record is of.
    """
    if not film.tracks:
        return Gallery(frames_of_track={}, shots=())
    shown = _shown_tracks(film.tracks)
    chosen = shot_views(film.tracks, at_most=MAX_SHOTS, preferred={track.shot for track in shown})
    views = {view.frame_index: view for view in chosen}
    wanted = _wanted(shown)
    pairs: dict[tuple[int, int], FacePair] = {}
    shots: list[ShownShot] = []
    pts_of = {int(t.frame_index[at]): int(t.pts[at]) for t in shown for at in _positions(t)}
    pts_of.update((index, view.pts) for index, view in views.items())
    for index, before, after in _frame_pairs(pts_of, film, header, source, result, fps):
        for track, position in wanted[index]:
            pair = face_pair(before, after, track.box_xyxy[position])
            pairs[track.number, position] = pair
        if index in views:
            picture = jpeg(after, max_side_px=VIEW_SIDE_PX, max_bytes=VIEW_BYTES)
            shots.append(ShownShot(view=views[index], picture=picture))
    return Gallery(
        frames_of_track={track.number: _shown_frames(track, pairs) for track in shown},
        shots=tuple(shots),
    )


def _shown_tracks(tracks: Sequence[Track]) -> list[Track]:
    changed = [track for track in tracks if (track.strength > 0).any()]
    longest = sorted(changed, key=lambda track: -int((track.strength > 0).sum()))[:MAX_TRACKS]
    return sorted(longest, key=lambda track: track.number)


def _positions(track: Track) -> list[int]:
    found = {*candidate_positions(track).values(), *sampled_positions(track).tolist()}
    return sorted(found)


def _wanted(tracks: Sequence[Track]) -> Mapping[int, list[tuple[Track, int]]]:
    wanted: defaultdict[int, list[tuple[Track, int]]] = defaultdict(list)
    for track in tracks:
        for position in _positions(track):
            wanted[int(track.frame_index[position])].append((track, position))
    return wanted


def _frame_pairs(
    pts_of: Mapping[int, int],
    film: FilmTracks,
    header: RecordHeader,
    source: Path,
    result: Path,
    fps: Fraction,
) -> Iterator[tuple[int, Rgb, Rgb]]:
    """Yield frame index, the source's picture and the result's, in order."""
    indexes = sorted(pts_of)
    seconds = [pts_of[index] * header.time_base for index in indexes]
    shift = first_seconds(result, fps=fps) - film.first_pts * header.time_base
    in_source = [Moment(seconds=each) for each in seconds]
    # A result may be of part of the source, and make two frames of one.
    in_result = [
        Moment(seconds=each + shift, number=index - film.first_index)
        for index, each in zip(indexes, seconds, strict=True)
    ]
    both = zip(
        indexes,
        frames_at(source, in_source, fps=fps),
        frames_at(result, in_result, fps=fps),
        strict=True,
    )
    for index, (before, before_from), (after, after_from) in both:
        before_geometry, after_geometry = before_from.info.geometry, after_from.info.geometry
        _check_size(source, before_geometry.display_hw, header.display_hw, "source")
        height, width = header.display_hw
        enlarged = (height * header.scale, width * header.scale)
        _check_size(result, after_geometry.display_hw, enlarged, "result")
        yield index, frame_rgb(before, before_geometry), frame_rgb(after, after_geometry)


def _check_size(
    path: Path, found_hw: tuple[int, int], recorded_hw: tuple[int, int], which: str
) -> None:
    # Containers keep pixel aspects as rounded ratios.
    if max(abs(a - b) for a, b in zip(found_hw, recorded_hw, strict=True)) <= 2:
        return
    raise MediaError(
        f"{path}: shows {found_hw[1]}x{found_hw[0]}, and the record is of a {which} that shows "
        f"{recorded_hw[1]}x{recorded_hw[0]}; name the film that the record is of"
    )


def _shown_frames(
    track: Track, pairs: Mapping[tuple[int, int], FacePair]
) -> tuple[ShownFrame, ...]:
    roles: defaultdict[int, list[str]] = defaultdict(list)
    candidates = dict(candidate_positions(track))
    changed = [at for at in _positions(track) if track.strength[at] > 0]
    candidates[MOST_CHANGED] = max(changed, key=lambda at: pairs[track.number, at].change)
    for role, position in candidates.items():
        roles[position].append(role)
    return tuple(
        ShownFrame(
            position=position,
            roles=tuple(sorted(roles[position], key=ROLES.index)),
            pair=pairs[track.number, position],
        )
        for position in sorted(roles)
    )
