"""Adaptive discriminator augmentation, for priors trained on small datasets (Karras et al. 2020b).

"Training generative adversarial networks with limited data": real and generated images that the
discriminator sees are augmented alike, each transformation with probability p (section 2.2, their
"bgc": blits, geometry, color; appendix B), so that the generator still learns plain images. p
follows the overfitting of the discriminator (section 3, equation 1). Images are resampled
bilinearly, where the authors filter; R1 is measured at the augmented images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import ConfigError
from vidrestore.training.engine.distributed import DistributedContext

_LUMA_AXIS = 1 / math.sqrt(3)
_SHIFT, _SCALE, _STRETCH = 0.125, 0.2, 0.2
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.5, 1.0
"""Standard deviations (appendix B): of shifts in image sides; of scales, contrast and saturation in
octaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig:
    """How p is adapted; defaults are the paper's."""

    target: float = 0.6
    """Target of the mean sign of the scores of real images: above it p rises, below it p falls."""
    initial: float = 0.0
    """p at the first step."""
    interval: int = 4
    """Steps between two changes of p."""
    images_to_full: int = 500_000
    """Number of images in which p can rise from 0 to 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= 1:
            raise ConfigError(f"initial must be in [0, 1], got {self.initial}")
        if not -1 < self.target < 1 or self.interval < 1 or self.images_to_full < 1:
            raise ConfigError(
                "target must be in (-1, 1), and interval and images_to_full must be >= 1"
            )


class AdaptiveAugmentation:
    """The probability p, and the score signs that it is adapted by."""

    def __init__(self, config: AugmentationConfig) -> None:
        self._config = config
        self.probability = config.initial
        self._signs: list[Tensor | float] = []
        """Of the real images of each step; on the device until they are needed."""

    def observe(self, real_scores: Tensor, context: DistributedContext) -> None:
        """Collect the scores ``(N, 1)`` of augmented real images over all processes."""
        self._signs.append(context.mean(real_scores.detach().sign().mean()))

    def adapt(self, *, step: int, batch: int) -> float:
        """Update p every ``interval`` steps; return it.

        Args:
            step: Step of the run.
            batch: Images per step.
        """
        config = self._config
        if (step + 1) % config.interval == 0 and self._signs:
            overfitted = sum(map(float, self._signs)) / len(self._signs) > config.target
            change = batch * config.interval / config.images_to_full
            probability = self.probability + (change if overfitted else -change)
            self.probability = min(1.0, max(0.0, probability))
            self._signs.clear()
        return self.probability

    def state_dict(self) -> dict[str, Any]:
        """Return p and the signs since its last update."""
        return {"probability": self.probability, "signs": [float(sign) for sign in self._signs]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned."""
        self.probability = float(state["probability"])
        self._signs = [float(sign) for sign in state["signs"]]


