"""Restorers that spandrel builds: recognized, run as published, refused clearly."""

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.zoo import compact_file
from torch import Tensor

from vidrestore import RestoreSettings, restore_video
from vidrestore.errors import ConfigError, WeightsError
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.pipeline.loading.spandrel_models import (
    SPANDREL_MODELS,
    SpandrelRestorer,
    spandrel_restorer,
)
from vidrestore.weights.manifest import WEIGHTS

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "n_embed": 16,
    "embed_dim": 32,
    "ch": 32,
    "ch_mult": (1, 1, 1, 1, 1, 2),
    "num_res_blocks": 1,
    "z_channels": 32,
}
needs_spandrel = pytest.mark.usefixtures("spandrel")


@pytest.fixture(scope="module")
def spandrel() -> Any:
    return pytest.importorskip("spandrel", reason="needs the extra [zoo]")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path / "weights"))


def restoreformer(spandrel: Any, **changes: Any) -> Any:
    """Return RestoreFormer in a small size, with weights that do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = spandrel.architectures.RestoreFormer.RestoreFormer(**{**SMALL, **changes})
    return network.eval()


def plus_plus(spandrel: Any) -> Any:
    """Return RestoreFormer++ in a small size, put together from its parts."""
    network = restoreformer(spandrel, head_size=4)
    sizes = {key: SMALL[key] for key in ("ch", "ch_mult", "num_res_blocks", "z_channels")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network.decoder = type(network.decoder)(
            out_ch=3, attn_resolutions=(16, 32), head_size=4, **sizes
        )
    return network.eval()


def saved(network: Any, path: Path) -> Path:
    """Save as Lightning does: with a prefix, next to other networks of the training."""
    state = {f"vqvae.{key}": each for key, each in network.state_dict().items()}
    state["vqvae.quantize.utility_counter"] = torch.zeros(16)
    state["loss.discriminator.weight"] = torch.zeros(3)
    torch.save({"state_dict": state, "epoch": 7}, path)
    return path


def crop(seed: int = 0) -> Tensor:
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (512, 512), mode="bilinear")


def as_published(output: Tensor) -> Tensor:
    return (output * 0.5 + 0.5).clamp(0, 1)


def test_restoreformer_gives_the_output_of_the_published_network(
    spandrel: Any, tmp_path: Path
) -> None:
    network = restoreformer(spandrel)
    path = saved(network, tmp_path / "RestoreFormer.ckpt")
    restorer = load_restorer(str(path), device=CPU, dtype=torch.float32)
    with torch.inference_mode():
        expected = as_published(network(crop() * 2 - 1)[0])
    alone, _ = restorer.restore_images(torch.cat([crop(), crop(1)])).split(1)

    torch.testing.assert_close(alone, expected, atol=1e-3, rtol=0)
    assert float(expected.std()) > 0.01


def test_restoreformer_plus_plus_gives_the_output_of_the_published_network(
    spandrel: Any, tmp_path: Path
) -> None:
    network = plus_plus(spandrel)
    path = saved(network, tmp_path / "RestoreFormer++.ckpt")
    restorer = load_restorer(str(path), device=CPU, dtype=torch.float32)
    # In the restorer's order of memory: convolutions of another order round differently.
    network.to(memory_format=torch.channels_last)
    scaled = (crop() * 2 - 1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        quantized, _, _, features = network.encode(scaled)
        # The released code looks for the features of this scale under the shorter name.
        features["block_4_atten"] = features["block_4"]
        expected = as_published(network.decode(quantized, features))

    torch.testing.assert_close(restorer.restore_images(crop()), expected, atol=1e-4, rtol=0)


def test_a_film_is_restored_in_fp32_and_fp32_is_reported(spandrel: Any, tmp_path: Path) -> None:
    path = saved(restoreformer(spandrel), tmp_path / "net.ckpt")
    film = make_clip(
        tmp_path / "film.mkv", Clip(size_hw=FACE_SIZE_HW, ticks=(0,), picture=face_picture)
    )
    # What a network without training makes of a face would be left out.
    settings = RestoreSettings(
        model=str(path), device="cpu", precision="bf16", codec="ffv1", safeguard=0.0
    )
    report = restore_video(film, tmp_path / "out.mkv", settings=settings)

    assert (report.faces, report.precision) == (1, "float32")
    assert f"{path} cannot run in bfloat16; it ran in float32" in report.notes
    assert "spandrel" in report.to_json()["versions"]


def test_codeformer_gets_its_own_range_and_the_given_weight(
    spandrel: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extra = pytest.importorskip("spandrel_extra_arches", reason="needs the extra [zoo]")
    kind = extra.architectures.CodeFormer.CodeFormer
    state = kind(n_layers=1, codebook_size=16).state_dict()
    inputs: list[tuple[Tensor, float]] = []

    def forward(_self: Any, x: Tensor, weight: float = 0.5) -> tuple[Tensor, None]:
        # The real one takes seconds, and is not ours.
        inputs.append((x, weight))
        return -x, None

    monkeypatch.setattr(kind, "forward", forward)
    restorer = spandrel_restorer(
        state, Path("mine.pth"), device=CPU, dtype=torch.bfloat16, fidelity=0.8
    )
    negative = restorer.restore_images(crop())

    ((given, weight),) = inputs
    assert weight == 0.8
    torch.testing.assert_close(given, crop() * 2 - 1)
    torch.testing.assert_close(negative, 1 - crop())
    assert restorer.dtype == torch.float32
    assert "licensed by S-Lab" in caplog.text


def test_networks_called_through_spandrel_get_one_image_at_a_time() -> None:
    class Inverting:
        supports_half = supports_bfloat16 = True
        scale = 1
        input_channels = output_channels = 3
        purpose = "FaceSR"
        model = torch.nn.Conv2d(3, 3, kernel_size=1)

        class architecture:  # noqa: N801
            id = name = "Inverting"

        def __call__(self, image: Tensor) -> Tensor:
            assert image.shape[0] == 1
            assert float(image.min()) >= 0.0
            return 1.0 - image

    both = torch.cat([crop(0), crop(1)])
    output = SpandrelRestorer(Inverting(), {})(both * 2 - 1)  # type: ignore[arg-type]

    torch.testing.assert_close(output.image, 1 - 2 * both)


@needs_spandrel
def test_fidelity_is_refused_by_other_models(spandrel: Any, tmp_path: Path) -> None:
    path = saved(restoreformer(spandrel), tmp_path / "net.ckpt")
    for model in (str(path), "lite"):
        with pytest.raises(ConfigError, match="for codeformer only"):
            load_restorer(model, device=CPU, dtype=torch.float32, fidelity=0.5)


@needs_spandrel
def test_a_network_for_whole_images_is_refused_with_the_option_for_it(tmp_path: Path) -> None:
    path = compact_file(tmp_path, 2)

    with pytest.raises(WeightsError, match=f"use it with --background {path}"):
        load_restorer(str(path), device=CPU, dtype=torch.float32)


@needs_spandrel
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"strange.weight": torch.zeros(3)}, "fits no built-in network and none of spandrel.s"),
        # Looks like Compact, and is not.
        ({"body.0.weight": torch.zeros(3), "body.1.weight": torch.zeros(3)}, "spandrel cannot"),
    ],
)
def test_tensors_of_an_unknown_network_are_a_one_line_error(
    tmp_path: Path, state: dict[str, Tensor], message: str
) -> None:
    torch.save(state, tmp_path / "strange.pth")

    with pytest.raises(WeightsError, match=message) as caught:
        load_restorer(str(tmp_path / "strange.pth"), device=CPU, dtype=torch.float32)
    assert str(tmp_path / "strange.pth") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    path = compact_file(tmp_path, 2)

    with pytest.raises(WeightsError, match=r"run: pip install 'vidrestore\[zoo\]'$"):
        load_restorer(str(path), device=CPU, dtype=torch.float32)


@pytest.mark.parametrize("name", SPANDREL_MODELS)
def test_without_the_extra_a_name_is_refused_before_the_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)

    with pytest.raises(
        ConfigError, match=rf"{re.escape(name)} needs the package spandrel; install it: pip install"
    ):
        load_restorer(name, device=CPU, dtype=torch.float32)
    assert not (tmp_path / "weights").exists()


@needs_spandrel
def test_codeformer_needs_the_second_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)

    with pytest.raises(
        ConfigError, match=r"spandrel_extra_arches; install it: pip install 'vidrestore"
    ):
        load_restorer("codeformer", device=CPU, dtype=torch.float32)


def test_every_spandrel_model_has_published_weights() -> None:
    assert set(SPANDREL_MODELS) <= set(WEIGHTS)
