"""R1 and path length regularization, each applied only every few steps (StyleGAN2, appendix B).

Both differentiate gradients. They run in the precision of the weights, even under autocast.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.losses.adversarial import Scores
from vidrestore.training.losses.full_precision import to_float32, without_autocast


def lazy_weight(weight: float, *, interval: int) -> float:
    """Return the weight of a term added every ``interval`` steps that equals ``weight`` per step.

    Raises:
        ValueError: ``interval`` is below 1.
    """
    if interval < 1:
        raise ValueError(f"interval must be at least 1, got {interval}")
    return weight * interval


def r1_penalty(
    discriminator: Callable[[Tensor], Scores],
    real_NCHW: Tensor,
    *,
    weight: float = 10.0,
    interval: int = 16,
) -> Tensor:
    """Return ``weight / 2 * interval * mean |d score / d image|^2`` at real images.

    Mescheder et al. 2018, equation 9, with the weight (10) and the interval (16) of GFP-GAN's
    released code; StyleGAN2's are the same interval and a weight by resolution.

    Args:
        discriminator: Returns ``(N, 1)`` scores, patch scores, or those of several scales, which
            are summed.
        real_NCHW: Images; they get no gradient.
        weight: Gamma; at 0 nothing is computed.
        interval: Steps between two calls.

    Returns:
        A scalar with a gradient to the discriminator's weights.
    """
    strength = lazy_weight(weight, interval=interval) / 2
    if strength == 0:
        return real_NCHW.new_zeros(())
    with without_autocast(real_NCHW.device), torch.enable_grad():
        real = to_float32(real_NCHW.detach()).requires_grad_()
        scores = discriminator(real)
        scales = [scores] if isinstance(scores, Tensor) else scores
        total = torch.stack([scale.sum() for scale in scales]).sum()
        (slope,) = torch.autograd.grad(total, real, create_graph=True)
        return slope.square().sum(dim=(1, 2, 3)).mean() * strength


class PathLengthMean:
    """Running mean of path lengths, part of the state of a run.

    Args:
        decay: Weight of every new value.
    """

    def __init__(self, *, decay: float = 0.01) -> None:
        self.decay = decay
        self.value = torch.zeros(())

    def update(self, length: Tensor) -> Tensor:
        """Update the mean by ``length``, a scalar, and return it."""
        mean = self.value.to(length.device)
        self.value = mean.lerp(length.detach().float(), self.decay)
        return self.value

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint."""
        return {"value": self.value.detach().cpu().clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load what ``state_dict`` returned."""
        self.value = state["value"].detach().clone()


def path_length_penalty(
    synthesize: Callable[[Tensor], Tensor],
    latents_NLF: Tensor,
    mean: PathLengthMean,
    *,
    rng: torch.Generator | None = None,
    weight: float = 2.0,
    interval: int = 4,
    context: DistributedContext | None = None,
) -> Tensor:
    """Return ``weight * interval * mean (|J^T y| - a)^2`` and update ``a``, the running mean.

    StyleGAN2 (Karras et al. 2020), section 3.2, equation 4: ``J`` is the Jacobian of the image
    with respect to the codes, ``y`` image-shaped noise whose standard deviation is one over the
    square root of the number of pixels. As released, the length is the root of the mean over blocks
    of the squared norms, and weight, interval and decay are 2, 4 and 0.01.

    Args:
        synthesize: Maps codes in W+ to ``(N, 3, S, S)`` images.
        latents_NLF: ``(N, L, F)``. A mapping network that they come from is regularized, too.
        mean: Running mean, updated by this call.
        rng: Generator of the noise, on any device; None takes the default generator.
        weight: Weight of the penalty; at 0 nothing is computed, and the mean stays.
        interval: Steps between two calls.
        context: The processes of the run: each uses its part of the noise, and all share one
            running mean.

    Returns:
        A scalar.
    """
    strength = lazy_weight(weight, interval=interval)
    if strength == 0:
        return latents_NLF.new_zeros(())
    with without_autocast(latents_NLF.device), torch.enable_grad():
        latents = to_float32(latents_NLF)
        if not latents.requires_grad:
            latents = latents.detach().requires_grad_()
        image = synthesize(latents)
        pixels = image.shape[2] * image.shape[3]
        context = context or DistributedContext()
        shape = (image.shape[0] * context.size, *image.shape[1:])
        noise = torch.randn(shape, generator=rng, device=None if rng is None else rng.device)
        noise = context.own_part(noise).to(image)
        (slope,) = torch.autograd.grad(
            (image * noise).sum() / pixels**0.5, latents, create_graph=True
        )
        length_N = slope.square().sum(dim=2).mean(dim=1).sqrt()
        target = mean.update(context.mean(length_N.detach().mean()))
        return (length_N - target.to(length_N)).square().mean() * strength
