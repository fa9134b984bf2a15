"""Builds the networks of restorer training, with their pretrained weights."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen_generator import GpenGenerator
from vidrestore.models.gpen_prior import gpen_state_of_prior
from vidrestore.models.lite import build_lite
from vidrestore.models.mmrb import MMRB, discriminator_state_from_gpen, start_from_gpen
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN, widen_for_features
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.registry import MOBILE_STYLEGAN_FILE
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.training.engine.checkpoint import network_weights, read_checkpoint
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.weights.load import load_state, read_state
from vidrestore.weights.priors import load_mobile_stylegan


def build_generator(config: RestorerConfig) -> nn.Module:
    """Return the restorer of a config, with its pretrained weights.

    Raises:
        WeightsError: A file is missing or does not fit.
    """
    network = _build(config)
    if config.prior == "mobile":
        _load_mobile_prior(network, config)
    if isinstance(network, GFPGAN | GFPGANClean | PriorRestorer):
        # The encoder predicts codes in W+, so the prior's mapping network is unused.
        network.stylegan_decoder.style_mlp.requires_grad_(False)
    pretrained = config.pretrained
    if pretrained.network is not None:
        load_state(network, read_pretrained(pretrained.network, "generator"), pretrained.network)
    if pretrained.prior is not None and config.prior == "stylegan2":
        _load_prior(network, pretrained.prior)
    if pretrained.gpen is not None and isinstance(network, MMRB):
        try:
            start_from_gpen(network, read_pretrained(pretrained.gpen, "generator"))
        except ValueError as error:
            raise WeightsError(f"{pretrained.gpen}: {error}") from error
    return network


def _build(config: RestorerConfig) -> nn.Module:
    if config.network == "lite":
        return build_lite()
    width: dict[str, Any] = {
        "channel_multiplier": config.channel_multiplier,
        "narrow": config.narrow,
    }
    side = config.data.size_px
    drawn = config.drawn_px
    prior: MobileStyleGAN | None = None
    codes = {"num_style_feat": config.style_dim, "num_mlp": config.mapping_layers}
    if config.prior == "mobile":
        is_branched = config.network == "mmrb"
        prior = MobileStyleGAN(out_size=drawn, isconcat=is_branched, **codes, **width)
    if config.network == "prior":
        return PriorRestorer(out_size=side, prior=prior, narrow=config.narrow, **codes)
    if config.network == "mmrb":
        return MMRB(
            size=side,
            style_dim=config.style_dim,
            n_mlp=config.mapping_layers,
            prior=prior,
            has_blocks=config.mmrb_blocks,
            **width,
        )
    build = GFPGAN if config.network == "gfpgan" else GFPGANClean
    return build(
        out_size=side,
        prior=prior,
        sft_half=config.modulation == "cs-sft",
        is_modulated=config.modulation != "none",
        **codes,
        **width,
    )


def _load_prior(network: nn.Module, path: Path) -> None:
    """Load a StyleGAN2 inside ``network`` from a file."""
    state = read_pretrained(path, "generator")
    if not isinstance(network, MMRB):
        load_state(network.get_submodule("stylegan_decoder"), state, path)
        return
    branched = network.generator
    assert isinstance(branched, GpenGenerator)
    try:
        state = gpen_state_of_prior(state, branched)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
    load_state(branched, state, path)


def _load_mobile_prior(network: nn.Module, config: RestorerConfig) -> None:
    """Load MobileStyleGAN inside ``network`` from a file, or else the bundled one."""
    path = config.pretrained.prior
    if path is None:
        bundled = load_mobile_stylegan()
        if (config.drawn_px, config.style_dim) != (bundled.out_size, bundled.num_style_feat):
            raise ConfigError(
                f"the bundled prior has data.size_px {bundled.out_size} and style_dim "
                f"{bundled.num_style_feat}, but the config has {config.drawn_px} and "
                f"{config.style_dim}; change them, or set pretrained.prior to a checkpoint"
            )
        state, path = bundled.state_dict(), Path(MOBILE_STYLEGAN_FILE)
    else:
        state = read_pretrained(path, "generator")
    if isinstance(network, MMRB):
        branched = network.get_submodule("generator")
        if isinstance(branched, MobileStyleGAN):
            try:
                state = widen_for_features(state, branched)
            except ValueError as error:
                raise WeightsError(f"{path}: {error}") from error
        load_state(branched, state, path)
    else:
        load_state(network.get_submodule("stylegan_decoder"), state, path)


def build_discriminator(config: RestorerConfig) -> StyleGAN2Discriminator:
    """Return the global discriminator, with its pretrained weights.

    Raises:
        WeightsError: The file is missing or does not fit.
    """
    network = StyleGAN2Discriminator(
        out_size=config.data.size_px,
        channel_multiplier=config.channel_multiplier,
        narrow=config.narrow,
    )
    path = config.pretrained.discriminator
    if path is not None:
        state = read_pretrained(path, "discriminator")
        if "convs.0.0.weight" in state:
            state = discriminator_state_from_gpen(state)
        load_state(network, state, path)
    return network


def read_pretrained(path: Path, name: str) -> dict[str, Tensor]:
    """Return exported weights, or those of one network in the checkpoint of a run.

    From a run, the moving average is returned if the network has one.

    Raises:
        WeightsError: The file is missing or unsafe, or has no such network.
    """
    if path.suffix != ".pt" or not path.is_file():
        return read_state(path)
    networks: dict[str, Any] | None = read_checkpoint(path).get("networks")
    if networks is None:
        return read_state(path)
    return network_weights(networks, name, path)
