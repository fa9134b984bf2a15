"""What a run trained is a file that our own loading takes, and gives the same images."""

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors import safe_open
from support.runs import SIDE_PX, SMALL, run, small_config, write_faces
from torch import Tensor, nn

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.architecture_detection import detect_architecture
from vidrestore.models.face_parser import FaceParser
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.training.engine.checkpoint import save_checkpoint
from vidrestore.training.export import export
from vidrestore.training.tasks.psfrgan import read_parser
from vidrestore.weights.load import load_state, load_weights, read_state

CPU = torch.device("cpu")
SYSTEMS = sorted(SMALL.keys() - {"lite-by-crops"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@cache
def trained(name: str, folder: Path) -> tuple[Path, nn.Module]:
    """Train a system for one step, once; return the checkpoint and the network it stands for."""
    root = folder / "data"
    if not root.exists():
        write_faces(root)
    config = small_config(name, root, steps=1)
    state = run(config, folder / name)
    part_name = "parser" if name == "parser" else "generator"
    part = config.task(device=CPU).train_states[part_name]
    part.load_state_dict(state["networks"][part_name])
    return folder / name / "last.pt", part.ema_network()


def images(side: int, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def shown(name: str) -> tuple[Tensor, ...]:
    """Return what a system's network is shown."""
    if name == "stylegan2":
        return (images(4, channels=1).flatten(1),)
    if name == "psfrgan":
        return images(SIDE_PX), images(SIDE_PX, channels=19)
    return (images(SIDE_PX if name == "parser" else 32),)


def given(network: nn.Module, *inputs: Tensor) -> Tensor:
    with torch.no_grad():
        found = network(*inputs)
    return found if isinstance(found, Tensor) else found[0]


def loaded(name: str, path: Path) -> nn.Module:
    """Load a file as a user would."""
    if name == "parser":
        return cast("FaceParser", read_parser(path)).eval()
    if name == "stylegan2":
        sizes: dict[str, Any] = {"num_style_feat": 16, "num_mlp": 2, "narrow": 0.0625}
        prior = StyleGAN2Generator(out_size=32, channel_multiplier=2.0, **sizes)
        load_weights(prior, path)
        return prior.eval()
    if name == "psfrgan":  # the program fetches its parser: here the generator alone
        state = read_state(path)
        found = detect_architecture({key: tuple(value.shape) for key, value in state.items()})
        assert found is not None
        assert found.architecture == "PSFR-GAN"
        network = found.spec.build().get_submodule(found.submodule)
        load_state(network, state, path)
        return network.eval()
    return load_restorer(str(path), device=CPU, dtype=torch.float32).network


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_exported_system_loads_again_and_gives_the_same(name: str, folder: Path) -> None:
    checkpoint, network = trained(name, folder)
    expected = given(network, *shown(name))
    for suffix in (".safetensors", ".pth"):
        path = folder / f"{name}{suffix}"
        exported = export(checkpoint, path)
        assert exported.system == small_config(name, folder / "data").system
        assert exported.step == 1
        assert exported.weights == "moving average"
        torch.testing.assert_close(given(loaded(name, path), *shown(name)), expected)


def test_a_file_tells_where_it_is_from(folder: Path) -> None:
    checkpoint, _ = trained("gfpgan", folder)
    export(checkpoint, folder / "told.safetensors")
    export(checkpoint, folder / "told.pth")
    with safe_open(folder / "told.safetensors", framework="pt") as file:
        told: dict[str, str] = file.metadata()
    assert told["system"] == "gfpgan"
    assert told["part"] == "generator"
    assert told["training_step"] == "1"
    assert json.loads(told["training_config"])["restorer"]["narrow"] == 0.0625
    wrapped = torch.load(folder / "told.pth", weights_only=True)
    assert set(wrapped) == {"params_ema", "metadata"}
    assert wrapped["metadata"] == told


def test_half_is_the_nearest_in_16_bits_at_half_the_size(folder: Path) -> None:
    checkpoint, network = trained("gfpgan", folder)
    sizes: list[int] = []
    for half in (False, True):
        export(checkpoint, folder / "half.safetensors", half=half)
        sizes.append((folder / "half.safetensors").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    state = read_state(folder / "half.safetensors")
    for key, value in network.state_dict().items():
        assert state[key].dtype is torch.float16
        assert torch.equal(state[key], value.half()), key
    load_restorer(str(folder / "half.safetensors"), device=CPU, dtype=torch.float32)


def test_a_part_without_an_average_is_exported_as_it_is(folder: Path) -> None:
    checkpoint, _ = trained("gfpgan", folder)
    exported = export(checkpoint, folder / "judge.safetensors", part="discriminator")
    assert exported.weights == "network"
    held = torch.load(checkpoint, weights_only=True)["networks"]["discriminator"]["network"]
    state = read_state(folder / "judge.safetensors")
    assert state.keys() == held.keys()
    assert all(torch.equal(state[key], held[key]) for key in held)


def checkpoint_of(weight: float, path: Path) -> Path:
    parts = {"generator": {"network": {"weight": torch.tensor([weight])}}}
    save_checkpoint(path, {"step": 3, "parts": parts})
    return path


def test_a_checkpoint_that_does_not_tell_its_config_is_exported_as_unknown(tmp_path: Path) -> None:
    exported = export(checkpoint_of(1.0, tmp_path / "last.pt"), tmp_path / "out.safetensors")
    assert (exported.system, exported.step, exported.config) == ("unknown", 3, {})


@pytest.mark.parametrize(
    ("weight", "half", "said"),
    [(float("nan"), False, "weight is not finite"), (1e6, True, "overflows float16")],
)
def test_weights_that_are_of_no_use_are_not_written(
    weight: float, half: bool, said: str, tmp_path: Path
) -> None:
    path = checkpoint_of(weight, tmp_path / "last.pt")
    with pytest.raises(WeightsError, match=said):
        export(path, tmp_path / "out.pth", half=half)
    assert not (tmp_path / "out.pth").exists()


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    path = checkpoint_of(1.0, tmp_path / "last.pt")
    with pytest.raises(ConfigError, match=r"out\.bin: the name must end in"):
        export(path, tmp_path / "out.bin")
    with pytest.raises(WeightsError, match="this run has no parser; it has: generator"):
        export(path, tmp_path / "out.pth", part="parser")
    torch.save({"weight": torch.ones(1)}, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match=r"plain\.pth: not a training checkpoint"):
        export(tmp_path / "plain.pth", tmp_path / "out.pth")
    with pytest.raises(WeightsError, match="absent"):
        export(tmp_path / "absent.pt", tmp_path / "out.pth")
