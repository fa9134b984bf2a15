"""Endless pairs of degraded and clean crops, keyed by the step they are for."""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidrestore.errors import ConfigError
from vidrestore.training.config import DataConfig
from vidrestore.training.data.faces import aligned_faces, read_table, real_side_px
from vidrestore.training.degradations.recipe import RECIPES, MixedRecipe
from vidrestore.types import FloatArray

_log = logging.getLogger(__name__)


def load_faces(config: DataConfig) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Return all aligned faces and the odds of drawing each.

    A face is used at its real resolution: one that would have to be enlarged, to ``least_px`` or
    to fill a crop, is left out.

    Raises:
        ConfigError: None is left.
    """
    needed_px = max(config.least_px, config.crop_px)
    faces: list[NDArray[np.uint8]] = []
    odds: list[float] = []
    for source in config.sources:
        listed = read_table(config.root / source.folder)
        rows = [
            row
            for row in listed
            if real_side_px(row, share=source.share_of_resolution) >= needed_px
        ]
        aligned = list(
            aligned_faces(rows, share=source.share_of_resolution, least_px=config.least_px)
        )
        faces += aligned
        odds += [source.weight] * len(aligned)
        _log.info("%s: %d faces of %d", source.folder, len(aligned), len(listed))
    if not faces:
        raise ConfigError(f"{config.root}: no face has {needed_px} real pixels; lower crop_px")
    weights = np.asarray(odds)
    return faces, weights / weights.sum()


class CropPairs(Dataset[tuple[Tensor, Tensor]]):
    """Sample ``k`` is a function of the seed and ``k`` alone, so a run can be resumed."""

    def __init__(self, config: DataConfig, *, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._faces, self._odds = load_faces(config)
        unknown = [each.name for each in config.recipes if each.name not in RECIPES]
        if unknown:
            raise ConfigError(f"unknown recipe {unknown[0]!r}; choose from {sorted(RECIPES)}")
        self._recipe = MixedRecipe(
            recipes=tuple(RECIPES[each.name] for each in config.recipes),
            shares=tuple(each.share for each in config.recipes),
        )

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return ``(degraded, clean)`` crops, ``(3, S, S)`` float32 in [-1, 1]."""
        rng = np.random.default_rng((self._seed, index))
        face = self._faces[int(rng.choice(len(self._faces), p=self._odds))]
        size = min(self._config.crop_px, face.shape[0])
        top, left = rng.integers(face.shape[0] - size + 1, size=2)
        clean = face[top : top + size, left : left + size].astype(np.float32) / 255.0
        if rng.random() < 0.5:
            clean = clean[:, ::-1]
        clean = toned(clean, rng, gray_share=self._config.gray_share)
        clean = np.ascontiguousarray(clean)
        drawn = self._recipe.draw(rng)
        return _tensor(drawn.apply(clean)), _tensor(drawn.target(clean))


def toned(image_hwc: FloatArray, rng: np.random.Generator, *, gray_share: float) -> FloatArray:
    """Vary exposure, contrast and tint a little, and drop the colour of some."""
    gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
    gain = rng.uniform(0.85, 1.0) * rng.uniform(0.94, 1.06, size=3)
    toned = np.clip(image_hwc**gamma * gain + rng.uniform(0, 0.05), 0, 1)
    if rng.random() < gray_share:
        toned = np.repeat(toned.mean(axis=2, keepdims=True), 3, axis=2)
    return toned.astype(np.float32)


def _tensor(image_hwc: FloatArray) -> Tensor:
    chw = np.ascontiguousarray(image_hwc.transpose(2, 0, 1))
    return torch.from_numpy(chw).mul_(2.0).sub_(1.0)


def batches_from(
    config: DataConfig, *, seed: int, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of steps ``first_step``, ``first_step + 1``, ... without end."""
    dataset = CropPairs(config, seed=seed)

    def indices() -> Iterator[list[int]]:
        step = first_step
        while True:
            yield [step * config.batch_size + at for at in range(config.batch_size)]
            step += 1

    yield from DataLoader(
        dataset,
        batch_sampler=indices(),  # pyright: ignore[reportArgumentType]  (endless, so unsized)
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
