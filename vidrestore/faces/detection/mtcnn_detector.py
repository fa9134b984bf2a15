"""The default detector: MTCNN over batches of frames, on any device.

Zhang et al. 2016 (see ``vidrestore.models.mtcnn``). Beyond the paper, the last network looks
at every face again, in an upright crop and in its mirror image. So the landmarks of ``detect``
and of ``refine`` come from the same kind of crop, tracks do not jump between the two, and
left-right bias cancels.
"""

from collections.abc import Sequence
from math import log

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vidrestore.affine import translation
from vidrestore.devices import retry_out_of_memory
from vidrestore.faces.detection.boxes import (
    apply_offsets,
    empty_squares,
    first_of_each_group,
    longer_side_px,
    squares_around,
    suppress_contained,
    suppress_overlapping,
    to_boxes,
    to_detections,
    to_squares,
    upright_boxes,
)
from vidrestore.faces.detection.detector import MIN_FACE_PX, RgbImage, check_images
from vidrestore.faces.detection.rotated_crops import Squares, crop_squares, mip_depth, mip_levels
from vidrestore.models.mtcnn import (
    OUTPUT_INPUT_PX,
    PROPOSAL_STRIDE_PX,
    PROPOSAL_WINDOW_PX,
    REFINE_INPUT_PX,
    LandmarkedBoxes,
    Mtcnn,
    Proposals,
)
from vidrestore.types import Detection
from vidrestore.weights.bundled import load_packaged

# Shape letters in this file: N windows over all images of a batch, B images. Tensors hold edge
# coordinates: half a pixel more than those of a Detection.

PROPOSAL_THRESHOLD, REFINE_THRESHOLD, OUTPUT_THRESHOLD = 0.6, 0.7, 0.7
"""Minimum score of a window that each network (P-Net, R-Net, O-Net) passes on."""
_TRACKED_THRESHOLD = 0.5
"""Minimum score when O-Net verifies a face. It is low because tracks are judged by their mean
score."""
_PYRAMID_RATIO = 0.709
"""Size of a level of the image pyramid relative to the previous one."""
_MAX_CANDIDATES = 400
"""Maximum number of windows per image, best first; bounds time and memory."""
_SAME_LEVEL_IOU = 0.5
_SAME_FACE_IOU = 0.7
_MIRRORED_LANDMARKS = (1, 0, 2, 4, 3)
_LANDMARKS_AGREE, _LANDMARKS_DIFFER = 0.03, 0.09
"""Mean distance of landmarks between a crop and its mirror image, in sides of the crop. Of 40
faces, clean, 20 px small or strongly blurred, nine in ten stay below 0.03 (below 0.06 where a face
can hardly be made out). Heads cut by the frame, and patterns that are not faces, give 0.04 to
0.15."""
_PATCH_MARGIN = 0.3  # in sides of a square: covers the corners of a rotated one


def packaged_mtcnn() -> Mtcnn:
    """Return the network with the weights in this package.

    Raises:
        WeightsError: The file in the package is missing or damaged.
    """
    return load_packaged(Mtcnn(), "mtcnn.safetensors")


