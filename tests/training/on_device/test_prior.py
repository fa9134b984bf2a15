"""``prior`` on one device: faces with known styles, its stages, and a resumed run."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.devicetraining import RATES, run_config, stage, training_root, use_small_prior
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.architecture_detection import detect_architecture
from vidrestore.toml_config import read_config
from vidrestore.training.degradations.recipes.table import RecipeConfig
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.progress import TrainingProgress
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.data.batches import DegradedFaces
from vidrestore.training.on_device.data.degradation_table import DegradationTable
from vidrestore.training.on_device.data.device_faces import DeviceFaces
from vidrestore.training.on_device.data.drawn_faces import DrawnFaces
from vidrestore.training.on_device.losses import load_loss_networks
from vidrestore.training.on_device.networks import PriorNetwork, build_frozen
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep
from vidrestore.training.on_device.run import train_on_device
from vidrestore.training.on_device.stage_trainer import StageTrainer
from vidrestore.weights.load import load_weights, read_weights

CPU = torch.device("cpu")
FIRST = RunState(step=0, steps=75, seed=0, device=CPU)
CONFIG = Path(__file__).parents[3] / "configs" / "train" / "prior_gpu.toml"
FROZEN = RATES | {"param_groups": [{"pattern": "stylegan_decoder.*", "lr_scale": 0.0}]}
TUNED = RATES | {"param_groups": [{"pattern": "stylegan_decoder.*", "lr_scale": 0.05}]}
STYLES = {"styles": 1.0, "pyramid": 1.0}
DRAWN = {"truth": 1.0, "features": 0.3, "style": 1.0, "identity": 0.3, "pyramid": 0.5}
EVERYTHING = DRAWN | {"adversary": 0.05, "matching": 1.0}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_prior(monkeypatch)
    return training_root(tmp_path / "data")


def styles_stage(**changes: Any) -> dict[str, Any]:
    settings = {"generator": FROZEN, "loss_weights": STYLES, "generated_ratio": 0.5}
    return stage("styles", **{**settings, **changes})


def three_stages(root: Path) -> DeviceRunConfig:
    stages = [
        styles_stage(),
        stage("frozen", generator=FROZEN, loss_weights=DRAWN, codec_ratio=0.5, steps=1),
        stage(
            "tuned",
            generator=TUNED,
            adversary=RATES,
            loss_weights=EVERYTHING,
            generated_ratio=0.5,
            keeps="detail",
        ),
    ]
    return run_config(root, stages, network="prior", pretrained="embedded")


def of_prior(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.startswith("stylegan_decoder.")}


def test_a_run_trains_around_the_frozen_prior_then_tunes_it(root: Path, tmp_path: Path) -> None:
    config, run = three_stages(root), tmp_path / "run"
    reports: list[TrainingProgress] = []
    start = PriorNetwork(64).starting_state("embedded")
    train = partial(train_on_device, config, folder=run, device="cpu")
    assert train(on_progress=reports.append, stop_after=3) == []
    frozen = read_checkpoint(run / "last.pt")["position"]["state"]
    paths = train(on_progress=reports.append)
    assert {path.name for path in paths} == {"prior.safetensors", "curves.png", "sheet.png"}
    terms = [report.terms.keys() - {"stage", "samples_per_second"} for report in reports]
    assert terms[0] == STYLES.keys()
    assert terms[2] == DRAWN.keys()
    assert terms[3] == EVERYTHING.keys() | {"texture"}

    assert all(torch.equal(frozen[name], value) for name, value in of_prior(start).items())
    assert not torch.equal(frozen["final_linear.weight"], start["final_linear.weight"])
    tuned = read_checkpoint(run / "last.pt")["position"]["ends"]["detail"]
    changed = {name for name, value in of_prior(tuned).items() if not value.equal(start[name])}
    assert changed
    assert not any(".style_mlp." in name for name in changed)

    written = read_weights(run / "prior.safetensors").state
    detected = detect_architecture({name: tuple(value.shape) for name, value in written.items()})
    assert detected is not None
    network = detected.spec.build()
    load_weights(network, run / "prior.safetensors")
    crop = torch.rand(1, 3, 64, 64) * 2 - 1
    expected = build_frozen(PriorNetwork(64), tuned)(crop).image
    torch.testing.assert_close(network.eval()(crop).image, expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize("stop_after", [1, 4], ids=["in the styles", "in the adversary"])
def test_an_interrupted_run_gives_the_weights_of_an_uninterrupted_one(
    root: Path, tmp_path: Path, stop_after: int
) -> None:
    config = three_stages(root)
    uninterrupted, resumed = tmp_path / "uninterrupted", tmp_path / "resumed"
    train_on_device(config, folder=uninterrupted, device="cpu")
    assert train_on_device(config, folder=resumed, device="cpu", stop_after=stop_after) == []
    assert train_on_device(config, folder=resumed, device="cpu")
    expected, state = (
        read_checkpoint(folder / "last.pt")["position"]["ends"]["detail"]
        for folder in (uninterrupted, resumed)
    )
    assert expected.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in expected.items())


def drawn_faces(truncation: tuple[float, float] = (0.5, 1.0)) -> DrawnFaces:
    return DrawnFaces(PriorNetwork(64).generator(), truncation=truncation, dtype=torch.float32)


def source(config: DeviceRunConfig) -> DegradedFaces:
    faces = DeviceFaces(config.data.faces, held_out=1, num_workers=0, seed=0, device=CPU)
    return DegradedFaces(faces, config.data, config.stages[0], run_state=FIRST, drawn=drawn_faces())


def test_generated_faces_come_first_and_are_those_of_their_styles(root: Path) -> None:
    only = styles_stage(batch=6, generated_ratio=0.5, codec_ratio=0.3)
    config = run_config(root, [only], network="prior", pretrained="embedded")
    batch = source(config).batch(FIRST)
    prior = PriorNetwork(64).generator()
    assert batch.styles is not None
    assert batch.styles.shape == (3, 16)
    expected = prior.synthesize(prior.to_w_plus(batch.styles)).clamp(-1, 1)
    torch.testing.assert_close(batch.target[:3], expected)
    assert len(batch.target) == len(batch.degraded) == len(batch.boxes_xyxy) == 6
    assert (batch.degraded[:3] - expected).abs().mean() > 0.01
    again = source(config).batch(FIRST)
    assert torch.equal(again.degraded[:3], batch.degraded[:3])
    mean, _ = drawn_faces((0.0, 0.0)).draw(2, torch.Generator().manual_seed(0))
    assert torch.equal(mean.image[0], mean.image[1])


def test_the_error_of_styles_falls_below_that_of_the_mean_style(root: Path) -> None:
    rates = FROZEN | {"lr": 1e-2}
    only = styles_stage(
        batch=16, generated_ratio=1.0, generator=rates, loss_weights={"styles": 1.0}
    )
    config = run_config(root, [only], network="prior", pretrained="embedded")
    # Without degradation: at 64 pixels, little of a style survives GFP-GAN's.
    undegraded = RecipeConfig(name="none", probability=1.0)
    config = replace(config, data=replace(config.data, recipes=(undegraded,)))
    torch.manual_seed(0)
    network, batches = PriorNetwork(64), source(config)
    trainer = StageTrainer(
        config,
        replace(config.stages[0], ema_decay=0.9),
        network=network,
        state=network.starting_state("embedded"),
        source=batches,
        loss_networks=load_loss_networks(config, CPU),
        teacher=None,
        optimizer_step=DeviceOptimizerStep(device=CPU, dtype=torch.float32, max_grad_norm=1.0),
    )
    for step in range(FIRST.steps):
        trainer.step(replace(FIRST, step=step))
    unseen = batches.batch(replace(FIRST, step=1000))
    styles = build_frozen(network, trainer.ema_state())(unseen.degraded, draws=False).styles
    mean = network.generator().get_buffer("mean_style")
    assert unseen.styles is not None
    error = (styles - unseen.styles[:, None]).square().mean()
    assert error < 0.5 * (mean - unseen.styles).square().mean()


def test_the_config_is_valid_and_tunes_the_prior_last() -> None:
    config = read_config(CONFIG, DeviceRunConfig)
    assert (config.network, {stage.side_px for stage in config.stages}) == ("prior", {512})
    scales = [
        stage.generator.lr_scale_of("stylegan_decoder.conv1.weight") for stage in config.stages
    ]
    assert scales[0] == scales[1] == 0 < scales[-1] < 0.1
    draws = [stage.loss_weights.looks_at_output for stage in config.stages]
    assert draws == [False, True, True]
    assert [stage.keeps for stage in config.stages] == ["", "", "detail"]
    DegradationTable(
        config.data.recipes,
        rows=8,
        side_px=512,
        gray_probability=0,
        aged_probability=0,
        seed=0,
        device=CPU,
    )


@pytest.mark.parametrize(
    ("stages", "changes", "message"),
    [
        ([styles_stage()], {"network": "lite"}, 'need network = "prior"'),
        ([styles_stage(generated_ratio=0.0)], {}, "styles needs generated_ratio"),
        ([styles_stage(generated_ratio=0.7, codec_ratio=0.5)], {}, "with codec_ratio at most 1"),
        ([styles_stage(truncation=[0.8, 0.5])], {}, "truncation must be"),
        ([styles_stage(), stage("b", side_px=128)], {}, "one side_px"),
        ([stage("a", keeps="fidelity"), stage("b", keeps="detail")], {}, "one keeps"),
        ([stage("a", loss_weights={"teacher": 1.0})], {}, "prior has no teacher"),
    ],
)
def test_conflicting_settings_are_refused(
    tmp_path: Path, stages: list[dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config(tmp_path, stages, **{"network": "prior", "pretrained": "embedded"} | changes)


def test_other_starts_sizes_and_runs_are_refused(root: Path, tmp_path: Path) -> None:
    config = three_stages(root)
    with pytest.raises(ConfigError, match="prior starts from embedded or a file"):
        train_on_device(replace(config, pretrained="compact"), folder=tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="draws 64 px, but side_px is 128"):
        PriorNetwork(128).starting_state("embedded")
    train_on_device(config, folder=tmp_path, device="cpu", stop_after=1)
    lite = run_config(root, [stage("only")])
    with pytest.raises(WeightsError, match=r"last\.pt: of prior, not lite"):
        train_on_device(lite, folder=tmp_path, device="cpu")
