"""Every system trains: its parameters change, its run resumes, its previews are written."""

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


def test_every_task_has_a_small_config() -> None:
    assert set(TASK_OF.values()) == TASKS.keys()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_run_changes_every_trained_parameter_and_resumes_bit_for_bit(
    name: str, root: Path, tmp_path: Path
) -> None:
    uninterrupted = run(small_config(name, root), tmp_path / "uninterrupted")
    run(small_config(name, root, steps=2), tmp_path / "resumed")
    resumed = run(small_config(name, root), tmp_path / "resumed")

    torch.manual_seed(0)
    task = small_config(name, root).build_task(device=torch.device("cpu"))
    for network, train_state in task.train_states.items():
        final: dict[str, Tensor] = uninterrupted["networks"][network]["network"]
        for key, value in resumed["networks"][network]["network"].items():
            assert torch.equal(value, final[key]), f"{network}: {key} differs after a resume"
        initial = train_state.network.state_dict()
        trained = [key for key, _ in train_state.trained_parameters()]
        unchanged = [key for key in trained if torch.equal(final[key], initial[key])]
        assert unchanged == [], f"{network}: unchanged parameters"
    assert (tmp_path / "uninterrupted" / "previews" / "0000004.jpg").is_file()


def test_a_run_has_exactly_one_task(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"exactly one of the tables .*; found none"):
        from_mapping({"steps": 1}, RunConfig, where="test")
    with pytest.raises(ConfigError, match="found stylegan2 and parser"):
        small_config("parser", root, stylegan2=stylegan2(root))


def test_stylegan2_refuses_enlarged_faces(root: Path) -> None:
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
def test_conflicting_settings_are_refused(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    settings = lite_by_crops(root) | changes
    raw = {key: setting for key, setting in settings.items() if setting is not None}
    with pytest.raises(ConfigError, match=message):
        from_mapping({"steps": 1, "restorer": raw}, RunConfig, where="test")


@pytest.mark.parametrize("change", ["clips", "weight"])
@pytest.mark.parametrize("system", ["lite", "psfrgan"])
def test_a_temporal_loss_and_clips_need_each_other(system: str, change: str, root: Path) -> None:
    task, settings = TASK_OF[system], SMALL[system](root)
    if change == "clips":
        del settings["clips"]
    elif task == "psfrgan":
        del settings["temporal_weight"]
    else:
        del settings["loss_weights"]["temporal"]
    with pytest.raises(ConfigError, match=rf"temporal.* \[{task}.clips\] need each other"):
        small_config(system, root, **{task: settings})


def test_the_packaged_prior_is_refused_for_another_size(root: Path) -> None:
    settings = restorer("gfpgan-clean")(root) | {"prior": "mobile"}
    config = from_mapping({"steps": 1, "restorer": settings}, RunConfig, where="test")
    with pytest.raises(ConfigError, match=r"prior has data\.size_px 512 and style_dim 512"):
        config.build_task(device=torch.device("cpu"))


def test_a_prior_of_another_size_is_refused(root: Path) -> None:
    settings = on_mobile_prior("mmrb")(root) | {"data": data(root)}
    config = from_mapping({"steps": 1, "restorer": settings}, RunConfig, where="test")
    with pytest.raises(WeightsError, match="not a MobileStyleGAN of this size"):
        config.build_task(device=torch.device("cpu"))


CONFIG_FOLDER = Path(__file__).parents[2] / "configs" / "train"
PUBLISHED = (
    "gfpgan_512",
    "gfpgan_mobile_512",
    "mmrb_512",
    "mmrb_mobile_512",
    "parser_512",
    "psfrgan_512",
    "stylegan2_512",
)
# Configs of scripts/train_gpu.py are read by tests/training/on_device.
CONFIGS = sorted(
    path
    for path in (*CONFIG_FOLDER.glob("*.toml"), *CONFIG_FOLDER.glob("proof/*.toml"))
    if path.stem not in ("lite_gpu", "lite_cpu", "lite_cpu_fidelity", "lite_small_cpu", "prior_gpu")
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid(path: Path) -> None:
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
def test_the_error_names_a_wrong_setting(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(CONFIG_FOLDER / "lite.toml", RunConfig, overrides=[override])
