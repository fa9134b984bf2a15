"""Blending of restored faces over time, in the pixels of the film.

A restorer processes every frame separately and places an eyelash slightly differently in each,
which flickers, and so does what is left of the source's noise. So the luma of a restored face is
averaged with that of its neighbors in time, warped along the motion, where the faces are pasted: an
average of crops flickers again when these are resampled. Color stays. Motion and similarity are
measured in the source. Where it differs by more than noise, as in a blink, a word or a hand in
front of the face, nothing is blended, so there is no ghosting; brightness stays in its frame.

Motion is found once per frame, and chained to neighbors further away. The average is taken in
passes of growing distance ("a trous"): each frame with its neighbors, then the results with those
three frames away. So nine frames count, at the cost of four.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

from vidrestore.optical_flow import MIN_FLOW_SIDE_PX, sample_at
from vidrestore.restore.luma import add_luma, luma_of_crop
from vidrestore.restore.motion_average import enlarge, similarity_weight
from vidrestore.restore.region_motion import Places, RegionImage, RegionMotion, find_motion, follow
from vidrestore.restore.settings import TemporalConfig
from vidrestore.sliding_window import Item, Window, sliding_window
from vidrestore.types import FloatArray

_MAX_MOTION_SIDE, _MAX_MATCH_SIDE, _MAX_RESULT_SIDE = 192, 128, 512
"""Cells along the longer side of a region: motion is found in these, two frames are compared, and
luma is averaged. What a large region has finer than the last is not the restorer's."""
_BRIGHTNESS_CELLS, _RESIDUAL_CELLS = 21, 5
"""Sides of the windows that separate a change of brightness from one of shape, and over which two
frames are compared."""
_NOISE_RATIO = 2.0
"""Differences up to this multiple of the median count as noise."""
_MIN_NOISE, _MAX_NOISE = 1.5 / 255, 4.0 / 255
"""Range of the noise, in means over 5 x 5 cells: a blink differs by 15 to 30 levels of 255, a
moving lip by 10 or more."""


class _Reach(NamedTuple):
    """How far the neighbors of a pass are."""

    frames: int
    fields: int
    """Only fields of one parity show the same lines."""


_PASSES = (_Reach(frames=1, fields=2), _Reach(frames=3, fields=2))
BLEND_CONTEXT_FRAMES = 4
"""How many frames to each side the result of a frame depends on: the sum of the passes."""


class FaceImage(NamedTuple):
    """A region of a frame with a face in it, before and after it is restored."""

    origin_xy: tuple[int, int]
    """The region's first pixel in the frame."""
    before_hw: FloatArray
    """``(h, w)`` luma, 0 to 1."""
    after_hw: FloatArray
    strength: float = 1.0
    """How much of the restored face is in the frame; neighbors with as much count fully."""
    is_bottom_field: bool | None = None
    """None for a frame."""


class _View(NamedTuple):
    """What blending needs of a face in one frame."""

    face: FaceImage
    source: RegionImage
    """Luma in which motion is found."""
    compared: RegionImage
    """The same, in which frames are compared."""
    result: RegionImage
    """Luma of the restored face."""
    blended: RegionImage
    """The same, averaged by the passes so far."""
    noise: float | None
    """Difference from the next frames that counts as noise; None before the first pass."""
    motion: RegionMotion | None
    """None if the track is not in the previous frame."""


_Views = dict[int, _View]
"""Faces of one frame, by track."""


def luma_changes(
    items: Iterable[tuple[Item, Mapping[int, FaceImage]]], *, config: TemporalConfig
) -> Iterator[tuple[Item, dict[int, FloatArray]]]:
    """Yield every item with the change of luma of each track that has neighbors in time.

    A change depends on the same track in the ``BLEND_CONTEXT_FRAMES`` items to each side, as long
    as the track has no gap, and on nothing else. Tracks end at cuts, so nothing crosses one.

    Args:
        items: Each with its faces by track; in order.
        config: How many neighbors count, and how much.

    Yields:
        The item, and track -> ``(h, w)`` float32 to add to ``after_hw``.
    """
    if config.strength == 0.0:
        yield from ((item, {}) for item, _ in items)
        return
    views = _viewed(items)
    for reach in _PASSES:
        views = _blend(views, reach, config.strength)
    for item, faces in views:
        changes = {
            track: enlarge(view.blended.cells - view.result.cells, view.face.after_hw.shape)
            for track, view in faces.items()
            if view.blended is not view.result
        }
        yield item, changes


def blend_clip(
    crops: Iterable[tuple[Tensor, Tensor]], *, config: TemporalConfig
) -> Iterator[Tensor]:
    """Yield the restored crops of one face in one shot blended over time.

    Args:
        crops: Before and after they are restored, each ``(3, S, S)`` float32 RGB in [0, 1], in
            order.
        config: How many neighbors count, and how much.
    """
    items = (
        (restored, {0: FaceImage((0, 0), luma_of_crop(degraded), luma_of_crop(restored))})
        for degraded, restored in crops
    )
    for restored_chw, changes in luma_changes(items, config=config):
        yield add_luma(restored_chw, changes[0]) if changes else restored_chw


