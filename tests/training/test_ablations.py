"""Every row of the papers' ablation tables is a config that trains."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from support.runs import write_faces
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.face_parser import FaceParser
from vidrestore.models.gfpgan.component_discriminator import ComponentScores
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.toml_config import read_config
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.run import RunConfig, train
from vidrestore.training.tasks import discriminators as discriminators_module
from vidrestore.training.tasks import psfrgan as psfrgan_module
from vidrestore.training.tasks import restorer as restorer_module

FOLDER = Path(__file__).parents[2] / "configs" / "train" / "ablations"
STEPS = 20
SIDE_PX = 32


class Row(NamedTuple):
    """What a row changes: terms that are no longer logged, and weights that are no longer there."""

    without: tuple[str, ...] = ()
    no_weights: str = "-"
    """Prefix of names in the generator."""


ROWS = {
    "gfpgan_no_modulation": Row(no_weights="condition_"),
    "gfpgan_sft": Row(),
    "gfpgan_no_prior": Row(),
    "gfpgan_no_pyramid": Row(without=("pyramid",)),
    "gfpgan_no_component": Row(without=("component_mouth", "component_style", "d_mouth")),
    "gfpgan_component_only": Row(without=("component_style",)),
    "gfpgan_component_matching": Row(without=("component_style",)),
    "psfrgan_no_map_no_style": Row(without=("style",)),
    "psfrgan_no_style": Row(without=("style",)),
    "psfrgan_no_map": Row(),
    "mmrb_no_blocks": Row(no_weights="mmrb."),
    "mmrb_no_freezed": Row(),
    "mmrb_no_local": Row(without=("component_mouth", "d_mouth")),
    "mmrb_no_tuning": Row(),
    "mmrb_no_identity": Row(without=("identity",)),
}
TERMS = {
    "gfpgan": {"l1", "pyramid", "identity", "g_logistic", "component_mouth", "component_style"},
    "mmrb": {"l1", "pyramid", "identity", "g_logistic", "component_mouth", "d_logistic", "d_mouth"},
    "psfrgan": {"l1", "matching", "g_hinge", "style", "d_hinge"},
}


class Pooled(nn.Module):
    """Stands in for recognition and feature networks: colors of a few regions."""

    def __init__(self, *sides: int) -> None:
        super().__init__()
        self._sides = sides

    def forward(self, image_NCHW: Tensor) -> Any:
        pooled = tuple(F.adaptive_avg_pool2d(image_NCHW, side) for side in self._sides)
        return pooled if len(pooled) > 1 else pooled[0].flatten(1)


class SmallCritic(nn.Module):
    """Stands in for a component discriminator, of four channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.score = nn.Conv2d(4, 1, 1)

    def forward(self, image_NCHW: Tensor) -> ComponentScores:
        half = F.leaky_relu(self.first(image_NCHW), 0.2)
        quarter = F.leaky_relu(self.second(half), 0.2)
        return ComponentScores(self.score(quarter), (half, quarter))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces, a parser, and a prior with its discriminator, all tiny."""
    root = write_faces(tmp_path_factory.mktemp("data"))
    torch.manual_seed(0)
    for multiplier in (1.0, 2.0):
        sizes = {"channel_multiplier": multiplier, "narrow": 1 / 64}
        generator = StyleGAN2Generator(out_size=SIDE_PX, num_style_feat=8, num_mlp=1, **sizes)
        critic = StyleGAN2Discriminator(out_size=SIDE_PX, **sizes)
        networks = {
            "generator": {"network": generator.state_dict()},
            "discriminator": {"network": critic.state_dict()},
        }
        torch.save({"version": 2, "networks": networks}, root / f"prior_{multiplier:.0f}.pt")
    sizes = {"in_size": SIDE_PX, "out_size": SIDE_PX, "min_feat_size": 16, "base_ch": 4}
    parser = FaceParser(**sizes, res_depth=1, ch_range=(4, 8))
    torch.save(parser.state_dict(), root / "parser.pt")
    return root


@pytest.fixture(autouse=True)
def _plain_convolutions() -> Iterator[None]:
    """Compute without oneDNN: on a few channels its preparations take most of the time."""
    enabled = torch.backends.mkldnn.is_available()
    torch._C._set_mkldnn_enabled(False)  # ``flags`` warns of a setting that it is not given
    yield
    torch._C._set_mkldnn_enabled(enabled)


def tiny(root: Path, config: Path) -> list[str]:
    """Return the overrides that make a shipped config small."""
    task = "psfrgan" if config.stem.startswith("psfrgan") else "restorer"
    data = {"data.root": root, "data.sources": "[{ folder = 'faces' }]", "data.size_px": SIDE_PX,
            "data.in_memory": "true"}  # fmt: skip
    changes: dict[str, Any] = data | {"batch.size": 2, "batch.num_workers": 0}
    if task == "psfrgan":
        changes |= {"channels": "[4, 8]", "parser": root / "parser.pt"}
        changes |= {f"discriminator_{key}": value for key, value in
                    {"channels": 4, "layers": 2, "scales": 2}.items()}  # fmt: skip
    else:
        changes |= {"narrow": 1 / 64, "style_dim": 8, "mapping_layers": 1}
        changes |= {"loss_weights.perceptual": 0.0, "loss_weights.style": 0.0}
        if config.stem.startswith("mmrb"):
            changes |= {
                f"pretrained.{key}": root / "prior_2.pt" for key in ("prior", "discriminator")
            }
            shipped = read_config(config, RunConfig).restorer
            changes["frozen_layers"] = min(2, shipped.frozen_layers if shipped else 0)
        elif config.stem != "gfpgan_no_prior":
            changes["pretrained.prior"] = root / "prior_1.pt"
    run = {"steps": STEPS, "precision": "fp32", "log_every": STEPS, "validate_every": 10**6}
    overrides = run | {f"{task}.{key}": value for key, value in changes.items()}
    return [f"{key}={value}" for key, value in overrides.items()]


def test_rows_of_the_ablation_table_and_configs_correspond() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == ROWS.keys()


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_config_of_a_row_trains_twenty_steps(
    name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restorer_module, "load_identity_network", lambda _: Pooled(4))
    monkeypatch.setattr(
        psfrgan_module, "load_feature_network", lambda _, layers: Pooled(*range(2, 2 + len(layers)))
    )
    monkeypatch.setattr(discriminators_module, "FacialComponentDiscriminator", SmallCritic)
    path = FOLDER / f"{name}.toml"
    config = read_config(path, RunConfig, overrides=tiny(root, path))
    state = read_checkpoint(train(config, folder=tmp_path, device="cpu"))
    assert state["step"] == STEPS
    logged = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    row, expected = ROWS[name], TERMS[name.split("_")[0]]
    assert expected - logged.keys() == expected & set(row.without)
    assert not set(row.without) & logged.keys()
    assert all(abs(value) < 1e4 for value in logged.values())
    weights = state["networks"]["generator"]["network"]
    assert not any(key.startswith(row.no_weights) for key in weights)
    _check_switch(name, config, state)


def _check_switch(name: str, config: RunConfig, state: dict[str, Any]) -> None:
    restorer = config.restorer
    if name == "gfpgan_component_matching":
        assert restorer is not None
        assert restorer.loss_weights.component_matching == 10
    if name == "gfpgan_sft":
        last = state["networks"]["generator"]["network"]["condition_scale.0.2.weight"]
        assert last.shape[0] == 2 * last.shape[1]
    if name.startswith("psfrgan"):
        assert config.psfrgan is not None
        assert config.psfrgan.uses_map == ("no_map" not in name)
    if restorer is None:
        return
    trained = state["networks"]["discriminator"]["optimizer"]["param_groups"]
    tensor_count = len(state["networks"]["discriminator"]["network"])
    tuned = sum(len(group["params"]) for group in trained)
    freezes = restorer.network == "mmrb" and name not in ("mmrb_no_freezed", "mmrb_no_tuning")
    assert (tuned < tensor_count) == freezes
    scales = {group["lr_scale"] for group in
              state["networks"]["generator"]["optimizer"]["param_groups"]}  # fmt: skip
    tuned_prior = restorer.network == "mmrb" and name != "mmrb_no_tuning"
    assert scales == ({1.0, 0.1} if tuned_prior else {1.0})
