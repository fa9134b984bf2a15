"""The table of restorers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import nn

from vidrestore.errors import UnknownModelError
from vidrestore.models.gfpgan.clean import GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gpen import GPEN
from vidrestore.models.lite import build_lite
from vidrestore.models.prior_restorer import build_small_prior
from vidrestore.models.psfrgan.generator import build_psfrgan
from vidrestore.models.upscalers.realesrgan import RealEsrganFaces
from vidrestore.types import CROP_SIZE_PX, SMALL_CROP_SIZE_PX, TINY_CROP_SIZE_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNetwork:
    """A network for crops of another size than the restorer's own."""

    crop_size_px: int
    build: Callable[[], nn.Module]
    packaged_file: str
    adds_detail: bool = False
    """Whether it draws what the crop does not show, which ``--detail 0`` excludes."""
    generator_file: str | None = None
    """See ``RestorerSpec``."""

    @property
    def packaged_files(self) -> tuple[str, ...]:
        """Names of its files inside the package."""
        return tuple(name for name in (self.packaged_file, self.generator_file) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerSpec:
    """How to build a restorer, what it accepts, and where its weights come from."""

    build: Callable[[], nn.Module]
    """Returns the network with untrained weights; its forward returns ``RestorerOutput``."""
    crop_size_px: int
    license: str
    packaged_file: str | None = None
    """Weights inside the package, in ``vidrestore/models/data``; None if there are none."""
    generator_file: str | None = None
    """The packaged generator whose tensors ``packaged_file`` leaves out; None if it has all."""
    small_networks: tuple[SmallNetwork, ...] = ()
    """The networks for crops of small faces."""
    download_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Path of a submodule ("" is the whole network) -> name of its weights in the manifest."""

    @property
    def packaged_files(self) -> tuple[str, ...]:
        """Names of all files inside the package, those of the largest crops first."""
        own = tuple(name for name in (self.packaged_file, self.generator_file) if name)
        return own + tuple(name for small in self.small_networks for name in small.packaged_files)


LITE_SMALL_FILE = "lite_small.safetensors"
"""The weights of ``lite`` for small crops."""
PRIOR_FILE = "prior.safetensors"
"""Shared by the restorer of this name and the default one."""
MOBILE_STYLEGAN_FILE = "mobile_stylegan.safetensors"
"""The generator inside the package."""


def _downloaded(
    name: str, build: Callable[[], nn.Module], *, license: str = "Apache-2.0"
) -> RestorerSpec:
    """Return a network whose weights have its name in the manifest."""
    return RestorerSpec(
        build=build,
        crop_size_px=CROP_SIZE_PX,
        license=license,
        download_names=MappingProxyType({"": name}),
    )


RESTORERS: Mapping[str, RestorerSpec] = MappingProxyType(
    {
        "lite": RestorerSpec(
            build=build_lite,
            crop_size_px=CROP_SIZE_PX,
            license="Apache-2.0",
            packaged_file="lite.safetensors",
            small_networks=(
                SmallNetwork(
                    crop_size_px=SMALL_CROP_SIZE_PX,
                    build=build_lite,
                    packaged_file=LITE_SMALL_FILE,
                ),
                SmallNetwork(
                    crop_size_px=TINY_CROP_SIZE_PX,
                    build=build_small_prior,
                    packaged_file=PRIOR_FILE,
                    generator_file=MOBILE_STYLEGAN_FILE,
                    adds_detail=True,
                ),
            ),
        ),
        "prior": RestorerSpec(
            build=build_small_prior,
            crop_size_px=TINY_CROP_SIZE_PX,
            license="Apache-2.0",
            packaged_file=PRIOR_FILE,
            generator_file=MOBILE_STYLEGAN_FILE,
        ),
        "realesrgan": RestorerSpec(
            build=RealEsrganFaces,
            crop_size_px=CROP_SIZE_PX,
            license="BSD-3-Clause",
            packaged_file="realesrgan_x4plus.safetensors",
        ),
        **{
            name: _downloaded(name, GFPGANClean)
            for name in ("gfpgan-1.4", "gfpgan-1.3", "gfpgan-1.2")
        },
        "gfpgan-paper": _downloaded("gfpgan-paper", GFPGAN),
        "psfrgan": RestorerSpec(
            build=build_psfrgan,
            crop_size_px=CROP_SIZE_PX,
            license="CC BY-NC-SA 4.0",
            download_names=MappingProxyType({"generator": "psfrgan", "parser": "psfrgan-parser"}),
        ),
        "gpen-512": _downloaded("gpen-512", GPEN, license="non-commercial"),
    }
)


def restorer_spec(name: str) -> RestorerSpec:
    """Return the table entry for ``name``.

    Raises:
        UnknownModelError: There is none; the message lists the known ones.
    """
    try:
        return RESTORERS[name]
    except KeyError:
        known = ", ".join(sorted(RESTORERS))
        raise UnknownModelError(f"unknown model {name!r}; choose from: {known}") from None
