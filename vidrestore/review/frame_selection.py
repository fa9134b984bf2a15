"""Which frames of a track are shown, and which frame stands for a shot."""

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
"""Frames of a track, evenly spread, that are looked at to find the most changed."""

_COMMON_SHARE = 0.2
"""Of the frames, those nearest to the median that count as typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotView:
    """The frame that stands for a shot."""

    shot: int
    frame_index: int
    pts: int
    tracks: tuple[int, ...]
    """Numbers of the tracks that it shows."""


def candidate_positions(track: Track) -> Mapping[str, int]:
    """Return where in the arrays of ``track`` the frames with a role are.

    The typical frame is of those whose identity similarity is about the median of the frames that
    were changed, the one nearest to the middle of them; without one measured, the middle one. The
    most changed can only be told from the pictures.
    """
    changed = np.flatnonzero(track.strength > 0)
    if not changed.size:
        changed = np.arange(track.frames)
    found = {FIRST: 0, TYPICAL: int(changed[len(changed) // 2]), LAST: track.frames - 1}
    measured = changed[np.isfinite(track.similarity[changed])]
    if measured.size:
        alike = track.similarity[measured]
        from_median = np.abs(alike - np.median(alike))
        common = measured[from_median <= np.quantile(from_median, _COMMON_SHARE)]
        found[TYPICAL] = int(common[np.argmin(np.abs(common - found[TYPICAL]))])
        found[LEAST_ALIKE] = int(measured[np.argmin(alike)])
    return found


def sampled_positions(track: Track) -> NDArray[np.int64]:
    """Return positions evenly spread over the frames that were changed; none if none was."""
    changed = np.flatnonzero(track.strength > 0)
    if not changed.size:
        return changed
    places = np.linspace(0, len(changed) - 1, _SAMPLES + 2)[1:-1]
    return np.unique(changed[np.rint(places).astype(np.int64)])


def shot_views(
    tracks: Sequence[Track], *, at_most: int, preferred: Collection[int] = ()
) -> list[ShotView]:
    """Return the frame with the most faces of every shot that has any; of several the middle.

    Args:
        tracks: Of the whole film.
        at_most: How many shots.
        preferred: Shots that are taken before others.
    """
    by_shot: defaultdict[int, list[Track]] = defaultdict(list)
    for track in tracks:
        by_shot[track.shot].append(track)
    first = sorted(by_shot, key=lambda shot: (shot not in preferred, shot))[:at_most]
    return [_shot_view(shot, by_shot[shot]) for shot in sorted(first)]


def _shot_view(shot: int, tracks: Sequence[Track]) -> ShotView:
    counts = Counter[int]()
    for track in tracks:
        counts.update(track.frame_index.tolist())
    most = max(counts.values())
    fullest = sorted(index for index, count in counts.items() if count == most)
    index = fullest[len(fullest) // 2]
    shown = [track for track in tracks if (track.frame_index == index).any()]
    at = int(np.searchsorted(shown[0].frame_index, index))
    return ShotView(
        shot=shot,
        frame_index=index,
        pts=int(shown[0].pts[at]),
        tracks=tuple(track.number for track in shown),
    )
