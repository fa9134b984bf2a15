"""The networks that a run on one device trains: what each builds, starts from, and computes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from vidrestore.errors import ConfigError
from vidrestore.models.lite import build_lite
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.registry import restorer_spec
from vidrestore.training.on_device.config import DeviceRunConfig, StageWeights
from vidrestore.training.on_device.lite_weights import (
    COMPACT,
    EMBEDDED,
    UNTRAINED,
    read_starting_state,
)
from vidrestore.training.tasks.build import read_pretrained
from vidrestore.weights.load import load_state
from vidrestore.weights.priors import load_mobile_stylegan


class DeviceNetwork(Protocol):
    """What differs between the networks; ``stage_trainer`` trains them all."""

    name: str
    """Also the name of the file of weights."""
    license: str

    def build(self) -> nn.Module:
        """Return the network untrained, on the CPU; its forward returns ``RestorerOutput``."""
        ...

    def starting_state(self, pretrained: str) -> dict[str, Tensor]:
        """Return the weights that a run starts from, on the CPU.

        Raises:
            ConfigError: ``pretrained`` is not for this network.
            WeightsError: The file is missing, unsafe, or of another network.
        """
        ...

    def options(self, weights: StageWeights) -> dict[str, bool]:
        """Return the arguments of the network's forward that these losses need."""
        ...


class LiteNetwork:
    """``lite``, of crops of any size."""

    name = "lite"
    license = restorer_spec("lite").license

    def build(self) -> nn.Module:
        """See ``DeviceNetwork``."""
        return build_lite()

    def starting_state(self, pretrained: str) -> dict[str, Tensor]:
        """See ``DeviceNetwork``."""
        return read_starting_state(pretrained)

    def options(self, weights: StageWeights) -> dict[str, bool]:
        """See ``DeviceNetwork``."""
        del weights
        return {}


class PriorNetwork:
    """``prior``, around the packaged generator, of crops of its size."""

    name = "prior"
    license = "Apache-2.0"

    def __init__(self, side_px: int) -> None:
        self._side_px = side_px

    def build(self) -> nn.Module:
        """See ``DeviceNetwork``."""
        network = PriorRestorer(out_size=self._side_px)
        # The encoder gives styles in W+, so the mapping is not used.
        network.stylegan_decoder.style_mlp.requires_grad_(False)
        return network

    def starting_state(self, pretrained: str) -> dict[str, Tensor]:
        """See ``DeviceNetwork``."""
        network = self.build()
        if pretrained == EMBEDDED:
            state = self.generator().state_dict()
            network.get_submodule("stylegan_decoder").load_state_dict(state)
        elif pretrained in (UNTRAINED, COMPACT):
            raise ConfigError(
                f"pretrained {pretrained!r} is for lite; prior starts from embedded or a file"
            )
        else:
            path = Path(pretrained)
            load_state(network, read_pretrained(path, "generator"), path)
        return network.state_dict()

    def options(self, weights: StageWeights) -> dict[str, bool]:
        """See ``DeviceNetwork``."""
        return {"with_pyramid": weights.pyramid > 0, "draws": weights.looks_at_output}

    def generator(self) -> MobileStyleGAN:
        """Return the packaged generator, frozen, on the CPU.

        Raises:
            ConfigError: The stages have another size.
        """
        prior = load_mobile_stylegan()
        if prior.out_size != self._side_px:
            raise ConfigError(
                f"the packaged generator draws {prior.out_size} px, but side_px is {self._side_px}"
            )
        return prior


def device_network(config: DeviceRunConfig) -> DeviceNetwork:
    """Return the network that a run trains."""
    if config.network == "prior":
        return PriorNetwork(config.stages[0].side_px)
    return LiteNetwork()


def build_frozen(network: DeviceNetwork, state: Mapping[str, Tensor]) -> nn.Module:
    """Return a network with these weights, frozen, in evaluation mode."""
    module = network.build()
    module.load_state_dict(dict(state))
    return module.eval().requires_grad_(False)
