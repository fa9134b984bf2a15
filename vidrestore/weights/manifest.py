"""The published checkpoints that this package can fetch: one literal table."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from vidrestore.errors import UnknownModelError

_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
_PSFRGAN = "https://github.com/chaofengc/PSFRGAN/releases/download"
_RESTOREFORMER = "https://github.com/wzhouxiff/RestoreFormerPlusPlus/releases/download"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsEntry:
    """One checkpoint published by its authors."""

    name: str
    """Name for the user."""
    file_name: str
    """Name of the file in the weights folder."""
    url: str
    size_bytes: int | None
    """Exact size, or None if unknown."""
    sha256: str | None
    """Lower-case hex digest, or None if unknown."""
    licensor: str
    """The publisher of the weights."""
    license: str
    non_commercial: bool
    """Whether the license forbids commercial use of the weights."""
    purpose: str
    """The option that uses it, or what it is for in a few words."""

    def __post_init__(self) -> None:
        if self.file_name in {"", ".", ".."} or any(mark in self.file_name for mark in "/\\:"):
            raise ValueError(f"{self.name}: not a plain file name: {self.file_name!r}")
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"{self.name}: not a web address: {self.url!r}")
        if self.sha256 is not None and (
            len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef")
        ):
            raise ValueError(f"{self.name}: not a SHA-256 digest: {self.sha256!r}")


_ENTRIES = (
    WeightsEntry(
        name="gfpgan-1.4",
        file_name="GFPGANv1.4.pth",
        url=f"{_GFPGAN}/v1.3.4/GFPGANv1.4.pth",
        size_bytes=348_632_874,
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model",
    ),
    WeightsEntry(
        name="gfpgan-1.3",
        file_name="GFPGANv1.3.pth",
        url=f"{_GFPGAN}/v1.3.0/GFPGANv1.3.pth",
        size_bytes=348_632_874,
        sha256="c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model",
    ),
    WeightsEntry(
        name="gfpgan-1.2",
        file_name="GFPGANCleanv1-NoCE-C2.pth",
        url=f"{_GFPGAN}/v0.2.0/GFPGANCleanv1-NoCE-C2.pth",
        size_bytes=None,
        sha256=None,
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model",
    ),
    WeightsEntry(
        name="gfpgan-paper",
        file_name="GFPGANv1.pth",
        url=f"{_GFPGAN}/v0.1.0/GFPGANv1.pth",
        size_bytes=None,
        sha256=None,
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model",
    ),
    WeightsEntry(
        name="stylegan2-ffhq-512",
        file_name="StyleGAN2_512_Cmul1_FFHQ_B12G4_scratch_800k.pth",
        url=f"{_GFPGAN}/v0.1.0/StyleGAN2_512_Cmul1_FFHQ_B12G4_scratch_800k.pth",
        size_bytes=None,
        sha256=None,
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="generative prior, for training",
    ),
    WeightsEntry(
        name="arcface-resnet18",
        file_name="arcface_resnet18.pth",
        url=f"{_GFPGAN}/v0.1.0/arcface_resnet18.pth",
        size_bytes=None,
        sha256=None,
        licensor="ARC Lab, Tencent PCG",
        license="Apache-2.0",
        non_commercial=False,
        purpose="identity loss, for training",
    ),
    WeightsEntry(
        name="psfrgan",
        file_name="psfrgan_epoch15_net_G.pth",
        url=f"{_PSFRGAN}/v0.1.0/psfrgan_epoch15_net_G.pth",
        size_bytes=None,
        sha256=None,
        licensor="Chaofeng Chen et al.",
        license="CC BY-NC-SA 4.0",
        non_commercial=True,
        purpose="--model",
    ),
    WeightsEntry(
        name="psfrgan-parser",
        file_name="parse_multi_iter_90000.pth",
        url=f"{_PSFRGAN}/v0.1.0/parse_multi_iter_90000.pth",
        size_bytes=None,
        sha256=None,
        licensor="Chaofeng Chen et al.",
        license="CC BY-NC-SA 4.0",
        non_commercial=True,
        purpose="--model psfrgan",
    ),
    WeightsEntry(
        name="gpen-512",
        file_name="GPEN-BFR-512.pth",
        url="https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models/GPEN-BFR-512.pth",
        size_bytes=None,
        sha256=None,
        licensor="Alibaba Group",
        license="non-commercial",
        non_commercial=True,
        purpose="--model",
    ),
    WeightsEntry(
        name="retinaface-resnet50",
        file_name="detection_Resnet50_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth",
        size_bytes=109_497_761,
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        licensor="Xintao Wang (facexlib)",
        license="MIT",
        non_commercial=False,
        purpose="--detector retinaface",
    ),
    WeightsEntry(
        name="retinaface-mobile0.25",
        file_name="detection_mobilenet0.25_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth",
        size_bytes=1_789_735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        licensor="Xintao Wang (facexlib)",
        license="MIT",
        non_commercial=False,
        purpose="--detector retinaface-mobile",
    ),
    WeightsEntry(
        name="parsenet",
        file_name="parsing_parsenet.pth",
        url=f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth",
        size_bytes=85_331_193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        licensor="Xintao Wang (facexlib)",
        license="MIT",
        non_commercial=False,
        purpose="face parsing",
    ),
    WeightsEntry(
        name="bisenet",
        file_name="parsing_bisenet.pth",
        url=f"{_FACEXLIB}/v0.2.0/parsing_bisenet.pth",
        size_bytes=None,
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        licensor="Xintao Wang (facexlib)",
        license="MIT",
        non_commercial=False,
        purpose="face parsing",
    ),
    WeightsEntry(
        name="restoreformer",
        file_name="RestoreFormer.ckpt",
        url=f"{_RESTOREFORMER}/v1.0.0/RestoreFormer.ckpt",
        size_bytes=None,
        sha256=None,
        licensor="Zhouxia Wang et al.",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model, with the extra zoo",
    ),
    WeightsEntry(
        name="restoreformer++",
        file_name="RestoreFormer++.ckpt",
        url=f"{_RESTOREFORMER}/v1.0.0/RestoreFormer++.ckpt",
        size_bytes=294_028_815,
        sha256="613fe52805f86bf8c2bffff08ae9f7a0b99f408be1bf221767af6183038be3a2",
        licensor="Zhouxia Wang et al.",
        license="Apache-2.0",
        non_commercial=False,
        purpose="--model, with the extra zoo",
    ),
    WeightsEntry(
        name="codeformer",
        file_name="codeformer.pth",
        url="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
        size_bytes=376_637_898,
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        licensor="S-Lab, Nanyang Technological University",
        license="S-Lab 1.0",
        non_commercial=True,
        purpose="--model, with the extra zoo",
    ),
)

WEIGHTS: Mapping[str, WeightsEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def weights_entry(name: str) -> WeightsEntry:
    """Return the table entry for ``name``.

    Raises:
        UnknownModelError: There is no such entry.
    """
    entry = WEIGHTS.get(name)
    if entry is None:
        near = get_close_matches(name, WEIGHTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from: {', '.join(WEIGHTS)}"
        raise UnknownModelError(f"unknown checkpoint {name!r}; {hint}")
    return entry
