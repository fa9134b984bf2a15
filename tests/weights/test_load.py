import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.weights.load import load_weights


def small_network(seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, kernel_size=3), nn.BatchNorm2d(4))


@pytest.fixture
def state() -> dict[str, Tensor]:
    return dict(small_network(1).state_dict())


def assert_loaded(path: Path, state: dict[str, Tensor]) -> None:
    network = small_network(2)
    load_weights(network, path)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    "wrapper",
    ["params_ema", "params", "state_dict", "model", "model_state_dict", "net_state_dict", "net"],
)
def test_a_state_dict_under_a_common_wrapper_is_loaded(
    tmp_path: Path, state: dict[str, Tensor], wrapper: str
) -> None:
    torch.save({wrapper: state, "iter": 7}, tmp_path / "net.pth")

    assert_loaded(tmp_path / "net.pth", state)


def test_a_plain_state_dict_and_a_data_parallel_one_are_equal(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    torch.save(OrderedDict(state), tmp_path / "bare.pth")
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "dp.pth")

    assert_loaded(tmp_path / "bare.pth", state)
    assert_loaded(tmp_path / "dp.pth", state)


def test_the_moving_average_is_preferred(tmp_path: Path, state: dict[str, Tensor]) -> None:
    other = dict(small_network(3).state_dict())
    torch.save({"params": other, "params_ema": state}, tmp_path / "net.pth")

    assert_loaded(tmp_path / "net.pth", state)


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth"])
def test_safetensors_are_recognized_by_their_content(
    tmp_path: Path, state: dict[str, Tensor], name: str
) -> None:
    save_file(state, tmp_path / name)

    assert_loaded(tmp_path / name, state)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_code_in_a_checkpoint_is_refused_and_does_not_run(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    ran = tmp_path / "ran"
    evil = {**state, "x": Malicious(ran)}
    torch.save(evil, tmp_path / "zip.pth")
    torch.save(evil, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Malicious(ran), protocol=2))

    for path in sorted(tmp_path.glob("*.pth")):
        with pytest.raises(WeightsError, match="could run code") as caught:
            load_weights(small_network(2), path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not ran.exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_checkpoint_is_named(
    tmp_path: Path, state: dict[str, Tensor], kind: str, kept: float
) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])

    with pytest.raises(WeightsError, match="truncated or damaged") as caught:
        load_weights(small_network(2), path)
    assert str(path) in str(caught.value)


def test_a_web_page_saved_as_a_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_text("<!DOCTYPE html><html>Not found</html>")

    with pytest.raises(WeightsError, match="not a checkpoint"):
        load_weights(small_network(2), tmp_path / "net.pth")


def test_mismatched_tensors_are_named_and_the_network_is_unchanged(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    network = small_network(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    wrong = {f"other.{name}": value for name, value in state.items()}
    wrong["0.bias"] = state["0.bias"]
    wrong["1.weight"] = torch.zeros(5)
    torch.save(wrong, tmp_path / "net.pth")

    with pytest.raises(WeightsError) as caught:
        load_weights(network, tmp_path / "net.pth")
    message = str(caught.value)
    for part in (
        "net.pth",
        "Sequential",
        "5 missing (0.weight, 1.bias",
        "7 not expected",
        "1 of another shape (1.weight is (5,), not (4,))",
    ):
        assert part in message
    assert "\n" not in message
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    state["0.bias"] = torch.full((4,), float("nan"))
    torch.save(state, tmp_path / "net.pth")

    with pytest.raises(WeightsError, match=r"not finite: 0\.bias"):
        load_weights(small_network(2), tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no tensors"),
        ({"a": 1}, "'a' is a int, not a tensor"),
        (torch.zeros(3), "holds a Tensor"),
        ({"a": torch.eye(3).to_sparse()}, "not a dense tensor"),
    ],
)
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "net.pth")

    with pytest.raises(WeightsError, match=message):
        load_weights(small_network(2), tmp_path / "net.pth")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pth: no such file"):
        load_weights(small_network(2), tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="not a file"):
        load_weights(small_network(2), tmp_path)
