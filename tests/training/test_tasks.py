"""Every system trains: its parameters move, its run resumes, its pictures are made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidrestore.configfile import from_mapping, read_config
from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_POINTS_XY
from vidrestore.models.face_parser import FaceParser
from vidrestore.models.mobilefacenet import MobileFaceNet
from vidrestore.training.checkpoint import read_checkpoint
from vidrestore.training.run import TASKS, RunConfig, train
from vidrestore.training.tasks.parser import mean_f1

POINTS = ["lex", "ley", "rex", "rey", "nx", "ny", "lmx", "lmy", "rmx", "rmy"]
SIDE_PX = 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three striped pictures with points and classes, as a prepared folder of faces."""
    folder = tmp_path / "data" / "faces"
    folder.mkdir(parents=True)
    rows = ["\t".join(["file", *POINTS, "eff_res512", "mask"])]
    for number in range(3):
        y, x = np.mgrid[0:128, 0:128]
        wave = 127 + 100 * np.sin(x / 9 + number) * np.cos(y / 7)
        colour = np.stack([wave, wave[::-1], wave.T], axis=2).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), colour)
        cv2.imwrite(str(folder / f"{number}_mask.png"), (wave > 127).astype(np.uint8))
        points = (TEMPLATE_POINTS_XY * 128 / 512).ravel()
        cells = [f"{number}.png", *(f"{each:.2f}" for each in points), "128"]
        rows.append("\t".join([*cells, f"{number}_mask.png"]))
    (folder / "faces.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path / "data"


def data(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "root": str(root),
        "sources": [{"folder": "faces"}],
        "recipes": [{"name": "gfpgan", "share": 1.0}],
        "size_px": SIDE_PX,
        "least_detail": 1.0,
        **changes,
    }


BATCH = {"size": 2, "workers": 0}
ADAM = {"lr": 1e-3, "beta1": 0.0}


def stylegan2(root: Path) -> dict[str, Any]:
    return {
        "data": data(root, size_px=32),
        "batch": {"size": 4, "accumulate": 2, "workers": 0},
        "generator": ADAM,
        "discriminator": ADAM,
        "narrow": 0.0625,
        "style_features": 16,
        "mapping_layers": 2,
        "path_every": 2,
        "r1_every": 2,
    }


def parser(root: Path) -> dict[str, Any]:
    return {
        "data": data(root),
        "batch": BATCH,
        "adam": ADAM,
        "base_channels": 8,
        "most_channels": 16,
        "least_side_px": 16,
        "blocks": 1,
        "test_folder": "faces",
        "test_faces": 2,
    }


def psfrgan(root: Path) -> dict[str, Any]:
    sizes = {"in_size": SIDE_PX, "out_size": SIDE_PX, "min_feat_size": 16, "base_ch": 8}
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
            "batch": {"size": 4, "accumulate": 2, "workers": 0},
            "generator": ADAM,
            "discriminator": ADAM,
            "components": ADAM,
            "narrow": 0.0625,
            "style_features": 16,
            "mapping_layers": 2,
            "r1_every": 2,
            "identity": str(face),
            "weights": {"perceptual": 0.0, "style": 0.0},
        }
        if network == "lite":
            settings["weights"] |= {"pyramid": 0.0, "log_pixels": 1.0, "ssim": 1.0}
        return settings

    return small


def lite_by_crops(root: Path) -> dict[str, Any]:
    """As ``lite`` is trained: parts of faces, blurred ones among them, judged by texture."""
    settings = restorer("lite")(root)
    settings["data"] = data(root, size_px=128, least_detail=0.5, in_memory=True)
    del settings["discriminator"], settings["components"]
    return settings | {
        "texture": ADAM,
        "crop_px": 96,
        "texture_px": 64,
        "weights": settings["weights"]
        | {"adversarial": 0.0, "component": 0.0, "component_style": 0.0, "texture": 0.1},
    }


