"""Evaluation measures restorers on images and on clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import example_images
from torch import Tensor
from torchvision.models import mobilenet_v2

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.metrics.fid import vector_statistics
from vidrestore.metrics.scores import MetricNetworks, image_scores, mean_scores
from vidrestore.models.recognizers.arcface import ArcFaceResNet
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.restore.settings import TemporalConfig
from vidrestore.training import metric_networks as metric_networks_module
from vidrestore.training.degradations.recipes.table import recipe_named
from vidrestore.training.evaluation import (
    EvaluationResults,
    Restore,
    compute_fid,
    degrade_images,
    measure_clip,
    measure_images,
    measure_unpaired,
    pair_images,
)
from vidrestore.training.losses.feature_extractors import MobileNetV2Features, Vgg19Features
from vidrestore.training.metric_networks import load_feature_distance, load_identity_embedder


def clip(frames: int = 3) -> list[Tensor]:
    images = [image[100:356, 200:456] for image in example_images(frames)]
    return [torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255 for image in images]


def flat(crops: Tensor) -> Tensor:
    return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(crops, 64).flatten(1))


METRIC_NETWORKS = MetricNetworks(
    identity=flat, landmarks=lambda crop: np.full((5, 2), 100 * float(crop.mean()))
)


def measure(
    images: list[Tensor],
    restore: Restore,
    *,
    seed: int = 0,
    metric_networks: MetricNetworks | None = None,
) -> EvaluationResults:
    metric_networks = metric_networks or MetricNetworks()
    named = [(str(index), image) for index, image in enumerate(images)]
    degraded = degrade_images(
        named, recipe=recipe_named("gfpgan"), seed=seed, metric_networks=metric_networks
    )
    return measure_images(degraded, restore=restore, metric_networks=metric_networks)


def test_scores_of_an_unchanged_input_and_of_a_perfect_restorer() -> None:
    original = clip(1)[0]
    for restore, equal_to_input in ((lambda crops: crops, True), (lambda _: original[None], False)):
        results = measure([original], restore, metric_networks=METRIC_NETWORKS)
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


def test_the_degradation_depends_on_index_and_seed_alone() -> None:
    original = clip(1)[0]

    def inputs(seed: int, count: int) -> list[float]:
        results = measure([original] * count, lambda crops: crops, seed=seed)
        return [item.scores["input"]["psnr"] for item in results.items]

    assert inputs(0, 2)[:1] == inputs(0, 1)
    assert inputs(0, 2)[0] != inputs(0, 2)[1]
    assert inputs(0, 1) != inputs(1, 1)


def test_flicker_raises_the_temporal_scores() -> None:
    calls = iter(range(100))

    def flicker(crops: Tensor) -> Tensor:
        return (crops + 0.04 * (next(calls) % 2)).clamp(0, 1)

    results = measure_clip(
        "clip",
        clip(),
        recipe=recipe_named("untouched"),
        rng=np.random.default_rng(0),
        restore=flicker,
        metric_networks=METRIC_NETWORKS,
    )
    (item,) = results.items
    before, after = item.scores["input"], item.scores["output"]
    assert item.frames == 3
    for name in ("warping_error", "flicker", "landmark_jitter"):
        assert after[name] > before[name], name
    assert before["flicker"] < 0.1
    assert item.scores["original"]["landmark_jitter"] == 0


def test_temporal_blending_lowers_the_warping_error_of_a_clip() -> None:
    def warping_error(temporal: TemporalConfig | None) -> float:
        rng = np.random.default_rng(1)

        def add_noise(crops: Tensor) -> Tensor:
            noise = torch.from_numpy(rng.normal(0, 0.05, crops[:, :1].shape).astype(np.float32))
            return (crops + noise).clamp(0, 1)

        (item,) = measure_clip(
            "clip",
            clip(),
            recipe=recipe_named("untouched"),
            rng=np.random.default_rng(0),
            restore=add_noise,
            metric_networks=METRIC_NETWORKS,
            temporal=temporal,
        ).items
        return item.scores["output"]["warping_error"]

    assert warping_error(TemporalConfig()) < 0.8 * warping_error(None)


def test_fid_is_measured_on_inputs_and_outputs() -> None:
    networks = MetricNetworks(fid=lambda batch: batch.mean(dim=(2, 3)))
    results = measure(clip(3), lambda crops: crops / 2, metric_networks=networks)
    scores = compute_fid(results)
    assert 0 <= scores["input"]["fid"] < scores["output"]["fid"]
    dark = vector_statistics([0.5 * image.mean(dim=(1, 2))[None] for image in clip(3)])
    to_dark = compute_fid(results, dark)
    assert to_dark["output"]["fid"] < to_dark["input"]["fid"]
    with pytest.raises(ConfigError, match="2 features, this network gives 3"):
        compute_fid(results, vector_statistics([torch.rand(4, 2)]))
    with pytest.raises(ConfigError, match="two images"):
        compute_fid(measure(clip(1), lambda crops: crops, metric_networks=networks))


def test_without_originals_the_output_is_compared_with_the_input() -> None:
    networks = replace(METRIC_NETWORKS, fid=flat)
    named = [(str(index), image) for index, image in enumerate(clip(2))]
    results = measure_unpaired(named, restore=lambda crops: crops, metric_networks=networks)
    assert set(results.summary("output")) == {"niqe", "identity", "identity_angle"}
    assert results.summary("output")["identity"] == pytest.approx(1)
    assert set(results.summary("input")) == {"niqe"}
    assert results.summary("original") == {}
    assert results.sheet().shape == (512, 512, 3)
    reference = vector_statistics([flat(image[None]) for image in clip(3)])
    assert set(compute_fid(results, reference)) == {"input", "output"}


def test_already_degraded_images_are_paired_by_name() -> None:
    (original,) = clip(1)
    pairs = pair_images(
        [("a.jpg", original / 2)], [("a.png", original)], metric_networks=MetricNetworks()
    )
    results = measure_images(
        pairs, restore=lambda crops: 2 * crops, metric_networks=MetricNetworks()
    )
    assert results.summary("output")["psnr"] > results.summary("input")["psnr"]
    for inputs in ([("b.jpg", original)], []):
        with pytest.raises(ConfigError, match="must have the same names"):
            list(pair_images(inputs, [("a.png", original)], metric_networks=MetricNetworks()))


def test_the_sheet_shows_eight_evenly_spaced_rows_of_many_images() -> None:
    results = EvaluationResults()
    for index in range(70):
        results.add_row(torch.full((3, 256, 256), index / 255))
    rows = results.sheet()[::256, 0, 0].tolist()
    assert len(rows) == 8
    assert rows[0] == 0
    assert rows[-1] >= 60
    assert min(np.diff(rows)) >= 8


def test_means_exclude_missing_scores() -> None:
    means = mean_scores([{"a": 1.0, "b": float("nan")}, {"a": 3.0, "b": 2.0}])
    assert means == {"a": 2.0, "b": 2.0}


@pytest.mark.parametrize("network", [MobileFaceNet(), ArcFaceResNet(layers=(1, 1, 1, 1))])
def test_identity_is_measured_by_the_network_of_the_file(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    torch.save({"net_state_dict": network.state_dict()}, tmp_path / "face.ckpt")
    crops = torch.stack(clip(2))
    embeddings = load_identity_embedder(tmp_path / "face.ckpt")(crops)
    assert embeddings.shape[0] == 2
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert not torch.equal(embeddings[0], embeddings[1])


def test_the_feature_distance_uses_the_network_of_the_file(
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
    for features, expected in zip(
        metric.features(noisy[None]), plain(noisy[None] * 2 - 1), strict=True
    ):
        torch.testing.assert_close(features, expected)

    monkeypatch.setattr(
        metric_networks_module, "load_feature_network", lambda _: Vgg19Features(["conv1_1"])
    )
    assert load_feature_distance(None).name == "vgg19_distance"
    with pytest.raises(WeightsError, match=r"none\.pth: file not found"):
        load_feature_distance(tmp_path / "none.pth")
