"""Every system in a size that trains within seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.face_parser import FaceParser
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.toml_config import from_mapping
from vidrestore.training.data.face_table import POINT_COLUMNS
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.run import TASKS, RunConfig, train

SIDE_PX = 64


def write_faces(root: Path) -> Path:
    """Write three striped images with points and classes, as a prepared folder; return root."""
    folder = root / "faces"
    folder.mkdir(parents=True)
    rows = ["\t".join(["file", *POINT_COLUMNS, "eff_res512", "mask"])]
    for number in range(3):
        y, x = np.mgrid[0:128, 0:128]
        wave = 127 + 100 * np.sin(x / 9 + number) * np.cos(y / 7)
        color = np.stack([wave, wave[::-1], wave.T], axis=2).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), color)
        cv2.imwrite(str(folder / f"{number}_mask.png"), (wave > 127).astype(np.uint8))
        points = (TEMPLATE_LANDMARKS_XY * 128 / 512).ravel()
        cells = [f"{number}.png", *(f"{point:.2f}" for point in points), "128"]
        rows.append("\t".join([*cells, f"{number}_mask.png"]))
    (folder / "faces.tsv").write_text("\n".join(rows) + "\n")
    return root


def write_clips(root: Path, *, frames: int = 4) -> Path:
    """Write two clips of a smooth picture that moves, as ``--film`` does; return their folder."""
    folder = root / "clips" / "train"
    folder.mkdir(parents=True, exist_ok=True)
    points = (TEMPLATE_LANDMARKS_XY * 128 / 512).ravel()
    rows = ["\t".join(["file", *POINT_COLUMNS, "eff_res512", "mask", "clip"])]
    for clip in range(2):
        noise = np.random.default_rng(clip).random((200, 200, 3), dtype=np.float32)
        scene = cv2.GaussianBlur(noise, (0, 0), 3)
        scene = (scene - scene.min()) / np.ptp(scene)
        for frame in range(frames):
            x, y = 20 + 4 * frame, 30 - 2 * frame
            file = f"{clip}_{frame}.png"
            cv2.imwrite(str(folder / file), 255 * scene[y : y + 128, x : x + 128])
            cells = [file, *(f"{point:.2f}" for point in points), "128", "", f"film-{clip}"]
            rows.append("\t".join(cells))
    (folder / "faces.tsv").write_text("\n".join(rows) + "\n")
    return folder


def data(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "root": str(root),
        "sources": [{"folder": "faces"}],
        "recipes": [{"name": "gfpgan", "probability": 1.0}],
        "size_px": SIDE_PX,
        "min_resolution_ratio": 1.0,
        **changes,
    }


BATCH = {"size": 2, "num_workers": 0}
ADAM = {"lr": 1e-3, "beta1": 0.0}


def stylegan2(root: Path) -> dict[str, Any]:
    return {
        "data": data(root, size_px=32),
        "batch": {"size": 4, "accumulation_steps": 2, "num_workers": 0},
        "generator": ADAM,
        "discriminator": ADAM,
        "narrow": 0.0625,
        "style_dim": 16,
        "mapping_layers": 2,
        "path_interval": 2,
        "r1_interval": 2,
    }


def parser(root: Path) -> dict[str, Any]:
    return {
        "data": data(root),
        "batch": BATCH,
        "adam": ADAM,
        "base_channels": 8,
        "max_channels": 16,
        "min_feature_px": 16,
        "blocks": 1,
        "test_folder": "faces",
    }


def psfrgan(root: Path) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "in_size": SIDE_PX,
        "out_size": SIDE_PX,
        "min_feat_size": 16,
        "base_ch": 8,
    }
    path = root / "parser.pt"
    if not path.exists():
        torch.save(FaceParser(**sizes, res_depth=1, ch_range=(8, 16)).state_dict(), path)
    return {
        "data": data(root),
        "batch": BATCH,
        "parser": str(path),
        "generator": ADAM,
        "discriminator": ADAM,
        "channels": [8, 16],
        "discriminator_channels": 4,
        "discriminator_layers": 2,
        "discriminator_scales": 2,
        "style_weight": 0.0,
    }


def restorer(network: str) -> Callable[[Path], dict[str, Any]]:
    def small(root: Path) -> dict[str, Any]:
        face = root / "identity.pt"
        if not face.exists():
            torch.save({"net_state_dict": MobileFaceNet().state_dict()}, face)
        settings: dict[str, Any] = {
            "network": network,
            "data": data(root, size_px=32),
            "batch": {"size": 4, "accumulation_steps": 2, "num_workers": 0},
            "generator": ADAM,
            "discriminator": ADAM,
            "components": ADAM,
            "narrow": 0.0625,
            "style_dim": 16,
            "mapping_layers": 2,
            "r1_interval": 2,
            "identity_weights": str(face),
            "loss_weights": {"perceptual": 0.0, "style": 0.0},
        }
        if network.startswith("gfpgan"):
            settings["prior_lr_scale"] = 1.0
        if network == "lite":
            settings["loss_weights"] |= {"pyramid": 0.0, "log_l1": 1.0, "ssim": 1.0}
        return settings

    return small


def lite_by_crops(root: Path) -> dict[str, Any]:
    """As ``lite`` is trained: parts of faces, blurred ones among them, judged by texture."""
    settings = restorer("lite")(root)
    settings["data"] = data(root, size_px=128, min_resolution_ratio=0.5, in_memory=True)
    del settings["discriminator"], settings["components"]
    return settings | {
        "texture_discriminator": ADAM,
        "crop_px": 96,
        "texture_px": 64,
        "loss_weights": settings["loss_weights"]
        | {
            "adversarial": 0.0,
            "component": 0.0,
            "component_style": 0.0,
            "texture_adversarial": 0.1,
        },
    }


def on_mobile_prior(network: str) -> Callable[[Path], dict[str, Any]]:
    """A restorer whose generator is a small MobileStyleGAN."""

    def small(root: Path) -> dict[str, Any]:
        path = root / "prior.pt"
        if not path.exists():
            torch.manual_seed(0)
            prior = MobileStyleGAN(out_size=32, num_style_feat=16, num_mlp=2, narrow=0.0625)
            torch.save(prior.state_dict(), path)
        return restorer(network)(root) | {"prior": "mobile", "start": {"prior": str(path)}}

    return small


def with_clips(small: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    """A system with the temporal loss, on two pairs in every micro-batch."""

    def settings(root: Path) -> dict[str, Any]:
        base = small(root)
        pairs = 2 * base["batch"].get("accumulation_steps", 1)
        base["clips"] = {"folder": str(write_clips(root)), "pairs": pairs, "num_workers": 0}
        if "loss_weights" in base:
            base["loss_weights"] = base["loss_weights"] | {"temporal": 1.0}
            return base
        return base | {"temporal_weight": 1.0}

    return settings


SMALL: dict[str, Callable[[Path], dict[str, Any]]] = {
    "stylegan2": stylegan2,
    "parser": parser,
    "psfrgan": with_clips(psfrgan),
    "gfpgan": restorer("gfpgan"),
    "gfpgan-clean": with_clips(restorer("gfpgan-clean")),
    "mmrb": restorer("mmrb"),
    "gfpgan-mobile": on_mobile_prior("gfpgan-clean"),
    "mmrb-mobile": on_mobile_prior("mmrb"),
    "prior": on_mobile_prior("prior"),
    "lite": with_clips(restorer("lite")),
    "lite-by-crops": lite_by_crops,
}
TASK_OF = {name: name if name in TASKS else "restorer" for name in SMALL}


def small_config(name: str, root: Path, **changes: Any) -> RunConfig:
    """Return a run of four steps of a system of ``SMALL``."""
    raw = {
        "steps": 4,
        "precision": "fp32",
        "log_every": 2,
        "save_every": 2,
        "validate_every": 4,
        TASK_OF[name]: SMALL[name](root),
        **changes,
    }
    return from_mapping(raw, RunConfig, where="test")


def run(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Run a config on the CPU and return its last checkpoint."""
    folder.mkdir(exist_ok=True)
    return read_checkpoint(train(config, folder=folder, device="cpu"))
