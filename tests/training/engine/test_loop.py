"""The training loop resumes bit for bit, accumulates gradients and averages over processes."""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from support.regression import CPU, Regression, run
from torch import Tensor, nn

from vidrestore.errors import ConfigError, MediaError, NonFiniteLossError, WeightsError
from vidrestore.training.engine import loop
from vidrestore.training.engine.checkpoint import read_checkpoint, save_checkpoint
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.kept_checkpoints import KeepConfig
from vidrestore.training.engine.loop import CHECKPOINT_NAME, Preview
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig, ParamGroupConfig, build_adam
from vidrestore.training.engine.progress import TrainingProgress
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState

FIRST = RunState(step=0, steps=9, seed=0, device=CPU)


def weights(state: dict[str, Any], kind: str = "network") -> dict[str, Tensor]:
    return state["networks"]["net"][kind]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    uninterrupted = run(Regression(), tmp_path / "uninterrupted", steps=10)
    run(Regression(), tmp_path / "resumed", steps=5)
    resumed = run(Regression(), tmp_path / "resumed", steps=10)

    assert resumed["task"] == uninterrupted["task"] == {"steps": 10}
    for kind in ("network", "params_ema"):
        for key, value in weights(uninterrupted, kind).items():
            assert torch.equal(value, weights(resumed, kind)[key]), key


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_run_in_micro_batches_resumes_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    def train(name: str, steps: int) -> dict[str, Any]:
        task = Regression(micro=2, fused=True)
        options: dict[str, Any] = {"dtype": dtype, "defers_checks": True}
        return run(task, tmp_path / name, steps=steps, keep=KeepConfig(last=1), **options)

    uninterrupted = train("uninterrupted", 10)
    train("resumed", 5)
    resumed = train("resumed", 10)
    for key, value in weights(uninterrupted).items():
        assert torch.equal(value, weights(resumed)[key]), key
    assert resumed["scalers"] == uninterrupted["scalers"]
    if dtype is torch.float16:
        # The first scale was too large: that step was skipped, and the scale halved.
        scaler = resumed["scalers"]["net"]
        assert (scaler["scale"], scaler["_growth_tracker"]) == (2**15, 9)


def test_the_host_synchronizes_for_loss_terms_and_checks_once_per_log_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[int] = []
    monkeypatch.setattr(loop, "fetched", lambda terms: lines.append(len(terms)) or {})
    at_once = run(Regression(fused=True), tmp_path / "at_once", steps=6)
    assert len(lines) == 6
    lines.clear()
    deferred = run(Regression(fused=True), tmp_path / "deferred", steps=6, defers_checks=True)
    assert len(lines) == 3
    for key, value in weights(at_once).items():
        assert torch.equal(value, weights(deferred)[key]), key

    task = Regression(poison_at=4, fused=True)
    with pytest.raises(NonFiniteLossError, match="before step 6: net: the loss term 'mse' was not"):
        run(task, tmp_path / "poisoned", steps=9, defers_checks=True)
    assert read_checkpoint(tmp_path / "poisoned" / CHECKPOINT_NAME)["step"] == 3
    assert all(
        parameter.isfinite().all() for parameter in task.train_states["net"].network.parameters()
    )


def test_a_compiled_network_trains_like_an_eager_one_and_its_run_resumes_as_eager(
    tmp_path: Path,
) -> None:
    compiled = Regression()
    compiled.train_states["net"].network.compile(backend="eager")
    run(compiled, tmp_path / "compiled", steps=2)
    assert compiled.train_states["net"].ema_network()(torch.ones(1, 4)).shape == (1, 1)
    resumed = run(Regression(), tmp_path / "compiled", steps=4)
    plain = run(Regression(), tmp_path / "plain", steps=4)
    for key, value in weights(plain).items():
        torch.testing.assert_close(weights(resumed)[key], value)


def test_the_best_and_the_latest_checkpoints_are_kept(tmp_path: Path) -> None:
    # The score is the step, at every fourth.
    rising = KeepConfig(last=2, best="score")
    run(Regression(), tmp_path / "a", steps=10, keep=rising)
    steps = {path.name: read_checkpoint(path)["step"] for path in (tmp_path / "a").glob("*.pt")}
    kept = {"step_0000009.pt": 9, "step_0000010.pt": 10}
    assert steps == {"last.pt": 10, "best.pt": 10, **kept}

    falling = KeepConfig(best="score", higher_is_better=False)
    run(Regression(), tmp_path / "b", steps=5, keep=falling)
    run(Regression(), tmp_path / "b", steps=10, keep=falling)
    assert read_checkpoint(tmp_path / "b" / "best.pt")["step"] == 4
    with pytest.raises(ConfigError, match="no score 'psnr'; there are score"):
        run(Regression(), tmp_path / "c", steps=4, keep=KeepConfig(best="psnr"))