def augment(
    image_NCHW: Tensor,
    probability: float,
    *,
    rng: torch.Generator,
    context: DistributedContext | None = None,
) -> Tensor:
    """Return RGB images in [-1, 1], each transformation applied with ``probability``.

    Args:
        image_NCHW: ``(N, 3, S, S)``; receives gradients.
        probability: p; 0 returns the images unchanged.
        rng: Generator of all draws.
        context: The processes of the run; each uses its part of the draws.
    """
    if probability == 0:
        return image_NCHW
    draws = _Draws(len(image_NCHW), probability, rng, context or DistributedContext())
    warp = _geometry(draws).to(image_NCHW)
    color = _color(draws).to(image_NCHW)
    grid = F.affine_grid(warp[:, :2], list(image_NCHW.shape), align_corners=False)
    warped = F.grid_sample(
        image_NCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    mixed = torch.einsum("nij,njhw->nihw", color[:, :3, :3], warped)
    return mixed + color[:, :3, 3, None, None]


class _Draws:
    """Draws parameters for every image; those of skipped transformations are neutral."""

    def __init__(
        self, count: int, probability: float, rng: torch.Generator, context: DistributedContext
    ) -> None:
        self.count = count
        self._probability = probability
        self._rng = rng
        self._context = context

    def _unit(self) -> Tensor:
        """Draw from [0, 1), ``(N,)``."""
        total = self.count * self._context.size
        units = torch.rand(total, generator=self._rng, device=self._rng.device)
        return self._context.own_part(units)

    def _or_neutral(self, values_N: Tensor) -> Tensor:
        """Return values where the transformation is applied, else 0."""
        is_applied = self._unit() < self._probability
        return torch.where(is_applied, values_N, torch.zeros_like(values_N))

    def choice(self, count: int) -> Tensor:
        """Draw 0 to ``count - 1``."""
        return self._or_neutral((self._unit() * count).floor())

    def uniform(self, extent: float) -> Tensor:
        """Draw from ``-extent`` to ``extent``."""
        return self._or_neutral((self._unit() * 2 - 1) * extent)

    def normal(self, deviation: float) -> Tensor:
        """Draw from a normal distribution around 0."""
        radius = (-2 * torch.log1p(-self._unit())).sqrt()
        angle = 2 * math.pi * self._unit()
        return self._or_neutral(radius * angle.cos() * deviation)


def _geometry(draws: _Draws) -> Tensor:
    """Return ``(N, 3, 3)`` maps from augmented to original positions, in [-1, 1]."""
    flip = 1 - 2 * draws.choice(2)
    warp = _matrix(draws, a=flip)
    warp = warp @ _rotation(draws, draws.choice(4) * (math.pi / 2))
    warp = warp @ _matrix(draws, x=draws.uniform(2 * _SHIFT), y=draws.uniform(2 * _SHIFT))
    scale = torch.exp2(draws.normal(_SCALE))
    warp = warp @ _matrix(draws, a=scale, d=scale)
    angle = draws.uniform(math.pi)
    warp = warp @ _rotation(draws, angle)
    stretch = torch.exp2(draws.normal(_STRETCH))
    warp = warp @ _matrix(draws, a=stretch, d=1 / stretch)
    warp = warp @ _rotation(draws, draws.uniform(math.pi) - angle)
    return warp @ _matrix(draws, x=draws.normal(2 * _SHIFT), y=draws.normal(2 * _SHIFT))


def _matrix(
    draws: _Draws,
    *,
    a: Tensor | None = None,
    d: Tensor | None = None,
    x: Tensor | None = None,
    y: Tensor | None = None,
) -> Tensor:
    matrix = torch.eye(3).repeat(draws.count, 1, 1)
    for (row, column), value in {(0, 0): a, (1, 1): d, (0, 2): x, (1, 2): y}.items():
        if value is not None:
            matrix[:, row, column] = value.cpu()
    return matrix


def _rotation(draws: _Draws, angle_N: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(draws.count, 1, 1)
    cosine, sine = angle_N.cos().cpu(), angle_N.sin().cpu()
    matrix[:, 0, 0], matrix[:, 0, 1] = cosine, -sine
    matrix[:, 1, 0], matrix[:, 1, 1] = sine, cosine
    return matrix


def _color(draws: _Draws) -> Tensor:
    """Return ``(N, 4, 4)`` maps of RGB: brightness, contrast, luma flip, hue, saturation."""
    axis = torch.full((3,), _LUMA_AXIS)
    luma = torch.zeros(4, 4)
    luma[:3, :3] = axis[:, None] * axis[None]
    identity = torch.eye(4)
    brightness = identity.repeat(draws.count, 1, 1)
    brightness[:, :3, 3] = draws.normal(_BRIGHTNESS).cpu()[:, None]
    contrast = identity.repeat(draws.count, 1, 1)
    contrast[:, :3, :3] *= torch.exp2(draws.normal(_CONTRAST)).cpu()[:, None, None]
    luma_flip = identity - 2 * draws.choice(2).cpu()[:, None, None] * luma
    hue = _hue(draws.uniform(math.pi).cpu())
    scale = torch.exp2(draws.normal(_SATURATION)).cpu()[:, None, None]
    chroma = torch.zeros(4, 4)
    chroma[:3, :3] = torch.eye(3) - luma[:3, :3]
    saturation = identity - chroma + scale * chroma
    return saturation @ hue @ luma_flip @ contrast @ brightness


def _hue(angle_N: Tensor) -> Tensor:
    """Return rotations ``(N, 4, 4)`` of RGB around the gray axis (Rodrigues)."""
    cross = _LUMA_AXIS * torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    cosine, sine = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    rotation = torch.eye(4).repeat(len(angle_N), 1, 1)
    rotation[:, :3, :3] = cosine * torch.eye(3) + sine * cross + (1 - cosine) * _LUMA_AXIS**2
    return rotation
