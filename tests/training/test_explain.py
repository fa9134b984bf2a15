"""``train --explain``: every weight with its source, and what differs from it."""

from pathlib import Path

import pytest

from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.toml_config import read_config
from vidrestore.training.engine.run import RunConfig
from vidrestore.training.explain import explain

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
PUBLISHED = ("gfpgan_512", "mmrb_512", "psfrgan_512", "parser_512", "stylegan2_512")


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_weights_are_the_published_ones(name: str) -> None:
    weights = explain(read_config(CONFIGS / f"{name}.toml", RunConfig))
    assert len(weights) >= 2
    assert [str(weight) for weight in weights if weight.differs] == []
    assert all(weight.published.source for weight in weights)


def test_every_loss_weight_is_listed() -> None:
    config = read_config(CONFIGS / "lite.toml", RunConfig)
    assert config.restorer is not None
    listed = {weight.name: weight.value for weight in explain(config)}
    assert config.restorer.loss_weights.by_name().items() <= listed.items()
    assert listed.keys() >= {"l1", "ssim", "styles", "texture_adversarial"}


def test_the_command_prints_weights_sources_and_differences(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(CONFIGS / "gfpgan_512.toml")
    code = main(["train", path, "--explain", "--set", "restorer.loss_weights.style=5.0"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert code == ExitCode.OK
    assert {"pyramid", "component", "style", "identity", "adversarial"} <= lines.keys()
    assert lines["identity"].split()[1] == "10"
    assert "train_gfpgan_v1.yml: identity_weight" in lines["identity"]
    assert lines["style"].endswith("perceptual_opt.style_weight; published: 50")
    assert lines["temporal"].split()[1:4] == ["0", "Lai", "et"]
    assert list(tmp_path.iterdir()) == [], "nothing was trained"
