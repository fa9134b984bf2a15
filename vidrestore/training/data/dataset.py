"""Datasets of aligned faces and their degraded versions, for training and for evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from vidrestore.affine import fit_similarity
from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import is_compressed_tar, read_image, read_labels
from vidrestore.training.data.augment import draw_exposure, mirror
from vidrestore.training.data.check_faces import check_faces
from vidrestore.training.data.color_jitter import ColorJitterConfig, to_gray
from vidrestore.training.data.component_boxes import (
    component_boxes,
    mapped_boxes,
    mirrored_boxes,
)
from vidrestore.training.data.face_table import (
    UNKNOWN_LABEL,
    FaceRow,
    align_labels,
    cached_image_reader,
    load_aligned,
    native_side_px,
    read_table,
)
from vidrestore.training.degradations.base import DegradedPair
from vidrestore.training.degradations.recipes.table import RecipeConfig, mix_recipes
from vidrestore.types import CROP_SIZE_PX, FloatArray

_AlignedFace: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""A face at its native size, ``(s, s, 3)`` RGB, and its landmarks ``(5, 2)`` there."""


class FaceSample(NamedTuple):
    """One sample; or a batch, with a first axis N."""

    degraded: Tensor
    """``(3, S, S)`` float32 RGB in [-1, 1]."""
    target: Tensor
    """Same shape and range."""
    resolution_ratio: Tensor
    """Native pixels over S, at most 1. Below 1 ``target`` was enlarged: compare through
    ``limit_resolution``, and never show it to a discriminator as real."""
    boxes_xyxy: Tensor
    """``(3, 4)`` float32: left eye, right eye, mouth, in pixels of the sample."""
    labels: Tensor
    """``(S, S)`` int64; ``UNKNOWN_LABEL`` where the face has no labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One folder of faces."""

    folder: str
    """Relative to the data's ``root``; holds ``tiles.tsv`` or ``faces.tsv``."""
    resolution_scale: float = field(default=1.0, metadata={"alias": "share_of_resolution"})
    """Ratio of each face's effective resolution to trust; below 1 shrinks artifacts away."""
    weight: float = 1.0
    """How often its faces are drawn, relative to other folders' faces."""

    def __post_init__(self) -> None:
        if not 0 < self.resolution_scale <= 1 or self.weight <= 0:
            raise ConfigError("resolution_scale must be in (0, 1] and weight > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """Which faces, at which size, degraded by which recipes."""

    root: Path
    sources: tuple[SourceConfig, ...]
    recipes: tuple[RecipeConfig, ...]
    size_px: int = CROP_SIZE_PX
    in_memory: bool = False
    """Read and align all faces at the start: pays where one sheet holds many faces."""
    min_resolution_ratio: float = field(default=0.5, metadata={"alias": "least_detail"})
    """Faces with fewer native pixels than this ratio of ``size_px`` are left out."""
    gray_probability: float = field(default=0.0, metadata={"alias": "gray_share"})
    """Of faces that are gray, target and degraded image alike."""
    vary_exposure: bool = True
    """Whether exposure and tint of faces vary, target and degraded image alike (our own)."""
    mirror: bool = True
    """Whether half of the faces are mirrored."""
    color_jitter: ColorJitterConfig | None = None
    """Of the degraded image alone, as GFP-GAN's was trained; None switches it off."""

    def __post_init__(self) -> None:
        if self.size_px % 32 or not 32 <= self.size_px <= CROP_SIZE_PX:
            raise ConfigError(f"size_px must be a multiple of 32 up to 512, got {self.size_px}")
        ratio = self.min_resolution_ratio
        if not 0 < ratio <= 1:
            raise ConfigError(f"min_resolution_ratio must be in (0, 1], got {ratio}")


def vary_color(
    frames: Sequence[FloatArray], config: DatasetConfig, rng: np.random.Generator
) -> list[FloatArray]:
    """Return frames in [0, 1] with one change of exposure and tint, or of gray, as configured."""
    if config.vary_exposure:
        exposure = draw_exposure(rng, gray_probability=config.gray_probability)
        return [exposure.apply(frame) for frame in frames]
    is_gray = rng.random() < config.gray_probability
    return [to_gray(frame) if is_gray else frame for frame in frames]


class FaceDataset(Dataset[FaceSample]):
    """Training samples: sample ``k`` is a function of the seed and ``k`` alone.

    Images are read when they are needed.
    """

    def __init__(self, config: DatasetConfig, *, seed: int) -> None:
        """Read the tables.

        Raises:
            ConfigError: A table or a recipe is missing, no face has the resolution, a source is a
                compressed tar, or ``check_faces`` found a fault.
        """
        self._config = config
        self._seed = seed
        self._rows: list[tuple[FaceRow, float]] = []
        weights: list[float] = []
        for source in config.sources:
            folder = config.root / source.folder
            if is_compressed_tar(folder):
                raise ConfigError(
                    f"{folder}: a compressed tar is unpacked from its start for every sample; "
                    "unpack it, or use a zip or a plain tar"
                )
            for row in read_table(folder):
                native_px = native_side_px(row, resolution_scale=source.resolution_scale)
                resolution_ratio = min(1.0, native_px / config.size_px)
                if resolution_ratio >= config.min_resolution_ratio:
                    self._rows.append((row, resolution_ratio))
                    weights.append(source.weight)
        if not self._rows:
            min_px = config.min_resolution_ratio * config.size_px
            raise ConfigError(
                f"{config.root}: no face has an effective resolution of {min_px:.0f} px; "
                "lower min_resolution_ratio or size_px"
            )
        check_faces(row for row, _ in self._rows)
        self._probabilities = np.asarray(weights) / sum(weights)
        self._in_memory = self._read_all() if config.in_memory else None
        self._recipe = mix_recipes(config.recipes)

    def __len__(self) -> int:
        """Return the number of faces; indices beyond it give new draws."""
        return len(self._rows)

    def __getitem__(self, index: int) -> FaceSample:
        """Return sample ``index``."""
        rng = np.random.default_rng((self._seed, index))
        number = int(rng.choice(len(self._rows), p=self._probabilities))
        face, points, labels = self._load(number)
        boxes = self._boxes(number, points)
        if rng.random() < 0.5 and self._config.mirror:
            face, points, labels = mirror(face, points, labels)
            boxes = mirrored_boxes(boxes, width_px=self._config.size_px)
        (image,) = vary_color([face.astype(np.float32) / 255.0], self._config, rng)
        pair = self._recipe.draw(rng).degrade(np.ascontiguousarray(image))
        if self._config.color_jitter is not None:
            pair = self._config.color_jitter.draw(rng).apply(pair)
        return self._sample(number, pair, boxes, labels)

    def _boxes(self, number: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the boxes of eyes and mouth of face ``number``, whose landmarks are ``points``."""
        row = self._rows[number][0]
        if row.boxes_xyxy is None:
            return component_boxes(points)
        return mapped_boxes(row.boxes_xyxy, fit_similarity(row.points_xy, points))

    def _sample(
        self,
        number: int,
        pair: DegradedPair,
        boxes: NDArray[np.float64],
        labels: NDArray[np.uint8],
    ) -> FaceSample:
        return FaceSample(
            degraded=_to_tensor(pair.degraded),
            target=_to_tensor(pair.target),
            resolution_ratio=torch.tensor(self._rows[number][1], dtype=torch.float32),
            boxes_xyxy=torch.from_numpy(boxes.astype(np.float32)),
            labels=torch.from_numpy(labels.astype(np.int64)),
        )

    def _read_all(self) -> list[_AlignedFace]:
        """Return all faces at their native sizes, reading each image once."""
        faces: dict[int, _AlignedFace] = {}
        read = cached_image_reader()
        for number in self._by_image():
            faces[number] = self._align(number, read(self._rows[number][0].image_path))
        return [faces[number] for number in range(len(self._rows))]

    def _by_image(self) -> list[int]:
        """Return the numbers of all faces, those of one image together."""
        return sorted(range(len(self._rows)), key=lambda row: str(self._rows[row][0].image_path))

    def _align(self, number: int, image_hwc: NDArray[np.uint8]) -> _AlignedFace:
        """Return a face and its landmarks at its native size: above that there is no detail."""
        row, resolution_ratio = self._rows[number]
        side_px = max(32, round(resolution_ratio * self._config.size_px))
        return load_aligned(row, side_px=side_px, sheet=image_hwc)

    def _load(
        self, number: int, image_hwc: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
        """Return image, landmarks and labels at the sample's size.

        Args:
            number: Of the face.
            image_hwc: Its decoded image; read where None.
        """
        row = self._rows[number][0]
        if self._in_memory is not None:
            face, points = self._in_memory[number]
        else:
            sheet = read_image(row.image_path) if image_hwc is None else image_hwc
            face, points = self._align(number, sheet)
        side, native = self._config.size_px, face.shape[0]
        if native < side:
            resized = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
            face = np.asarray(resized, dtype=np.uint8)
            points = (points + 0.5) * (side / native) - 0.5
        if row.labels_path is None:
            return face, points, np.full((side, side), UNKNOWN_LABEL, dtype=np.uint8)
        return face, points, align_labels(row, read_labels(row.labels_path), side_px=side)


class FaceEvalDataset(FaceDataset):
    """Evaluation samples: every face once, no augmentation, always the same degradation.

    Made as ``FaceDataset`` is; changes of color and the sources' weights have no effect.
    """

    def __getitem__(self, index: int) -> FaceSample:
        """Return face ``index``.

        Raises:
            IndexError: There are fewer faces.
        """
        face, points, labels = self._load(index)
        rng = np.random.default_rng((self._seed, index))
        pair = self._recipe.draw(rng).degrade(face.astype(np.float32) / 255.0)
        return self._sample(index, pair, self._boxes(index, points), labels)


def limit_resolution(image_NCHW: Tensor, resolution_ratio_N: Tensor) -> Tensor:
    """Return images with the detail that their samples really have.

    Each is shrunk to its native pixels and enlarged again. Where output and target are compared
    through this, a loss neither rewards nor punishes what the photograph did not show.

    Args:
        image_NCHW: Any range.
        resolution_ratio_N: In (0, 1]; images at 1 stay as they are.
    """
    if bool((resolution_ratio_N >= 1).all()):
        return image_NCHW
    size_hw = image_NCHW.shape[2:]
    images: list[Tensor] = []
    for image, resolution_ratio in zip(image_NCHW, resolution_ratio_N, strict=True):
        ratio = float(resolution_ratio)
        if ratio < 1:
            small_hw = [max(1, round(ratio * side)) for side in size_hw]
            small = F.interpolate(image[None], small_hw, mode="bilinear", antialias=True)
            image = F.interpolate(small, size_hw, mode="bicubic", antialias=False)[0]
        images.append(image)
    return torch.stack(images)


def _to_tensor(image_hwc: FloatArray) -> Tensor:
    chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))
    return torch.from_numpy(chw).mul_(2.0).sub_(1.0)
