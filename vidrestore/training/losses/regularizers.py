"""R1 and path length regularization, each applied only every few steps (StyleGAN2, appendix B).

Both differentiate gradients. They run in the precision of the weights, whatever autocast
surrounds them.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.losses.adversarial import Scores
from vidrestore.training.losses.full_precision import to_float32, without_autocast


def lazy_weight(weight: float, *, interval: int) -> float:
    """Return what a term that is added every ``interval`` steps must weigh to act as ``weight``.

    Raises:
        ValueError: ``interval`` is below 1.
    """
    if interval < 1:
        raise ValueError(f"interval must be at least 1, got {interval}")
    return weight * interval


def lazy_adam(
    *, lr: float, betas: tuple[float, float], interval: int
) -> tuple[float, tuple[float, float]]:
    """Return Adam's rate and decays for a network whose regularizer takes separate steps.

    With ``k`` ordinary steps and one for the regularizer, each of the k + 1 is to count
    ``k / (k + 1)`` (StyleGAN2, appendix B). Not needed where the term is added to the loss of every
    k-th step.

    Args:
        lr: Learning rate without the regularizer.
        betas: Adam's decays without it.
        interval: k.
    """
    ratio = interval / (interval + 1)
    return lr * ratio, (betas[0] ** ratio, betas[1] ** ratio)


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
        discriminator: Gives ``(N, 1)`` scores, patch scores, or those of several scales, which
            are summed.
        real_NCHW: Images; they get no gradient.
        weight: Gamma; where it is 0 nothing is computed.
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
    """The running mean of path lengths, which belongs to the state of a run.

    Args:
        decay: Share of every new mean.
    """

    def __init__(self, *, decay: float = 0.01) -> None:
        self.decay = decay
        self.value = torch.zeros(())

    def moved(self, length: Tensor) -> Tensor:
        """Move towards ``length``, a scalar, and return where that leads."""
        here = self.value.to(length.device)
        self.value = here.lerp(length.detach().float(), self.decay)
        return self.value

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that is needed to go on."""
        return {"value": self.value.detach().cpu().clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what ``state_dict`` gave."""
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
    """Return ``weight * interval * mean (|J^T y| - a)^2`` and move ``a``, the running mean.

    StyleGAN2 (Karras et al. 2020), section 3.2, equation 4: ``J`` is the derivative of the image
    by the codes, ``y`` noise in the shape of an image, its deviation one over the root of the
    number of pixels. As released, the length is the root of the mean over blocks of the squared
    norms, and weight, interval and decay are 2, 4 and 0.01.

    Args:
        synthesize: Makes ``(N, 3, S, S)`` images of codes in W+.
        latents_NLF: ``(N, L, F)``. With a gradient to a mapping network, that is regularized too.
        mean: Moved by this call.
        rng: Of the noise, on any device; the default generator where None.
        weight: Where it is 0 nothing is computed and the mean stays.
        interval: Steps between two calls.
        context: The processes of the run: each takes its part of the noise, and all go on from
            one running mean.

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
        drawn = torch.randn(shape, generator=rng, device=None if rng is None else rng.device)
        noise = context.own_part(drawn).to(image)
        (slope,) = torch.autograd.grad(
            (image * noise).sum() / pixels**0.5, latents, create_graph=True
        )
        length_N = slope.square().sum(dim=2).mean(dim=1).sqrt()
        aim = mean.moved(context.mean(length_N.detach().mean()))
        return (length_N - aim.to(length_N)).square().mean() * strength
