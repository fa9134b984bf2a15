"""The default detector: MTCNN over batches of frames, on any device.

Zhang et al. 2016 (see ``vidrestore.models.mtcnn``). Beyond the paper, the last network looks
at every face once more in a square turned upright, and at its mirror image: the points of a
search and of ``refine`` then come from the same kind of crop, so that tracks do not jump
between the two, and left-right bias cancels.
"""

from collections.abc import Sequence
from math import log

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import batched_nms

from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.detection.boxes import (
    apply_offsets,
    boxes_of,
    detections,
    first_of_each_group,
    no_squares,
    squares_around,
    suppress_contained,
    to_squares,
    upright_boxes,
)
from vidrestore.faces.detection.detector import Picture, check_pictures
from vidrestore.faces.detection.rotated_crops import Squares, cut_squares, mip_depth, mip_levels
from vidrestore.models.mtcnn import (
    OUTPUT_INPUT_PX,
    PROPOSAL_STRIDE_PX,
    PROPOSAL_WINDOW_PX,
    REFINE_INPUT_PX,
    LandmarkedBoxes,
    Mtcnn,
)
from vidrestore.types import Detection
from vidrestore.weights.bundled import load_packaged

# Shape letters in this file: N windows over all pictures of a batch, B pictures.
# Inside, coordinates are edge coordinates: half a pixel more than those of a Detection.

_SAME_LEVEL_IOU = 0.5
_SAME_FACE_IOU = 0.7
_MIRRORED_POINTS = (1, 0, 2, 4, 3)
_POINTS_AGREE, _POINTS_DIFFER = 0.03, 0.09
"""Mean distance of points between a crop and its mirror image, in sides of the crop. Of 40
faces clean, 20 px small or under strong blur, 9 in 10 stay under 0.03 (0.06 when hardly a face
can be made out); heads cut by the frame and patterns that are no face lie from 0.04 to 0.15."""
_PATCH_MARGIN = 0.3  # in sides of a square: covers its turned corners


def embedded_mtcnn() -> Mtcnn:
    """Return the network with the weights that come with this package.

    Raises:
        WeightsError: The file in the package is missing or damaged.
    """
    return load_packaged(Mtcnn(), "mtcnn.safetensors")


