"""The contract of every restorer, and that none is left out of it."""

import copy
from collections.abc import Callable
from functools import cache

import pytest
import torch
from support.golden import changed_tensors, pictures, snapshot_state
from support.restorers import CASES, Case, parts_of
from torch import Tensor, nn

from vidrestore.errors import UnknownModelError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.mmrb import MMRB
from vidrestore.models.registry import RESTORERS, restorer_spec
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def built(case: Case) -> nn.Module:
    return case.build()


@pytest.fixture(scope="module")
def restorer(case: Case, built: nn.Module) -> Restorer:
    return Restorer(copy.deepcopy(built), case.spec(), device=CPU, dtype=torch.float32)


@pytest.fixture
def network(built: nn.Module) -> nn.Module:
    return copy.deepcopy(built)


def crops(count: int, side: int) -> Tensor:
    """Return crops as the pipeline gives them, ``(count, 3, side, side)`` in [0, 1]."""
    return pictures(count, side) * 0.5 + 0.5


def spread(image: Tensor) -> float:
    """Return the range of an output, which errors are measured by."""
    return float(image.max() - image.min())


def psnr_db(found: Tensor, expected: Tensor) -> float:
    """Return how close two outputs are, relative to the range of the second."""
    error = (found.float() - expected.float()).square().mean().sqrt() / spread(expected)
    return float(-20 * torch.log10(error))


@cache
def parts_on_meta(build: Callable[[], nn.Module]) -> set[type[nn.Module]]:
    with torch.device("meta"):
        return parts_of(build())


@pytest.mark.parametrize("name", sorted(RESTORERS))
def test_every_restorer_in_the_registry_is_tested(name: str) -> None:
    held = [parts_on_meta(case.untrained) for case in CASES.values()]
    assert parts_on_meta(RESTORERS[name].build) in held


def test_the_network_for_varied_poses_is_in_the_tests() -> None:
    assert isinstance(CASES["mmrb"].untrained(), MMRB)


@torch.no_grad()
def test_a_crop_is_restored_the_same_alone_and_in_a_batch(case: Case, network: nn.Module) -> None:
    batch = pictures(3, case.side_px)
    together = network(batch).image
    alone = torch.cat([network(crop[None]).image for crop in batch])
    assert float((together - alone).abs().max()) <= 1e-5 * spread(alone)
    assert spread(alone[0]) > 0
    assert float((alone[0] - alone[1]).abs().max()) > 1e-3 * spread(alone)


def test_the_same_crop_twice_gives_the_same_bits(restorer: Restorer) -> None:
    batch = crops(2, restorer.spec.crop_size_px)
    first, second = restorer.restore_crops(batch), restorer.restore_crops(batch)
    assert torch.equal(first.images_nchw, second.images_nchw)
    if first.face_masks_nhw is not None and second.face_masks_nhw is not None:
        assert torch.equal(first.face_masks_nhw, second.face_masks_nhw)


def test_the_output_is_an_image_of_the_size_of_the_crop_in_range(restorer: Restorer) -> None:
    batch = crops(2, restorer.spec.crop_size_px)
    restored = restorer.restore_images(batch)
    assert restored.shape == batch.shape
    assert restored.dtype == torch.float32
    assert float(restored.min()) >= 0.0
    assert float(restored.max()) <= 1.0
    assert not torch.equal(restored, batch)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_output_has_the_precision_of_the_input(
    case: Case, network: nn.Module, dtype: torch.dtype
) -> None:
    output = network.to(dtype)(pictures(2, case.side_px))
    assert isinstance(output, RestorerOutput)
    assert output.image.shape == (2, 3, case.side_px, case.side_px)
    assert output.image.dtype == torch.float32
    assert output.image.isfinite().all()
    assert output.pyramid == ()


