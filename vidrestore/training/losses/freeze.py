"""Parts of networks that a step leaves as they are."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn

from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator


def frozen_layers(discriminator: StyleGAN2Discriminator, count: int) -> tuple[nn.Module, ...]:
    """Return the first ``count`` layers, those nearest to the image.

    FreezeD (Mo et al. 2020): a pretrained discriminator keeps its lower layers. A layer is what the
    network's body counts as one: the 1x1 convolution from RGB is the first, each residual block the
    next. MMRB (sections 3.3 and 4.2) freezes "the first five convolution layers" of GPEN's, which
    is read as five of these: at 512 pixels everything down to 32 pixels.

    Raises:
        ValueError: There are not that many.
    """
    layers = list(discriminator.conv_body)
    if not 0 <= count <= len(layers):
        raise ValueError(f"count must be between 0 and {len(layers)}, got {count}")
    return tuple(layers[:count])


def freeze_layers(discriminator: StyleGAN2Discriminator, count: int) -> list[nn.Parameter]:
    """Let the first ``count`` layers need no gradient; return the parameters that still do.

    Only those belong in the optimizer. Gradients still flow through the frozen layers to the
    image.

    Raises:
        ValueError: There are not that many layers.
    """
    for layer in frozen_layers(discriminator, count):
        layer.requires_grad_(False)
    return [parameter for parameter in discriminator.parameters() if parameter.requires_grad]


@contextmanager
def frozen_weights(*networks: nn.Module) -> Generator[None]:
    """Let what is computed inside give no gradients to the weights of ``networks``.

    For a generator's step through discriminators: gradients reach the image, and the weights
    cost neither memory nor time. Afterwards every parameter is as it was, frozen ones frozen.
    """
    held = [each for network in networks for each in network.parameters() if each.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
