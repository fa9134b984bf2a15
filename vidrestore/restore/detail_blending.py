"""The stage that keeps restored detail from flickering: frames in, the same frames out.

A restorer sees every frame for itself and draws an eyelash now here, now there. The fine part of a
restored face is therefore averaged with that of its neighbours in time, moved along the motion;
coarse shapes, colour and light stay as in each frame. Motion and likeness are found in the
crops that the restorer was shown, whose noise is averaged out already: where those differ by more
than noise, as in a blink, a word or a hand before the face, nothing is blended, and no ghost of the
other frame appears.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.optical_flow import (
    Flow,
    chained_flow,
    fine_flow,
    inverse_flow,
    places_shown,
    sampled,
)
from vidrestore.restore.motion_average import (
    Match,
    Sketch,
    compared,
    likeness,
    sketch_of,
    usual_difference,
)
from vidrestore.restore.settings import BlendingConfig
from vidrestore.types import FloatArray, RestoredFace, RestoredFrame

_LUMA = (0.299, 0.587, 0.114)
_COARSE_CELL_PX = 4
_COARSE_SIGMA_CELLS = 2.0
"""What is wider than this blur, 8 crop pixels, is shape or light and stays as it is."""
_USUAL_RATIO = 2.0
"""Differences up to this many times the usual one count as noise."""
_LEAST_NOISE, _MOST_NOISE = 1.5 / 255, 4.0 / 255
"""But at least and at most these, of means over 5 x 5 small pixels: a blink differs by 15 to 30
levels of 255, a moving lip by 10 or more."""


class Appearance(NamedTuple):
    """What blending needs to know of a face in one frame."""

    sketch: Sketch
    """Of the crop that the restorer was shown."""
    detail_hw: FloatArray
    """``(S, S)``: luma of the restored crop less its coarse part."""
    to_previous: Flow | None
    """Motion to the frame before, in small pixels; None where the track is not there."""
    from_previous: Flow | None
    """Motion from the frame before to this one."""


def blended_frames(
    frames: Iterable[RestoredFrame], *, config: BlendingConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame with the fine detail of its restored faces blended, in order.

    Tracks end at cuts, so that nothing crosses one. A face alone in its track, as in a single
    picture, stays as it is. Holds ``reach_frames`` frames that come after, and of as many before
    1.5 MB a face, not the frames.

    Args:
        frames: In presentation order.
        config: How far to look, and how much to take.
    """
    held: deque[RestoredFrame] = deque()

    def moments() -> Iterator[Mapping[int, tuple[Tensor, Tensor]]]:
        for frame in frames:
            held.append(frame)
            yield {
                each.aligned.face.track_id: (each.aligned.restorer_input_chw, each.restored_chw)
                for each in frame.faces
            }

    for changes in detail_changes(moments(), config=config):
        frame = held.popleft()
        yield replace(frame, faces=tuple(_changed(each, changes) for each in frame.faces))


def blended_clip(
    crops: Iterable[tuple[Tensor, Tensor]], *, config: BlendingConfig
) -> Iterator[Tensor]:
    """Yield the restored crops of one face in one shot with their fine detail blended.

    Args:
        crops: What the restorer was shown and what it made of it, each ``(3, S, S)`` float32 RGB
            in [0, 1], in order.
        config: How far to look, and how much to take.
    """
    held: deque[Tensor] = deque()

    def moments() -> Iterator[Mapping[int, tuple[Tensor, Tensor]]]:
        for restorer_input_chw, restored_chw in crops:
            held.append(restored_chw)
            yield {0: (restorer_input_chw, restored_chw)}

    for changes in detail_changes(moments(), config=config):
        yield _added(held.popleft(), changes.get(0))


def detail_changes(
    moments: Iterable[Mapping[int, tuple[Tensor, Tensor]]], *, config: BlendingConfig
) -> Iterator[dict[int, FloatArray]]:
    """Yield for every moment what to add to the luma of each track that has neighbours in time.

    A change depends on the same track in the ``reach_frames`` moments to each side, as far as it
    is there without a gap, and on nothing else.

    Args:
        moments: Track -> the crop that the restorer was shown, and what it made of it, each
            ``(3, S, S)`` RGB in [0, 1]; in order.
        config: How far to look, and how much to take.

    Yields:
        Track -> ``(S, S)`` float32.
    """
    past: deque[dict[int, Appearance]] = deque(maxlen=config.reach_frames)
    ahead: deque[dict[int, Appearance]] = deque()
    latest: dict[int, Appearance] = {}
    for crops in moments:
        latest = {
            track: _appearance(restorer_input_chw, restored_chw, latest.get(track))
            for track, (restorer_input_chw, restored_chw) in crops.items()
        }
        ahead.append(latest)
        if len(ahead) > config.reach_frames:
            yield _next_changes(past, ahead, config)
    while ahead:
        yield _next_changes(past, ahead, config)


