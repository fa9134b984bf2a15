"""Exports the weights of a training run in the format of published checkpoints.

The networks use the published names of tensors, so nothing is renamed, and an exported file loads
like a published one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.training.engine.checkpoint import network_weights, read_checkpoint, save_checkpoint
from vidrestore.weights.save import save_weights

SUFFIXES = (".safetensors", ".pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInfo:
    """Origin of exported weights."""

    system: str
    """``lite``, ``gfpgan``, ``stylegan2``, ...; ``unknown`` if the run did not record it."""
    network: str
    """``generator``, ``discriminator``, ``parser``, ..."""
    weights: str
    """``moving average``, or ``network`` if the run keeps no average."""
    step: int
    config: Mapping[str, Any]
    """Settings of the run."""

    def metadata(self) -> dict[str, str]:
        """Return the metadata of a safetensors file, whose values are text."""
        return {
            "system": self.system,
            "part": self.network,
            "weights": self.weights,
            "training_step": str(self.step),
            "training_config": json.dumps(self.config, allow_nan=False),
        }


def export(
    checkpoint: Path, target: Path, *, network: str | None = None, half: bool = False
) -> ExportInfo:
    """Write the weights of one network of a run.

    Args:
        checkpoint: Checkpoint of a run, such as ``last.pt``.
        target: Path of a ``.safetensors`` file, or of a ``.pth`` file with the tensors under
            ``params_ema``. An existing file is replaced.
        network: The network's name; by default the first with a moving average.
        half: Write float16, which is converted to float32 when it is loaded.

    Raises:
        ConfigError: ``target`` has another suffix.
        WeightsError: The checkpoint is missing, unsafe or not of a run; it has no such network; or
            a weight is not finite, or overflows float16 with ``half``.
    """
    if target.suffix not in SUFFIXES:
        raise ConfigError(f"{target}: the name must end in {' or '.join(SUFFIXES)}")
    run = read_checkpoint(checkpoint)
    networks: Mapping[str, Any] | None = run.get("networks")
    if not networks:
        raise WeightsError(f"{checkpoint}: not a training checkpoint; pass the run's last.pt")
    averaged = (name for name, state in networks.items() if "params_ema" in state)
    name = network or next(averaged, next(iter(networks)))
    tensors = {
        key: _convert(key, value, checkpoint, half=half)
        for key, value in network_weights(networks, name, checkpoint).items()
    }
    info = ExportInfo(
        system=run.get("system", "unknown"),
        network=name,
        weights="moving average" if "params_ema" in networks[name] else "network",
        step=int(run["step"]),
        config=run.get("config", {}),
    )
    if target.suffix == ".pth":
        save_checkpoint(target, {"params_ema": tensors, "metadata": info.metadata()})
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_weights(tensors, target, info.metadata())
    return info


def _convert(name: str, tensor: Tensor, path: Path, *, half: bool) -> Tensor:
    dtype = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
    # A copy: tensors of a network may share memory, which safetensors refuses.
    converted = tensor.detach().to(dtype, copy=True).contiguous()
    if not bool(torch.isfinite(converted).all()):
        if bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name} overflows float16; export without --half")
        raise WeightsError(f"{path}: {name} is not finite; export an earlier checkpoint")
    return converted
