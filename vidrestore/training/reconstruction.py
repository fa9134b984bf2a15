"""Training a restorer with a plain reconstruction loss, on one page."""

import contextlib
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import NonFiniteLossError
from vidrestore.models.table import restorer_spec
from vidrestore.training.checkpoint import read_checkpoint, save_checkpoint
from vidrestore.training.config import OptimiserConfig, TrainConfig
from vidrestore.training.data.pairs import batches_from
from vidrestore.training.ema import Ema
from vidrestore.training.losses.pixel import log_error
from vidrestore.training.schedules import ema_decay, warmup_cosine_lr


def train(config: TrainConfig, *, folder: Path) -> Path:
    """Run ``config`` in ``folder``, resuming from its checkpoint if there is one.

    Writes ``last.pt`` (everything needed to resume) and ``log.jsonl``.

    Returns:
        Path of the last checkpoint.

    Raises:
        NonFiniteLossError: The loss or the gradient is not finite; nothing was applied.
    """
    torch.manual_seed(config.seed)
    device = resolve_device("auto")
    dtype = resolve_precision(config.precision, device)
    network = restorer_spec(config.model).build().to(device).train()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    settings = config.optimiser
    optimiser = _optimiser(network, settings)
    ema = Ema(network)
    path = folder / "last.pt"
    step = _resume(path, network, optimiser, ema) if path.exists() else 0

    started, first_step = time.monotonic(), step
    batches = batches_from(config.data, seed=config.seed, first_step=step)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as journal:
        losses: list[float] = []
        gains: list[float] = []
        while step < config.steps:
            degraded, clean = (each.to(device) for each in next(batches))
            lr = warmup_cosine_lr(
                step,
                peak_lr=settings.peak_lr,
                warmup_steps=settings.warmup_steps,
                steps=config.steps,
            )
            loss = _step(network, optimiser, degraded, clean, lr, settings.clip_norm, dtype, step)
            gains.append(log_error(degraded, clean).mean().item() - loss)
            ema.update(network, decay=ema_decay(step, decay=settings.ema_decay))
            losses.append(loss)
            step += 1
            if step % config.log_every == 0:
                rate = (step - first_step) / (time.monotonic() - started)
                line = {
                    "step": step,
                    "loss": sum(losses) / len(losses),
                    "gain": sum(gains) / len(gains),
                    "lr": lr,
                    "rate": rate,
                }
                journal.write(json.dumps(line) + "\n")
                journal.flush()
                losses.clear()
                gains.clear()
            if step % config.save_every == 0 or step == config.steps:
                save_checkpoint(
                    path,
                    {
                        "step": step,
                        "network": network.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "params_ema": ema.state,
                    },
                )
    return path


def _optimiser(network: nn.Module, settings: OptimiserConfig) -> torch.optim.Optimizer:
    """Return Adam with slower steps for the last layer, which begins at zero.

    There Adam's steps, which do not know the scale of a weight, would shake the picture.
    """
    head = [value for name, value in network.named_parameters() if name.startswith("head.")]
    body = [value for name, value in network.named_parameters() if not name.startswith("head.")]
    return torch.optim.Adam(
        [
            {"params": body, "lr_scale": 1.0},
            {"params": head, "lr_scale": settings.head_lr_scale},
        ],
        lr=0.0,
        betas=(settings.beta1, settings.beta2),
    )


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    degraded: Tensor,
    clean: Tensor,
    lr: float,
    clip_norm: float,
    dtype: torch.dtype,
    step: int,
) -> float:
    """Apply one update and return the loss."""
    degraded = degraded.contiguous(memory_format=torch.channels_last)
    half = dtype is not torch.float32
    with torch.autocast(degraded.device.type, dtype) if half else contextlib.nullcontext():
        restored: Tensor = network(degraded).image
    loss = log_error(restored.float(), clean).mean()
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_scale"]
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
        raise NonFiniteLossError(f"step {step}: loss {loss.item()}, gradient norm {norm.item()}")
    optimiser.step()
    return loss.item()


def _resume(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, ema: Ema) -> int:
    state = read_checkpoint(path)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    for name, value in state["params_ema"].items():
        ema.state[name].copy_(value)
    return int(state["step"])
