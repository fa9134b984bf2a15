"""Projection of faces into the space of a generative prior: what it can draw at all.

As in StyleGAN2 (Karras et al. 2020, section 5), but in W+, without noise to optimize, and by the
pixels of three sizes, so that it needs no weights but the generator's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import ConfigError
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.engine.schedules import warmup_cosine_lr


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionConfig:
    """How styles are fitted."""

    steps: int = 50
    lr: float = 0.02
    scales: tuple[int, ...] = (1, 4, 16)
    """By how much pictures are shrunk before they are compared."""
    keep_near: float = 0.02
    """Weight of the squared distance of styles from their mean over the layers."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.lr <= 0 or not self.scales or self.keep_near < 0:
            raise ConfigError("steps >= 1, lr > 0, scales and keep_near >= 0 are needed")


def project(
    network: MobileStyleGAN,
    face_NCHW: Tensor,
    config: ProjectionConfig,
    *,
    start_NLF: Tensor | None = None,
) -> tuple[Tensor, list[float]]:
    """Return styles in W+ that draw faces as nearly as the generator can, and the losses.

    Args:
        network: Frozen, on the device of the faces.
        face_NCHW: ``(N, 3, out_size, out_size)`` RGB in [-1, 1], aligned.
        config: Steps and rates.
        start_NLF: Styles to begin with, an encoder's; the mean style where None.

    Returns:
        ``(N, num_latent, F)``, and the loss of every step.

    Raises:
        ConfigError: The faces have another size than the generator's pictures.
    """
    if face_NCHW.shape[-2:] != (network.out_size, network.out_size):
        raise ConfigError(
            f"faces are {face_NCHW.shape[-1]} x {face_NCHW.shape[-2]}, the generator draws "
            f"{network.out_size} px; align them to that"
        )
    if start_NLF is None:
        mean = network.get_buffer("mean_style")[None].expand(len(face_NCHW), -1)
        start_NLF = network.to_w_plus(mean)
    styles = start_NLF.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([styles], lr=config.lr)
    losses: list[float] = []
    for step in range(config.steps):
        rate = warmup_cosine_lr(
            step, peak_lr=config.lr, warmup_steps=config.steps // 10, steps=config.steps
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        error = network.synthesize(styles) - face_NCHW
        terms = [F.avg_pool2d(error, scale).abs().mean() for scale in config.scales]
        spread = (styles - styles.mean(dim=1, keepdim=True)).square().mean()
        loss = torch.stack(terms).mean() + config.keep_near * spread
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return styles.detach(), losses
