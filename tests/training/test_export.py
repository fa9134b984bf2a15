"""An exported file loads like a published one, and gives the images of the trained network."""

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
def train_once(name: str, folder: Path) -> tuple[Path, nn.Module]:
    """Train a system for one step; return the checkpoint and the averaged network."""
    root = folder / "data"
    if not root.exists():
        write_faces(root)
    config = small_config(name, root, steps=1)
    state = run(config, folder / name)
    network = "parser" if name == "parser" else "generator"
    train_state = config.build_task(device=CPU).train_states[network]
    train_state.load_state_dict(state["networks"][network])
    return folder / name / "last.pt", train_state.ema_network()


def draw_images(side: int, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def network_inputs(name: str) -> tuple[Tensor, ...]:
    if name == "stylegan2":
        return (draw_images(4, channels=1).flatten(1),)
    if name == "psfrgan":
        return draw_images(SIDE_PX), draw_images(SIDE_PX, channels=19)
    return (draw_images(SIDE_PX if name == "parser" else 32),)


def run_network(network: nn.Module, *inputs: Tensor) -> Tensor:
    with torch.no_grad():
        output = network(*inputs)
    return output if isinstance(output, Tensor) else output[0]


def load_network(name: str, path: Path) -> nn.Module:
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
        detected = detect_architecture({key: tuple(value.shape) for key, value in state.items()})
        assert detected is not None
        assert detected.architecture == "PSFR-GAN"
        network = detected.spec.build().get_submodule(detected.submodule)
        load_state(network, state, path)
        return network.eval()
    return load_restorer(str(path), device=CPU, dtype=torch.float32).network


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_exported_network_gives_the_same_images(name: str, folder: Path) -> None:
    checkpoint, network = train_once(name, folder)
    expected = run_network(network, *network_inputs(name))
    for suffix in (".safetensors", ".pth"):
        path = folder / f"{name}{suffix}"
        info = export(checkpoint, path)
        assert info.system == small_config(name, folder / "data").system
        assert info.step == 1
        assert info.weights == "moving average"
        output = run_network(load_network(name, path), *network_inputs(name))
        torch.testing.assert_close(output, expected)


def test_the_metadata_of_a_file_names_its_run(folder: Path) -> None:
    checkpoint, _ = train_once("gfpgan", folder)
    export(checkpoint, folder / "exported.safetensors")
    export(checkpoint, folder / "exported.pth")
    with safe_open(folder / "exported.safetensors", framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
    assert metadata["system"] == "gfpgan"
    assert metadata["part"] == "generator"
    assert metadata["training_step"] == "1"
    assert json.loads(metadata["training_config"])["restorer"]["narrow"] == 0.0625
    pickled = torch.load(folder / "exported.pth", weights_only=True)
    assert set(pickled) == {"params_ema", "metadata"}
    assert pickled["metadata"] == metadata


def test_half_rounds_to_float16_and_halves_the_file(folder: Path) -> None:
    checkpoint, network = train_once("gfpgan", folder)
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


def test_a_network_without_an_average_is_exported_as_it_is(folder: Path) -> None:
    checkpoint, _ = train_once("gfpgan", folder)
    info = export(checkpoint, folder / "discriminator.safetensors", network="discriminator")
    assert info.weights == "network"
    expected = torch.load(checkpoint, weights_only=True)["networks"]["discriminator"]["network"]
    state = read_state(folder / "discriminator.safetensors")
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def write_checkpoint(weight: float, path: Path) -> Path:
    networks = {"generator": {"network": {"weight": torch.tensor([weight])}}}
    save_checkpoint(path, {"step": 3, "networks": networks})
    return path


def test_a_checkpoint_without_a_config_is_exported_as_unknown(tmp_path: Path) -> None:
    info = export(write_checkpoint(1.0, tmp_path / "last.pt"), tmp_path / "out.safetensors")
    assert (info.system, info.step, info.config) == ("unknown", 3, {})


@pytest.mark.parametrize(
    ("weight", "half", "message"),
    [(float("nan"), False, "weight is not finite"), (1e6, True, "overflows float16")],
)
def test_weights_that_are_not_finite_are_not_written(
    weight: float, half: bool, message: str, tmp_path: Path
) -> None:
    path = write_checkpoint(weight, tmp_path / "last.pt")
    with pytest.raises(WeightsError, match=message):
        export(path, tmp_path / "out.pth", half=half)
    assert not (tmp_path / "out.pth").exists()


def test_errors_name_the_file_or_network_that_cannot_be_exported(tmp_path: Path) -> None:
    path = write_checkpoint(1.0, tmp_path / "last.pt")
    with pytest.raises(ConfigError, match=r"out\.bin: the name must end in"):
        export(path, tmp_path / "out.bin")
    with pytest.raises(WeightsError, match="this run has no parser; it has: generator"):
        export(path, tmp_path / "out.pth", network="parser")
    torch.save({"weight": torch.ones(1)}, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match=r"plain\.pth: not a training checkpoint"):
        export(tmp_path / "plain.pth", tmp_path / "out.pth")
    with pytest.raises(WeightsError, match="absent"):
        export(tmp_path / "absent.pt", tmp_path / "out.pth")
