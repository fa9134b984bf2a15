"""Projection from the styles of an encoder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.golden import ROOT, draws, load_script

from vidrestore.errors import ConfigError
from vidrestore.models.lite import build_lite
from vidrestore.models.prior_restorer import PriorRestorer

script: Any = load_script(ROOT / "scripts" / "project_faces.py")


def test_an_encoder_is_loaded_with_its_generator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PriorRestorer(out_size=64, num_style_feat=16, num_mlp=2, narrow=0.0625).eval()
    torch.save(network.state_dict(), tmp_path / "prior.pth")
    generator, encode = script.load_encoder(tmp_path / "prior.pth")
    face = torch.rand(1, 3, 64, 64, generator=draws()) * 2 - 1
    with torch.no_grad():
        styles = encode(face)
        assert torch.equal(styles, network.encode(face)[0])
        drawn = network.stylegan_decoder.synthesize(styles)
        assert torch.equal(generator.synthesize(styles), drawn)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(build_lite().state_dict(), tmp_path / "lite.pth")
    with pytest.raises(ConfigError, match="not weights of the restorer prior"):
        script.load_encoder(tmp_path / "lite.pth")
