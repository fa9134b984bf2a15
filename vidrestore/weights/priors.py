"""The generative prior inside the package, and the networks of the package that stand on it."""

from torch import Tensor, nn

from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.registry import MOBILE_STYLEGAN_FILE
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_state, load_weights, read_state, read_weights

GENERATOR_PREFIX = "stylegan_decoder."
"""Of the tensors of a ``PriorRestorer`` that are its generator's."""


def load_mobile_stylegan() -> MobileStyleGAN:
    """Return the face generator, 512 pixels, frozen, on the CPU.

    Raises:
        WeightsError: The package's file is damaged.
    """
    network = MobileStyleGAN()
    with bundled_file(MOBILE_STYLEGAN_FILE) as path:
        load_weights(network, path)
    return network.eval().requires_grad_(False)


def load_bundled_restorer(
    network: nn.Module, file_name: str, *, detail: float | None = None, model: str | None = None
) -> float | None:
    """Load a restorer from a file of ``vidrestore/models/data``.

    The file of a ``PriorRestorer`` has no tensors that are those of the packaged generator.

    Args:
        network: The network.
        file_name: Name of the file.
        detail: See ``load_weights``.
        model: Name of the model, for messages about ``detail``; the file's name where None.

    Returns:
        The detail in use; None if the file has one set of weights.

    Raises:
        WeightsError: The package's file is damaged.
        ConfigError: ``detail`` is out of range, or the file has one set of weights.
    """
    with bundled_file(file_name) as path:
        weights = read_weights(path, detail=detail, model=model or file_name)
        state = weights.state
        if isinstance(network, PriorRestorer):
            state = packaged_generator_state(network) | state
        load_state(network, state, path)
    return weights.detail


def packaged_generator_state(network: PriorRestorer) -> dict[str, Tensor]:
    """Return the tensors of the packaged generator that ``network`` has too, by their names there.

    All but the head, which is another one where the generator stops at an earlier level.
    """
    own = network.state_dict()
    with bundled_file(MOBILE_STYLEGAN_FILE) as path:
        packaged = {f"{GENERATOR_PREFIX}{key}": value for key, value in read_state(path).items()}
    head = f"{GENERATOR_PREFIX}to_img."
    return {
        key: value for key, value in packaged.items() if key in own and not key.startswith(head)
    }
