"""The loop: resumes bit for bit, accumulates, averages over processes, names culprits."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import Tensor, nn

from vidrestore.errors import ConfigError, NonFiniteLossError, WeightsError
from vidrestore.training.engine.checkpoint import read_checkpoint, save_checkpoint
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.loop import LAST, Preview, run_task
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig, ParamGroupConfig, adam
from vidrestore.training.engine.progress import TrainingProgress
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState

CPU = torch.device("cpu")


FIRST = RunState(step=0, steps=9, seed=0, rank=0, device=CPU)


class Regression:
    """Fits a small network to a fixed one, with noise drawn by the moment's generator."""

    def __init__(self, *, batch: int = 8, micro: int = 1, poison_at: int | None = None) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer_config = AdamConfig(lr=1e-2)
        self.train_states: Mapping[str, TrainState] = {
            "net": TrainState(network=network, optimizer_config=optimizer_config, ema_decay=0.9)
        }
        self.batch, self.micro, self.poison_at = batch, micro, poison_at
        self.seen = 0

    def batches(
        self, *, first_step: int, context: DistributedContext
    ) -> Iterator[Sequence[Tensor]]:
        for step in count(first_step):
            inputs = torch.randn(self.batch, 4, generator=torch.Generator().manual_seed(step))
            own = inputs[list(context.local_indices(self.batch))]
            yield own.chunk(self.micro)

    def step(
        self, batches: Sequence[Tensor], run_state: RunState, optimizer_step: OptimizerStep
    ) -> dict[str, float]:
        part = self.train_states["net"]
        noise = (
            torch.randn(1, generator=run_state.generator(0)) if self.micro == 1 else torch.zeros(1)
        )

        def terms(inputs: Tensor) -> dict[str, Tensor]:
            target = inputs.sum(dim=1, keepdim=True) + (0.01 * noise if run_state.rank == 0 else 0)
            loss = (part.network(inputs) - target).square().mean()
            return {"mse": loss * (float("nan") if run_state.step == self.poison_at else 1.0)}

        logged = optimizer_step.apply("net", part, batches, terms, run_state)
        self.seen += 1
        return logged

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview | None]:
        return {"score": float(run_state.step)}, Preview(torch.zeros(4, 3, 8, 8), 2)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = int(state["seen"])


def run(
    task: Regression,
    folder: Path,
    *,
    steps: int,
    context: DistributedContext | None = None,
    **others: Any,
) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    context = context or DistributedContext()
    path = run_task(
        task,
        folder=folder,
        steps=steps,
        seed=3,
        optimizer_step=OptimizerStep(device=CPU, dtype=torch.float32, context=context),
        device=CPU,
        context=context,
        log_every=2,
        save_every=3,
        validate_every=4,
        **others,
    )
    return read_checkpoint(path)


def weights(state: dict[str, Any], kind: str = "network") -> dict[str, Tensor]:
    return state["networks"]["net"][kind]


def test_a_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(Regression(), tmp_path / "whole", steps=10)
    run(Regression(), tmp_path / "cut", steps=5)
    resumed = run(Regression(), tmp_path / "cut", steps=10)

    assert resumed["task"] == whole["task"] == {"seen": 10}
    for kind in ("network", "params_ema"):
        for key, value in weights(whole, kind).items():
            assert torch.equal(value, weights(resumed, kind)[key]), key


def test_a_caller_is_told_of_every_step_and_around_validations(tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    run(Regression(), tmp_path / "a", steps=2)
    run(Regression(), tmp_path / "a", steps=5, on_progress=told.append)
    assert [(each.step, each.stage) for each in told] == [
        (2, "training"),
        (3, "training"),
        (4, "training"),
        (4, "validating"),
        (4, "training"),
        (5, "training"),
        (5, "validating"),
        (5, "training"),
    ]
    assert [sorted(each.terms) for each in told[:3]] == [[], ["mse"], ["mse"]]
    assert told[4].scores == {"score": 4.0}
    assert {each.steps for each in told} == {5}


def test_what_is_measured_beside_the_task_is_written_with_it(tmp_path: Path) -> None:
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


def without_networks(state: dict[str, Any]) -> None:
    del state["networks"]


def without_a_weight(state: dict[str, Any]) -> None:
    del state["networks"]["net"]["network"]["0.weight"]


def without_a_group(state: dict[str, Any]) -> None:
    state["networks"]["net"]["optimizer"]["param_groups"].pop()


@pytest.mark.parametrize("change", [without_networks, without_a_weight, without_a_group])
def test_a_checkpoint_of_something_else_is_named_and_kept(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    state = run(Regression(), tmp_path / "a", steps=1)
    change(state)
    save_checkpoint(tmp_path / "a" / LAST, state)
    before = (tmp_path / "a" / LAST).read_bytes()
    with pytest.raises(WeightsError, match=r"last\.pt: does not match this config"):
        run(Regression(), tmp_path / "a", steps=2)
    assert (tmp_path / "a" / LAST).read_bytes() == before


def test_a_checkpoint_of_version_1_is_resumed(tmp_path: Path) -> None:
    state = run(Regression(), tmp_path / "old", steps=5)
    networks = state.pop("networks")
    for network in networks.values():
        network["optimiser"] = network.pop("optimizer")
    del state["version"]
    old = {**state, "parts": networks, "updater": state.pop("scalers")}
    save_checkpoint(tmp_path / "old" / LAST, old)

    resumed = run(Regression(), tmp_path / "old", steps=10)
    whole = run(Regression(), tmp_path / "whole", steps=10)
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[key]), key


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LAST, {"version": 99})
    with pytest.raises(WeightsError, match="version 99, newer than 2"):
        read_checkpoint(tmp_path / LAST)


