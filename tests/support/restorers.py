"""Every restorer's architecture in a small configuration, filled by the golden rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files

from support.golden import fill_weights
from torch import nn

from vidrestore.models.face_parser import FaceParser
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen import GPEN
from vidrestore.models.lite import build_lite
from vidrestore.models.mmrb import MMRB
from vidrestore.models.prior_restorer import build_small_prior
from vidrestore.models.psfrgan.generator import PsfrganGenerator, PsfrganRestorer, build_psfrgan
from vidrestore.models.registry import PRIOR_FILE, RESTORERS, RestorerSpec
from vidrestore.models.upscalers.realesrgan import RealEsrganFaces
from vidrestore.weights.load import load_weights
from vidrestore.weights.priors import load_bundled_restorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A restorer to hold to the contract."""

    untrained: Callable[[], nn.Module]
    fill: Callable[[nn.Module], nn.Module]
    """Gives a network weights, and returns it in evaluation mode."""
    side_px: int
    resting: tuple[str, ...] = ()
    """Prefixes of parameters that no loss reaches, by design."""
    pyramid: tuple[str, ...] = ()
    """Prefixes of parameters that only the pyramid's pictures reach."""

    def build(self) -> nn.Module:
        """Return the network with weights."""
        return self.fill(self.untrained())

    def spec(self) -> RestorerSpec:
        """Return what the restorer accepts."""
        return RestorerSpec(build=self.build, crop_size_px=self.side_px, license="Apache-2.0")


def _with_embedded_weights(network: nn.Module) -> nn.Module:
    name = RESTORERS["lite"].packaged_file
    assert name is not None
    with as_file(files("vidrestore.models") / "data" / name) as path:
        load_weights(network, path)
    return network.eval()


def _with_packaged_prior(network: nn.Module) -> nn.Module:
    load_bundled_restorer(network, PRIOR_FILE)
    return network.eval()


def _fan_in(network: nn.Module) -> nn.Module:
    return fill_weights(network, "fan_in")


def _unit(network: nn.Module) -> nn.Module:
    return fill_weights(network, "unit")


def _parts_by_fan_in(network: nn.Module) -> nn.Module:
    for part in network.children():
        fill_weights(part, "fan_in")
    return network.eval()


def _unit_but_blocks(network: nn.Module) -> nn.Module:
    fill_weights(network, "unit")
    fill_weights(network.get_submodule("mmrb"), "fan_in")  # plain convolutions among equalized ones
    return network


def _psfrgan() -> nn.Module:
    return build_psfrgan(
        parser=FaceParser(in_size=64, out_size=64, min_feat_size=16, base_ch=32, res_depth=1),
        generator=PsfrganGenerator(in_size=64, out_size=64, ch_range=(8, 32)),
    )


_GFPGAN_PYRAMID = ("toRGB.",)
_PRIORS_MAPPING = ("stylegan_decoder.style_mlp.",)

_SMALL = {"num_style_feat": 32, "num_mlp": 2, "narrow": 0.0625}
_SMALL_GPEN = {"style_dim": 32, "n_mlp": 2, "narrow": 0.0625}
_IN_Z = {**_SMALL, "input_is_latent": False, "different_w": False, "sft_half": False}

CASES: Mapping[str, Case] = {
    "lite": Case(untrained=build_lite, fill=_with_embedded_weights, side_px=64),
    "prior": Case(
        untrained=build_small_prior,
        fill=_with_packaged_prior,
        side_px=128,
        resting=_PRIORS_MAPPING,
        pyramid=("toRGB.0.", "toRGB.1.", "toRGB.3."),
    ),
    "realesrgan": Case(
        untrained=partial(RealEsrganFaces, size_px=64, features=8, growth=4, blocks=2),
        fill=_fan_in,
        side_px=64,
    ),
    "gfpgan-clean": Case(
        untrained=partial(GFPGANClean, out_size=64, **_SMALL),
        fill=_fan_in,
        side_px=64,
        resting=_PRIORS_MAPPING,
        pyramid=_GFPGAN_PYRAMID,
    ),
    "gfpgan-clean in z": Case(
        untrained=partial(GFPGANClean, out_size=32, **_IN_Z),
        fill=_fan_in,
        side_px=32,
        pyramid=_GFPGAN_PYRAMID,
    ),
    "gfpgan": Case(
        untrained=partial(GFPGAN, out_size=64, channel_multiplier=2, **_SMALL),
        fill=_unit,
        side_px=64,
        resting=_PRIORS_MAPPING,
        pyramid=_GFPGAN_PYRAMID,
    ),
    "gfpgan in z": Case(
        untrained=partial(GFPGAN, out_size=32, **_IN_Z),
        fill=_unit,
        side_px=32,
        pyramid=_GFPGAN_PYRAMID,
    ),
    "psfrgan": Case(untrained=_psfrgan, fill=_parts_by_fan_in, side_px=64, resting=("parser.",)),
    "gpen": Case(untrained=partial(GPEN, size=64, **_SMALL_GPEN), fill=_unit, side_px=64),
    "mmrb": Case(
        untrained=partial(MMRB, size=64, **_SMALL_GPEN),
        fill=_unit_but_blocks,
        side_px=64,
        pyramid=("toRGB.",),
    ),
}


def parts_of(network: nn.Module) -> set[type[nn.Module]]:
    """Return what a network is, and what it is of where it only joins others."""
    if isinstance(network, PsfrganRestorer):
        return {PsfrganRestorer, type(network.parser), type(network.generator)}
    return {type(network)}
