"""Training runs, learns, and resumes as if it had never stopped."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidrestore.configfile import read_config
from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_POINTS_XY
from vidrestore.models.lite import Lite
from vidrestore.models.table import RestorerSpec
from vidrestore.training import reconstruction
from vidrestore.training.checkpoint import read_checkpoint
from vidrestore.training.config import TrainConfig
from vidrestore.training.losses.pixel import log_error
from vidrestore.training.schedules import ema_decay, warmup_cosine_lr

POINTS = ["lex", "ley", "rex", "rey", "nx", "ny", "lmx", "lmy", "rmx", "rmy"]
CONFIGS = Path(__file__).parents[2] / "configs" / "train"


def tiny() -> Lite:
    return Lite(widths=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1,))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run of a tiny network on two faces made here."""
    folder = tmp_path / "data" / "faces"
    folder.mkdir(parents=True)
    rows = ["\t".join(["file", *POINTS, "eff_res512"])]
    for number in range(2):
        y, x = np.mgrid[0:320, 0:320]
        wave = 127 + 100 * np.sin(x / 9 + number) * np.cos(y / 7)
        cv2.imwrite(str(folder / f"{number}.png"), np.repeat(wave[:, :, None], 3, axis=2))
        points = (TEMPLATE_POINTS_XY * 320 / 512).ravel()
        rows.append("\t".join([f"{number}.png", *(f"{each:.2f}" for each in points), "320"]))
    (folder / "faces.tsv").write_text("\n".join(rows) + "\n")
    spec = RestorerSpec(build=tiny, crop_size_px=64, licence="none")
    monkeypatch.setattr(reconstruction, "restorer_spec", lambda _name: spec)
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
        model = "tiny"
        steps = 6
        precision = "fp32"
        log_every = 2
        save_every = 3
        [data]
        root = "{tmp_path / "data"}"
        crop_px = 64
        batch_size = 2
        workers = 0
        sources = [{{ folder = "faces" }}]
        recipes = [{{ name = "gfpgan", share = 1.0 }}]
        [optimiser]
        warmup_steps = 1
        """
    )
    return read_config(path, TrainConfig)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["params_ema"]


def test_a_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    reconstruction.train(config, folder=whole)

    saved = reconstruction.save_checkpoint

    def save_and_die(path: Path, state: dict[str, object]) -> None:
        saved(path, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reconstruction, "save_checkpoint", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            reconstruction.train(config, folder=cut)
    assert read_checkpoint(cut / "last.pt")["step"] == 3
    reconstruction.train(config, folder=cut)

    first, second = weights(whole / "last.pt"), weights(cut / "last.pt")
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_every_parameter_moves(config: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    torch.manual_seed(config.seed)
    before = {name: value.clone() for name, value in tiny().named_parameters()}
    after = read_checkpoint(reconstruction.train(config, folder=folder))["network"]
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []


def test_the_loss_weighs_a_relative_gain_alike_on_good_and_bad_crops() -> None:
    target = torch.zeros(2, 3, 8, 8)
    errors = torch.tensor([0.2, 1.0])[:, None, None, None]
    worse = log_error(target + 1.1 * errors, target) - log_error(target + errors, target)
    assert float(worse[0]) == pytest.approx(float(worse[1]), rel=0.1)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [warmup_cosine_lr(step, peak_lr=1.0, warmup_steps=10, steps=100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert ema_decay(0, decay=0.99) < 0.2 < ema_decay(10_000, decay=0.99)


def test_the_shipped_config_is_read() -> None:
    assert read_config(CONFIGS / "lite.toml", TrainConfig).model == "lite"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.crop_pix=128", "did you mean 'crop_px'"),
        ("steps='many'", "steps: expected int"),
        ("data.crop_px=100", "multiple of 32"),
    ],
)
def test_a_wrong_setting_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(CONFIGS / "lite.toml", TrainConfig, overrides=[override])