def test_the_input_is_unchanged(restorer: Restorer) -> None:
    batch = crops(2, restorer.spec.crop_size_px)
    before = batch.clone()
    restorer.restore_images(batch)
    assert torch.equal(batch, before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_neither_the_crop_nor_a_tensor_of_the_network_is_changed(
    case: Case, network: nn.Module, mode: type[torch.no_grad]
) -> None:
    batch = pictures(2, case.side_px)
    before, tensors = batch.clone(), snapshot_state(network)
    with mode():
        network(batch)
    assert torch.equal(batch, before)
    assert changed_tensors(network, tensors) == []


@pytest.mark.parametrize("shape", [(100, 128), (33, 33), (63, 64), (1, 1)])
def test_unsupported_crop_sizes_are_refused_with_a_message(
    restorer: Restorer, network: nn.Module, shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        restorer.restore_images(torch.zeros(1, 3, *shape))
    with pytest.raises(ValueError, match=f"must be .* got {shape[0]} x {shape[1]}"):
        network(torch.zeros(1, 3, *shape))


@torch.no_grad()
def test_bf16_stays_within_40_db_of_fp32(case: Case, network: nn.Module) -> None:
    batch = pictures(2, case.side_px)
    expected = network(batch).image
    output = network.to(torch.bfloat16)(batch).image
    assert psnr_db(output, expected) > 40.0


def test_autocast_stays_within_40_db_of_fp32_in_training_and_in_evaluation(
    case: Case, network: nn.Module
) -> None:
    batch = pictures(2, case.side_px)
    with torch.no_grad():
        expected = network(batch).image
        with torch.autocast("cpu", dtype=torch.bfloat16):
            evaluated = network(batch).image
    with torch.autocast("cpu", dtype=torch.bfloat16):
        trained = network(batch).image
    trained.float().square().mean().backward()
    assert psnr_db(evaluated, expected) > 40.0
    assert psnr_db(trained.detach(), expected) > 40.0


@torch.no_grad()
def test_channels_last_does_not_change_the_output(case: Case, network: nn.Module) -> None:
    batch = pictures(2, case.side_px)
    expected = network(batch).image
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    output = network(batch.contiguous(memory_format=torch.channels_last)).image
    assert float((output - expected).abs().max()) <= 1e-5 * spread(expected)


def parameters_with_gradients(network: nn.Module, loss: Tensor) -> set[str]:
    loss.backward()
    return {
        key
        for key, tensor in network.named_parameters()
        if tensor.grad is not None and float(tensor.grad.abs().sum()) > 0
    }


def test_gradients_reach_every_parameter_that_trains(case: Case, network: nn.Module) -> None:
    batch = pictures(2, case.side_px)
    every = {key for key, _ in network.named_parameters()}
    expected = {key for key in every if not key.startswith(case.resting)} if case.resting else every
    output = network(batch, with_pyramid=True) if case.pyramid else network(batch)
    loss = output.image.square().mean() + sum(tensor.square().mean() for tensor in output.pyramid)
    assert parameters_with_gradients(network, loss) == expected
    for prefix in case.resting:
        assert any(key.startswith(prefix) for key in every), f"no parameter is called {prefix}"


def test_pyramid_layers_get_gradients_only_from_the_pyramid(case: Case, network: nn.Module) -> None:
    if not case.pyramid:
        pytest.skip("a network without a pyramid")
    missing = {
        key for key, _ in network.named_parameters() if not key.startswith(case.resting or "-")
    } - parameters_with_gradients(network, network(pictures(2, case.side_px)).image.square().mean())
    assert missing == {key for key, _ in network.named_parameters() if key.startswith(case.pyramid)}


def test_gradients_reach_the_crop(case: Case, network: nn.Module) -> None:
    batch = pictures(1, case.side_px).requires_grad_()
    network(batch).image.square().mean().backward()
    assert batch.grad is not None
    assert float(batch.grad.abs().amax(dim=(0, 1)).min()) > 0, "a sample has no say"


def test_an_unknown_model_is_refused_with_the_available_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'no-such-model'; choose from: .*lite"):
        restorer_spec("no-such-model")
