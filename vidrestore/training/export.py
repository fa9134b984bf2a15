"""A run's checkpoint to a file of weights as they are published.

The networks have the published names of tensors, so that nothing is renamed: what loads a published
file loads an exported one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.training.engine.checkpoint import network_weights, read_checkpoint, save_checkpoint

SUFFIXES = (".safetensors", ".pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInfo:
    """What a file of weights says of its origin."""

    system: str
    """``lite``, ``gfpgan``, ``stylegan2``, ...; "unknown" of runs that did not write it down."""
    part: str
    weights: str
    """``moving average``, or ``network`` of a part that keeps none."""
    step: int
    config: Mapping[str, Any]
    """Of the run."""

    def metadata(self) -> dict[str, str]:
        """Return it as text, as a safetensors file can hold it."""
        return {
            "system": self.system,
            "part": self.part,
            "weights": self.weights,
            "training_step": str(self.step),
            "training_config": json.dumps(self.config, allow_nan=False),
        }


def export(
    checkpoint: Path, target: Path, *, part: str | None = None, half: bool = False
) -> ExportInfo:
    """Write the weights of a part of a run.

    Args:
        checkpoint: Of a run, such as ``last.pt``.
        target: ``.safetensors``; or ``.pth``, with the tensors under ``params_ema``. Replaced
            where it exists.
        part: Which; the one with a moving average where None.
        half: Write 16-bit numbers, which loading widens again.

    Raises:
        ConfigError: ``target`` has another ending.
        WeightsError: The checkpoint is missing, unsafe or no run's; it has no such part; or a
            weight is not finite, in 16 bits if that is asked for.
    """
    if target.suffix not in SUFFIXES:
        raise ConfigError(f"{target}: the name must end in {' or '.join(SUFFIXES)}")
    run = read_checkpoint(checkpoint)
    parts: Mapping[str, Any] | None = run.get("networks")
    if not parts:
        raise WeightsError(f"{checkpoint}: not a training checkpoint; pass the run's last.pt")
    name = part or next((each for each in parts if "params_ema" in parts[each]), next(iter(parts)))
    tensors = {
        key: _written(key, value, checkpoint, half=half)
        for key, value in network_weights(parts, name, checkpoint).items()
    }
    exported = ExportInfo(
        system=run.get("system", "unknown"),
        part=name,
        weights="moving average" if "params_ema" in parts[name] else "network",
        step=int(run["step"]),
        config=run.get("config", {}),
    )
    if target.suffix == ".pth":
        save_checkpoint(target, {"params_ema": tensors, "metadata": exported.metadata()})
    else:
        _save_safetensors(tensors, target, exported.metadata())
    return exported


def _written(name: str, tensor: Tensor, path: Path, *, half: bool) -> Tensor:
    dtype = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
    # A copy, since tensors of a network may share memory, which safetensors does not write.
    written = tensor.detach().to(dtype, copy=True).contiguous()
    if not bool(torch.isfinite(written).all()):
        if bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name} overflows float16; export without --half")
        raise WeightsError(f"{path}: {name} is not finite; take an earlier checkpoint")
    return written


def _save_safetensors(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part")
    save_file(tensors, beside, metadata=metadata)
    beside.replace(target)
