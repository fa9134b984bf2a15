"""The table of networks that enlarge whole frames."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from vidrestore.models.common.state_shapes import Shapes, matches_state
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.settings import check_upscaler_name


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscalerSpec:
    """How to build a super-resolution network, and how it is run in tiles."""

    kind: str
    """Its name in reports."""
    build: Callable[[], nn.Module]
    """Returns the network with untrained weights; its forward takes and gives RGB in [0, 1]."""
    factor: int
    """Ratio of the sides of output and input."""
    license: str
    packaged_file: str
    """Its weights inside the package, in ``vidrestore/models/data``."""
    context_px: int
    """Pixels of the input around a tile that are processed and dropped."""


UPSCALERS: Mapping[str, UpscalerSpec] = MappingProxyType(
    {
        "realesrgan": UpscalerSpec(
            kind="Real-ESRGAN x4plus",
            build=RRDBNet,
            factor=4,
            license="BSD-3-Clause",
            packaged_file="realesrgan_x4plus.safetensors",
            # Its receptive field is larger, so tiles differ invisibly, by 1 or 2 levels of 255.
            context_px=24,
        ),
        "compact": UpscalerSpec(
            kind="Real-ESRGAN Compact x4",
            build=CompactUpscaler,
            factor=4,
            license="BSD-3-Clause",
            packaged_file="compact_x4.safetensors",
            context_px=18,  # the radius of its receptive field: 18 convolutions
        ),
    }
)


def upscaler_spec(name: str) -> UpscalerSpec:
    """Return the table entry for ``name``.

    Raises:
        UnknownModelError: There is none; the message lists the known ones.
    """
    check_upscaler_name(name)
    return UPSCALERS[name]


def upscaler_of(shapes: Shapes) -> UpscalerSpec | None:
    """Return the entry of the table whose tensors have exactly these names and shapes."""
    for spec in UPSCALERS.values():
        if matches_state(spec.build, shapes):
            return spec
    return None
