"""Interface of a pretrained face generator: StyleGAN2 in any form, or MobileStyleGAN.

GFP-GAN changes the features of every level (``hook``). GPEN and MMRB pass features instead of
noise. All pass one style per layer (W+) and get an image.
"""

from typing import Protocol

from torch import Tensor, nn

from vidrestore.models.stylegan2.synthesis import FeatureHook, Noise, identity_hook


class GenerativePrior(Protocol):
    """A generator from styles to an image that lets its features be changed at every level.

    Levels are 8, 16, ... pixels. Their features have the channels of
    ``stylegan2.layers.channels_by_size``, so a restorer's parts do not depend on the generator.
    """

    num_latent: int
    """Number of styles of an image."""

    @property
    def style_mlp(self) -> nn.Module:
        """The mapping from Z to W, ``(N, F)`` each."""
        ...

    def to_w_plus(self, style_NF: Tensor) -> Tensor:
        """Return W+ codes ``(N, num_latent, F)`` that repeat one code in W."""
        ...

    def synthesize(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, hook: FeatureHook = identity_hook
    ) -> Tensor:
        """Return the image of codes in W+, ``(N, 3, S, S)``, not clipped.

        Args:
            latents_NLF: ``(N, num_latent, F)``.
            noise: One map per convolution of the levels, 4 pixels first, then two of each level;
                the stored ones where None. Generators with feature branches take features here.
            hook: What to do to the features between the two convolutions of a level.
        """
        ...
