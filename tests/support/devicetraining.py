"""Small runs of training on one device: small faces and networks, random loss networks."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from support.facefolders import write_faces
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.toml_config import from_mapping
from vidrestore.training.on_device import lite_weights, networks
from vidrestore.training.on_device.config import DeviceRunConfig

RATES = {"lr": 2e-4, "beta1": 0.9, "schedule": "cosine", "warmup_steps": 1}
FIDELITY = {"log_l1": 1.0, "ssim": 1.0, "identity": 0.5}
DETAIL = {
    "tones": 1.0,
    "truth": 1.0,
    "components": 1.0,
    "teacher": 1.0,
    "gradients": 0.5,
    "identity": 0.3,
    "consistency": 0.25,
}


class SmallRestorer(nn.Module):
    """A restorer of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(48, 16, kernel_size=3, padding=1)
        self.head = nn.Conv2d(16, 48, kernel_size=3, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        feat = F.leaky_relu(self.stem(F.pixel_unshuffle(image_NCHW, 4)), 0.2)
        return RestorerOutput(image=image_NCHW + F.pixel_shuffle(self.head(feat), 4))


def use_small_restorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs train a small network instead of ``lite``."""
    for module in (lite_weights, networks):
        monkeypatch.setattr(module, "build_lite", SmallRestorer)


def use_small_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of ``prior`` train a small network around a small generator of 64 pixels."""
    sizes: dict[str, Any] = {"num_style_feat": 16, "num_mlp": 2, "narrow": 0.0625}

    def load_small() -> MobileStyleGAN:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            prior = MobileStyleGAN(out_size=64, **sizes)
            prior.mean_style = prior.style_mlp(torch.randn(256, 16)).mean(dim=0).detach()
        return prior.eval().requires_grad_(False)

    monkeypatch.setattr(networks, "load_mobile_stylegan", load_small)
    monkeypatch.setattr(networks, "PriorRestorer", partial(PriorRestorer, **sizes))


def training_root(folder: Path) -> Path:
    """Write faces, and loss networks with random weights, into a folder; return it."""
    write_faces(folder / "faces", count=6, side_px=128)
    torch.manual_seed(0)
    save_file(MobileFaceNet().state_dict(), folder / "identity.safetensors")
    save_file(mobilenet_v2(weights=None).state_dict(), folder / "features.safetensors")
    return folder


def stage(name: str, **changes: Any) -> dict[str, Any]:
    """Return a stage on faces of 64 pixels, by default of the fidelity end."""
    settings = {"steps": 2, "side_px": 64, "batch": 2, "generator": RATES, "loss_weights": FIDELITY}
    return {"name": name, "window_px": 32, **settings, **changes}


def run_config(root: Path, stages: list[dict[str, Any]], **changes: Any) -> DeviceRunConfig:
    """Return a run on the faces of ``training_root``."""
    faces = {
        "root": str(root),
        "size_px": 128,
        "sources": [{"folder": "faces"}],
        "recipes": [{"name": "film", "probability": 1.0}],
    }
    data = {
        "faces": faces,
        "recipes": [{"name": "gfpgan", "probability": 0.7}, {"name": "film", "probability": 0.3}],
        "held_out": 1,
        "num_workers": 0,
        "rows": 32,
    }
    settings = {
        "pretrained": "untrained",
        "precision": "fp32",
        "log_every": 1,
        "identity_weights": str(root / "identity.safetensors"),
        "feature_weights": str(root / "features.safetensors"),
        "data": data,
        "stages": stages,
    }
    return from_mapping(settings | changes, DeviceRunConfig, where="test")
