"""Networks by their published names, with what published constructors take unsaid."""

from typing import Any

import pytest
import torch

from vidrestore.models.face_parser import FaceParser
from vidrestore.models.published import PUBLISHED, build_published
from vidrestore.models.recognizers.arcface import ArcFaceResNet, IRBlock
from vidrestore.models.stylegan2.generator import StyleGAN2Generator


@pytest.mark.parametrize("arch", ["GFPGANv1", "GFPGANv1Clean"])
def test_defaults_of_gfpgan_are_those_of_the_paper(arch: str) -> None:
    with torch.device("meta"):
        network = build_published(arch, {"out_size": 64})
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    # One code in Z for all blocks, all channels transformed, 256 channels at 64 pixels.
    assert shapes["final_linear.weight"][0] == 512
    assert shapes["condition_scale.0.2.weight"][:2] == (512, 256)
    assert shapes["stylegan_decoder.style_convs.7.modulated_conv.weight"] == (1, 256, 256, 3, 3)
    assert not network.input_is_latent


def test_defaults_of_other_networks_are_the_published_ones() -> None:
    with torch.device("meta"):
        identity = build_published("ResNetArcFace", {"block": "IRBlock", "layers": [1, 1, 1, 1]})
        parser = build_published("ParseNet (FPN)", {})
        prior = build_published("StyleGAN2Generator", {"out_size": 8})
    assert isinstance(identity, ArcFaceResNet)
    assert all(
        module.se is not None for module in identity.modules() if isinstance(module, IRBlock)
    )
    assert isinstance(parser, FaceParser)
    assert parser.in_size == 128
    assert isinstance(prior, StyleGAN2Generator)
    assert prior.num_style_feat == 512


@pytest.mark.parametrize(
    ("arch", "arguments"),
    [
        ("GFPGANv1Clean", {"out_size": 8, "decoder_load_path": None, "fix_decoder": True}),
        ("GPEN FullGenerator", {"size": 8, "style_dim": 8, "n_mlp": 1, "device": "cuda"}),
        (
            "PSFRGenerator + spectral_norm",
            {"input_nc": 3, "output_nc": 3, "ngf": 64, "n_blocks": 9},
        ),
    ],
)
def test_published_arguments_without_effect_are_accepted(
    arch: str, arguments: dict[str, Any]
) -> None:
    with torch.device("meta"):
        assert isinstance(build_published(arch, arguments), torch.nn.Module)


@pytest.mark.parametrize(
    ("arch", "arguments", "message"),
    [
        (
            "VGG",
            {},
            "unknown architecture 'VGG'; choose from: FacialComponentDiscriminator, GFPGAN",
        ),
        ("GFPGANv1", {"depth": 3}, "GFPGANv1: .*depth"),
        ("GFPGANv1", {"resample_kernel": [1, 2, 1]}, "GFPGANv1: .*resample_kernel"),
        ("GPEN FullGenerator", {"lr_mlp": 0.1}, "GPEN FullGenerator: .*lr_mlp"),
    ],
)
def test_unknown_names_and_arguments_are_refused(
    arch: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_published(arch, arguments)


def test_the_table_of_published_networks_is_read_only() -> None:
    with pytest.raises(TypeError):
        PUBLISHED["VGG"] = ArcFaceResNet  # type: ignore[index]