def _viewed(
    items: Iterable[tuple[Item, Mapping[int, FaceImage]]],
) -> Iterator[tuple[Item, _Views]]:
    latest: _Views = {}
    for item, faces in items:
        latest = {
            track: _view(face, latest.get(track))
            for track, face in faces.items()
            if min(face.before_hw.shape) >= MIN_FLOW_SIDE_PX
        }
        yield item, latest


def _view(face: FaceImage, previous: _View | None) -> _View:
    source, after = (
        RegionImage(face.origin_xy, (1.0, 1.0), cells) for cells in (face.before_hw, face.after_hw)
    )
    source, result = source.reduced(_MAX_MOTION_SIDE), after.reduced(_MAX_RESULT_SIDE)
    compared, motion = source.reduced(_MAX_MATCH_SIDE), None
    if previous is not None and min(source.cells.shape) >= MIN_FLOW_SIDE_PX:
        motion = find_motion(source, previous.source, max_side=_MAX_MATCH_SIDE)
    return _View(face, source, compared, result, result, None, motion)


def _blend(
    items: Iterable[tuple[Item, _Views]], reach: _Reach, strength: float
) -> Iterator[tuple[Item, _Views]]:
    """Yield every item with its faces averaged with those up to ``reach`` away."""
    for window in sliding_window(items, before=max(reach), after=max(reach)):
        blended: _Views = {}
        for track, view in window.value.items():
            sides = (_neighbor(track, window, reach, is_later=later) for later in (False, True))
            matches = [match for match in sides if match is not None]
            blended[track] = _average(view, matches, strength) if matches else view
        yield window.item, blended


class _Match(NamedTuple):
    """How a neighbor differs, in the cells in which the current frame is compared."""

    other: _View
    places: Places
    """Where it shows the face."""
    brightness_offset_hw: FloatArray
    residual_hw: FloatArray
    """Mean absolute difference apart from the offset."""


def _neighbor(
    track: int, window: Window[Item, _Views], reach: _Reach, *, is_later: bool
) -> _Match | None:
    """Return the furthest neighbor on one side, up to a gap in the track; None if there is none."""
    view = last = window.value[track]
    is_bottom_field = view.face.is_bottom_field
    count = reach.frames if is_bottom_field is None else reach.fields
    places, found = view.compared.places(), None
    for faces in (window.after if is_later else window.before)[:count]:
        other = faces.get(track)
        mover = other if is_later else last
        if other is None or mover is None or mover.motion is None:
            break
        flow = mover.motion.from_previous if is_later else mover.motion.to_previous
        places, last = follow(flow, places), other
        if other.face.is_bottom_field == is_bottom_field:
            found = other, places
    return None if found is None else _match(view, *found)


def _average(view: _View, matches: Sequence[_Match], strength: float) -> _View:
    noise = view.noise
    if noise is None:
        inner = tuple(slice(side // 4, -(side // 4)) for side in view.compared.cells.shape)
        residual = np.median(np.stack([match.residual_hw[inner] for match in matches]))
        noise = min(max(_NOISE_RATIO * float(residual), _MIN_NOISE), _MAX_NOISE)
    weights = [_weight(view, match, noise) * np.float32(strength) for match in matches]
    weight_sum = np.ones_like(weights[0])
    for weight in weights:
        weight_sum += weight
    current, offset = view.blended.cells, np.zeros_like(weights[0])
    blended = current.copy()
    for match, weight in zip(matches, weights, strict=True):
        ratio = np.asarray(weight / weight_sum, dtype=np.float32)
        cv2.accumulateProduct(ratio, match.brightness_offset_hw, offset)
        other = match.other.blended
        small = (*other.cells_at(match.places), ratio)
        x, y, large_ratio = (enlarge(cells, current.shape) for cells in small)
        difference = sample_at(other.cells, x, y)
        cv2.subtract(difference, current, dst=difference)
        cv2.accumulateProduct(difference, large_ratio, blended)
    cv2.subtract(blended, enlarge(offset, current.shape), dst=blended)
    return view._replace(blended=view.blended._replace(cells=blended), noise=noise)


def _match(view: _View, other: _View, places: Places) -> _Match:
    difference = other.compared.at(places) - view.compared.cells
    offset = np.asarray(cv2.blur(difference, (_BRIGHTNESS_CELLS,) * 2), dtype=np.float32)
    residual = np.asarray(cv2.absdiff(difference, offset), dtype=np.float32)
    smooth = np.asarray(cv2.blur(residual, (_RESIDUAL_CELLS,) * 2), dtype=np.float32)
    return _Match(other, places, offset, smooth)


def _weight(view: _View, match: _Match, noise: float) -> FloatArray:
    strengths = sorted((view.face.strength, match.other.face.strength))
    weight = similarity_weight(match.residual_hw, noise)
    weight *= match.other.compared.contains(match.places)
    return weight * np.float32(strengths[0] / strengths[1]) if strengths[1] else weight * 0
