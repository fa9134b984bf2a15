"""Projects faces into the latent space of a generative prior, to measure what it can represent.

As in StyleGAN2 (Karras et al. 2020, section 5), but in W+, without optimizing noise. The loss
compares pixels at three sizes, so no other network is needed.
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
    """Settings of the optimization."""

    steps: int = 50
    lr: float = 0.02
    scales: tuple[int, ...] = (1, 4, 16)
    """Factors by which images are shrunk before they are compared."""
    spread_weight: float = 0.02
    """Weight of the squared distance of styles from their mean over the layers."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.lr <= 0 or not self.scales or self.spread_weight < 0:
            raise ConfigError("steps must be >= 1, lr > 0, spread_weight >= 0, and scales given")


def project(
    network: MobileStyleGAN,
    face_NCHW: Tensor,
    config: ProjectionConfig,
    *,
    start_NLF: Tensor | None = None,
) -> tuple[Tensor, list[float]]:
    """Return the styles in W+ with which the generator reproduces faces best, and the losses.

    Args:
        network: A frozen generator on the device of the faces.
        face_NCHW: ``(N, 3, out_size, out_size)`` RGB in [-1, 1], aligned.
        config: Settings of the optimization.
        start_NLF: Initial styles, such as an encoder's; None starts from the mean style.

    Returns:
        ``(N, num_latent, F)`` styles, and the loss of every step.

    Raises:
        ConfigError: The size of the faces is not the generator's.
    """
    if face_NCHW.shape[-2:] != (network.out_size, network.out_size):
        raise ConfigError(
            f"faces are {face_NCHW.shape[-1]} x {face_NCHW.shape[-2]}, but the generator draws "
            f"{network.out_size} px; align the faces to that size"
        )
    if start_NLF is None:
        mean = network.get_buffer("mean_style")[None].expand(len(face_NCHW), -1)
        start_NLF = network.to_w_plus(mean)
    styles = start_NLF.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([styles], lr=config.lr)
    losses: list[float] = []
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = warmup_cosine_lr(
            step, peak_lr=config.lr, warmup_steps=config.steps // 10, steps=config.steps
        )
        error = network.synthesize(styles) - face_NCHW
        terms = [F.avg_pool2d(error, scale).abs().mean() for scale in config.scales]
        spread = (styles - styles.mean(dim=1, keepdim=True)).square().mean()
        loss = torch.stack(terms).mean() + config.spread_weight * spread
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return styles.detach(), losses