class MtcnnDetector:
    """MTCNN as a ``Detector``."""

    has_fast_refine = True

    def __init__(self, network: Mtcnn, *, device: torch.device | str = "cpu") -> None:
        """Move ``network`` to ``device`` and set it to inference."""
        self._device = torch.device(device)
        network.to(device=self._device).to(memory_format=torch.channels_last)
        self._network = network.eval()

    @retry_out_of_memory
    @torch.inference_mode()
    def detect(self, images: Sequence[RgbImage]) -> list[tuple[Detection, ...]]:
        """Search whole images; see ``Detector.detect``."""
        check_images(images)
        if not images:
            return []
        batch = self._batch(images)
        squares = self._run_pnet(batch)
        levels = mip_levels(_normalize(batch))
        squares = self._run_rnet(levels, squares)
        candidates = self._run_onet(levels, squares, len(images))
        indices = [index for index, faces in enumerate(candidates) for _ in faces]
        flat = [face for faces in candidates for face in faces]
        verified: list[list[Detection]] = [[] for _ in images]
        for index, face in zip(indices, self._verify(levels, indices, flat), strict=True):
            if face is not None:
                verified[index].append(face)
        return [tuple(suppress_contained(faces)) for faces in verified]

    @retry_out_of_memory
    @torch.inference_mode()
    def refine(self, image: RgbImage, predictions: Sequence[Detection]) -> list[Detection | None]:
        """Search for faces at predicted positions; see ``Detector.refine``."""
        check_images([image])
        if not predictions:
            return []
        patch, origin_xy = _patch_around(image, predictions)
        if patch.size == 0:
            return [None] * len(predictions)
        from_patch = translation(*origin_xy)
        to_patch = from_patch * [[1, 1, -1], [1, 1, -1]]
        largest = max(longer_side_px(face.box_xyxy) for face in predictions)
        depth = mip_depth(largest, OUTPUT_INPUT_PX)
        levels = mip_levels(_normalize(self._batch([patch])), depth=depth)
        local = [prediction.mapped(to_patch) for prediction in predictions]
        verified = self._verify(levels, [0] * len(local), local)
        return [face and face.mapped(from_patch) for face in verified]

    def _batch(self, images: Sequence[RgbImage]) -> Tensor:
        stacked = torch.from_numpy(np.stack(images)).to(self._device)
        return stacked.permute(0, 3, 1, 2)

    def _run_pnet(self, batch: Tensor) -> Squares:
        """Run P-Net over a pyramid; keep the best windows of every image."""
        levels = _pyramid(batch)
        if not levels:
            return empty_squares(self._device)
        maps = [self._network.proposal(_normalize(level)) for level in levels]
        # The windows of all levels together: a level has few, and each operation costs as much.
        logits = torch.cat([proposals.face_logits.flatten(1) for proposals in maps], dim=1)
        offsets = torch.cat([proposals.box_offsets.flatten(2) for proposals in maps], dim=2)
        index, cell = (logits >= _logit(PROPOSAL_THRESHOLD)).nonzero(as_tuple=True)
        if not len(index):
            return empty_squares(self._device)
        depth, boxes = self._windows(batch, levels, maps, cell)
        scores = logits[index, cell]
        keep = suppress_overlapping(boxes, scores, index * 64 + depth, _SAME_LEVEL_IOU)
        keep = keep[suppress_overlapping(boxes[keep], scores[keep], index[keep], _SAME_FACE_IOU)]
        keep = keep[first_of_each_group(index[keep], _MAX_CANDIDATES)]
        corrected = apply_offsets(boxes[keep], offsets[index[keep], :, cell[keep]])
        return to_squares(corrected, index[keep])

    def _windows(
        self, batch: Tensor, levels: Sequence[Tensor], maps: Sequence[Proposals], cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the ``(N,)`` levels and ``(N, 4)`` boxes of N cells of all maps in a row."""
        height, width = batch.shape[2:]
        sizes = [proposals.face_logits[0].numel() for proposals in maps]
        ends = torch.tensor(sizes, device=self._device).cumsum(0)
        depth = torch.bucketize(cell, ends, right=True)
        columns = [proposals.face_logits.shape[2] for proposals in maps]
        column_count = torch.tensor(columns, device=self._device)[depth]
        inside = cell - (ends[depth] - torch.tensor(sizes, device=self._device)[depth])
        row = torch.div(inside, column_count, rounding_mode="floor")
        corner = torch.stack([inside - row * column_count, row], dim=1) * PROPOSAL_STRIDE_PX
        scales_xy = [(width / level.shape[3], height / level.shape[2]) for level in levels]
        scale = torch.tensor(scales_xy, device=self._device)[depth]
        return depth, torch.cat([corner * scale, (corner + PROPOSAL_WINDOW_PX) * scale], dim=1)

    def _run_rnet(self, levels: Sequence[Tensor], squares: Squares) -> Squares:
        """Score and correct windows by R-Net."""
        if not len(squares.side):
            return squares
        refined = self._network.refine(crop_squares(levels, squares, REFINE_INPUT_PX, taps=1))
        passed = (refined.face_logits >= _logit(REFINE_THRESHOLD)).nonzero()[:, 0]
        boxes = apply_offsets(to_boxes(squares), refined.box_offsets)[passed]
        index = squares.image_index[passed]
        keep = suppress_overlapping(boxes, refined.face_logits[passed], index, _SAME_FACE_IOU)
        return to_squares(boxes[keep], index[keep])

    def _run_onet(
        self, levels: Sequence[Tensor], squares: Squares, image_count: int
    ) -> list[list[Detection]]:
        """Score and correct windows by O-Net; return the faces of every image, best first."""
        if not len(squares.side):
            return [[] for _ in range(image_count)]
        output = self._network.output(crop_squares(levels, squares, OUTPUT_INPUT_PX))
        boxes = apply_offsets(to_boxes(squares), output.box_offsets)
        landmarks = squares.to_image(output.landmarks)
        detections = to_detections(boxes, output.face_logits.sigmoid(), landmarks)
        by_image: list[list[Detection]] = [[] for _ in range(image_count)]
        for index, face in zip(map(int, squares.image_index.cpu()), detections, strict=True):
            if face is not None and face.score >= OUTPUT_THRESHOLD:
                by_image[index].append(face)
        return [suppress_contained(faces) for faces in by_image]

    def _verify(
        self, levels: Sequence[Tensor], image_index: Sequence[int], faces: Sequence[Detection]
    ) -> list[Detection | None]:
        """Run O-Net on upright crops of ``faces`` and on their mirror images.

        Returns:
            The detection for each face; None where the score is too low or the box collapsed.
        """
        if not faces:
            return []
        squares = squares_around(faces, image_index, self._device)
        crops = crop_squares(levels, squares, OUTPUT_INPUT_PX)
        plain, mirrored = _split_mirrored(self._network.output(torch.cat([crops, crops.flip(3)])))
        mean = LandmarkedBoxes(
            *((first + second) / 2 for first, second in zip(plain, mirrored, strict=True))
        )
        agreement = _mirror_agreement(plain.landmarks, mirrored.landmarks)
        left, top, right, bottom = mean.box_offsets.unbind(1)
        middle = 0.5 + torch.stack([left + right, top + bottom], dim=1) / 2
        boxes = upright_boxes(
            squares.to_image(middle[:, None])[:, 0],
            (1 + right - left) * squares.side,
            (1 + bottom - top) * squares.side,
            squares.roll,
        )
        scores = mean.face_logits.sigmoid() * agreement
        detections = to_detections(boxes, scores, squares.to_image(mean.landmarks))
        return [face if face and face.score >= _TRACKED_THRESHOLD else None for face in detections]


def _split_mirrored(output: LandmarkedBoxes) -> tuple[LandmarkedBoxes, LandmarkedBoxes]:
    """Split the output for N crops and their mirror images, and mirror the latter back."""
    plain, mirrored = (
        LandmarkedBoxes(*half) for half in zip(*(column.chunk(2) for column in output), strict=True)
    )
    left, top, right, bottom = mirrored.box_offsets.unbind(1)
    offsets = torch.stack([-right, top, -left, bottom], dim=1)
    swapped = mirrored.landmarks[:, list(_MIRRORED_LANDMARKS)]
    landmarks = torch.stack([1 - swapped[..., 0], swapped[..., 1]], dim=-1)
    return plain, LandmarkedBoxes(mirrored.face_logits, offsets, landmarks)


def _mirror_agreement(landmarks: Tensor, mirrored_landmarks: Tensor) -> Tensor:
    """Return 1 if a crop and its mirror image give the same landmarks, falling to 0.

    False positives score high, but the landmarks of their mirror images differ.
    """
    distance = (landmarks - mirrored_landmarks).square().sum(dim=-1).sqrt().mean(dim=1)
    return ((_LANDMARKS_DIFFER - distance) / (_LANDMARKS_DIFFER - _LANDMARKS_AGREE)).clamp(0, 1)


def _normalize(batch: Tensor) -> Tensor:
    """Scale RGB in [0, 255] to [-1, 1] floats in channels_last."""
    scaled = (batch - 127.5).mul_(1 / 128)
    return scaled.contiguous(memory_format=torch.channels_last)


def _pyramid(batch: Tensor) -> list[Tensor]:
    """Shrink ``(B, 3, H, W)`` images until the smallest side is a window.

    In the first level the smallest face is as large as a window.
    """
    height, width = batch.shape[2:]
    scale, levels = PROPOSAL_WINDOW_PX / MIN_FACE_PX, list[Tensor]()
    while min(height, width) * scale >= PROPOSAL_WINDOW_PX:
        size_hw = (round(height * scale), round(width * scale))
        # From two levels up: as good as from the full image, and half the pixels each time.
        source = levels[-2] if len(levels) >= 2 else batch
        levels.append(_resize(source, size_hw))
        scale *= _PYRAMID_RATIO
    return levels


def _resize(batch: Tensor, size_hw: tuple[int, int]) -> Tensor:
    if batch.device.type != "cpu":
        batch = batch.float()  # antialiased resizing of bytes exists on the CPU only
    return interpolate(batch, size_hw, mode="bilinear", antialias=True)


def _logit(probability: float) -> float:
    return log(probability / (1 - probability))


def _patch_around(image: RgbImage, faces: Sequence[Detection]) -> tuple[RgbImage, tuple[int, int]]:
    """Return the part of an image that ``faces`` are read from, and its left top corner (x, y)."""
    height, width = image.shape[:2]
    boxes = np.array([face.box_xyxy for face in faces])
    margin = _PATCH_MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    left, top = np.floor((boxes[:, :2] - margin).min(axis=0)).clip(0, (width, height)).astype(int)
    right, bottom = (
        np.ceil((boxes[:, 2:] + margin).max(axis=0)).clip(0, (width, height)).astype(int)
    )
    return image[top:bottom, left:right], (int(left), int(top))
