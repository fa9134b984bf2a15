"""Real and made-up faces, and a detector that returns scripted faces."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from support.frames import GBR, GRAY, random_frame
from torch import Tensor

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.mtcnn import Mtcnn
from vidrestore.types import (
    AlignedFace,
    AlignedFrame,
    ColorTags,
    Detection,
    Frame,
    RgbView,
    Timestamp,
    TrackedFace,
    TrackedFrame,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
_TEMPLATE_EYES_PX = 125.92


@cache
def example_images(count: int = 40) -> tuple[NDArray[np.uint8], ...]:
    """Return the first frames of the example clip: one woman, slightly turning."""
    with av.open(str(EXAMPLE)) as container:
        frames = islice(container.decode(video=0), count)
        return tuple(
            np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8) for frame in frames
        )


def landmarks_at(
    center_xy: tuple[float, float], *, eyes_px: float = 40.0, roll: float = 0.0
) -> NDArray[np.float64]:
    """Return ``(5, 2)`` points of a frontal face, turned clockwise by ``roll`` radians."""
    shape = (
        (TEMPLATE_LANDMARKS_XY - TEMPLATE_LANDMARKS_XY.mean(axis=0)) * eyes_px / _TEMPLATE_EYES_PX
    )
    cos, sin = np.cos(roll), np.sin(roll)
    return shape @ np.array([[cos, sin], [-sin, cos]]) + np.array(center_xy)


def face_at(
    center_xy: tuple[float, float], *, eyes_px: float = 40.0, score: float = 0.99
) -> Detection:
    """Return a frontal face as a detector would give it."""
    x, y = center_xy
    half_x, half_y = 1.1 * eyes_px, 1.4 * eyes_px
    return Detection(
        box_xyxy=(x - half_x, y - half_y, x + half_x, y + half_y),
        score=score,
        landmarks_xy=landmarks_at(center_xy, eyes_px=eyes_px).astype(np.float32),
    )


def numbered_frame(
    index: int, *, seconds: float | None = None, scene: int = 0, hw: tuple[int, int] = (120, 160)
) -> Frame:
    """Return a frame of a fixed pattern per scene, with its number in the first sample."""
    rng = np.random.default_rng(scene)
    coarse = rng.integers(20, 236, (6, 8, 3)).astype(np.uint8)
    rgb = np.asarray(cv2.resize(coarse, hw[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    rgb[0, 0] = (index // 65536 % 256, index // 256 % 256, index % 256)
    ticks = round((index / 25 if seconds is None else seconds) * 90_000)
    return frame_of(rgb, index=index, ticks=ticks)


def frame_of(rgb: NDArray[np.uint8], *, index: int, ticks: int) -> Frame:
    """Return a planar RGB frame with its time in ticks of 1/90000 s."""
    planes = tuple(np.ascontiguousarray(rgb[..., channel]) for channel in (1, 2, 0))
    return Frame(
        index=index,
        timestamp=Timestamp(ticks, Fraction(1, 90_000)),
        duration_ticks=0,
        planes=planes,
        pixel_format=GBR,
        color=ColorTags(),
    )


def plain_view(frame: Frame, max_side_px: int) -> RgbView:
    """Render a planar RGB frame at its own size."""
    assert max(frame.coded_hw) <= max_side_px
    green, blue, red = frame.planes
    rgb = np.dstack([red, green, blue]).astype(np.uint8)
    return RgbView(rgb_hwc=rgb, view_to_display=np.eye(2, 3))


class ScriptedDetector:
    """Sees in every numbered frame what a script says; refining finds the nearest face."""

    def __init__(
        self,
        searched: Mapping[int, Sequence[Detection]],
        refined: Mapping[int, Sequence[Detection]] | None = None,
        *,
        has_fast_refine: bool = True,
    ) -> None:
        self.has_fast_refine = has_fast_refine
        self._searched = searched
        self._refined = searched if refined is None else refined
        self.searches: list[int] = []
        self.refinements: list[int] = []

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[Detection, ...]]:
        """Return the script's faces for upright images, and none for turned ones."""
        numbers = [_number_in(image) for image in images]
        self.searches += numbers
        return [tuple(self._searched.get(number, ())) for number in numbers]

    def refine(
        self, image: NDArray[np.uint8], predictions: Sequence[Detection]
    ) -> list[Detection | None]:
        """Return for every prediction the script's nearest face within half its width."""
        number = _number_in(image)
        faces = self._refined.get(number, ())
        self.refinements += [number] * len(predictions)
        return [_nearest(prediction, faces) for prediction in predictions]


def _number_in(picture: NDArray[np.uint8]) -> int:
    high, middle, low = (int(value) for value in picture[0, 0])
    return high * 65536 + middle * 256 + low


def _nearest(guess: Detection, faces: Sequence[Detection]) -> Detection | None:
    def distance(face: Detection) -> float:
        return float(
            np.linalg.norm(face.landmarks_xy.mean(axis=0) - guess.landmarks_xy.mean(axis=0))
        )

    width = guess.box_xyxy[2] - guess.box_xyxy[0]
    near = [face for face in faces if distance(face) < width / 2]
    return min(near, key=distance) if near else None


def tracked_at(
    points_xy: NDArray[np.float32],
    *,
    track_id: int = 1,
    box_xyxy: tuple[float, float, float, float] | None = None,
    score: float = 1.0,
) -> TrackedFace:
    """Return a face with five landmarks; its box is their bounds unless given."""
    (left, top), (right, bottom) = points_xy.min(axis=0), points_xy.max(axis=0)
    return TrackedFace(
        track_id=track_id,
        box_xyxy=box_xyxy or (float(left), float(top), float(right), float(bottom)),
        score=score,
        landmarks_xy=points_xy,
        raw_landmarks_xy=points_xy,
    )


