"""Detects the architecture of a checkpoint by its tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from vidrestore.models.common.state_shapes import Shapes, block_count, matches_state
from vidrestore.models.face_parser import face_parser_from_shapes
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen import GPEN
from vidrestore.models.mmrb import MMRB
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.psfrgan.generator import (
    PsfrganGenerator,
    build_psfrgan,
    psfrgan_generator_from_shapes,
)
from vidrestore.models.registry import RESTORERS, RestorerSpec

_PUBLISHERS = "as its publisher says"
_DECODER_OF_MMRB = "dcd.0.0.weight"
"""GPEN has no decoder. Blocks do not distinguish the two: MMRB has none at 8 pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedArchitecture:
    """The restorer that a checkpoint is for."""

    architecture: str
    """Name of the network in the literature."""
    spec: RestorerSpec
    """Builds it in the size of the checkpoint; ``download_names`` lists what else it needs."""
    submodule: str = ""
    """Path of the submodule that the checkpoint is for; "" is the whole network."""


def detect_architecture(shapes: Shapes) -> DetectedArchitecture | None:
    """Return the restorer whose tensors have exactly these names and shapes, or None."""
    if any(0 in shape for shape in shapes.values()):
        return None  # no network has empty tensors, and none can be built of that size
    for detect in _DETECTORS:
        architecture = detect(shapes)
        if architecture is not None:
            return architecture
    return None


def explain_unsupported(shapes: Shapes) -> str | None:
    """Return what a known checkpoint that is no restorer is for, or None."""
    if face_parser_from_shapes(shapes) is not None:
        return "a face parser; models that need one download it"
    return None


def _lite(shapes: Shapes) -> DetectedArchitecture | None:
    if "stem.weight" not in shapes:
        return None
    spec = RESTORERS["lite"]
    return (
        DetectedArchitecture(architecture="lite", spec=spec)
        if matches_state(spec.build, shapes)
        else None
    )


def _realesrgan(shapes: Shapes) -> DetectedArchitecture | None:
    if "conv_first.weight" not in shapes:
        return None
    spec = RESTORERS["realesrgan"]
    if not matches_state(spec.build, shapes):
        return None
    return DetectedArchitecture(architecture="Real-ESRGAN", spec=spec)


def _gfpgan_clean(shapes: Shapes) -> DetectedArchitecture | None:
    if "conv_body_first.weight" not in shapes:
        return None
    return _detect_whole("GFP-GAN (clean)", GFPGANClean, _gfpgan_arguments(shapes), shapes)


def _gfpgan(shapes: Shapes) -> DetectedArchitecture | None:
    if "conv_body_first.0.weight" not in shapes:
        return None
    return _detect_whole("GFP-GAN", GFPGAN, _gfpgan_arguments(shapes), shapes)


def _gfpgan_arguments(shapes: Shapes) -> dict[str, Any] | None:
    """Return the constructor's arguments; codes are assumed to be in W+."""
    prior = "stylegan_decoder."
    scales = block_count(shapes, "stylegan_decoder.to_rgbs")
    constant = shapes.get(f"{prior}constant_input.weight", ())
    style = shapes.get(f"{prior}style_mlp.1.weight", ())
    codes = shapes.get("final_linear.weight", ())
    shift = shapes.get("condition_shift.0.2.weight", ())
    fine = shapes.get(f"{prior}style_convs.7.modulated_conv.weight", ())
    ranks = [len(tensor) for tensor in (constant, style, codes, shift)]
    if scales == 0 or ranks != [4, 2, 2, 4] or len(fine) not in (0, 5):
        return None
    return {
        "out_size": 4 << scales,
        "num_style_feat": style[0],
        "num_mlp": sum(
            key.startswith(f"{prior}style_mlp.") and key.endswith("weight") for key in shapes
        ),
        "different_w": codes[0] != style[0],
        "sft_half": shift[0] == shift[1],
        **_width(constant[1], fine),
    }


def _width(channels_at_4: int, weight_at_64: tuple[int, ...]) -> dict[str, float]:
    """Return ``narrow`` and ``channel_multiplier`` from the channels at 4 and at 64 pixels."""
    # Channels are truncated to whole numbers: 0.01 more keeps rounding from losing one.
    narrow = (channels_at_4 + 0.01) / 512
    if not weight_at_64:  # a smaller network, whose channels no multiplier changes
        return {"narrow": narrow}
    return {"narrow": narrow, "channel_multiplier": (weight_at_64[1] + 0.01) / (256 * narrow)}


def _gpen(shapes: Shapes) -> DetectedArchitecture | None:
    arguments = _gpen_arguments(shapes)
    weight = shapes.get("generator.conv1.conv.weight", ())
    if arguments is None or len(weight) != 5 or _DECODER_OF_MMRB in shapes:
        return None
    return _detect_whole("GPEN", GPEN, arguments, shapes)


