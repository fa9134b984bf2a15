"""A task of a few weights, for tests of the training loop."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.loop import Preview, run_task
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState

CPU = torch.device("cpu")


class Regression:
    """Fits a small network to the sum of its inputs, with noise from the step's generator."""

    def __init__(
        self,
        *,
        batch: int = 8,
        micro: int = 1,
        poison_at: int | None = None,
        fused: bool | None = None,
    ) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer_config = AdamConfig(lr=1e-2)
        self.train_states: Mapping[str, TrainState] = {
            "net": TrainState(
                network=network, optimizer_config=optimizer_config, ema_decay=0.9, fused=fused
            )
        }
        self.batch, self.micro, self.poison_at = batch, micro, poison_at
        self.steps = 0

    def batches(
        self, *, first_step: int, context: DistributedContext
    ) -> Iterator[Sequence[Tensor]]:
        for step in count(first_step):
            inputs = torch.randn(self.batch, 4, generator=torch.Generator().manual_seed(step))
            indices = context.local_indices(self.batch, micro_batches=self.micro)
            yield inputs[indices].chunk(self.micro)

    def step(
        self, batches: Sequence[Tensor], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        state = self.train_states["net"]
        noise = (
            torch.randn(1, generator=run_state.generator(0)) if self.micro == 1 else torch.zeros(1)
        )

        def terms(inputs: Tensor) -> dict[str, Tensor]:
            target = inputs.sum(dim=1, keepdim=True) + 0.01 * noise
            loss = (state.network(inputs) - target).square().mean()
            return {"mse": loss * (float("nan") if run_state.step == self.poison_at else 1.0)}

        self.steps += 1
        return optimizer_step.apply("net", state, batches, terms, run_state)

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview | None]:
        return {"score": float(run_state.step)}, Preview(torch.zeros(4, 3, 8, 8), 2)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = int(state["steps"])


def run(
    task: Regression,
    folder: Path,
    *,
    steps: int,
    context: DistributedContext | None = None,
    dtype: torch.dtype = torch.float32,
    defers_checks: bool | None = None,
    **others: Any,
) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    context = context or DistributedContext()
    path = run_task(
        task,
        folder=folder,
        steps=steps,
        seed=3,
        optimizer_step=OptimizerStep(
            device=CPU, dtype=dtype, context=context, defers_checks=defers_checks
        ),
        device=CPU,
        context=context,
        log_every=2,
        save_every=3,
        validate_every=4,
        **others,
    )
    return read_checkpoint(path)
