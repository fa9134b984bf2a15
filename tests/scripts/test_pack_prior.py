"""The package's file of ``prior``: all of an exported restorer but the packaged generator."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.golden import ROOT, load_script, snapshot_state
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.models.prior_restorer import build_small_prior
from vidrestore.weights.priors import packaged_generator_state

pack_prior: Any = load_script(ROOT / "scripts" / "pack_prior.py")


@pytest.fixture(scope="module")
def exported() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_small_prior()
    generator = {name: value.float() for name, value in packaged_generator_state(network).items()}
    return {**snapshot_state(network), **generator}


def test_the_generator_is_left_out_and_the_rest_kept(
    exported: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(exported, tmp_path / "full.safetensors")
    pack_prior.pack(tmp_path / "full.safetensors", tmp_path / "packed.safetensors")

    packed = load_file(tmp_path / "packed.safetensors")
    assert "stylegan_decoder.to_img.bias" in packed
    assert not any(name.startswith("stylegan_decoder.layers.") for name in packed)
    for name, value in packed.items():
        assert torch.equal(value, exported[name].half()), name


def test_a_generator_that_was_trained_on_is_refused(
    exported: dict[str, Tensor], tmp_path: Path
) -> None:
    name = "stylegan_decoder.layers.0.conv1.bias"
    save_file({**exported, name: exported[name] + 1}, tmp_path / "full.safetensors")
    with pytest.raises(WeightsError, match="is not the packaged generator's; freeze it"):
        pack_prior.pack(tmp_path / "full.safetensors", tmp_path / "packed.safetensors")