class MtcnnDetector:
    """MTCNN as a ``Detector``."""

    has_fast_refine = True

    def __init__(
        self,
        network: Mtcnn,
        *,
        config: DetectorConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Move ``network`` to ``device`` and set it to inference."""
        self._config = config or DetectorConfig()
        self._device = torch.device(device)
        network.to(device=self._device).to(memory_format=torch.channels_last)
        self._network = network.eval()

    @torch.inference_mode()
    def detect(self, pictures: Sequence[Picture]) -> list[tuple[Detection, ...]]:
        """Search whole pictures; see ``Detector.detect``."""
        check_pictures(pictures)
        if not pictures:
            return []
        batch = self._batch(pictures)
        squares = self._proposed(batch)
        levels = mip_levels(_normalised(batch))
        squares = self._refined(levels, squares)
        first_look = self._judged(levels, squares, len(pictures))
        at = [number for number, faces in enumerate(first_look) for _ in faces]
        flat = [face for faces in first_look for face in faces]
        found: list[list[Detection]] = [[] for _ in pictures]
        for number, face in zip(at, self._look(levels, at, flat), strict=True):
            if face is not None and face.score >= self._config.tracked_threshold:
                found[number].append(face)
        return [tuple(suppress_contained(faces)) for faces in found]

    @torch.inference_mode()
    def refine(self, picture: Picture, guesses: Sequence[Detection]) -> list[Detection | None]:
        """Look again where faces are expected; see ``Detector.refine``."""
        check_pictures([picture])
        if not guesses:
            return []
        patch, origin_xy = _patch_around(picture, guesses)
        if patch.size == 0:
            return [None] * len(guesses)
        there = np.array([[1.0, 0.0, origin_xy[0]], [0.0, 1.0, origin_xy[1]]])
        back = there * [[1, 1, -1], [1, 1, -1]]
        largest = max(_longer_side(face) for face in guesses)
        depth = mip_depth(largest, OUTPUT_INPUT_PX)
        levels = mip_levels(_normalised(self._batch([patch])), depth=depth)
        local = [guess.mapped(back) for guess in guesses]
        return [
            face.mapped(there)
            if face is not None and face.score >= self._config.tracked_threshold
            else None
            for face in self._look(levels, [0] * len(local), local)
        ]

    def _batch(self, pictures: Sequence[Picture]) -> Tensor:
        stacked = torch.from_numpy(np.stack(pictures)).to(self._device)
        return stacked.permute(0, 3, 1, 2)

    def _proposed(self, batch: Tensor) -> Squares:
        """Run P-Net over a pyramid; keep the best windows of every picture."""
        cutoff = _logit(self._config.proposal_threshold)
        windows: list[Tensor] = []
        shifted: list[Tensor] = []
        logits: list[Tensor] = []
        groups: list[Tensor] = []
        for depth, level in enumerate(_pyramid(batch, self._config)):
            proposals = self._network.proposal(_normalised(level))
            picture, row, column = (proposals.face_logits >= cutoff).nonzero(as_tuple=True)
            scale_xy = (batch.shape[3] / level.shape[3], batch.shape[2] / level.shape[2])
            scale = torch.tensor(scale_xy, device=self._device)
            corner = torch.stack([column, row], dim=1) * PROPOSAL_STRIDE_PX
            boxes = torch.cat([corner * scale, (corner + PROPOSAL_WINDOW_PX) * scale], dim=1)
            windows.append(boxes)
            shifted.append(apply_offsets(boxes, proposals.box_offsets[picture, :, row, column]))
            logits.append(proposals.face_logits[picture, row, column])
            groups.append(torch.stack([picture, torch.full_like(picture, depth)], dim=1))
        if not groups:
            return no_squares(self._device)
        boxes, scores, group = torch.cat(windows), torch.cat(logits), torch.cat(groups)
        keep = batched_nms(boxes, scores, group[:, 0] * 64 + group[:, 1], _SAME_LEVEL_IOU)
        keep = keep[batched_nms(boxes[keep], scores[keep], group[keep, 0], _SAME_FACE_IOU)]
        keep = keep[first_of_each_group(group[keep, 0], self._config.max_candidates)]
        return to_squares(torch.cat(shifted)[keep], group[keep, 0])

    def _refined(self, levels: Sequence[Tensor], squares: Squares) -> Squares:
        """Let R-Net judge and correct windows."""
        seen = self._network.refine(cut_squares(levels, squares, REFINE_INPUT_PX, taps=1))
        passed = (seen.face_logits >= _logit(self._config.refine_threshold)).nonzero()[:, 0]
        boxes = apply_offsets(boxes_of(squares), seen.box_offsets)[passed]
        picture = squares.picture[passed]
        keep = batched_nms(boxes, seen.face_logits[passed], picture, _SAME_FACE_IOU)
        return to_squares(boxes[keep], picture[keep])

    def _judged(
        self, levels: Sequence[Tensor], squares: Squares, picture_count: int
    ) -> list[list[Detection]]:
        """Let O-Net judge windows; return the faces of every picture, best first."""
        seen = self._network.output(cut_squares(levels, squares, OUTPUT_INPUT_PX))
        boxes = apply_offsets(boxes_of(squares), seen.box_offsets)
        points = squares.to_picture(seen.points)
        found = detections(boxes, seen.face_logits.sigmoid(), points)
        faces: list[list[Detection]] = [[] for _ in range(picture_count)]
        for number, face in zip(map(int, squares.picture.cpu()), found, strict=True):
            if face is not None and face.score >= self._config.output_threshold:
                faces[number].append(face)
        return [suppress_contained(each) for each in faces]

    def _look(
        self, levels: Sequence[Tensor], pictures: Sequence[int], faces: Sequence[Detection]
    ) -> list[Detection | None]:
        """Let O-Net look at upright squares around ``faces`` and at their mirror images.

        Returns:
            What was seen for each face, whatever its score; None if its box collapsed.
        """
        if not faces:
            return []
        squares = squares_around(faces, pictures, self._device)
        crops = cut_squares(levels, squares, OUTPUT_INPUT_PX)
        plain, mirrored = _both_sides(self._network.output(torch.cat([crops, crops.flip(3)])))
        seen = LandmarkedBoxes(
            *((one + other) / 2 for one, other in zip(plain, mirrored, strict=True))
        )
        scores = seen.face_logits.sigmoid() * _agreement(plain.points, mirrored.points)
        left, top, right, bottom = seen.box_offsets.unbind(1)
        middle = 0.5 + torch.stack([left + right, top + bottom], dim=1) / 2
        boxes = upright_boxes(
            squares.to_picture(middle[:, None])[:, 0],
            (1 + right - left) * squares.side,
            (1 + bottom - top) * squares.side,
            squares.roll,
        )
        return detections(boxes, scores, squares.to_picture(seen.points))


def _both_sides(seen: LandmarkedBoxes) -> tuple[LandmarkedBoxes, LandmarkedBoxes]:
    """Split what was seen in N crops and then in their mirror images, and turn the latter back."""
    plain, mirrored = (
        LandmarkedBoxes(*half) for half in zip(*(column.chunk(2) for column in seen), strict=True)
    )
    left, top, right, bottom = mirrored.box_offsets.unbind(1)
    offsets = torch.stack([-right, top, -left, bottom], dim=1)
    swapped = mirrored.points[:, list(_MIRRORED_POINTS)]
    points = torch.stack([1 - swapped[..., 0], swapped[..., 1]], dim=-1)
    return plain, LandmarkedBoxes(mirrored.face_logits, offsets, points)


def _agreement(points: Tensor, mirrored_points: Tensor) -> Tensor:
    """Return 1 if a crop and its mirror image give the same points, falling to 0.

    The network is sure of many a thing that is no whole face, but then its points are
    guesses, and differ in the mirror.
    """
    distance = (points - mirrored_points).square().sum(dim=-1).sqrt().mean(dim=1)
    return ((_POINTS_DIFFER - distance) / (_POINTS_DIFFER - _POINTS_AGREE)).clamp(0, 1)


def _normalised(batch: Tensor) -> Tensor:
    """Scale RGB in [0, 255] to [-1, 1] floats in channels_last."""
    scaled = (batch - 127.5).mul_(1 / 128)
    return scaled.contiguous(memory_format=torch.channels_last)


def _pyramid(batch: Tensor, config: DetectorConfig) -> list[Tensor]:
    """Shrink ``(B, 3, H, W)`` pictures until the smallest side is a window.

    The first level makes the smallest face looked for as large as a window.
    """
    height, width = batch.shape[2:]
    scale, levels = PROPOSAL_WINDOW_PX / config.min_face_px, list[Tensor]()
    while min(height, width) * scale >= PROPOSAL_WINDOW_PX:
        size_hw = (round(height * scale), round(width * scale))
        # From two levels up: as good as from the full picture, and half the pixels each time.
        source = levels[-2] if len(levels) >= 2 else batch
        levels.append(_resized(source, size_hw))
        scale *= config.pyramid_factor
    return levels


def _resized(batch: Tensor, size_hw: tuple[int, int]) -> Tensor:
    if batch.device.type != "cpu":
        batch = batch.float()  # antialiased resizing of bytes exists on the CPU only
    return interpolate(batch, size_hw, mode="bilinear", antialias=True)


def _logit(probability: float) -> float:
    return log(probability / (1 - probability))


def _longer_side(face: Detection) -> float:
    left, top, right, bottom = face.box_xyxy
    return max(right - left, bottom - top)


def _patch_around(picture: Picture, faces: Sequence[Detection]) -> tuple[Picture, tuple[int, int]]:
    """Cut out what looking at ``faces`` can touch; also return its left top corner (x, y)."""
    height, width = picture.shape[:2]
    boxes = np.array([face.box_xyxy for face in faces])
    margin = _PATCH_MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    left, top = np.floor((boxes[:, :2] - margin).min(axis=0)).clip(0, (width, height)).astype(int)
    right, bottom = (
        np.ceil((boxes[:, 2:] + margin).max(axis=0)).clip(0, (width, height)).astype(int)
    )
    return picture[top:bottom, left:right], (int(left), int(top))
