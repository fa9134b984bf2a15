"""Every system trains: its parameters move, its run resumes, its images are made."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import (
    SMALL,
    TASK_OF,
    data,
    lite_by_crops,
    on_mobile_prior,
    restorer,
    run,
    small_config,
    stylegan2,
    write_faces,
)
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.toml_config import from_mapping, read_config
from vidrestore.training.engine.run import TASKS, RunConfig


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "data")


def test_every_task_has_a_small_run_here() -> None:
    assert set(TASK_OF.values()) == TASKS.keys()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_run_moves_every_trained_parameter_and_resumes_bit_for_bit(
    name: str, root: Path, tmp_path: Path
) -> None:
    whole = run(small_config(name, root), tmp_path / "whole")
    run(small_config(name, root, steps=2), tmp_path / "cut")
    resumed = run(small_config(name, root), tmp_path / "cut")

    torch.manual_seed(0)
    begun = small_config(name, root).task(device=torch.device("cpu"))
    for part_name, part in begun.train_states.items():
        ended: dict[str, Tensor] = whole["networks"][part_name]["network"]
        for key, value in resumed["networks"][part_name]["network"].items():
            assert torch.equal(value, ended[key]), f"{part_name}: {key} differs after a resume"
        state = part.network.state_dict()
        still = [key for key, _ in part.trained_parameters() if torch.equal(ended[key], state[key])]
        assert still == [], f"{part_name}: these never moved"
    assert (tmp_path / "whole" / "previews" / "0000004.jpg").is_file()


def test_a_run_has_exactly_one_task(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"exactly one of the tables .*; found none"):
        from_mapping({"steps": 1}, RunConfig, where="test")
    with pytest.raises(ConfigError, match="found stylegan2 and parser"):
        small_config("parser", root, stylegan2=stylegan2(root))


def test_a_prior_refuses_enlarged_faces(root: Path) -> None:
    with pytest.raises(ConfigError, match="min_resolution_ratio"):
        from_mapping(
            {
                "steps": 1,
                "stylegan2": stylegan2(root) | {"data": data(root, min_resolution_ratio=0.5)},
            },
            RunConfig,
            where="test",
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_px": 100}, "multiple of 32"),
        ({"crop_px": 160}, "faces are 128"),
        ({"texture_px": 128}, "up to 96"),
        ({"texture_discriminator": None}, r"\[restorer.texture_discriminator\]"),
        ({"network": "gfpgan", "loss_weights": {}}, "full-resolution faces"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    settings = lite_by_crops(root) | changes
    raw = {key: setting for key, setting in settings.items() if setting is not None}
    with pytest.raises(ConfigError, match=message):
        from_mapping({"steps": 1, "restorer": raw}, RunConfig, where="test")


def test_the_packages_prior_is_refused_for_another_size(root: Path) -> None:
    settings = restorer("gfpgan-clean")(root) | {"prior": "mobile"}
    config = from_mapping({"steps": 1, "restorer": settings}, RunConfig, where="test")
    with pytest.raises(ConfigError, match="draws 512 px from 512 style features"):
        config.task(device=torch.device("cpu"))


def test_a_prior_of_another_size_is_refused(root: Path) -> None:
    settings = on_mobile_prior("mmrb")(root) | {"data": data(root)}
    config = from_mapping({"steps": 1, "restorer": settings}, RunConfig, where="test")
    with pytest.raises(WeightsError, match="not a MobileStyleGAN of this size"):
        config.task(device=torch.device("cpu"))


CONFIGS = Path(__file__).parents[2] / "configs" / "train"


PUBLISHED = (
    "gfpgan_512",
    "gfpgan_mobile_512",
    "mmrb_512",
    "mmrb_mobile_512",
    "parser_512",
    "psfrgan_512",
    "stylegan2_512",
)
# lite_gpu and lite_cpu are configs of scripts/train_gpu.py: tests/training/on_device reads them.
RECIPES = sorted(
    path for path in CONFIGS.glob("*.toml") if path.stem not in ("lite_gpu", "lite_cpu")
)


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
