"""Evaluation tells a good restorer from none, on stills and over time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import example_pictures
from torch import Tensor
from torchvision.models import mobilenet_v2

from vidrestore.errors import WeightsError
from vidrestore.metrics.scores import MetricNetworks, image_scores, mean_scores
from vidrestore.models.recognizers.arcface import ArcFaceResNet
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.restore.settings import TemporalConfig
from vidrestore.training import evaluation
from vidrestore.training.degradations.recipes.table import recipe_named
from vidrestore.training.evaluation import (
    EvaluationResults,
    Restore,
    compute_fid,
    degrade_images,
    load_feature_distance,
    load_identity_embedder,
    measure_clip,
    measure_images,
)
from vidrestore.training.losses.feature_extractors import MobileNetV2Features, Vgg19Features


def clip(frames: int = 3) -> list[Tensor]:
    images = [image[100:356, 200:456] for image in example_pictures(frames)]
    return [torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255 for image in images]


def flat(crops: Tensor) -> Tensor:
    return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(crops, 64).flatten(1))


INSTRUMENTS = MetricNetworks(
    identity=flat, landmarks=lambda crop: np.full((5, 2), 100 * float(crop.mean()))
)


def measured(
    images: list[Tensor],
    restore: Restore,
    *,
    seed: int = 0,
    metric_networks: MetricNetworks | None = None,
) -> EvaluationResults:
    metric_networks = metric_networks or MetricNetworks()
    named = [(str(index), image) for index, image in enumerate(images)]
    stills = degrade_images(
        named, recipe=recipe_named("gfpgan"), seed=seed, metric_networks=metric_networks
    )
    return measure_images(stills, restore=restore, metric_networks=metric_networks)


def test_the_identity_scores_its_input_and_an_oracle_scores_full_marks() -> None:
    original = clip(1)[0]
    for restore, equal_to_input in ((lambda crops: crops, True), (lambda _: original[None], False)):
        results = measured([original], restore, metric_networks=INSTRUMENTS)
        before, after = results.summary("input"), results.summary("output")
        assert (before == after) == equal_to_input
        assert before["psnr"] < 45
        assert 0 < before["sharpness"] < 1
    assert after["psnr"] == 100
    assert after["ssim"] > 0.999
    assert after["identity_angle"] < 0.1
    # Images are searched several at once, which may round the last bit otherwise.
    assert after["landmark_distance"] == pytest.approx(0, abs=1e-4)
    assert results.summary("original")["niqe"] == after["niqe"]
    assert results.sheet().shape == (256, 768, 3)


def test_still_number_and_seed_alone_choose_the_degradation() -> None:
    original = clip(1)[0]

    def inputs(seed: int, count: int) -> list[float]:
        results = measured([original] * count, lambda crops: crops, seed=seed)
        return [item.scores["input"]["psnr"] for item in results.items]

    assert inputs(0, 2)[:1] == inputs(0, 1)
    assert inputs(0, 2)[0] != inputs(0, 2)[1]
    assert inputs(0, 1) != inputs(1, 1)


def test_a_trembling_restorer_is_found_out_over_time() -> None:
    calls = iter(range(100))

    def trembling(crops: Tensor) -> Tensor:
        return (crops + 0.04 * (next(calls) % 2)).clamp(0, 1)

    results = measure_clip(
        "clip",
        clip(),
        recipe=recipe_named("untouched"),
        rng=np.random.default_rng(0),
        restore=trembling,
        metric_networks=INSTRUMENTS,
    )
    (entry,) = results.items
    before, after = entry.scores["input"], entry.scores["output"]
    assert entry.frames == 3
    for name in ("warping_error", "flicker", "landmark_jitter"):
        assert after[name] > before[name], name
    assert before["flicker"] < 0.1
    assert entry.scores["original"]["landmark_jitter"] == 0


def test_detail_of_a_clip_is_blended_as_in_a_film() -> None:
    def trembling(steady: TemporalConfig | None) -> float:
        rng = np.random.default_rng(1)

        def drawing(crops: Tensor) -> Tensor:
            lines = torch.from_numpy(rng.normal(0, 0.05, crops[:, :1].shape).astype(np.float32))
            return (crops + lines).clamp(0, 1)

        (entry,) = measure_clip(
            "clip",
            clip(),
            recipe=recipe_named("untouched"),
            rng=np.random.default_rng(0),
            restore=drawing,
            metric_networks=INSTRUMENTS,
            temporal=steady,
        ).items
        return entry.scores["output"]["warping_error"]

    assert trembling(TemporalConfig()) < 0.8 * trembling(None)


def test_fid_compares_the_sets_that_were_measured() -> None:
    results = measured(clip(3), lambda _: clip(1)[0][None])
    scores = compute_fid(results, lambda batch: batch.mean(dim=(2, 3)))
    assert scores["input"]["fid"] >= 0
    assert set(scores) == {"input", "output"}


def test_means_leave_out_what_was_not_found() -> None:
    means = mean_scores([{"a": 1.0, "b": float("nan")}, {"a": 3.0, "b": 2.0}])
    assert means == {"a": 2.0, "b": 2.0}


@pytest.mark.parametrize("network", [MobileFaceNet(), ArcFaceResNet(layers=(1, 1, 1, 1))])
def test_identity_is_measured_by_whichever_network_the_file_holds(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    torch.save({"net_state_dict": network.state_dict()}, tmp_path / "face.ckpt")
    crops = torch.stack(clip(2))
    found = load_identity_embedder(tmp_path / "face.ckpt")(crops)
    assert found.shape[0] == 2
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    assert not torch.equal(found[0], found[1])


def test_features_are_those_of_the_network_that_the_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = mobilenet_v2(weights=None)
    torch.save(network.state_dict(), tmp_path / "mobilenet.pth")
    metric = load_feature_distance(tmp_path / "mobilenet.pth")
    original = clip(1)[0]
    noisy = (original + 0.2 * torch.rand(original.shape)).clamp(0, 1)

    scores = image_scores(noisy, original, MetricNetworks(features=metric))
    assert 0 < scores["mobilenet_distance"] < 4
    assert float(metric.distance(original[None], original[None])) == 0
    plain = MobileNetV2Features()
    plain.layers.load_state_dict(network.features[:18].state_dict())
    for found, expected in zip(
        metric.features(noisy[None]), plain(noisy[None] * 2 - 1), strict=True
    ):
        torch.testing.assert_close(found, expected)

    monkeypatch.setattr(evaluation, "load_feature_network", lambda _: Vgg19Features(["conv1_1"]))
    assert load_feature_distance(None).name == "vgg19_distance"
    with pytest.raises(WeightsError, match=r"none\.pth: file not found"):
        load_feature_distance(tmp_path / "none.pth")
