"""Select the frames of a track to show, and one frame for each shot."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.review.tracks import Track

FIRST, TYPICAL, LEAST_ALIKE, MOST_CHANGED, LAST = (
    "first",
    "typical",
    "least alike",
    "most changed",
    "last",
)
ROLES = (FIRST, TYPICAL, LEAST_ALIKE, MOST_CHANGED, LAST)

_SAMPLES = 5
"""Number of evenly spaced frames that are searched for the most changed one."""

_COMMON_SHARE = 0.2
"""Share of the frames, nearest to the median, that count as typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotView:
    """The frame that represents a shot."""

    shot: int
    frame_index: int
    pts: int
    tracks: tuple[int, ...]
    """Numbers of the tracks in the frame."""


def candidate_positions(track: Track) -> Mapping[str, int]:
    """Return the index in the arrays of ``track`` of every role, except the most changed frame.

    The typical frame is, among changed frames whose identity similarity is near the median, the one
    nearest to the middle of the track; without a similarity, it is the middle one. The most changed
    frame can only be found by decoding.
    """
    changed = np.flatnonzero(track.strength > 0)
    if not changed.size:
        changed = np.arange(track.frames)
    positions = {FIRST: 0, TYPICAL: int(changed[len(changed) // 2]), LAST: track.frames - 1}
    measured = changed[np.isfinite(track.similarity[changed])]
    if measured.size:
        similarity = track.similarity[measured]
        distance = np.abs(similarity - np.median(similarity))
        common = measured[distance <= np.quantile(distance, _COMMON_SHARE)]
        middle = positions[TYPICAL]
        positions[TYPICAL] = int(common[np.argmin(np.abs(common - middle))])
        positions[LEAST_ALIKE] = int(measured[np.argmin(similarity)])
    return positions


def sampled_positions(track: Track) -> NDArray[np.int64]:
    """Return evenly spaced indexes of changed frames; empty if no frame was changed."""
    changed = np.flatnonzero(track.strength > 0)
    if not changed.size:
        return changed
    ranks = np.linspace(0, len(changed) - 1, _SAMPLES + 2)[1:-1]
    return np.unique(changed[np.rint(ranks).astype(np.int64)])


def shot_views(
    tracks: Sequence[Track], *, max_shots: int, preferred: Collection[int] = ()
) -> list[ShotView]:
    """Return, for every shot with faces, the frame with the most; of several, the middle one.

    Args:
        tracks: All tracks of the video.
        max_shots: Largest number of shots.
        preferred: Shots that are taken before others.
    """
    by_shot: defaultdict[int, list[Track]] = defaultdict(list)
    for track in tracks:
        by_shot[track.shot].append(track)
    first = sorted(by_shot, key=lambda shot: (shot not in preferred, shot))[:max_shots]
    return [_shot_view(shot, by_shot[shot]) for shot in sorted(first)]


def _shot_view(shot: int, tracks: Sequence[Track]) -> ShotView:
    counts = Counter[int]()
    for track in tracks:
        counts.update(track.frame_index.tolist())
    max_count = max(counts.values())
    candidates = sorted(index for index, count in counts.items() if count == max_count)
    index = candidates[len(candidates) // 2]
    visible = [track for track in tracks if (track.frame_index == index).any()]
    position = int(np.searchsorted(visible[0].frame_index, index))
    return ShotView(
        shot=shot,
        frame_index=index,
        pts=int(visible[0].pts[position]),
        tracks=tuple(track.number for track in visible),
    )
