"""Whole aligned faces with their components and masks, keyed by a number."""

from dataclasses import dataclass
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
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.archives import read_classes, read_picture
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.face_sources import RecipeShare, SourceConfig, toned
from vidrestore.training.data.face_table import FaceRow, load_aligned, read_table, real_side_px
from vidrestore.training.degradations.recipes.table import MixedRecipe, recipe_named
from vidrestore.types import CROP_SIZE_PX, FloatArray

UNKNOWN_CLASS = 255
"""Value of unlabelled pixels in a mask, which cross-entropy ignores."""
_MIRRORED_CLASSES = ((4, 5), (6, 7), (8, 9))
"""Eyes, brows and ears of the nineteen classes, which change sides in a mirror."""


_Cut: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""A face at its real size and its points there."""


class FaceSample(NamedTuple):
    """One sample, or a batch of them with a first axis N."""

    degraded: Tensor
    """``(3, S, S)`` float32 RGB in [-1, 1]."""
    clean: Tensor
    """The target, same shape and range."""
    detail: Tensor
    """Real pixels over S, at most 1. Below 1 ``clean`` was enlarged: compare through
    ``limit_resolution``, and never show it to a discriminator as real."""
    boxes_xyxy: Tensor
    """``(3, 4)`` float32: left eye, right eye, mouth, in pixels of the sample."""
    mask: Tensor
    """``(S, S)`` int64 classes; ``UNKNOWN_CLASS`` where there is no mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """Which faces, at which size, degraded how."""

    root: Path
    sources: tuple[SourceConfig, ...]
    recipes: tuple[RecipeShare, ...]
    size_px: int = CROP_SIZE_PX
    in_memory: bool = False
    """Read and align all faces at once: worth it where a sheet of many must be read for one."""
    least_detail: float = 0.5
    """Faces with fewer real pixels than this part of ``size_px`` are left out."""
    gray_share: float = 0.1

    def __post_init__(self) -> None:
        if self.size_px % 32 or not 32 <= self.size_px <= CROP_SIZE_PX:
            raise ConfigError(f"size_px must be a multiple of 32 up to 512, got {self.size_px}")
        if not 0 < self.least_detail <= 1:
            raise ConfigError(f"least_detail must be in (0, 1], got {self.least_detail}")


