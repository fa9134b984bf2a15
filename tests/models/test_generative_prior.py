"""GFP-GAN and MMRB on either prior: what they share, and that the papers' networks stay."""

from collections.abc import Callable

import pytest
import torch
from support.golden import draws
from torch import Tensor, nn

from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.mmrb import MMRB
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.stylegan2.clean import CleanGenerator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator

SIDE, FEATURES = 32, 16
NARROW = 0.03125


def mobile(*, isconcat: bool = False) -> MobileStyleGAN:
    return MobileStyleGAN(
        out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=NARROW, isconcat=isconcat
    )


def gfpgan(prior: GenerativePrior | None) -> nn.Module:
    return GFPGAN(
        out_size=SIDE,
        num_style_feat=FEATURES,
        num_mlp=2,
        narrow=NARROW,
        channel_multiplier=2,
        prior=prior,
    )


def gfpgan_clean(prior: GenerativePrior | None) -> nn.Module:
    return GFPGANClean(
        out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=NARROW, prior=prior
    )


def mmrb(prior: GenerativePrior | None) -> nn.Module:
    return MMRB(size=SIDE, style_dim=FEATURES, n_mlp=2, narrow=NARROW, prior=prior)


@pytest.mark.parametrize("build", [StyleGAN2Generator, CleanGenerator, MobileStyleGAN])
@torch.no_grad()
def test_priors_return_features_of_every_level_and_use_a_style_for_every_layer(
    build: Callable[..., GenerativePrior],
) -> None:
    torch.manual_seed(0)
    prior = build(out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=NARROW)
    sides: list[tuple[int, tuple[int, ...]]] = []

    def seen(scale: int, feat_NCHW: Tensor) -> Tensor:
        sides.append((scale, tuple(feat_NCHW.shape)))
        return feat_NCHW

    styles = prior.to_w_plus(prior.style_mlp(torch.randn(2, FEATURES, generator=draws())))
    assert styles.shape == (2, prior.num_latent, FEATURES)
    plain = prior.synthesize(styles)
    assert torch.equal(prior.synthesize(styles, hook=seen), plain)
    assert sides == [(0, (2, 16, 8, 8)), (1, (2, 16, 16, 16)), (2, (2, 16, 32, 32))]
    other = styles.clone()
    for index in range(prior.num_latent):
        other[:, index] += 1.0
        assert not torch.equal(prior.synthesize(other), plain), f"style {index} does nothing"
        other[:, index] -= 1.0


@pytest.mark.parametrize(
    ("build", "isconcat"), [(gfpgan, False), (gfpgan_clean, False), (mmrb, True)]
)
def test_a_restorer_trains_through_either_prior(
    build: Callable[[GenerativePrior | None], nn.Module], isconcat: bool
) -> None:
    crops = torch.rand(2, 3, SIDE, SIDE, generator=draws()) * 2 - 1
    for prior in (None, mobile(isconcat=isconcat)):
        torch.manual_seed(1)
        network = build(prior)
        restored = network(crops, with_pyramid=True)
        assert restored.image.shape == crops.shape
        assert restored.pyramid
        restored.image.square().mean().backward()
        unused = {
            name
            for name, parameter in network.named_parameters()
            if parameter.grad is None and "toRGB" not in name and "style_mlp" not in name
        }
        assert not unused


@pytest.mark.parametrize("build", [gfpgan, gfpgan_clean, mmrb])
def test_a_given_prior_changes_no_other_tensor(
    build: Callable[[GenerativePrior | None], nn.Module],
) -> None:
    own = build(None).state_dict()
    given = build(mobile(isconcat=build is mmrb)).state_dict()
    prefixes = ("stylegan_decoder.", "generator.", "final_linear.")
    assert {
        name: tensor.shape for name, tensor in own.items() if not name.startswith(prefixes)
    } == {name: tensor.shape for name, tensor in given.items() if not name.startswith(prefixes)}
