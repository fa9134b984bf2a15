"""Freeze layers or weights of networks."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn

from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator


def frozen_layers(discriminator: StyleGAN2Discriminator, count: int) -> tuple[nn.Module, ...]:
    """Return the first ``count`` layers, nearest to the image.

    FreezeD (Mo et al. 2020): a pretrained discriminator keeps its lower layers. Layers are those of
    the network's body: the 1x1 convolution from RGB, then each residual block. MMRB (sections 3.3
    and 4.2) freezes "the first five convolution layers" of GPEN's; we read this as five of these
    layers: at 512 px, everything down to 32 px.

    Raises:
        ValueError: The network has fewer layers.
    """
    layers = list(discriminator.conv_body)
    if not 0 <= count <= len(layers):
        raise ValueError(f"count must be between 0 and {len(layers)}, got {count}")
    return tuple(layers[:count])


def freeze_layers(discriminator: StyleGAN2Discriminator, count: int) -> list[nn.Parameter]:
    """Freeze the first ``count`` layers; return the parameters that are still trained.

    Gradients still flow through the frozen layers to the image.

    Raises:
        ValueError: The network has fewer layers.
    """
    for layer in frozen_layers(discriminator, count):
        layer.requires_grad_(False)
    return [parameter for parameter in discriminator.parameters() if parameter.requires_grad]


@contextmanager
def frozen_weights(*networks: nn.Module) -> Generator[None]:
    """Freeze the weights of ``networks`` inside the block.

    For a generator's step through discriminators: gradients reach the image, and the weights cost
    neither memory nor time. Afterwards the parameters that were trained are trained again.
    """
    trained = [
        parameter
        for network in networks
        for parameter in network.parameters()
        if parameter.requires_grad
    ]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
