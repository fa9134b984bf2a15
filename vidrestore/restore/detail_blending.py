"""Stage: temporal blending of restored detail.

A restorer processes every frame separately and places an eyelash slightly differently in each,
which flickers. So the fine detail of a restored face is averaged with that of its neighbors,
warped along the motion; coarse shapes, color and brightness stay. Motion and similarity are
measured in the crops as they were cut: the restorer's inputs are averages already, in which what is
missed of the motion has moved the face. Where the crops differ by more than noise, as in a blink, a
word or a hand in front of the face, nothing is blended, so there is no ghosting.

The average is taken in passes of growing distance ("a trous"): each frame with its neighbors, then
the results with those three frames away. So nine frames count, at the cost of four.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.devices import retry_out_of_memory
from vidrestore.optical_flow import (
    Flow,
    chain_flows,
    fine_flow,
    invert_flow,
)
from vidrestore.restore.luma import luma_of_crop
from vidrestore.restore.motion_average import (
    Match,
    Thumbnail,
    compare,
    make_thumbnail,
    median_residual,
    similarity_weight,
    warped_change,
)
from vidrestore.restore.settings import TemporalConfig
from vidrestore.sliding_window import Item, Window, sliding_window
from vidrestore.types import FloatArray, RestoredFace, RestoredFrame

_COARSE_CELLS = 128
"""Cells along the side of a crop."""
_COARSE_SIGMA_CELLS = 2.0
"""Sigma of the blur, 1/64 of the crop, beyond which shape and light stay as they are."""
_NOISE_RATIO = 2.0
"""Differences up to this multiple of the median count as noise."""
_MIN_NOISE, _MAX_NOISE = 1.5 / 255, 4.0 / 255
"""Range of the noise, in means over 5 x 5 thumbnail pixels: a blink differs by 15 to 30 levels of
255, a moving lip by 10 or more."""


class Appearance(NamedTuple):
    """What blending needs of a face in one frame."""

    thumbnail: Thumbnail
    """Of the crop before it was restored."""
    detail_hw: FloatArray
    """``(S, S)``: luma of the restored crop minus its coarse part."""
    blended_hw: FloatArray
    """The same, averaged by the passes so far."""
    noise: float | None
    """Difference from the next frames that counts as noise; None before the first pass."""
    to_previous: Flow | None
    """Motion to the previous frame, in thumbnail pixels; None if the track is not in it."""
    from_previous: Flow | None
    """Motion from the previous frame to this one."""


_Appearances = dict[int, Appearance]
"""Faces of one frame, by track."""


def blend_frames(
    frames: Iterable[RestoredFrame], *, config: TemporalConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame with the fine detail of its restored faces blended, in order.

    Tracks end at cuts, so nothing crosses one. A face alone in its track, as in a single image,
    stays as it is. Buffers ``blend_context_frames`` later frames; of as many earlier ones, 2.5 MB
    per face.

    Args:
        frames: In presentation order.
        config: How many neighbors count, and how much.
    """
    inputs = (
        (
            frame,
            {
                face.aligned.face.track_id: (face.aligned.crop_chw, face.restored_chw)
                for face in frame.faces
            },
        )
        for frame in frames
    )
    for frame, changes in luma_changes(inputs, config=config):
        yield replace(frame, faces=tuple(_add_change(face, changes) for face in frame.faces))


def blend_clip(
    crops: Iterable[tuple[Tensor, Tensor]], *, config: TemporalConfig
) -> Iterator[Tensor]:
    """Yield the restored crops of one face in one shot with their fine detail blended.

    Args:
        crops: Before and after they are restored, each ``(3, S, S)`` float32 RGB in [0, 1], in
            order.
        config: How many neighbors count, and how much.
    """
    inputs = ((restored, {0: (degraded, restored)}) for degraded, restored in crops)
    for restored_chw, changes in luma_changes(inputs, config=config):
        yield _add_luma(restored_chw, changes.get(0))


def luma_changes(
    items: Iterable[tuple[Item, Mapping[int, tuple[Tensor, Tensor]]]], *, config: TemporalConfig
) -> Iterator[tuple[Item, dict[int, FloatArray]]]:
    """Yield every item with the change of luma of each track that has neighbors in time.

    A change depends on the same track in the ``blend_context_frames`` items to each side, as long
    as the track has no gap, and on nothing else.

    Args:
        items: Each with its faces: track -> the crop before and after it was restored, each
            ``(3, S, S)`` RGB in [0, 1]; in order.
        config: How many neighbors count, and how much.

    Yields:
        The item, and track -> ``(S, S)`` float32 to add to luma.
    """
    blended = _describe_items(items)
    for distance in config.blend_distances:
        blended = _blend(blended, distance, config.strength)
    for item, faces in blended:
        changes = {
            track: face.blended_hw - face.detail_hw
            for track, face in faces.items()
            if face.blended_hw is not face.detail_hw
        }
        yield item, changes