def _next_changes(
    past: deque[dict[int, Appearance]], ahead: deque[dict[int, Appearance]], config: BlendingConfig
) -> dict[int, FloatArray]:
    now = ahead.popleft()
    changes: dict[int, FloatArray] = {}
    for track, here in now.items():
        before = _along(here, [each.get(track) for each in reversed(past)], forward=False)
        after = _along(here, [each.get(track) for each in ahead], forward=True)
        if before or after:
            changes[track] = _change(here, before, after, strength=config.strength)
    past.append(now)
    return changes


def _along(
    here: Appearance, others: Sequence[Appearance | None], *, forward: bool
) -> list[tuple[Appearance, Match]]:
    """Return the neighbours on one side, nearest first, up to the first gap."""
    found: list[tuple[Appearance, Match]] = []
    last, path = here, None
    for other in others:
        if other is None:
            break
        step = other.from_previous if forward else last.to_previous
        if step is None:
            break
        path = step if path is None else chained_flow(path, step)
        found.append((other, compared(here.sketch, other.sketch, path)))
        last = other
    return found


def _change(
    here: Appearance,
    before: Sequence[tuple[Appearance, Match]],
    after: Sequence[tuple[Appearance, Match]],
    *,
    strength: float,
) -> FloatArray:
    usual = usual_difference([match for _, match in [*before[:1], *after[:1]]])
    noise = min(max(_USUAL_RATIO * usual, _LEAST_NOISE), _MOST_NOISE)
    neighbours = [*before, *after]
    weights = [likeness(match.unlike_hw, noise) * np.float32(strength) for _, match in neighbours]
    whole = np.ones_like(weights[0])
    for weight in weights:
        whole += weight
    height, width = here.detail_hw.shape
    total = np.zeros_like(here.detail_hw)
    for (other, match), weight in zip(neighbours, weights, strict=True):
        share = cv2.resize(weight / whole, (width, height), interpolation=cv2.INTER_LINEAR)
        there = sampled(other.detail_hw, *places_shown(match.flow, (height, width)))
        cv2.accumulateProduct(cv2.subtract(there, here.detail_hw), share, total)
    return total


def _appearance(
    restorer_input_chw: Tensor, restored_chw: Tensor, previous: Appearance | None
) -> Appearance:
    sketch = sketch_of(restorer_input_chw)
    from_previous = to_previous = None
    if previous is not None:
        from_previous = fine_flow(previous.sketch.grey_hw, sketch.grey_hw)
        to_previous = inverse_flow(from_previous)
    return Appearance(sketch, _detail_of(restored_chw), to_previous, from_previous)


def _detail_of(restored_chw: Tensor) -> FloatArray:
    luma = restored_chw[0] * _LUMA[0]
    for plane, weight in zip(restored_chw[1:], _LUMA[1:], strict=True):
        luma.add_(plane, alpha=weight)
    luma_hw = np.ascontiguousarray(luma.cpu().numpy())
    height, width = luma_hw.shape
    cells_wh = (max(1, width // _COARSE_CELL_PX), max(1, height // _COARSE_CELL_PX))
    cells = cv2.resize(luma_hw, cells_wh, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(cells, (0, 0), _COARSE_SIGMA_CELLS)
    coarse_hw = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.subtract(luma_hw, coarse_hw), dtype=np.float32)


def _changed(face: RestoredFace, changes: Mapping[int, FloatArray]) -> RestoredFace:
    change = changes.get(face.aligned.face.track_id)
    return replace(face, restored_chw=_added(face.restored_chw, change))


def _added(restored_chw: Tensor, change_hw: FloatArray | None) -> Tensor:
    if change_hw is None:
        return restored_chw
    change = torch.from_numpy(change_hw).to(restored_chw.device)
    return (restored_chw + change).clamp_(0.0, 1.0)
