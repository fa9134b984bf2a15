"""From what ``--model`` says to a network: names, files, downloads, licenses."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import cv2
import pytest
import torch
from support.ends import perturb_weights, save_ends
from support.faceclips import FACE_SIZE_HW, face_picture
from support.golden import pictures
from support.web import Site, serving, weights_entry
from torch import Tensor

from vidrestore import RestoreSettings, restore_video
from vidrestore.errors import ConfigError, DownloadError, UnknownModelError, WeightsError
from vidrestore.models import registry
from vidrestore.models.lite import build_lite
from vidrestore.models.registry import RESTORERS, RestorerSpec
from vidrestore.pipeline.loading import load_models
from vidrestore.pipeline.loading.load_models import (
    DETECTORS,
    fetch_networks,
    load_detector,
    load_restorer,
)
from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS
from vidrestore.progress import not_shown
from vidrestore.restore.restorer import Restorer
from vidrestore.settings import DetectorName
from vidrestore.weights import bundled, manifest, priors
from vidrestore.weights.load import read_state
from vidrestore.weights.manifest import WEIGHTS, WeightsEntry

CPU = torch.device("cpu")
LITE = files("vidrestore.models").joinpath("data/lite.safetensors").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "weights"


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves the weights of a model called ``fetched``, which is ``lite`` by another name."""
    spec = RestorerSpec(
        build=build_lite,
        crop_size_px=512,
        license="NC",
        download_names=MappingProxyType({"": "weights-of-fetched"}),
    )
    models = MappingProxyType({**RESTORERS, "fetched": spec})
    monkeypatch.setattr(registry, "RESTORERS", models)
    monkeypatch.setattr(load_models, "RESTORERS", models)
    with serving(LITE) as served:
        entry = weights_entry(
            served,
            name="weights-of-fetched",
            file_name="fetched.safetensors",
            sha256=None,
            license="NC",
            non_commercial=True,
        )
        monkeypatch.setattr(manifest, "WEIGHTS", MappingProxyType({entry.name: entry}))
        yield served


def loaded(model: str, **settings: object) -> Restorer:
    return load_restorer(model, device=CPU, dtype=torch.float32, **settings)  # type: ignore[arg-type]


def test_weights_of_a_model_have_the_license_that_the_model_states() -> None:
    for name, spec in RESTORERS.items():
        for weights in spec.download_names.values():
            assert weights in WEIGHTS, name
            assert WEIGHTS[weights].license == spec.license, name


def test_a_model_by_name_fetches_its_weights_with_progress(site: Site, folder: Path) -> None:
    message: list[tuple[str, int, int | None]] = []
    restorer = loaded("fetched", on_download=lambda *where: message.append(where))

    crops = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    assert torch.equal(restorer.restore_images(crops), loaded("lite").restore_images(crops))
    assert message[-1] == ("weights-of-fetched", len(LITE), len(LITE))
    assert len(site.requests) == 1


