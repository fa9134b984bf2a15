"""Which network a checkpoint is for, read off its tensors' names and shapes."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import nn

from vidrestore.models.architecture_detection import (
    DetectedArchitecture,
    detect_architecture,
    explain_unsupported,
)
from vidrestore.models.common.state_shapes import Shapes, block_count, matches_state
from vidrestore.models.face_parser import FaceParser, build_face_parser
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen import GPEN
from vidrestore.models.lite import build_lite
from vidrestore.models.mmrb import MMRB
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.psfrgan.generator import PsfrganGenerator
from vidrestore.models.registry import RESTORERS
from vidrestore.models.upscalers.realesrgan import RealEsrganFaces

GFPGAN_SIZES: tuple[dict[str, Any], ...] = (
    {"out_size": 64},
    {"out_size": 8},
    {"out_size": 32, "channel_multiplier": 1},
    {"out_size": 128, "channel_multiplier": 1.5},
    {"out_size": 256, "channel_multiplier": 2, "narrow": 0.13},
    {"out_size": 64, "narrow": 0.071},
    {"out_size": 16, "sft_half": False},
    {"out_size": 8, "different_w": False},
    {"out_size": 16, "num_mlp": 1, "num_style_feat": 24},
    {
        "out_size": 1024,
        "num_style_feat": 16,
        "narrow": 0.125,
        "sft_half": False,
        "different_w": False,
    },
)
GPEN_SIZES: tuple[dict[str, Any], ...] = (
    {"size": 64},
    {"size": 8},
    {"size": 32, "channel_multiplier": 1},
    {"size": 128, "channel_multiplier": 1.5},
    {"size": 64, "narrow": 0.125, "n_mlp": 3, "style_dim": 24},
    {"size": 1024, "style_dim": 16},
)
PSFRGAN_SIZES: tuple[dict[str, Any], ...] = (
    {"in_size": 64, "out_size": 64, "ch_range": (8, 32)},
    {"in_size": 32, "out_size": 32, "min_feat_size": 8, "ch_range": (16, 64)},
    {"in_size": 64, "out_size": 64, "ch_range": (8, 32), "spectral_norm": False},
)
SMALL_GFPGAN: dict[str, Any] = {"num_style_feat": 32, "num_mlp": 2, "narrow": 0.0625}
SMALL_MOBILE: dict[str, Any] = {"num_style_feat": 32, "num_mlp": 2, "narrow": 0.0625}
SMALL_GPEN: dict[str, Any] = {"style_dim": 32, "n_mlp": 2, "narrow": 0.0625}

Build = Callable[[], nn.Module]
Family = tuple[str, Build, int]
"""Name in the literature, builder, side of crops in pixels."""

FAMILIES: list[Family] = [
    ("lite", build_lite, 512),
    ("Real-ESRGAN", RealEsrganFaces, 512),
    *[
        (name, partial(network, **{**SMALL_GFPGAN, **sizes}), sizes["out_size"])
        for name, network in (("GFP-GAN", GFPGAN), ("GFP-GAN (clean)", GFPGANClean))
        for sizes in GFPGAN_SIZES
    ],
    *[
        (name, partial(network, **{**SMALL_GPEN, **sizes}), sizes["size"])
        for name, network in (("GPEN", GPEN), ("MMRB", MMRB))
        for sizes in GPEN_SIZES
    ],
    *[
        ("PSFR-GAN", partial(PsfrganGenerator, **sizes), sizes["out_size"])
        for sizes in PSFRGAN_SIZES
    ],
]
RELEASED = {
    "lite": "lite",
    "realesrgan": "Real-ESRGAN",
    "gfpgan-1.4": "GFP-GAN (clean)",
    "gfpgan-1.3": "GFP-GAN (clean)",
    "gfpgan-1.2": "GFP-GAN (clean)",
    "gfpgan-paper": "GFP-GAN",
    "psfrgan": "PSFR-GAN",
    "gpen-512": "GPEN",
    "prior": "prior (MobileStyleGAN)",
}
ONE_OF_EACH: dict[str, Build] = {
    "lite": build_lite,
    "Real-ESRGAN": RealEsrganFaces,
    "GFP-GAN": partial(GFPGAN, out_size=64, **SMALL_GFPGAN),
    "GFP-GAN (clean)": partial(GFPGANClean, out_size=64, **SMALL_GFPGAN),
    "GPEN": partial(GPEN, size=64, **SMALL_GPEN),
    "MMRB": partial(MMRB, size=64, **SMALL_GPEN),
    "PSFR-GAN": partial(PsfrganGenerator, in_size=32, out_size=32, ch_range=(8, 32)),
    "GFP-GAN (MobileStyleGAN)": lambda: GFPGANClean(
        out_size=64, prior=MobileStyleGAN(out_size=64, **SMALL_MOBILE), **SMALL_MOBILE
    ),
    "MMRB (MobileStyleGAN)": lambda: MMRB(
        size=64, prior=MobileStyleGAN(out_size=64, isconcat=True, **SMALL_MOBILE), **SMALL_GPEN
    ),
    "prior (MobileStyleGAN)": partial(PriorRestorer, out_size=64, **SMALL_MOBILE),
}


KEYS_READ = (
    "stylegan_decoder.constant_input.weight",
    "stylegan_decoder.style_mlp.1.weight",
    "stylegan_decoder.style_convs.7.modulated_conv.weight",
    "final_linear.weight",
    "condition_shift.0.2.weight",
    "conv_body_first.weight",
    "conv_body_first.0.weight",
    "generator.input.input",
    "generator.mean_style",
    "generator.layers.3.conv1.conv.weight",
    "stylegan_decoder.input.input",
    "stylegan_decoder.mean_style",
    "stylegan_decoder.layers.3.conv1.conv.weight",
    "summary.weight",
    "generator.style.1.weight",
    "generator.convs.7.conv.weight",
    "generator.conv1.conv.weight",
    "generator.conv1.activate.bias",
    "mmrb.0.fuse.0.weight",
    "const_input",
    "img_out.weight_orig",
    "head.1.norm_0.conv1.0.weight_orig",
    "stem.weight",
    "conv_first.weight",
)
"""Those that arguments are read from."""


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


@cache
def _shapes(build: Build) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(build())


def rebuilt(result: DetectedArchitecture) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = result.spec.build()
    return shapes_of(network.get_submodule(result.submodule))


@pytest.mark.parametrize(("architecture", "build", "side_px"), FAMILIES)
def test_a_network_is_recognized_in_any_configuration_and_rebuilt(
    architecture: str, build: Build, side_px: int
) -> None:
    shapes = _shapes(build)
    detected = detect_architecture(shapes)
    assert detected is not None
    assert detected.architecture == architecture
    assert detected.spec.crop_size_px == side_px
    assert rebuilt(detected) == shapes
    assert explain_unsupported(shapes) is None


@pytest.mark.parametrize("name", sorted(RESTORERS))
def test_a_released_checkpoint_is_recognized(name: str) -> None:
    part = "generator" if name == "psfrgan" else ""
    with torch.device("meta"):
        shapes = shapes_of(RESTORERS[name].build().get_submodule(part))
    detected = detect_architecture(shapes)
    assert detected is not None
    assert detected.architecture == RELEASED[name]
    assert detected.submodule == part
    assert detected.spec.crop_size_px == RESTORERS[name].crop_size_px
    assert rebuilt(detected) == shapes


def test_only_psfrgan_needs_the_parser_next_to_its_checkpoint() -> None:
    for name, build in ONE_OF_EACH.items():
        detected = detect_architecture(_shapes(build))
        assert detected is not None
        if name == "PSFR-GAN":
            assert dict(detected.spec.download_names) == {"parser": "psfrgan-parser"}
        else:
            assert dict(detected.spec.download_names) == dict(
                RESTORERS[name].download_names if name == "lite" else {}
            )


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_checkpoint_with_an_extra_or_missing_tensor_is_not_recognized(name: str) -> None:
    shapes = _shapes(ONE_OF_EACH[name])
    assert detect_architecture({**shapes, "more.weight": (3,)}) is None
    for key in {*list(shapes)[::40], *(key for key in KEYS_READ if key in shapes)}:
        fewer = {other: shape for other, shape in shapes.items() if other != key}
        assert detect_architecture(fewer) is None, f"still recognized without {key}"


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_tensor_of_another_shape_is_not_recognized(name: str) -> None:
    shapes = _shapes(ONE_OF_EACH[name])
    keys = [key for key in KEYS_READ if key in shapes]
    assert keys
    for key in keys:
        right = shapes[key]
        others = [(), (5,), tuple(0 for _ in right)]
        # Channels, which a leading axis of one may precede; kernels are compared, but not read.
        for axis in range(len(right))[-4:][:2]:
            others.append(tuple(side + (index == axis) for index, side in enumerate(right)))
        for other in others:
            if other != right:
                assert detect_architecture({**shapes, key: other}) is None, f"{key}: {other}"


@pytest.mark.parametrize("shapes", [{}, {"weight": (1,)}, {"params": ()}])
def test_tensors_of_other_networks_are_not_recognized(shapes: Shapes) -> None:
    assert detect_architecture(shapes) is None
    assert explain_unsupported(shapes) is None


@pytest.mark.parametrize(
    "build",
    [
        build_face_parser,
        partial(
            FaceParser, in_size=64, out_size=64, min_feat_size=32, base_ch=16, ch_range=(8, 32)
        ),
    ],
    ids=["released", "small"],
)
def test_a_face_parser_is_refused_as_a_restorer_by_its_name(build: Build) -> None:
    shapes = _shapes(build)
    assert detect_architecture(shapes) is None
    assert "a face parser" in (explain_unsupported(shapes) or "")


def test_blocks_are_counted_by_their_numbers() -> None:
    shapes: Shapes = {"a.0.x": (), "a.1.x": (), "a.1.y": (), "a.b.0.x": (), "ab.2.x": (), "a.7": ()}
    assert block_count(shapes, "a") == 3
    assert block_count(shapes, "a.b") == 1
    assert block_count(shapes, "c") == 0


def test_a_network_that_cannot_be_built_matches_no_tensors() -> None:
    assert not matches_state(partial(GFPGAN, out_size=20), {})
    assert matches_state(partial(nn.Linear, 2, 3), {"weight": (3, 2), "bias": (3,)})
    assert not matches_state(partial(nn.Linear, 2, 3), {"weight": (3, 2)})
