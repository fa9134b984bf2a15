"""From what ``--background`` says to a network, without spandrel where the package has it."""

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from torch.nn import functional as F

from vidrestore import RestoreSettings, restore_video
from vidrestore.errors import ConfigError, UnknownModelError, WeightsError
from vidrestore.models.upscalers.registry import UPSCALERS
from vidrestore.pipeline.background.tiled_upscaler import Upscaler
from vidrestore.pipeline.loading import spandrel_models
from vidrestore.pipeline.loading.load_upscaler import load_upscaler

CPU = torch.device("cpu")
DATA = files("vidrestore.models") / "data"
COMPACT = DATA / UPSCALERS["compact"].packaged_file


@pytest.fixture(autouse=True)
def no_spandrel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed."""
    monkeypatch.setattr(spandrel_models, "_import_optional", lambda _package: None)


def loaded(background: str | Path, scale: int | None = None) -> Upscaler:
    return load_upscaler(background, device=CPU, dtype=torch.float32, scale=scale)


def face_chw(side_px: int) -> torch.Tensor:
    picture = face_picture(0, FACE_SIZE_HW)
    picture = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize("name", UPSCALERS)
def test_a_named_upscaler_keeps_the_size_unless_a_scale_is_given(name: str) -> None:
    result = loaded(name)

    assert (result.name, result.kind, result.scale) == (name, UPSCALERS[name].kind, 1)
    assert result.upscale(face_chw(24)).shape == (3, 24, 24)


def test_a_file_of_a_packaged_network_is_recognized_without_spandrel(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(COMPACT.read_bytes())
    result = loaded(path)

    assert (result.name, result.scale) == (str(path), 4)
    picture = face_chw(16)
    assert torch.equal(result.upscale(picture), loaded("compact", 4).upscale(picture))


def test_the_small_network_is_nearer_to_the_large_one_than_interpolation() -> None:
    picture = face_chw(64)
    expected = loaded("realesrgan", 4).upscale(picture)

    def distance(image_CHW: torch.Tensor) -> float:
        return float((image_CHW - expected).abs()[:, 32:-32, 32:-32].mean())

    plain = F.interpolate(picture[None], scale_factor=4.0, mode="bicubic")[0].clamp(0, 1)
    assert distance(loaded("compact", 4).upscale(picture)) < 0.85 * distance(plain)


@pytest.mark.parametrize("name", UPSCALERS)
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_uniform_gray_image_stays_uniform(name: str, level: float) -> None:
    result = loaded(name).upscale(torch.full((3, 40, 40), level))

    assert float((result - level).abs().mean()) < 0.02


def test_other_networks_need_the_spandrel_extra(tmp_path: Path) -> None:
    state = {
        key: tensor[:, :1] for key, tensor in load_file(str(COMPACT)).items() if tensor.ndim == 4
    }
    save_file({key: each.contiguous() for key, each in state.items()}, tmp_path / "x.safetensors")

    with pytest.raises(WeightsError, match=r"x\.safetensors: .*vidrestore\[zoo\]"):
        loaded(tmp_path / "x.safetensors")


@pytest.mark.parametrize("bytes_kept", [0, 5, 1000, 900_000])
def test_a_truncated_file_is_refused_by_its_name(tmp_path: Path, bytes_kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(COMPACT.read_bytes()[:bytes_kept])

    with pytest.raises(WeightsError, match=r"cut\.safetensors: "):
        loaded(path)


def test_weights_for_faces_are_refused_with_their_own_option() -> None:
    path = Path(str(DATA / "lite.safetensors"))

    with pytest.raises(
        WeightsError, match=f"restores faces, not whole pictures; use --model {path}"
    ):
        loaded(path)


def test_settings_refuse_unknown_upscalers_and_invalid_scales() -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'compact'"):
        RestoreSettings(background="compakt")
    with pytest.raises(ConfigError, match="scale must be one of 1, 2, 4, got 3"):
        RestoreSettings(background="compact", scale=3)
    with pytest.raises(ConfigError, match="scale needs background"):
        RestoreSettings(scale=2)


# Films


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_film_is_restored_by_the_packaged_network_and_reported(
    tmp_path: Path, scale: int, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(8))))
    settings = RestoreSettings(codec="ffv1", device="cpu", background="compact", scale=scale)
    report = restore_video(source, tmp_path / "out.mkv", settings=settings)

    assert (report.scale, report.background) == (scale, UPSCALERS["compact"].kind)
    assert any("compact (Real-ESRGAN Compact x4)" in note for note in report.notes)
    (message,) = [
        message for message in caplog.messages if message.startswith("--background compact: ")
    ]
    assert "1 tile a frame x 8 frames: about " in message


def test_a_tiny_image_is_restored(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((3, 5, 3), 200, np.uint8))
    settings = RestoreSettings(device="cpu", background="compact", scale=2)
    restore_video(tmp_path / "dot.png", tmp_path / "out.png", settings=settings)

    result = cv2.imread(str(tmp_path / "out.png"))
    assert result is not None
    assert result.shape == (6, 10, 3)
