"""The published networks under their published names and constructor arguments.

For proofs and conversions; the rest of the package builds networks by their own constructors.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import nn

from vidrestore.models.face_parser import FaceParser
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen import GPEN
from vidrestore.models.mmrb import MMRB
from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.models.psfrgan.generator import PsfrganGenerator
from vidrestore.models.recognizers.arcface import ArcFaceResNet
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.fir import FIR_TAPS
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.layers import MAPPING_LR

Arguments: TypeAlias = Mapping[str, Any]

# Arguments of published constructors that concern training or loading, or are never used.
_NOT_ARCHITECTURE = frozenset(
    {"decoder_load_path", "fix_decoder", "block", "device", "ngf", "n_blocks"}
)
# Arguments that have one value in every published network; ours take no other.
_FIXED = {
    "resample_kernel": [*FIR_TAPS],
    "blur_kernel": [*FIR_TAPS],
    "lr_mlp": MAPPING_LR,
    "isconcat": True,
}
# Defaults of the published constructors; ours build the released networks.
_GFPGAN_DEFAULTS = {
    "channel_multiplier": 1,
    "input_is_latent": False,
    "different_w": False,
    "sft_half": False,
}


GPEN_DISCRIMINATOR = "GPEN Discriminator"
"""Has other names of tensors than ours: see ``mmrb.discriminator_state_from_gpen``."""


def _gpen_discriminator(
    *, size: int, channel_multiplier: float = 2, narrow: float = 1
) -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(
        out_size=size, channel_multiplier=channel_multiplier, narrow=narrow
    )


def build_published(arch: str, arguments: Arguments) -> nn.Module:
    """Return an untrained network of the published class ``arch``.

    Args:
        arch: A key of ``PUBLISHED``.
        arguments: Arguments of its constructor.

    Raises:
        ValueError: There is no such network here, or it takes no such argument.
    """
    if arch not in PUBLISHED:
        known = ", ".join(sorted(PUBLISHED))
        raise ValueError(f"unknown architecture {arch!r}; choose from: {known}")
    ignored = {key for key, value in _FIXED.items() if arguments.get(key) == value}
    ignored |= _NOT_ARCHITECTURE
    accepted = {key: value for key, value in arguments.items() if key not in ignored}
    try:
        return PUBLISHED[arch](**accepted)
    except TypeError as error:
        raise ValueError(f"{arch}: {error}") from error


PUBLISHED: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "ResNetArcFace": partial(ArcFaceResNet, use_se=True),
        "FacialComponentDiscriminator": FacialComponentDiscriminator,
        "GFPGANv1": partial(GFPGAN, **_GFPGAN_DEFAULTS),
        "GFPGANv1Clean": partial(GFPGANClean, **_GFPGAN_DEFAULTS),
        GPEN_DISCRIMINATOR: _gpen_discriminator,
        "GPEN FullGenerator": GPEN,
        "MMRB": MMRB,
        "MultiScaleDiscriminator": MultiScaleDiscriminator,
        "PSFRGenerator + spectral_norm": partial(
            PsfrganGenerator, spectral_norm=True, relu_type="relu"
        ),
        "ParseNet (FPN)": partial(FaceParser, in_size=128, out_size=128),
        "StyleGAN2Discriminator": StyleGAN2Discriminator,
        "StyleGAN2Generator": StyleGAN2Generator,
    }
)
