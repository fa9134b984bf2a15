"""Training samples that a generative prior draws itself: degraded faces whose styles are known.

A face drawn from styles is an exact pair of picture and styles, so an encoder learns styles without
an optimization for every photograph first, and from faces that never run out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.data.face_table import UNKNOWN_LABEL
from vidrestore.training.degradations.recipes.table import RecipeConfig, mix_recipes
from vidrestore.types import CROP_SIZE_PX

_MIX_STREAM, _FACE_STREAM, _DEGRADE_STREAM = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedConfig:
    """How many samples are drawn, and from which styles."""

    probability: float = 0.5
    """Of a sample to be drawn instead of read."""
    truncation: tuple[float, float] = (0.5, 1.0)
    """Range of the distance from the mean style."""
    pool: int = 64
    """Number of faces that are drawn at a time. They are kept for ``repeats`` samples each."""
    repeats: int = 4
    """Samples of every drawn face, each degraded differently."""

    def __post_init__(self) -> None:
        low, high = self.truncation
        if not 0 < self.probability <= 1 or not 0 <= low <= high <= 1:
            raise ConfigError("probability must be in (0, 1], truncation two numbers from 0 to 1")
        if self.pool < 1 or self.repeats < 1:
            raise ConfigError("pool and repeats must be >= 1")


class GeneratedFaces(Dataset[FaceSample]):
    """Samples of a dataset, some of them replaced by generated faces.

    Sample ``k`` is a function of seed and ``k`` alone.

    Args:
        faces: The other samples; their number counts.
        prior: A frozen generator on the CPU.
        config: Number and range of the draws.
        recipes: Degradations, as of ``faces``.
        size_px: Side of the samples; a smaller picture of the generator is enlarged.
        seed: Of all draws.
    """

    def __init__(
        self,
        faces: Dataset[FaceSample],
        prior: MobileStyleGAN,
        config: GeneratedConfig,
        *,
        recipes: tuple[RecipeConfig, ...],
        size_px: int,
        seed: int,
    ) -> None:
        self._faces, self._prior, self._config = faces, prior, config
        self._size_px, self._seed = size_px, seed
        self._recipe = mix_recipes(recipes)
        self._drawn = lru_cache(maxsize=config.pool)(self._draw)
        landmarks = (TEMPLATE_LANDMARKS_XY + 0.5) * (size_px / CROP_SIZE_PX) - 0.5
        self._boxes = torch.from_numpy(component_boxes(landmarks).astype(np.float32))

    def __len__(self) -> int:
        """Return the number of the other faces; indices beyond it give new draws."""
        return len(self._faces)  # pyright: ignore[reportArgumentType]  (a sized dataset)

    def is_generated(self, index: int) -> bool:
        """Return whether sample ``index`` is a generated face."""
        draw = np.random.default_rng((self._seed, _MIX_STREAM, index)).random()
        return draw < self._config.probability

    def style(self, index: int) -> Tensor:
        """Return the style in W of a generated sample, ``(F,)``."""
        return self._style_of(self._number(index))

    @torch.no_grad()
    def _style_of(self, number: int) -> Tensor:
        rng = np.random.default_rng((self._seed, _FACE_STREAM, number))
        latent = rng.standard_normal((1, self._prior.num_style_feat), dtype=np.float32)
        low, high = self._config.truncation
        truncation = low + (high - low) * float(rng.random())
        return self._prior.styles(torch.from_numpy(latent), truncation=truncation)[0]

    def __getitem__(self, index: int) -> FaceSample:
        """Return sample ``index``."""
        if not self.is_generated(index):
            return self._faces[index]
        target = self._drawn(self._number(index))
        image = np.asarray(target.permute(1, 2, 0).numpy() * 0.5 + 0.5, np.float32)
        rng = np.random.default_rng((self._seed, _DEGRADE_STREAM, index))
        pair = self._recipe.draw(rng).degrade(np.ascontiguousarray(image))
        degraded = torch.from_numpy(np.ascontiguousarray(pair.degraded.transpose(2, 0, 1)))
        ratio = min(1.0, self._prior.out_size / self._size_px)
        return FaceSample(
            degraded=degraded * 2 - 1,
            target=target,
            resolution_ratio=torch.tensor(ratio, dtype=torch.float32),
            boxes_xyxy=self._boxes,
            labels=torch.full((self._size_px, self._size_px), UNKNOWN_LABEL, dtype=torch.int64),
        )

    def _number(self, index: int) -> int:
        """Return the number of the face: a pool of faces is gone through ``repeats`` times."""
        pool, repeats = self._config.pool, self._config.repeats
        return index % pool + pool * (index // (pool * repeats))

    @torch.no_grad()
    def _draw(self, number: int) -> Tensor:
        """Return face ``number``, ``(3, S, S)`` in [-1, 1]."""
        style = self._style_of(number)
        image = self._prior.synthesize(self._prior.to_w_plus(style[None])).clamp(-1, 1)
        size = (self._size_px, self._size_px)
        if image.shape[-1] > self._size_px:
            return F.adaptive_avg_pool2d(image, size)[0]
        return F.interpolate(image, size, mode="bicubic").clamp(-1, 1)[0]
