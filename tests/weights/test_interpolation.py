"""One file, two ends, and every network between them."""

import math
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.ends import perturb_weights, save_ends
from support.golden import pictures, snapshot_state
from torch import Tensor, nn

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.metrics.psnr_ssim import psnr_db
from vidrestore.models.lite import build_lite
from vidrestore.weights.interpolation import pack
from vidrestore.weights.load import load_weights, read_state, read_weights
from vidrestore.weights.metadata import interpolation_metadata

State = dict[str, Tensor]


def small_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 16, kernel_size=3), nn.PReLU(16), nn.Conv2d(16, 3, 1))


@pytest.fixture
def ends() -> tuple[State, State]:
    fidelity = snapshot_state(small_network())
    return fidelity, perturb_weights(fidelity, share=0.5)


@pytest.fixture
def file(tmp_path: Path, ends: tuple[State, State]) -> Path:
    return save_ends(tmp_path / "net.safetensors", *ends, default=0.25)


def test_detail_0_is_the_fidelity_end_exactly_in_half_precision(
    file: Path, ends: tuple[State, State]
) -> None:
    state = read_weights(file, detail=0.0).state
    for name, each in ends[0].items():
        assert torch.equal(state[name], each.half().float()), name


def test_detail_1_is_the_detail_end_within_half_a_step_of_each_channel(
    file: Path, ends: tuple[State, State]
) -> None:
    state = read_weights(file, detail=1.0).state
    for name, expected in ends[1].items():
        if expected.ndim > 1:
            reach = (expected - ends[0][name]).abs().flatten(1).amax(dim=1)
            error = (state[name] - expected).abs().flatten(1).amax(dim=1)
            # 127 steps; 0.51 for the scale, which half precision rounds up.
            assert bool((error <= 0.51 * reach / 127 + 1e-5).all()), name
        else:
            torch.testing.assert_close(state[name], expected, atol=1e-5, rtol=2e-3)


@pytest.mark.parametrize(("detail", "position"), [(0.2, 0.1), (0.5, 0.25), (0.6, 0.4)])
def test_weights_are_linear_from_each_end_to_the_default_position(
    file: Path, detail: float, position: float
) -> None:
    at_0, between, at_1 = (read_weights(file, detail=value).state for value in (0.0, detail, 1.0))
    for name, tensor in between.items():
        expected = at_0[name] * (1 - position) + at_1[name] * position
        torch.testing.assert_close(tensor, expected)
    assert any(not torch.equal(at_0[name], at_1[name]) for name in at_0)


def test_without_a_value_detail_is_one_half(file: Path) -> None:
    unasked, requested = read_weights(file), read_weights(file, detail=0.5)

    assert unasked.detail == requested.detail == 0.5
    for state in (requested.state, read_state(file)):
        assert all(torch.equal(state[name], each) for name, each in unasked.state.items())


def test_a_loaded_network_has_exactly_its_own_tensors(file: Path) -> None:
    network = small_network()
    before = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}

    assert load_weights(network, file, detail=0.75) == 0.75
    after = network.state_dict()
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in after.items()} == before
    assert torch.equal(after["0.weight"], read_weights(file, detail=0.75).state["0.weight"])


@pytest.mark.parametrize("wrong", [-0.01, 1.5, math.nan, math.inf])
def test_a_detail_out_of_range_is_refused_without_changing_the_network(
    file: Path, wrong: float
) -> None:
    network = small_network()
    before = snapshot_state(network)
    with pytest.raises(ConfigError, match=r"^detail must be a number from 0 to 1, got"):
        load_weights(network, file, detail=wrong)
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())


def test_a_file_with_one_end_is_loaded_and_takes_no_detail(
    tmp_path: Path, ends: tuple[State, State]
) -> None:
    path = tmp_path / "plain.safetensors"
    save_file(ends[0], path, metadata={"format_version": "1"})

    assert load_weights(small_network(), path) is None
    with pytest.raises(
        ConfigError,
        match=r"plain\.safetensors does not support --detail, .*two sets of weights only",
    ):
        load_weights(small_network(), path, detail=0.5)


