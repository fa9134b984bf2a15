"""What restorers need of a pretrained face generator: StyleGAN2 in any form, or MobileStyleGAN.

GFP-GAN changes the features of every level (``between``); GPEN and MMRB give features in the place
of the noise. Both give a style for every layer (W+) and take the picture.
"""

from typing import Protocol

from torch import Tensor, nn

from vidrestore.models.stylegan2.synthesis import Between, Noise, unchanged


class GenerativePrior(Protocol):
    """A generator from styles to a picture, with a hand on its features at every level.

    Levels are 8, 16, ... pixels. Their features have the channels of
    ``stylegan2.layers.channels_by_size``, so a restorer's parts do not depend on the generator.
    """

    num_latent: int
    """Styles of a picture, one for every layer that takes its own."""

    @property
    def style_mlp(self) -> nn.Module:
        """The mapping from Z to W, ``(N, F)`` each."""
        ...

    def broadcast(self, style_NF: Tensor) -> Tensor:
        """Return one style for all layers, ``(N, num_latent, F)``."""
        ...

    def synthesise(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, between: Between = unchanged
    ) -> Tensor:
        """Return the picture of styles, ``(N, 3, S, S)``, not clipped.

        Args:
            latents_NLF: ``(N, num_latent, F)``.
            noise: One map per convolution of the levels, 4 pixels first, then two of each level;
                the stored ones where None. Generators with feature branches take features here.
            between: What to do to the features between the two convolutions of a level.
        """
        ...