class FakeWandb:
    """Stands in for the package."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.logged: list[tuple[int, set[str]]] = []
        self.util = self

    def generate_id(self) -> str:
        return f"id{len(self.runs)}"

    def init(self, **options: Any) -> "FakeWandb":
        self.runs.append(options)
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, set(values)))

    def Image(self, path: str) -> str:  # noqa: N802
        return path

    def finish(self) -> None:
        self.logged.append((-1, set()))


def test_a_run_is_logged_to_weights_and_biases_and_resumed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "wandb", None)
        with pytest.raises(ConfigError, match=r"vidrestore\[tracking\]"):
            run(Regression(), tmp_path / "a", steps=1, wandb_project="faces")
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for steps in (2, 4):
        run(Regression(), tmp_path / "a", steps=steps, wandb_project="faces")
    assert [(run["project"], run["id"]) for run in fake.runs] == [("faces", "id0")] * 2
    assert (4, {"mse"}) in fake.logged
    assert (4, {"val/score"}) in fake.logged
    assert (4, {"preview"}) in fake.logged
    assert fake.logged.count((-1, set())) == 2


def test_progress_is_reported_for_every_step_and_validation(tmp_path: Path) -> None:
    reports: list[TrainingProgress] = []
    run(Regression(), tmp_path / "a", steps=2)
    run(Regression(), tmp_path / "a", steps=5, on_progress=reports.append)
    assert [(report.step, report.stage) for report in reports] == [
        (2, "training"),
        (3, "training"),
        (4, "training"),
        (4, "validating"),
        (4, "training"),
        (5, "training"),
        (5, "validating"),
        (5, "training"),
    ]
    assert [sorted(report.terms) for report in reports[:3]] == [[], ["mse"], ["mse"]]
    assert reports[4].scores == {"score": 4.0}
    assert {report.steps for report in reports} == {5}


def test_scores_of_the_validator_are_logged_with_those_of_the_task(tmp_path: Path) -> None:
    def validate() -> tuple[dict[str, float], Preview]:
        return {"output/psnr": 30.0}, Preview(torch.ones(1, 3, 16, 24), 1)

    state = run(
        Regression(), tmp_path / "a", steps=4, validator=validate, run_metadata={"system": "net"}
    )
    assert state["system"] == "net"
    lines = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert {"step": 4, "val/score": 4.0, "val/output/psnr": 30.0} in lines
    image = cv2.imread(str(tmp_path / "a" / "previews" / "0000004.jpg"))
    assert image is not None
    assert image.shape == (16, 24, 3)
    assert image.min() > 250


def drop_networks(state: dict[str, Any]) -> None:
    del state["networks"]


def drop_weight(state: dict[str, Any]) -> None:
    del state["networks"]["net"]["network"]["0.weight"]


def drop_param_group(state: dict[str, Any]) -> None:
    state["networks"]["net"]["optimizer"]["param_groups"].pop()


@pytest.mark.parametrize("damage", [drop_networks, drop_weight, drop_param_group])
def test_a_checkpoint_that_does_not_match_is_refused_and_not_deleted(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    state = run(Regression(), tmp_path / "a", steps=1)
    damage(state)
    save_checkpoint(tmp_path / "a" / CHECKPOINT_NAME, state)
    before = (tmp_path / "a" / CHECKPOINT_NAME).read_bytes()
    with pytest.raises(WeightsError, match=r"last\.pt: does not match this config"):
        run(Regression(), tmp_path / "a", steps=2)
    assert (tmp_path / "a" / CHECKPOINT_NAME).read_bytes() == before


def test_a_checkpoint_of_version_1_is_resumed(tmp_path: Path) -> None:
    state = run(Regression(), tmp_path / "old", steps=5)
    networks = state.pop("networks")
    for network in networks.values():
        network["optimiser"] = network.pop("optimizer")
    del state["version"]
    old = {**state, "parts": networks, "updater": state.pop("scalers")}
    save_checkpoint(tmp_path / "old" / CHECKPOINT_NAME, old)

    resumed = run(Regression(), tmp_path / "old", steps=10)
    uninterrupted = run(Regression(), tmp_path / "uninterrupted", steps=10)
    for key, value in weights(uninterrupted).items():
        assert torch.equal(value, weights(resumed)[key]), key


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path, steps=1, run_metadata={"system": "parser"})
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    with pytest.raises(WeightsError, match="is of a run of parser, but this config trains gfpgan"):
        run(Regression(), tmp_path, steps=2, run_metadata={"system": "gfpgan"})
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_a_full_disk_leaves_only_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    save_checkpoint(path, {"step": 1})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(MediaError, match=r"last\.pt: larger than the file system allows"):
            save_checkpoint(path, {"weights": torch.rand(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / CHECKPOINT_NAME, {"version": 99})
    with pytest.raises(WeightsError, match="version 99 is newer than 2"):
        read_checkpoint(tmp_path / CHECKPOINT_NAME)


def test_micro_batches_give_the_gradients_of_the_batch(tmp_path: Path) -> None:
    halves = run(Regression(micro=2), tmp_path / "halves", steps=4)
    quarters = run(Regression(micro=4), tmp_path / "quarters", steps=4)

    for key, value in weights(halves).items():
        torch.testing.assert_close(value, weights(quarters)[key], atol=1e-6, rtol=0)


def test_a_loss_term_that_is_not_finite_is_named_and_its_step_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match="step 4: net: the loss term 'mse' is nan"):
        run(Regression(poison_at=4), tmp_path / "run", steps=10)

    good = run(Regression(), tmp_path / "good", steps=3)
    saved = read_checkpoint(tmp_path / "run" / CHECKPOINT_NAME)
    assert saved["step"] == 3
    for key, value in weights(good).items():
        assert torch.equal(value, weights(saved)[key])


def test_the_error_of_a_gradient_that_is_not_finite_names_the_parameter() -> None:
    network = nn.Linear(2, 1)
    state = TrainState(network=network, optimizer_config=AdamConfig(lr=1.0))
    before = network.weight.detach().clone()
    optimizer_step = OptimizerStep(device=CPU, dtype=torch.float32)

    def terms(_: int) -> dict[str, Tensor]:
        # The square root of zero has a finite value and an infinite slope.
        return {"root": (network.weight * 0).sum().abs().sqrt()}

    with pytest.raises(NonFiniteLossError, match="gradient of weight"):
        optimizer_step.apply("net", state, [0], terms, FIRST)
    assert torch.equal(network.weight, before)


def test_the_log_holds_means_scores_and_images(tmp_path: Path) -> None:
    run(Regression(), tmp_path / "run", steps=8)

    text = (tmp_path / "run" / "log.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    logged = [line for line in lines if "mse" in line]
    assert [line["step"] for line in logged] == [2, 4, 6, 8]
    assert logged[-1]["mse"] < logged[0]["mse"]
    assert logged[-1]["hours_left"] == 0
    assert [line["val/score"] for line in lines if "val/score" in line] == [4.0, 8.0]
    assert (tmp_path / "run" / "previews" / "0000008.jpg").is_file()


def test_a_batch_is_split_evenly_or_refused() -> None:
    indices = [list(DistributedContext(rank=rank, size=3).local_indices(6)) for rank in range(3)]
    assert indices == [[0, 1], [2, 3], [4, 5]]
    second = DistributedContext(rank=1, size=2)
    assert second.local_indices(8, micro_batches=2) == [2, 3, 6, 7]
    with pytest.raises(ConfigError, match="batch size 5 is not divisible by the process count, 2"):
        DistributedContext(rank=0, size=2).local_indices(5)


def test_draws_depend_on_step_seed_and_stream_alone() -> None:
    def draw(**changes: int) -> float:
        fields = {"step": 5, "steps": 9, "seed": 1} | changes
        stream = fields.pop("stream", 0)
        run_state = RunState(device=CPU, **fields)
        return float(torch.rand(1, generator=run_state.generator(stream)))

    assert draw() == draw(steps=99)
    assert len({draw(), draw(step=6), draw(seed=2), draw(stream=1)}) == 4


def test_a_parameter_is_in_the_first_group_that_matches_its_name() -> None:
    network = nn.ModuleDict({"slow": nn.Linear(1, 1), "frozen": nn.Linear(1, 1)})
    param_groups = (
        ParamGroupConfig(pattern="slow.*", lr_scale=0.1),
        ParamGroupConfig(pattern="*", lr_scale=0),
    )
    state = TrainState(
        network=network, optimizer_config=AdamConfig(lr=2.0, param_groups=param_groups)
    )
    state.set_lr(FIRST)

    assert {name for name, _ in state.trained_parameters()} == {"slow.weight", "slow.bias"}
    assert [group["lr"] for group in state.optimizer.param_groups] == [0.2]
    with pytest.raises(ConfigError, match="no parameter matches 'none'"):
        build_adam(
            network,
            AdamConfig(lr=1.0, param_groups=(ParamGroupConfig(pattern="none", lr_scale=1),)),
        )


def test_schedules_are_functions_of_the_step() -> None:
    piecewise = AdamConfig(lr=1.0, schedule="piecewise", milestones=(10, 20), factor=0.5)
    assert [piecewise.lr_at(step, steps=30) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    warmup = AdamConfig(lr=1.0, warmup_steps=4)
    assert [warmup.lr_at(step, steps=30) for step in (0, 1, 3, 20)] == [0.25, 0.5, 1.0, 1.0]
    assert AdamConfig(lr=1.0, schedule="cosine").lr_at(15, steps=30) == pytest.approx(0.5)