def test_gradients_over_micro_batches_are_those_of_the_batch(tmp_path: Path) -> None:
    halves = run(Regression(micro=2), tmp_path / "halves", steps=4)
    quarters = run(Regression(micro=4), tmp_path / "quarters", steps=4)

    for key, value in weights(halves).items():
        torch.testing.assert_close(value, weights(quarters)[key], atol=1e-6, rtol=0)


def test_a_term_that_is_not_finite_is_named_and_nothing_of_its_step_is_kept(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match="step 4: net: the loss term 'mse' is nan"):
        run(Regression(poison_at=4), tmp_path / "run", steps=10)

    good = run(Regression(), tmp_path / "good", steps=3)
    kept = read_checkpoint(tmp_path / "run" / LAST)
    assert kept["step"] == 3
    for key, value in weights(good).items():
        assert torch.equal(value, weights(kept)[key])


def test_a_gradient_that_is_not_finite_is_named_by_its_parameter() -> None:
    network = nn.Linear(2, 1)
    part = TrainState(network=network, optimizer_config=AdamConfig(lr=1.0))
    before = network.weight.detach().clone()
    optimizer_step = OptimizerStep(device=CPU, dtype=torch.float32)

    def terms(_: int) -> dict[str, Tensor]:
        # The square root of zero has a finite value and an infinite slope.
        return {"root": (network.weight * 0).sum().abs().sqrt()}

    with pytest.raises(NonFiniteLossError, match="gradient of weight"):
        optimizer_step.apply("net", part, [0], terms, FIRST)
    assert torch.equal(network.weight, before)


def test_the_journal_holds_means_scores_and_pictures(tmp_path: Path) -> None:
    run(Regression(), tmp_path / "run", steps=8)

    text = (tmp_path / "run" / "log.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    logged = [line for line in lines if "mse" in line]
    assert [line["step"] for line in logged] == [2, 4, 6, 8]
    assert logged[-1]["mse"] < logged[0]["mse"]
    assert logged[-1]["hours_left"] == 0
    assert [line["val/score"] for line in lines if "val/score" in line] == [4.0, 8.0]
    assert (tmp_path / "run" / "previews" / "0000008.jpg").is_file()


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    script = tmp_path / "both.py"
    script.write_text(
        f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from pathlib import Path
from test_loop import CPU, Regression, run
from vidrestore.training.engine.distributed import init_distributed

with init_distributed(CPU) as world:
    run(Regression(micro=2), Path({str(tmp_path / "two")!r}), steps=4, context=world)
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    one = run(Regression(micro=2), tmp_path / "one", steps=4)
    two = read_checkpoint(tmp_path / "two" / LAST)
    for key, value in weights(one).items():
        torch.testing.assert_close(value, weights(two)[key], atol=1e-6, rtol=0)
    lines = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert sum('"mse"' in line for line in lines) == 2


def test_a_batch_is_dealt_out_evenly_or_refused() -> None:
    shares = [list(DistributedContext(rank=rank, size=3).local_indices(6)) for rank in range(3)]
    assert shares == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ConfigError, match="batch size 5 is not divisible by the process count, 2"):
        DistributedContext(rank=0, size=2).local_indices(5)


def test_draws_depend_on_step_process_and_stream_alone() -> None:
    def draw(**changes: int) -> float:
        place = {"step": 5, "steps": 9, "seed": 1, "rank": 0} | changes
        stream = place.pop("stream", 0)
        run_state = RunState(device=CPU, **place)
        return float(torch.rand(1, generator=run_state.generator(stream)))

    assert draw() == draw(steps=99)
    assert len({draw(), draw(step=6), draw(seed=2), draw(rank=1), draw(stream=1)}) == 5


def test_parameters_move_at_the_first_pace_that_fits_their_name() -> None:
    network = nn.ModuleDict({"slow": nn.Linear(1, 1), "still": nn.Linear(1, 1)})
    param_groups = (
        ParamGroupConfig(pattern="slow.*", lr_scale=0.1),
        ParamGroupConfig(pattern="*", lr_scale=0),
    )
    part = TrainState(
        network=network, optimizer_config=AdamConfig(lr=2.0, param_groups=param_groups)
    )
    part.set_lr(FIRST)

    assert {name for name, _ in part.trained_parameters()} == {"slow.weight", "slow.bias"}
    assert [group["lr"] for group in part.optimizer.param_groups] == [0.2]
    with pytest.raises(ConfigError, match="no parameter matches 'none'"):
        adam(
            network,
            AdamConfig(lr=1.0, param_groups=(ParamGroupConfig(pattern="none", lr_scale=1),)),
        )


def test_schedules_are_functions_of_the_step() -> None:
    steps = AdamConfig(lr=1.0, schedule="piecewise", milestones=(10, 20), factor=0.5)
    assert [steps.lr_at(at, steps=30) for at in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    warm = AdamConfig(lr=1.0, warmup_steps=4)
    assert [warm.lr_at(at, steps=30) for at in (0, 1, 3, 20)] == [0.25, 0.5, 1.0, 1.0]
    assert AdamConfig(lr=1.0, schedule="cosine").lr_at(15, steps=30) == pytest.approx(0.5)
