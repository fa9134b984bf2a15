"""What the page shows, as plain values for its script."""

import math
import shlex
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidrestore.record import RecordHeader
from vidrestore.review.chart_bins import track_bins, track_curves
from vidrestore.review.summary_text import facts, synthesis
from vidrestore.review.thumbnails import MAX_SHOTS, MAX_TRACKS, Gallery, ShownFrame, ShownShot
from vidrestore.review.tracks import FilmTracks, Series, Track

_DIGITS = 4


class PageValues:
    """The values of the page as plain ones."""

    def __init__(
        self,
        header: RecordHeader,
        film: FilmTracks,
        pictures: Gallery,
        origin_seconds: Fraction,
        rerun: Callable[[int], Sequence[str]],
    ) -> None:
        self._header = header
        self._film = film
        self._pictures = pictures
        self._tick_seconds = float(header.time_base)
        self._origin_seconds = float(origin_seconds)
        self._rerun = rerun

    def whole(self) -> dict[str, Any]:
        """Return everything: numbers of a few digits, text, lists."""
        header, film = self._header, self._film
        return {
            "title": header.output.name,
            "facts": facts(header, film),
            "settings": [[name, _plain(value)] for name, value in sorted(header.settings.items())],
            "synthesis": synthesis(header, film),
            "shots": [self._shot(shot) for shot in self._pictures.shots],
            "tracks": [self._track(track) for track in film.tracks],
            "limits": {"tracks": MAX_TRACKS, "shots": MAX_SHOTS},
        }

    def _seconds(self, pts: NDArray[np.int64]) -> list[float]:
        return [round(float(at) * self._tick_seconds - self._origin_seconds, 3) for at in pts]

    def _shot(self, shot: ShownShot) -> dict[str, Any]:
        view, picture = shot.view, shot.picture
        height, width = self._header.display_hw
        ratio = np.array([picture.width / width, picture.height / height] * 2)
        boxes: list[dict[str, Any]] = []
        for track in self._film.tracks:
            if track.number in view.tracks:
                at = int(np.searchsorted(track.frame_index, view.frame_index))
                box = (track.box_xyxy[at] * ratio).round(1).tolist()
                boxes.append(
                    {"track": track.number, "box": box, "changed": bool(track.strength[at] > 0)}
                )
        return {
            "shot": view.shot,
            "seconds": self._seconds(np.array([view.pts]))[0],
            "picture": picture.uri,
            "width": picture.width,
            "height": picture.height,
            "boxes": boxes,
        }

    def _track(self, track: Track) -> dict[str, Any]:
        first, last = self._seconds(track.pts[[0, -1]])
        shown = self._pictures.frames_of_track.get(track.number)
        return {
            "number": track.number,
            "shot": track.shot,
            "first": first,
            "last": last,
            "frames": track.frames,
            "changed": int((track.strength > 0).sum()),
            "side": _rounded(float(track.side_px.mean())),
            "similarity": _mean(track.similarity),
            "strength": _mean(track.strength),
            "reasons": list(track.reasons.items()),
            "command": shlex.join(self._rerun(track.number)),
            "shown": None if shown is None else [self._frame(track, each) for each in shown],
            "curves": None if shown is None else self._curves(track),
        }

    def _frame(self, track: Track, shown: ShownFrame) -> dict[str, Any]:
        at, pair = shown.position, shown.pair
        return {
            "roles": shown.roles,
            "frame": int(track.frame_index[at]),
            "seconds": self._seconds(track.pts[[at]])[0],
            "similarity": _rounded(float(track.similarity[at])),
            "strength": _rounded(float(track.strength[at])),
            "side": _rounded(float(track.side_px[at])),
            "change": _rounded(pair.change),
            "before": pair.before.uri,
            "after": pair.after.uri,
            "width": pair.before.width,
            "height": pair.before.height,
        }

    def _curves(self, track: Track) -> dict[str, Any]:
        bins = track_bins(track)
        ends = np.append(bins.start[1:], track.frames) - 1
        curves = track_curves(track, bins)
        return {
            "framesPerBin": bins.frames_per_bin,
            "number": bins.number.tolist(),
            "frame": [
                track.frame_index[bins.start].tolist(),
                track.frame_index[ends].tolist(),
            ],
            "seconds": [self._seconds(track.pts[bins.start]), self._seconds(track.pts[ends])],
            "values": {
                name: [_numbers(curve.low), _numbers(curve.high)] for name, curve in curves.items()
            },
        }


def _mean(values: Series) -> float | None:
    return _rounded(float(np.nanmean(values))) if np.isfinite(values).any() else None


def _numbers(values: Series) -> list[float | None]:
    return [_rounded(value) for value in values.tolist()]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _plain(value: object) -> str:
    return "" if value is None else str(value)
