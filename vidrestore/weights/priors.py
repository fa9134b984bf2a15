"""The generative prior inside the package."""

from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights

MOBILE_STYLEGAN_FILE = "mobile_stylegan.safetensors"


def load_mobile_stylegan() -> MobileStyleGAN:
    """Return the face generator, 512 pixels, frozen, on the CPU.

    Raises:
        WeightsError: The package's file is damaged.
    """
    network = MobileStyleGAN()
    with bundled_file(MOBILE_STYLEGAN_FILE) as path:
        load_weights(network, path)
    return network.eval().requires_grad_(False)