class FaceDataset(Dataset[FaceSample]):
    """Sample ``k`` is a function of the seed and ``k`` alone. Pictures are read when asked for."""

    def __init__(self, config: SampleConfig, *, seed: int) -> None:
        """Read the tables.

        Raises:
            ConfigError: A table or a recipe is missing, or no face is good enough.
        """
        self._config = config
        self._seed = seed
        self._rows: list[tuple[FaceRow, float]] = []
        odds: list[float] = []
        for source in config.sources:
            for row in read_table(config.root / source.folder):
                real = real_side_px(row, share=source.share_of_resolution)
                detail = min(1.0, real / config.size_px)
                if detail >= config.least_detail:
                    self._rows.append((row, detail))
                    odds.append(source.weight)
        if not self._rows:
            least = config.least_detail * config.size_px
            raise ConfigError(f"{config.root}: no face has {least:.0f} real pixels")
        self._odds = np.asarray(odds) / sum(odds)
        self._held = self._read_all() if config.in_memory else None
        self._recipe = MixedRecipe(
            recipes=tuple(recipe_named(each.name) for each in config.recipes),
            shares=tuple(each.share for each in config.recipes),
        )

    def __len__(self) -> int:
        """Return the number of faces; numbers beyond it give new draws."""
        return len(self._rows)

    def __getitem__(self, index: int) -> FaceSample:
        """Return sample ``index``."""
        rng = np.random.default_rng((self._seed, index))
        at = int(rng.choice(len(self._rows), p=self._odds))
        row, detail = self._rows[at]
        face, points, mask = self._sized(self._cut(at), row)
        if rng.random() < 0.5:
            face, points, mask = mirrored(face, points, mask)
        clean = toned(face.astype(np.float32) / 255.0, rng, gray_share=self._config.gray_share)
        return self._degraded(np.ascontiguousarray(clean), points, mask, detail, rng)

    def _degraded(
        self,
        clean: FloatArray,
        points: NDArray[np.float64],
        mask: NDArray[np.uint8],
        detail: float,
        rng: np.random.Generator,
    ) -> FaceSample:
        """Return the sample of a picture in [0, 1], degraded as ``rng`` draws it."""
        drawn = self._recipe.draw(rng)
        return FaceSample(
            degraded=_tensor(drawn.apply(clean)),
            clean=_tensor(drawn.target(clean)),
            detail=torch.tensor(detail, dtype=torch.float32),
            boxes_xyxy=torch.from_numpy(component_boxes(points).astype(np.float32)),
            mask=torch.from_numpy(mask.astype(np.int64)),
        )

    def _read_all(self) -> list[_Cut]:
        """Return all faces at their real sizes, reading each picture once."""
        held: dict[int, _Cut] = {}
        picture: tuple[Path, NDArray[np.uint8]] | None = None
        for at in sorted(range(len(self._rows)), key=lambda at: str(self._rows[at][0].picture)):
            row = self._rows[at][0]
            if picture is None or picture[0] != row.picture:
                picture = (row.picture, read_picture(row.picture))
            held[at] = self._aligned(at, picture[1])
        return [held[at] for at in range(len(self._rows))]

    def _cut(self, at: int) -> _Cut:
        if self._held is not None:
            return self._held[at]
        return self._aligned(at, read_picture(self._rows[at][0].picture))

    def _aligned(self, at: int, picture: NDArray[np.uint8]) -> _Cut:
        """Return a face and its points at its real size: what is beyond that is no detail."""
        row, detail = self._rows[at]
        return load_aligned(
            row, side_px=max(32, round(detail * self._config.size_px)), sheet=picture
        )

    def _sized(
        self, cut: _Cut, row: FaceRow
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
        """Return picture, points and mask at the sample's size."""
        face, points = cut
        side, real = self._config.size_px, face.shape[0]
        if real < side:
            sized = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
            face = np.asarray(sized, dtype=np.uint8)
            points = (points + 0.5) * (side / real) - 0.5
        if row.mask is None:
            return face, points, np.full((side, side), UNKNOWN_CLASS, dtype=np.uint8)
        return face, points, aligned_mask(row, read_classes(row.mask), side_px=side)


def aligned_mask(row: FaceRow, classes: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """Return the classes of a row's picture aligned as the face is, ``(S, S)``.

    Args:
        row: The face.
        classes: ``(H, W)``, as big as the row's picture.
        side_px: Side of the result.
    """
    target = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / CROP_SIZE_PX) - 0.5
    aligned = cv2.warpAffine(
        classes,
        fit_similarity(row.points_xy, target),
        (side_px, side_px),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(UNKNOWN_CLASS,),
    )
    return np.asarray(aligned, dtype=np.uint8)


def mirrored(
    face_hwc: NDArray[np.uint8], points_xy: NDArray[np.float64], mask_hw: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
    """Return picture, points and classes in a mirror; left stays what is on the left."""
    points = points_xy[[1, 0, 2, 4, 3]].copy()
    points[:, 0] = face_hwc.shape[1] - 1 - points[:, 0]
    swap = np.arange(256, dtype=np.uint8)
    for left, right in _MIRRORED_CLASSES:
        swap[left], swap[right] = right, left
    return face_hwc[:, ::-1], points, np.ascontiguousarray(swap[mask_hw[:, ::-1]])


def limit_resolution(image_NCHW: Tensor, detail_N: Tensor) -> Tensor:
    """Return pictures as they look with the detail that their samples really have.

    Each is shrunk to its real pixels and enlarged again. Done to output and target alike before
    they are compared, nothing is learnt, or punished, beyond what the photograph showed.

    Args:
        image_NCHW: Any range.
        detail_N: Of the samples, in (0, 1]; those at 1 are left as they are.
    """
    if bool((detail_N >= 1).all()):
        return image_NCHW
    side = image_NCHW.shape[2:]
    seen: list[Tensor] = []
    for at, image in enumerate(image_NCHW):
        detail = float(detail_N[at])
        if detail < 1:
            small = [max(1, round(detail * each)) for each in side]
            shrunk = F.interpolate(image[None], small, mode="bilinear", antialias=True)
            image = F.interpolate(shrunk, side, mode="bicubic", antialias=False)[0]
        seen.append(image)
    return torch.stack(seen)


def _tensor(image_hwc: FloatArray) -> Tensor:
    chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))
    return torch.from_numpy(chw).mul_(2.0).sub_(1.0)