def test_a_non_commercial_license_is_logged_before_the_first_use_only(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    loaded("fetched")
    first = [message for message in caplog.messages if "not for commercial use" in message]
    caplog.clear()
    loaded("fetched")

    assert first == [
        "weights-of-fetched: fetched.safetensors is licensed by the Tests (NC): "
        "not for commercial use"
    ]
    assert "commercial" not in caplog.text


def test_a_file_copied_into_the_folder_is_used_and_its_license_logged(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "fetched.safetensors").write_bytes(LITE)
    loaded("fetched")

    assert site.requests == []
    assert "not for commercial use" in caplog.text


def test_the_license_of_a_published_file_given_by_path_is_logged(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "fetched.safetensors").write_bytes(LITE)
    loaded(str(tmp_path / "fetched.safetensors"))

    assert "not for commercial use" in caplog.text


def test_a_file_that_differs_from_the_published_one_is_not_replaced(
    site: Site, folder: Path
) -> None:
    folder.mkdir()
    own = folder / "fetched.safetensors"
    own.write_bytes(b"the user's own work")

    with pytest.raises(WeightsError, match=r"has 19 bytes.*weights fetch weights-of-fetched"):
        loaded("fetched")
    assert own.read_bytes() == b"the user's own work"
    assert site.requests == []


def test_offline_the_error_names_the_file_to_copy_and_a_model_that_works(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.replies = []
    entry = manifest.WEIGHTS["weights-of-fetched"]
    gone = WeightsEntry(**{**_fields(entry), "url": "http://nowhere.invalid/fetched.safetensors"})
    monkeypatch.setattr(manifest, "WEIGHTS", {gone.name: gone})

    with pytest.raises(DownloadError) as caught:
        loaded("fetched")
    message = str(caught.value)
    for part in (gone.url, str(folder / "fetched.safetensors"), "--model lite"):
        assert part in message
    assert "\n" not in message


def _fields(entry: WeightsEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in WeightsEntry.__slots__}


@pytest.mark.parametrize(
    ("wrong", "near"), [("codeforme", "codeformer"), ("lit", "lite"), ("restoreformer+", "++")]
)
def test_a_misspelled_name_suggests_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownModelError, match=rf"did you mean '[a-z]*{re.escape(near)}"):
        loaded(wrong)


def test_a_missing_file_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.pth: no such file"):
        loaded(str(tmp_path / "net.pth"))


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for ``lite`` with two ends, used at 0.25 where nothing is asked for."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "one.safetensors").write_bytes(LITE)
    fidelity = read_state(folder / "one.safetensors")
    detail = perturb_weights(fidelity, share=0.5)
    return save_ends(folder / "two.safetensors", fidelity, detail, default=0.25)


@pytest.fixture
def lite_with_ends(ends: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded ``lite`` has two ends."""
    spec = replace(RESTORERS["lite"], packaged_file=str(ends))
    models = MappingProxyType({**RESTORERS, "lite": spec})
    monkeypatch.setattr(registry, "RESTORERS", models)
    monkeypatch.setattr(load_models, "RESTORERS", models)


def shown(restorer: Restorer) -> Tensor:
    """Return the output of its network for a small image."""
    with torch.inference_mode():
        return restorer.network(pictures(1, 64)).image


def test_the_prior_draws_tiny_crops_unless_detail_is_0() -> None:
    lite, prior = loaded("lite"), loaded("prior")
    assert lite.small_crop_sizes_px == (128, 256)
    assert torch.equal(
        lite.restore_images(pictures(1, 128)), prior.restore_images(pictures(1, 128))
    )
    assert loaded("lite", detail=0.0).small_crop_sizes_px == (256,)


@pytest.mark.usefixtures("lite_with_ends")
def test_a_restorer_with_two_ends_loads_equally_by_name_and_file_with_its_detail(
    ends: Path,
) -> None:
    by_name, by_file = loaded("lite", detail=0.5), loaded(str(ends), detail=0.5)

    assert by_name.detail == by_file.detail == 0.5
    assert torch.equal(shown(by_name), shown(by_file))
    assert loaded("lite").detail == 0.5


@pytest.mark.usefixtures("lite_with_ends")
def test_detail_interpolates_from_the_fidelity_end_to_the_detail_end() -> None:
    index = {place: shown(loaded("lite", detail=place)) for place in (0.0, 0.3, 1.0)}

    steps = [float((index[place] - index[0.0]).abs().mean()) for place in (0.3, 1.0)]
    assert 0 < steps[0] < steps[1]


@pytest.mark.usefixtures("lite_with_ends")
def test_the_report_has_the_detail(tmp_path: Path) -> None:
    source = tmp_path / "face.png"
    cv2.imwrite(str(source), face_picture(0, FACE_SIZE_HW)[:, :, ::-1])
    used: dict[float | None, float | None] = {}
    for requested in (None, 0.75):
        settings = RestoreSettings(device="cpu", detail=requested)
        report = restore_video(source, tmp_path / f"{requested}.png", settings=settings)
        used[requested] = json.loads(json.dumps(report.to_json()))["detail"]

    assert used == {None: 0.5, 0.75: 0.75}
    first, second = ((tmp_path / f"{requested}.png").read_bytes() for requested in used)
    assert first != second


def test_a_network_with_one_end_has_no_detail_setting(tmp_path: Path) -> None:
    path = tmp_path / "one.pth"
    torch.save(build_lite().state_dict(), path)

    assert loaded(str(path)).detail is None
    with pytest.raises(
        ConfigError, match=r"one\S* does not support --detail, .*two sets of weights only"
    ):
        loaded(str(path), detail=0.5)


@pytest.mark.parametrize("model", ["prior", "realesrgan"])
def test_a_packaged_model_with_one_end_is_named_where_detail_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{model} does not support --detail"):
        loaded(model, detail=0.5)


def test_a_missing_network_for_tiny_crops_is_an_error_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_package_file("prior.safetensors", tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match=r"prior\.safetensors: no such file; reinstall"):
        loaded("lite")
    assert loaded("lite", detail=0.0).small_crop_sizes_px == (256,)


def test_a_damaged_network_for_tiny_crops_is_an_error_with_the_first_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_package_file("prior.safetensors", tmp_path, monkeypatch)
    (tmp_path / "prior.safetensors").write_bytes(b"damaged")
    restorer = loaded("lite")
    restorer.restore_images(pictures(1, 256))
    with pytest.raises(WeightsError, match=r"prior\.safetensors: not a checkpoint"):
        restorer.restore_images(pictures(1, 128))


def _without_package_file(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for one file of the package in a folder."""
    packaged = bundled.bundled_file

    def replaced(asked: str) -> AbstractContextManager[Path]:
        return nullcontext(folder / name) if asked == name else packaged(asked)

    monkeypatch.setattr(bundled, "bundled_file", replaced)
    monkeypatch.setattr(priors, "bundled_file", replaced)


@pytest.mark.parametrize("model", ["gfpgan-1.4", "psfrgan", *SPANDREL_MODELS])
def test_detail_is_refused_by_other_models_before_the_download(model: str, folder: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"{re.escape(model)} does not support --detail.*two sets of weights only",
    ):
        loaded(model, detail=0.5)
    assert not folder.exists()


@pytest.mark.usefixtures("lite_with_ends")
@pytest.mark.parametrize("wrong", [-0.5, 1.01, float("nan")])
def test_a_detail_out_of_range_is_refused_by_settings_and_by_the_loader(wrong: float) -> None:
    with pytest.raises(ConfigError, match="detail must be a number from 0 to 1"):
        RestoreSettings(detail=wrong)
    with pytest.raises(ConfigError, match="detail must be a number from 0 to 1"):
        loaded("lite", detail=wrong)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_of_the_option_is_loaded_or_its_weights_are_fetched(
    name: DetectorName, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def no_network(weights: str, *, on_progress: object) -> Path:
        del on_progress
        fetched.append(weights)
        raise DownloadError(weights)

    monkeypatch.setattr(load_models, "ensure_local", no_network)
    for fetch_or_load in (
        lambda: load_detector(name, device=CPU),
        lambda: fetch_networks("lite", detector=name, on_download=not_shown),
    ):
        with suppress(DownloadError):
            fetch_or_load()
    assert fetched in ([], fetched[:1] * 2)
    assert {*fetched} <= WEIGHTS.keys()