def _describe_items(
    items: Iterable[tuple[Item, Mapping[int, tuple[Tensor, Tensor]]]],
) -> Iterator[tuple[Item, _Appearances]]:
    latest: _Appearances = {}
    for item, faces in items:
        latest = {track: _describe(*crops, latest.get(track)) for track, crops in faces.items()}
        yield item, latest


def _blend(
    items: Iterable[tuple[Item, _Appearances]], distance: int, strength: float
) -> Iterator[tuple[Item, _Appearances]]:
    """Yield every item with the detail of its faces averaged with that up to ``distance`` away."""
    for window in sliding_window(items, before=distance, after=distance):
        blended: _Appearances = {}
        for track, face in window.value.items():
            sides = (_neighbor(track, window, forward=later) for later in (False, True))
            neighbors = [neighbor for neighbor in sides if neighbor is not None]
            blended[track] = _average(face, neighbors, strength) if neighbors else face
        yield window.item, blended


def _neighbor(
    track: int, window: Window[Item, _Appearances], *, forward: bool
) -> tuple[Appearance, Match] | None:
    """Return the furthest neighbor on one side, up to a gap in the track; None if there is none."""
    current = last = window.value[track]
    path: Flow | None = None
    for faces in window.after if forward else window.before:
        other = faces.get(track)
        step = None if other is None else other.from_previous if forward else last.to_previous
        if other is None or step is None:
            break
        path = step if path is None else chain_flows(path, step)
        last = other
    return None if path is None else (last, compare(current.thumbnail, last.thumbnail, path))


def _average(
    face: Appearance, neighbors: Sequence[tuple[Appearance, Match]], strength: float
) -> Appearance:
    noise = face.noise
    if noise is None:
        residual = median_residual([match for _, match in neighbors])
        noise = min(max(_NOISE_RATIO * residual, _MIN_NOISE), _MAX_NOISE)
    weights = [
        similarity_weight(match.residual_hw, noise) * np.float32(strength) for _, match in neighbors
    ]
    weight_sum = np.ones_like(weights[0])
    for weight in weights:
        weight_sum += weight
    change = warped_change(
        face.blended_hw,
        [other.blended_hw for other, _ in neighbors],
        [match.flow for _, match in neighbors],
        [np.asarray(weight / weight_sum, dtype=np.float32) for weight in weights],
    )
    return face._replace(blended_hw=face.blended_hw + change, noise=noise)


@retry_out_of_memory
def _describe(crop_chw: Tensor, restored_chw: Tensor, previous: Appearance | None) -> Appearance:
    thumbnail = make_thumbnail(crop_chw)
    from_previous = to_previous = None
    if previous is not None and previous.detail_hw.shape == tuple(restored_chw.shape[1:]):
        from_previous = fine_flow(previous.thumbnail.gray_hw, thumbnail.gray_hw)
        to_previous = invert_flow(from_previous)
    detail_hw = _fine_detail(restored_chw)
    return Appearance(thumbnail, detail_hw, detail_hw, None, to_previous, from_previous)


def _fine_detail(restored_chw: Tensor) -> FloatArray:
    luma_hw = luma_of_crop(restored_chw)
    height, width = luma_hw.shape
    cells = cv2.resize(luma_hw, (_COARSE_CELLS, _COARSE_CELLS), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(cells, (0, 0), _COARSE_SIGMA_CELLS)
    coarse_hw = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.subtract(luma_hw, coarse_hw), dtype=np.float32)


def _add_change(face: RestoredFace, changes: Mapping[int, FloatArray]) -> RestoredFace:
    change = changes.get(face.aligned.face.track_id)
    return replace(face, restored_chw=_add_luma(face.restored_chw, change))


@retry_out_of_memory
def _add_luma(restored_chw: Tensor, change_hw: FloatArray | None) -> Tensor:
    if change_hw is None:
        return restored_chw
    if restored_chw.device.type == "cpu":
        restored = np.ascontiguousarray(restored_chw.permute(1, 2, 0).numpy())
        total = np.asarray(cv2.merge([change_hw] * 3), dtype=np.float32)
        cv2.add(restored, total, dst=total)
        return torch.from_numpy(np.clip(total, 0.0, 1.0, out=total)).permute(2, 0, 1)
    change = torch.from_numpy(change_hw).to(restored_chw.device)
    return (restored_chw + change).clamp_(0.0, 1.0)