def test_tensors_equal_at_both_ends_are_stored_once_and_unchanged(
    tmp_path: Path, ends: tuple[State, State]
) -> None:
    one_changed = {**ends[0], "0.bias": ends[1]["0.bias"]}
    tensors = pack(ends[0], one_changed)
    given = {name for name, each in tensors.items() if "detail." in name and each.numel()}
    assert given == {"detail.difference.0.bias"}

    path = save_ends(tmp_path / "net.safetensors", ends[0], one_changed, default=0.5)
    at_0, at_1 = (read_weights(path, detail=place).state for place in (0.0, 1.0))
    assert [name for name in at_0 if not torch.equal(at_0[name], at_1[name])] == ["0.bias"]


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1e-5, 3.0])
def test_small_and_large_differences_are_not_clipped(size: float) -> None:
    zero = {"weight": torch.zeros(8, 40)}
    expected = {"weight": size * torch.linspace(-1, 1, 320).view(8, 40)}
    tensors = pack(zero, expected)
    result = tensors["detail.difference.weight"].float() * tensors["detail.scale.weight"][:, None]

    reach = expected["weight"].abs().amax(dim=1, keepdim=True)
    # Below the smallest number of half precision nothing is left to tell apart.
    assert bool(((result - expected["weight"]).abs() <= 0.51 * reach / 127 + 3e-8).all())


def test_ends_of_two_networks_are_refused(ends: tuple[State, State]) -> None:
    fewer = {name: each for name, each in ends[1].items() if name != "0.bias"}
    for other in (fewer, {**ends[1], "0.bias": torch.zeros(3)}):
        with pytest.raises(WeightsError, match="belong to different networks"):
            pack(ends[0], other)


def changed_tensors(name: str, tensors: State, metadata: dict[str, str]) -> None:
    match name:
        case "a difference is missing":
            del tensors["detail.difference.0.bias"]
        case "a difference of another shape":
            tensors["detail.difference.0.weight"] = torch.zeros(16, 3, 1, 1, dtype=torch.int8)
        case "scales are missing":
            del tensors["detail.scale.0.weight"]
        case "scales of another shape":
            tensors["detail.scale.0.weight"] = torch.ones(1, dtype=torch.float16)
        case "scales too many":
            tensors["detail.scale.0.bias"] = torch.ones(16, dtype=torch.float16)
        case "a difference from nothing":
            del tensors["0.weight"]
        case "a scale is not finite":
            tensors["detail.scale.0.weight"][0] = math.inf
        case "a later format":
            metadata["format_version"] = "2"
        case _:
            metadata["default_detail"] = name


@pytest.mark.parametrize(
    "how",
    [
        "a difference is missing",
        "a difference of another shape",
        "scales are missing",
        "scales of another shape",
        "scales too many",
        "a difference from nothing",
        "a scale is not finite",
        "a later format",
        "1.01",
        "nan",
        "much",
    ],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(file: Path, how: str) -> None:
    tensors, metadata = load_file(file), interpolation_metadata(0.5)
    changed_tensors(how, tensors, metadata)
    save_file(tensors, file, metadata=metadata)

    with pytest.raises(WeightsError) as caught:
        read_weights(file, detail=0.5)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_tensor_names_alone_do_not_mark_a_file_of_two_ends(file: Path) -> None:
    save_file(load_file(file), file)  # of somebody's own network, with such names

    assert read_weights(file).detail is None
    assert "detail.difference.0.weight" in read_state(file)


def test_both_ends_of_lite_fit_the_package_and_8_bits_are_enough(tmp_path: Path) -> None:
    with as_file(files("vidrestore.models") / "data" / "lite.safetensors") as path:
        fidelity = read_state(path)
    # Random changes of this size ruin the picture: further apart than training takes the ends.
    detail = perturb_weights(fidelity, share=0.2)
    file = save_ends(tmp_path / "lite.safetensors", fidelity, detail)
    crops = pictures(1, 128)

    def output(state: State) -> Tensor:
        network = build_lite().eval()
        network.load_state_dict(state)
        with torch.inference_mode():
            return network(crops).image * 0.5 + 0.5

    expected = output(detail)
    assert file.stat().st_size < 22e6
    assert float(psnr_db(output(read_weights(file, detail=1.0).state), expected)) > 55.0
    assert float(psnr_db(output(fidelity), expected)) < 45.0, "the ends are alike: no test"
