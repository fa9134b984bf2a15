"""The weights that a run begins with, and what it writes at the end."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.models.lite import build_lite
from vidrestore.models.table import restorer_spec
from vidrestore.training.tasks.networks import trained_state
from vidrestore.weights.embedded import embedded
from vidrestore.weights.ends import packed
from vidrestore.weights.load import load_state, read_weights
from vidrestore.weights.metadata import FORMAT_VERSION, ends_metadata

EMBEDDED, UNTRAINED = "embedded", "untrained"


def starting_state(start: str) -> dict[str, Tensor]:
    """Return the weights that a run begins with, on the CPU.

    Args:
        start: ``embedded``, ``untrained``, or a file; of files with two ends, the fidelity end.

    Raises:
        WeightsError: The file is missing, unsafe, or not of ``lite``.
    """
    network = build_lite()
    if start == EMBEDDED:
        file = restorer_spec("lite").embedded_file
        if file is None:
            raise WeightsError("the weights of lite are not in the package")
        with embedded(file) as path:
            load_state(network, _fidelity_end(path), path)
    elif start != UNTRAINED:
        path = Path(start)
        load_state(network, _fidelity_end(path), path)
    return network.state_dict()


def network_of(state: Mapping[str, Tensor]) -> nn.Module:
    """Return ``lite`` with these weights, for using it."""
    network = build_lite()
    network.load_state_dict(dict(state))
    return network.eval().requires_grad_(False)


def write_ends(
    ends: Mapping[str, Mapping[str, Tensor]],
    target: Path,
    *,
    default_detail: float,
    steps: int,
    config: Mapping[str, object],
) -> Path:
    """Write weights as ``lite`` is shipped: the fidelity end in fp16, the difference in 8 bits.

    Args:
        ends: ``fidelity``, ``detail`` or both; one alone is written in fp16.
        target: A safetensors file, which appears whole or not at all.
        default_detail: Of two ends, 0 to 1.
        steps: Of the run.
        config: Of the run.

    Raises:
        WeightsError: A weight is not finite.
    """
    states = {
        name: {key: each.detach().float().cpu() for key, each in state.items()}
        for name, state in ends.items()
    }
    for name, state in states.items():
        bad = next((key for key, each in state.items() if not torch.isfinite(each).all()), None)
        if bad is not None:
            raise WeightsError(f"the {name} end: {bad} is not finite; nothing was written")
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": "lite",
        "licence": restorer_spec("lite").licence,
        "recipe": "scripts/train_gpu.py",
        "steps": str(steps),
        "training_config": json.dumps(config),
    }
    if len(states) == 2:
        tensors = packed(states["fidelity"], states["detail"])
        metadata |= ends_metadata(default_detail)
    else:
        (only,) = states.values()
        tensors = {key: each.to(torch.float16).contiguous() for key, each in only.items()}
    beside = target.with_name(target.name + ".part")
    save_file(tensors, beside, metadata=metadata)
    beside.chmod(0o644)  # it is written for its owner alone
    beside.replace(target)
    return target


def _fidelity_end(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".pt":
        return trained_state(path, "generator")
    weights = read_weights(path)
    return weights.state if weights.detail is None else read_weights(path, detail=0.0).state
