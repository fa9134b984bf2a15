"""Memory is reused while nothing is trained, and nobody can tell."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.golden import GOLDEN, changed_tensors, fill_weights, published, snapshot_state
from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace, mul_inplace, scale_shift_inplace
from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.models.published import PUBLISHED, build_published

FILES = sorted(GOLDEN.glob("*.json"))
WITHOUT_A_FILE = {"FacialComponentDiscriminator"}
"""It has one size only, too large to be a small golden file."""


def tensors_of(output: Any) -> list[Tensor]:
    """Return all tensors of a network's output, in order."""
    if isinstance(output, Tensor):
        return [output]
    if output is None:
        return []
    return [tensor for item in output for tensor in tensors_of(item)]


def both_modes(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs with gradients recorded and without, and check what is given."""
    before, given = snapshot_state(network), [tensor.clone() for tensor in inputs]
    with torch.enable_grad():
        recorded = [tensor.detach().clone() for tensor in tensors_of(network(*inputs))]
    with torch.inference_mode():
        inferred = [tensor.clone() for tensor in tensors_of(network(*inputs))]
        again = tensors_of(network(*inputs))
        assert all(torch.equal(*pair) for pair in zip(inferred, again, strict=True))
    assert changed_tensors(network, before) == []
    assert all(torch.equal(first, other) for first, other in zip(given, inputs, strict=True))
    return recorded, inferred


def assert_same(recorded: list[Tensor], inferred: list[Tensor]) -> None:
    assert len(recorded) == len(inferred) > 0
    for expected, actual in zip(recorded, inferred, strict=True):
        assert float((actual - expected).abs().max()) <= 2e-6 * float(expected.abs().max())


@pytest.mark.parametrize("frozen", [False, True], ids=["training", "frozen"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_inference_gives_the_output_of_training_and_changes_no_input(
    path: Path, frozen: bool
) -> None:
    meta = json.loads(path.read_text())["meta"]
    network = build_published(meta["arch"], meta["config"])
    fill_weights(network, published.rule_of(meta))
    network.requires_grad_(not frozen)
    golden: dict[str, Any] = {}
    if meta["arch"] == "StyleGAN2Generator":
        side = meta["config"]["num_style_feat"]
        golden["z"] = torch.randn(2, side, generator=torch.Generator().manual_seed(0)).numpy()
    assert_same(*both_modes(network, published.inputs_of(meta, golden)))


def test_the_component_discriminator_gives_the_output_of_training_in_inference() -> None:
    network = fill_weights(FacialComponentDiscriminator(), "unit")
    assert_same(*both_modes(network, (published.smooth_picture(3, 16, 0),)))


def test_every_published_network_is_tested() -> None:
    tested = {json.loads(path.read_text())["meta"]["arch"] for path in FILES}
    assert tested | WITHOUT_A_FILE == set(PUBLISHED)


@pytest.mark.parametrize("grad", [True, False])
def test_the_first_argument_is_overwritten_only_without_gradients(grad: bool) -> None:
    first, two = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    for step, expected in (
        (lambda feat: add_inplace(feat, two), [4.0, 7.0]),
        (lambda feat: mul_inplace(feat, two), [3.0, 10.0]),
        (lambda feat: mul_inplace(feat, 2.0), [2.0, 4.0]),
        (lambda feat: scale_shift_inplace(feat, two, torch.ones(2)), [4.0, 11.0]),
    ):
        feat = first.clone()
        with torch.set_grad_enabled(grad):
            result = step(feat)
        assert result.tolist() == expected
        assert feat.tolist() == (first.tolist() if grad else expected)


@pytest.mark.parametrize("grad", [True, False])
def test_an_added_tensor_is_converted_to_the_precision_of_the_features(grad: bool) -> None:
    feat = torch.ones(2, dtype=torch.bfloat16)
    with torch.set_grad_enabled(grad):
        assert add_inplace(feat, torch.ones(2)).dtype == torch.bfloat16
