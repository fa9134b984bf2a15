"""Restorers of the package, of which one shares its generator with another file."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from vidrestore.errors import WeightsError
from vidrestore.models.prior_restorer import build_small_prior
from vidrestore.models.registry import PRIOR_FILE
from vidrestore.weights import bundled, priors
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.priors import load_bundled_restorer, load_mobile_stylegan


def test_the_prior_has_the_packaged_generator_s_levels_bit_for_bit() -> None:
    network, generator = build_small_prior(), load_mobile_stylegan()
    assert load_bundled_restorer(network, PRIOR_FILE) is None
    own = network.stylegan_decoder.state_dict()
    for name, value in generator.state_dict().items():
        if name in own and not name.startswith("to_img."):
            assert torch.equal(own[name], value), name


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_damaged_weights_are_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bundled_file(PRIOR_FILE) as path:
        content = path.read_bytes()
    if damage == "other":
        with bundled_file("lite.safetensors") as path:
            content = path.read_bytes()
    else:
        content = content[: len(content) // 2]
    (tmp_path / PRIOR_FILE).write_bytes(content)

    def replaced(name: str) -> object:
        return nullcontext(tmp_path / name) if name == PRIOR_FILE else bundled.bundled_file(name)

    monkeypatch.setattr(priors, "bundled_file", replaced)
    with pytest.raises(WeightsError, match=str(tmp_path / PRIOR_FILE)):
        load_bundled_restorer(build_small_prior(), PRIOR_FILE)
