"""Pairs of neighboring frames of a face, degraded as one clip, with the motion between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vidrestore.errors import ConfigError
from vidrestore.metrics.temporal import flow_px, visible_pixels
from vidrestore.optical_flow import warp_by_flow
from vidrestore.training.data.archives import read_image
from vidrestore.training.data.dataset import DatasetConfig, vary_color
from vidrestore.training.data.face_table import FaceRow, load_aligned, read_table
from vidrestore.training.degradations.recipes.table import mix_recipes
from vidrestore.types import FloatArray

_PAIR_STREAM = 4
_PHOTOMETRIC = 50.0
"""Sharpness of the weight by photometric error: alpha of Lai et al. 2018, section 3.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """Clips that a temporal loss is measured on; size, recipes and colors are those of ``data``."""

    folder: Path
    """Clips of ``prepare_faces.py --film``: its folder ``train``."""
    pairs: int = 1
    """Pairs of neighboring frames per step, over all processes."""
    subtracts_target: bool = False
    """Whether the loss is measured on the error of the output instead of the output. Then it is
    zero for a perfect restorer, also where the film flickers or warping blurs."""
    num_workers: int = field(default=1, metadata={"alias": "workers"})
    """Processes that read and degrade pairs; 0 does it between the steps."""

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.num_workers < 0:
            raise ConfigError("clips.pairs must be >= 1, and clips.num_workers >= 0")


def check_clips(clips: ClipsConfig | None, weight: float, *, where: str, table: str) -> None:
    """Check that clips are there for a weight ``where``, and only for one.

    Raises:
        ConfigError: One is given without the other.
    """
    if bool(weight) != (clips is not None):
        raise ConfigError(
            f"{where} and a table [{table}.clips] need each other: add the missing one, or remove "
            "the other"
        )


class FramePair(NamedTuple):
    """One pair; or a batch, with a first axis N."""

    degraded: Tensor
    """``(2, 3, S, S)`` float32 RGB in [-1, 1]: a frame, and the one after it."""
    target: Tensor
    """Same shape and range."""
    flow: Tensor
    """``(S, S, 2)`` float32: for every pixel of the second frame how far away, in pixels (x, y),
    the first shows the same."""
    weight: Tensor
    """``(S, S)`` float32: trust in that motion, 0 to 1."""


class ClipPairs(Dataset[FramePair]):
    """Pairs of frames: pair ``k`` is a function of the seed and ``k`` alone."""

    def __init__(self, config: ClipsConfig, data: DatasetConfig, *, seed: int) -> None:
        """Read the table of clips.

        Raises:
            ConfigError: The folder has no table, or no clip of two frames.
        """
        self._data, self._seed = data, seed
        self._recipe = mix_recipes(data.recipes)
        rows = read_table(config.folder)
        # A clip is cut where a frame is missing, so neighbors in the table are neighbors in time.
        self._pairs = [
            pair for pair in pairwise(rows) if pair[0].clip and pair[0].clip == pair[1].clip
        ]
        if not self._pairs:
            raise ConfigError(
                f"{config.folder}: no clip of two or more frames; make clips of films by "
                "scripts/prepare_faces.py --film FILM FOLDER, and name FOLDER/train"
            )

    def __len__(self) -> int:
        """Return the number of pairs; indices beyond it give new draws."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> FramePair:
        """Return pair ``index``: mirrored, colored and degraded alike in both frames."""
        rng = np.random.default_rng((self._seed, _PAIR_STREAM, index))
        pair = self._pairs[int(rng.integers(len(self._pairs)))]
        is_mirrored = self._data.mirror and rng.random() < 0.5
        faces = [self._frame(row, is_mirrored=is_mirrored) for row in pair]
        frames = vary_color(faces, self._data, rng)
        degraded = self._recipe.draw(rng).degrade_clip(frames)
        if self._data.color_jitter is not None:
            jitter = self._data.color_jitter.draw(rng)
            degraded = [jitter.apply(each) for each in degraded]
        flow, weight = motion_between(*frames)
        return FramePair(
            degraded=_to_tensor([pair.degraded for pair in degraded]),
            target=_to_tensor([pair.target for pair in degraded]),
            flow=flow,
            weight=weight,
        )

    def _frame(self, row: FaceRow, *, is_mirrored: bool) -> FloatArray:
        sheet = read_image(row.image_path)
        face, _ = load_aligned(row, side_px=self._data.size_px, sheet=sheet)
        face = face[:, ::-1] if is_mirrored else face
        return np.ascontiguousarray(face, dtype=np.float32) / np.float32(255)


def motion_between(first_hwc: FloatArray, second_hwc: FloatArray) -> tuple[Tensor, Tensor]:
    """Return ``flow`` and ``weight`` of ``FramePair`` for two frames, ``(S, S, 3)`` in [0, 1].

    Motion is trusted where both directions cancel, and less where the frames differ along it (Lai
    et al. 2018, section 3.2).
    """
    backward = flow_px(second_hwc, first_hwc)
    error = np.square(second_hwc - warp_by_flow(first_hwc, backward)).sum(axis=2)
    visible = visible_pixels(backward, flow_px(first_hwc, second_hwc))
    weight = (visible * np.exp(-_PHOTOMETRIC * error)).astype(np.float32)
    return torch.from_numpy(backward), torch.from_numpy(weight)


def _to_tensor(frames: Sequence[FloatArray]) -> Tensor:
    stacked: NDArray[np.float32] = np.stack([frame.transpose(2, 0, 1) for frame in frames])
    return torch.from_numpy(stacked).mul_(2.0).sub_(1.0)