def frame_with_crops(index: int, crops: Iterable[tuple[int, Tensor]]) -> AlignedFrame:
    """Return a small frame with a crop of each of some tracks."""
    points = np.array([[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], dtype=np.float32)
    return AlignedFrame(
        frame=random_frame(GRAY, (8, 8), index=index),
        shot=0,
        faces=tuple(
            AlignedFace(
                face=tracked_at(points, track_id=track),
                display_to_crop=np.eye(2, 3),
                crop_chw=crop,
            )
            for track, crop in crops
        ),
    )


def tracked_frames(
    points: NDArray[np.float64], *, fps: float = 25.0, track_id: int = 1
) -> list[TrackedFrame]:
    """Return frames in which one track has the given ``(N, 5, 2)`` measured points."""
    frames: list[TrackedFrame] = []
    for index, five in enumerate(points.astype(np.float32)):
        face = tracked_at(five, track_id=track_id, score=0.99)
        frame = numbered_frame(index, seconds=index / fps, hw=(12, 16))
        frames.append(TrackedFrame(frame=frame, shot=0, faces=(face,)))
    return frames


def detect_one_by_one(
    network: Mtcnn, picture: NDArray[np.uint8], *, min_face_px: float, thresholds: Sequence[float]
) -> list[tuple[list[float], float, NDArray[np.float64]]]:
    """Run the cascade the naive way: level by level, window by window, whole-pixel crops.

    Returns:
        Box, score and ``(5, 2)`` points of every face, best first.
    """
    windows: list[tuple[list[float], float]] = []
    scale = 12 / min_face_px
    while min(picture.shape[:2]) * scale >= 12:
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        level = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        output = network.proposal(_as_input(level))
        scores = output.face_logits[0].sigmoid()
        candidates: list[tuple[list[float], float]] = []
        for row, column in (scores >= thresholds[0]).nonzero().tolist():
            corner = [2 * column / scale, 2 * row / scale]
            offsets = (output.box_offsets[0, :, row, column] * 12 / scale).tolist()
            plain = [*corner, corner[0] + 12 / scale, corner[1] + 12 / scale]
            box = [side + offset for side, offset in zip(plain, offsets, strict=True)]
            candidates.append((box, float(scores[row, column])))
        windows += _suppressed(candidates, 0.5)
        scale *= 0.709
    boxes: list[tuple[list[float], float]] = []
    for box, _ in _suppressed(windows, 0.7):
        square, crop = _square_crop(picture, box, 24)
        output = network.refine(_as_input(crop))
        score = float(output.face_logits[0].sigmoid())
        if score >= thresholds[1]:
            boxes.append((_moved(square, output.box_offsets[0].tolist()), score))
    faces: list[tuple[list[float], float, NDArray[np.float64]]] = []
    for box, _ in _suppressed(boxes, 0.7):
        square, crop = _square_crop(picture, box, 48)
        output = network.output(_as_input(crop))
        score = float(output.face_logits[0].sigmoid())
        if score >= thresholds[2]:
            side = square[2] - square[0]
            points = output.landmarks[0].double().numpy() * side + np.array(square[:2]) - 0.5
            faces.append((_moved(square, output.box_offsets[0].tolist()), score, points))
    best = _suppressed([(box, score) for box, score, _ in faces], 0.4)
    return [next(face for face in faces if face[0] == box) for box, _ in best]


def _as_input(picture: NDArray[np.uint8]) -> torch.Tensor:
    return (torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() - 127.5) / 128


def _moved(square: list[float], offsets: list[float]) -> list[float]:
    side = square[2] - square[0]
    return [value + offset * side for value, offset in zip(square, offsets, strict=True)]


def _square_crop(
    picture: NDArray[np.uint8], box: list[float], crop_px: int
) -> tuple[list[float], NDArray[np.uint8]]:
    side = max(1, round(max(box[2] - box[0], box[3] - box[1])))
    left = round((box[0] + box[2] - side) / 2)
    top = round((box[1] + box[3] - side) / 2)
    framed = cv2.copyMakeBorder(
        picture, side, side, side, side, cv2.BORDER_CONSTANT, value=(127, 127, 127)
    )
    x = min(max(0, left + side), framed.shape[1] - side)
    y = min(max(0, top + side), framed.shape[0] - side)
    shrinks = side >= crop_px
    crop = cv2.resize(
        framed[y : y + side, x : x + side],
        (crop_px, crop_px),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return [float(left), float(top), float(left + side), float(top + side)], np.asarray(
        crop, dtype=np.uint8
    )


def _suppressed(
    boxes: Sequence[tuple[list[float], float]], limit: float
) -> list[tuple[list[float], float]]:
    kept: list[tuple[list[float], float]] = []
    for box, score in sorted(boxes, key=lambda scored_box: -scored_box[1]):
        if all(_overlap(box, other) <= limit for other, _ in kept):
            kept.append((box, score))
    return kept


def _overlap(first: list[float], other: list[float]) -> float:
    width = max(0.0, min(first[2], other[2]) - max(first[0], other[0]))
    height = max(0.0, min(first[3], other[3]) - max(first[1], other[1]))
    area = (first[2] - first[0]) * (first[3] - first[1]) + (other[2] - other[0]) * (
        other[3] - other[1]
    )
    return width * height / (area - width * height)
