"""The content of the page as plain values for its script."""

import math
import shlex
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import RecordError
from vidrestore.record import RecordHeader
from vidrestore.review.chart_bins import track_bins, track_curves
from vidrestore.review.summary_text import summary_rows, synthesis_paragraphs
from vidrestore.review.thumbnails import (
    MAX_SHOTS,
    MAX_TRACKS,
    ShotThumbnail,
    Thumbnails,
    TrackThumbnail,
)
from vidrestore.review.tracks import Series, Track, VideoTracks
from vidrestore.settings import parse_track_strengths

_DIGITS = 4


def page_data(
    header: RecordHeader,
    tracks: VideoTracks,
    thumbnails: Thumbnails,
    origin_seconds: Fraction,
    rerun: Callable[[int | None], Sequence[str]],
) -> dict[str, Any]:
    """Return the content of the page: numbers of a few digits, text and lists.

    Args:
        header: Of the record.
        tracks: Of the record.
        thumbnails: Of source and result.
        origin_seconds: Where the timeline of the source starts.
        rerun: Returns the words of a command that restores only the track with a number;
            for None, the whole film, without strengths of tracks.
    """
    return _PageData(header, tracks, thumbnails, origin_seconds, rerun).to_json()


class _PageData:
    def __init__(
        self,
        header: RecordHeader,
        tracks: VideoTracks,
        thumbnails: Thumbnails,
        origin_seconds: Fraction,
        rerun: Callable[[int | None], Sequence[str]],
    ) -> None:
        self._header = header
        self._tracks = tracks
        self._thumbnails = thumbnails
        self._tick_seconds = float(header.time_base)
        self._origin_seconds = float(origin_seconds)
        self._rerun = rerun
        self._strengths = _recorded_track_strengths(header)

    def to_json(self) -> dict[str, Any]:
        header, tracks = self._header, self._tracks
        return {
            "title": header.output.name,
            "facts": summary_rows(header, tracks),
            "settings": [[name, _plain(value)] for name, value in sorted(header.settings.items())],
            "synthesis": synthesis_paragraphs(header, tracks),
            "shots": [self._shot(shot) for shot in self._thumbnails.shots],
            "tracks": [self._track(track) for track in tracks.tracks],
            "again": shlex.join(self._rerun(None)),
            "strength": _recorded_strength(self._header),
            "limits": {"tracks": MAX_TRACKS, "shots": MAX_SHOTS},
        }

    def _seconds(self, pts: NDArray[np.int64]) -> list[float]:
        return [round(float(ticks) * self._tick_seconds - self._origin_seconds, 3) for ticks in pts]

    def _shot(self, shot: ShotThumbnail) -> dict[str, Any]:
        view, image = shot.view, shot.image
        height, width = self._header.display_hw
        ratio = np.array([image.width / width, image.height / height] * 2)
        boxes: list[dict[str, Any]] = []
        for track in self._tracks.tracks:
            if track.number in view.tracks:
                position = int(np.searchsorted(track.frame_index, view.frame_index))
                box = (track.box_xyxy[position] * ratio).round(1).tolist()
                is_changed = bool(track.strength[position] > 0)
                boxes.append({"track": track.number, "box": box, "changed": is_changed})
        return {
            "shot": view.shot,
            "seconds": self._seconds(np.array([view.pts]))[0],
            "picture": image.uri,
            "width": image.width,
            "height": image.height,
            "boxes": boxes,
        }

    def _track(self, track: Track) -> dict[str, Any]:
        first, last = self._seconds(track.pts[[0, -1]])
        frames = self._thumbnails.frames_of_track.get(track.number)
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
            "setting": self._strengths.get(track.number),
            "reasons": list(track.reasons.items()),
            "command": shlex.join(self._rerun(track.number)),
            "shown": None if frames is None else [self._frame(track, frame) for frame in frames],
            "curves": None if frames is None else self._curves(track),
        }

    def _frame(self, track: Track, frame: TrackThumbnail) -> dict[str, Any]:
        position, pair = frame.position, frame.pair
        return {
            "roles": frame.roles,
            "frame": int(track.frame_index[position]),
            "seconds": self._seconds(track.pts[[position]])[0],
            "similarity": _rounded(float(track.similarity[position])),
            "strength": _rounded(float(track.strength[position])),
            "side": _rounded(float(track.side_px[position])),
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


def _recorded_strength(header: RecordHeader) -> float:
    strength = header.settings.get("strength", 1.0)
    if not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise RecordError(f"the record's settings.strength is {strength!r}; it must be 0 to 1")
    return float(strength)


def _recorded_track_strengths(header: RecordHeader) -> dict[int, float]:
    text = header.settings.get("track_strengths") or ""
    try:
        return dict(parse_track_strengths(str(text))) if text else {}
    except ValueError as error:
        raise RecordError(f"the record's settings.track_strengths: {error}") from error


def _mean(values: Series) -> float | None:
    return _rounded(float(np.nanmean(values))) if np.isfinite(values).any() else None


def _numbers(values: Series) -> list[float | None]:
    return [_rounded(value) for value in values.tolist()]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _plain(value: object) -> str:
    return "" if value is None else str(value)
