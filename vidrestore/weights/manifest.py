"""The published checkpoints that this package can fetch: one literal table."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from vidrestore.errors import UnknownModelError


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Publisher:
    """Who publishes checkpoints, and under which license."""

    folder: str
    """Address of the folder of the files."""
    licensor: str
    license: str
    non_commercial: bool = False

    def entry(
        self,
        name: str,
        path: str,
        *,
        purpose: str = "--model",
        size_bytes: int | None = None,
        sha256: str | None = None,
    ) -> WeightsEntry:
        """Return the entry of a file at ``path`` in the folder."""
        return WeightsEntry(
            name=name,
            file_name=path.rpartition("/")[2],
            url=f"{self.folder}/{path}",
            size_bytes=size_bytes,
            sha256=sha256,
            licensor=self.licensor,
            license=self.license,
            non_commercial=self.non_commercial,
            purpose=purpose,
        )


_TENCENT = _Publisher(
    folder="https://github.com/TencentARC/GFPGAN/releases/download",
    licensor="ARC Lab, Tencent PCG",
    license="Apache-2.0",
)
_CHEN = _Publisher(
    folder="https://github.com/chaofengc/PSFRGAN/releases/download",
    licensor="Chaofeng Chen et al.",
    license="CC BY-NC-SA 4.0",
    non_commercial=True,
)
_ALIBABA = _Publisher(
    folder="https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models",
    licensor="Alibaba Group",
    license="non-commercial",
    non_commercial=True,
)
_FACEXLIB = _Publisher(
    folder="https://github.com/xinntao/facexlib/releases/download",
    licensor="Xintao Wang (facexlib)",
    license="MIT",
)
_WANG = _Publisher(
    folder="https://github.com/wzhouxiff/RestoreFormerPlusPlus/releases/download",
    licensor="Zhouxia Wang et al.",
    license="Apache-2.0",
)
_S_LAB = _Publisher(
    folder="https://github.com/sczhou/CodeFormer/releases/download",
    licensor="S-Lab, Nanyang Technological University",
    license="S-Lab 1.0",
    non_commercial=True,
)

_ENTRIES = (
    _TENCENT.entry(
        "gfpgan-1.4",
        "v1.3.4/GFPGANv1.4.pth",
        size_bytes=348_632_874,
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
    ),
    _TENCENT.entry(
        "gfpgan-1.3",
        "v1.3.0/GFPGANv1.3.pth",
        size_bytes=348_632_874,
        sha256="c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
    ),
    _TENCENT.entry("gfpgan-1.2", "v0.2.0/GFPGANCleanv1-NoCE-C2.pth"),
    _TENCENT.entry("gfpgan-paper", "v0.1.0/GFPGANv1.pth"),
    _TENCENT.entry(
        "stylegan2-ffhq-512",
        "v0.1.0/StyleGAN2_512_Cmul1_FFHQ_B12G4_scratch_800k.pth",
        purpose="generative prior, for training",
    ),
    _TENCENT.entry(
        "arcface-resnet18", "v0.1.0/arcface_resnet18.pth", purpose="identity loss, for training"
    ),
    _CHEN.entry("psfrgan", "v0.1.0/psfrgan_epoch15_net_G.pth"),
    _CHEN.entry("psfrgan-parser", "v0.1.0/parse_multi_iter_90000.pth", purpose="--model psfrgan"),
    _ALIBABA.entry("gpen-512", "GPEN-BFR-512.pth"),
    _FACEXLIB.entry(
        "retinaface-resnet50",
        "v0.1.0/detection_Resnet50_Final.pth",
        purpose="--detector retinaface",
        size_bytes=109_497_761,
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    ),
    _FACEXLIB.entry(
        "retinaface-mobile0.25",
        "v0.1.0/detection_mobilenet0.25_Final.pth",
        purpose="--detector retinaface-mobile",
        size_bytes=1_789_735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
    ),
    _FACEXLIB.entry(
        "parsenet",
        "v0.2.2/parsing_parsenet.pth",
        purpose="face parsing",
        size_bytes=85_331_193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
    ),
    _FACEXLIB.entry(
        "bisenet",
        "v0.2.0/parsing_bisenet.pth",
        purpose="face parsing",
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
    ),
    _WANG.entry(
        "restoreformer", "v1.0.0/RestoreFormer.ckpt", purpose="--model, with the extra zoo"
    ),
    _WANG.entry(
        "restoreformer++",
        "v1.0.0/RestoreFormer++.ckpt",
        purpose="--model, with the extra zoo",
        size_bytes=294_028_815,
        sha256="613fe52805f86bf8c2bffff08ae9f7a0b99f408be1bf221767af6183038be3a2",
    ),
    _S_LAB.entry(
        "codeformer",
        "v0.1.0/codeformer.pth",
        purpose="--model, with the extra zoo",
        size_bytes=376_637_898,
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
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