def _mmrb(shapes: Shapes) -> DetectedArchitecture | None:
    arguments = _gpen_arguments(shapes)
    if arguments is None or _DECODER_OF_MMRB not in shapes:
        return None
    return _detect_whole("MMRB", MMRB, arguments, shapes)


def _gpen_arguments(shapes: Shapes) -> dict[str, Any] | None:
    scales = block_count(shapes, "generator.to_rgbs")
    constant = shapes.get("generator.input.input", ())
    style = shapes.get("generator.style.1.weight", ())
    fine = shapes.get("generator.convs.7.conv.weight", ())
    if scales == 0 or len(constant) != 4 or len(style) != 2 or len(fine) not in (0, 5):
        return None
    return {
        "size": 4 << scales,
        "style_dim": style[0],
        "n_mlp": sum(
            key.startswith("generator.style.") and key.endswith("weight") for key in shapes
        ),
        **_width(constant[1], fine),
    }


def _on_mobile_stylegan(shapes: Shapes) -> DetectedArchitecture | None:
    """Return a restorer whose generator is MobileStyleGAN."""
    is_mmrb = _DECODER_OF_MMRB in shapes
    prefix = "generator." if is_mmrb else "stylegan_decoder."
    scales = block_count(shapes, f"{prefix}layers")
    constant = shapes.get(f"{prefix}input.input", ())
    mean = shapes.get(f"{prefix}mean_style", ())
    fine = shapes.get(f"{prefix}layers.3.conv1.conv.weight", ())
    if not 1 <= scales <= 8 or len(constant) != 4 or len(mean) != 1 or len(fine) not in (0, 4):
        return None
    narrow = (constant[1] + 0.01) / 512
    width: dict[str, Any] = {"narrow": narrow, "channel_multiplier": 2.0}
    if fine:
        width["channel_multiplier"] = (fine[0] + 0.01) / (256 * narrow)
    codes: dict[str, Any] = {
        "num_style_feat": mean[0],
        "num_mlp": sum(
            key.startswith(f"{prefix}style_mlp.") and key.endswith("weight") for key in shapes
        ),
    }
    side_px = 4 << scales

    def build() -> nn.Module:
        prior = MobileStyleGAN(out_size=side_px, isconcat=is_mmrb, **codes, **width)
        if is_mmrb:
            style_dim, n_mlp = codes.values()
            return MMRB(size=side_px, style_dim=style_dim, n_mlp=n_mlp, prior=prior, **width)
        if "summary.weight" in shapes:
            return PriorRestorer(out_size=side_px, prior=prior, narrow=narrow, **codes)
        network = GFPGANClean if "conv_body_first.weight" in shapes else GFPGAN
        return network(out_size=side_px, prior=prior, **codes, **width)

    if not matches_state(build, shapes):
        return None
    architecture = "MMRB" if is_mmrb else "prior" if "summary.weight" in shapes else "GFP-GAN"
    return DetectedArchitecture(
        architecture=f"{architecture} (MobileStyleGAN)",
        spec=RestorerSpec(build=build, crop_size_px=side_px, license=_PUBLISHERS),
    )


def _psfrgan(shapes: Shapes) -> DetectedArchitecture | None:
    arguments = psfrgan_generator_from_shapes(shapes)
    if arguments is None:
        return None
    spec = RestorerSpec(
        build=lambda: build_psfrgan(generator=PsfrganGenerator(**arguments)),
        crop_size_px=arguments["in_size"],
        license=_PUBLISHERS,
        download_names=MappingProxyType({"parser": RESTORERS["psfrgan"].download_names["parser"]}),
    )
    return DetectedArchitecture(architecture="PSFR-GAN", spec=spec, submodule="generator")


def _detect_whole(
    architecture: str,
    network: Callable[..., nn.Module],
    arguments: dict[str, Any] | None,
    shapes: Shapes,
) -> DetectedArchitecture | None:
    if arguments is None:
        return None
    build = partial(network, **arguments)
    if not matches_state(build, shapes):
        return None
    side_px = int(arguments["out_size"] if "out_size" in arguments else arguments["size"])
    spec = RestorerSpec(build=build, crop_size_px=side_px, license=_PUBLISHERS)
    return DetectedArchitecture(architecture=architecture, spec=spec)


_DETECTORS: tuple[Callable[[Shapes], DetectedArchitecture | None], ...] = (
    _lite,
    _realesrgan,
    _on_mobile_stylegan,
    _gfpgan_clean,
    _gfpgan,
    _mmrb,
    _gpen,
    _psfrgan,
)