SMALL: dict[str, Callable[[Path], dict[str, Any]]] = {
    "stylegan2": stylegan2,
    "parser": parser,
    "psfrgan": psfrgan,
    "gfpgan": restorer("gfpgan"),
    "gfpgan-clean": restorer("gfpgan-clean"),
    "mmrb": restorer("mmrb"),
    "lite": restorer("lite"),
    "lite-by-crops": lite_by_crops,
}
TASK_OF = {name: name if name in TASKS else "restorer" for name in SMALL}


def config(name: str, root: Path, **changes: Any) -> RunConfig:
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
    folder.mkdir(exist_ok=True)
    return read_checkpoint(train(config, folder=folder, device="cpu"))


def test_every_task_has_a_small_run_here() -> None:
    assert set(TASK_OF.values()) == TASKS.keys()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_run_moves_every_trained_parameter_and_resumes_bit_for_bit(
    name: str, root: Path, tmp_path: Path
) -> None:
    whole = run(config(name, root), tmp_path / "whole")
    run(config(name, root, steps=2), tmp_path / "cut")
    resumed = run(config(name, root), tmp_path / "cut")

    torch.manual_seed(0)
    begun = config(name, root).task(device=torch.device("cpu"))
    for part_name, part in begun.parts.items():
        ended: dict[str, Tensor] = whole["parts"][part_name]["network"]
        for key, value in resumed["parts"][part_name]["network"].items():
            assert torch.equal(value, ended[key]), f"{part_name}: {key} differs after a resume"
        state = part.network.state_dict()
        still = [key for key, _ in part.trained() if torch.equal(ended[key], state[key])]
        assert still == [], f"{part_name}: these never moved"
    assert (tmp_path / "whole" / "previews" / "0000004.jpg").is_file()


def test_a_run_has_exactly_one_task(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"one task of .*; found none"):
        from_mapping({"steps": 1}, RunConfig, where="test")
    with pytest.raises(ConfigError, match="found stylegan2 and parser"):
        config("parser", root, stylegan2=stylegan2(root))


def test_a_prior_refuses_enlarged_faces(root: Path) -> None:
    with pytest.raises(ConfigError, match="least_detail"):
        from_mapping(
            {"steps": 1, "stylegan2": stylegan2(root) | {"data": data(root, least_detail=0.5)}},
            RunConfig,
            where="test",
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_px": 100}, "multiple of 32"),
        ({"crop_px": 160}, "faces are 128"),
        ({"texture_px": 128}, "up to 96"),
        ({"texture": None}, r"\[restorer.texture\]"),
        ({"network": "gfpgan", "weights": {}}, "real detail alone"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    settings = lite_by_crops(root) | changes
    raw = {key: each for key, each in settings.items() if each is not None}
    with pytest.raises(ConfigError, match=message):
        from_mapping({"steps": 1, "restorer": raw}, RunConfig, where="test")


def test_f1_is_the_mean_over_classes_of_all_pixels_that_are_known() -> None:
    mask = torch.tensor([[0, 0, 1, 255]])
    assert mean_f1([(mask, mask)]) == 1.0
    # Class 0: one of two found, nothing wrong: 2/3. Class 1: one right, one wrong: 2/3.
    assert mean_f1([(torch.tensor([[0, 1, 1, 0]]), mask)]) == pytest.approx(2 / 3)


CONFIGS = Path(__file__).parents[2] / "configs" / "train"


PUBLISHED = ("gfpgan_512", "mmrb_512", "parser_512", "psfrgan_512", "stylegan2_512")
RECIPES = sorted(CONFIGS.glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda each: each.stem)
def test_every_shipped_recipe_is_a_config_that_is_understood(path: Path) -> None:
    config = read_config(path, RunConfig)
    assert config.steps >= (90_000 if path.stem in PUBLISHED else 1)
    assert any(getattr(config, task) is not None for task in TASKS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("restorer.crop_pix=128", "did you mean 'crop_px'"),
        ("steps='many'", "steps: expected int"),
    ],
)
def test_a_wrong_setting_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(CONFIGS / "lite.toml", RunConfig, overrides=[override])
