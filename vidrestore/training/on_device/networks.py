"""The weights that a run begins with, and what it writes at the end."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.models.lite import build_lite
from vidrestore.models.registry import restorer_spec
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.registry import upscaler_spec
from vidrestore.training.tasks.build import read_pretrained
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.interpolation import pack
from vidrestore.weights.load import load_state, load_weights, read_weights
from vidrestore.weights.metadata import FORMAT_VERSION, interpolation_metadata

EMBEDDED, UNTRAINED, COMPACT = "embedded", "untrained", "compact"
_FOLDED_PIXELS = 16
"""Of a crop in one pixel that the stack of ``lite`` sees."""
_DROPPED = -4.0
"""Share of the crop's own finest detail that ``lite`` keeps at first, before the sigmoid: 2 %."""


def starting_state(start: str) -> dict[str, Tensor]:
    """Return the weights that a run begins with, on the CPU.

    Args:
        start: ``bundled_file``, ``untrained``, ``compact`` (as ``state_from_compact`` says), or a
            file; of files with two ends, the fidelity end.

    Raises:
        WeightsError: The file is missing, unsafe, or not of ``lite``.
    """
    network = build_lite()
    if start == EMBEDDED:
        file = restorer_spec("lite").packaged_file
        if file is None:
            raise WeightsError("the weights of lite are not in the package")
        with bundled_file(file) as path:
            load_state(network, _fidelity_end(path), path)
    elif start == COMPACT:
        return state_from_compact(_compact())
    elif start != UNTRAINED:
        path = Path(start)
        load_state(network, _fidelity_end(path), path)
    return network.state_dict()


def state_from_compact(compact: CompactUpscaler) -> dict[str, Tensor]:
    """Return weights with which ``lite`` does to a crop what ``compact`` does to a quarter of it.

    The stem takes means over 4 x 4 pixels, the U-Net adds nothing yet, and nearly all of the crop's
    own finest detail is dropped. How the shipped ``lite`` began: a network that draws faces
    already, which learns what else there is to see.

    Args:
        compact: With as many channels and convolutions as ``lite``.
    """
    network = build_lite()
    given = compact.state_dict()
    last = max(int(name.split(".")[1]) for name in given)
    state = network.state_dict()
    state["stem.weight"] = (
        given["body.0.weight"].repeat_interleave(_FOLDED_PIXELS, dim=1) / _FOLDED_PIXELS
    )
    state["stem.bias"] = given["body.0.bias"]
    state["stem_activation.weight"] = given["body.1.weight"]
    for at, place in enumerate(range(2, last, 2)):
        state[f"body.{at}.weight"] = given[f"body.{place}.weight"]
        state[f"body.{at}.bias"] = given[f"body.{place}.bias"]
        state[f"activations.{at}.weight"] = given[f"body.{place + 1}.weight"]
    drawn = given[f"body.{last}.bias"]
    head = torch.zeros_like(state["head.weight"])
    head[: len(drawn)] = given[f"body.{last}.weight"]
    state["head.weight"] = head
    state["head.bias"] = torch.cat([drawn, torch.full_like(state["head.bias"], _DROPPED)])[
        : len(state["head.bias"])
    ]
    network.load_state_dict(state)
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
        tensors = pack(states["fidelity"], states["detail"])
        metadata |= interpolation_metadata(default_detail)
    else:
        (only,) = states.values()
        tensors = {key: each.to(torch.float16).contiguous() for key, each in only.items()}
    beside = target.with_name(target.name + ".part")
    save_file(tensors, beside, metadata=metadata)
    beside.chmod(0o644)  # it is written for its owner alone
    beside.replace(target)
    return target


def _compact() -> CompactUpscaler:
    network = CompactUpscaler()
    with bundled_file(upscaler_spec("compact").packaged_file) as path:
        load_weights(network, path)
    return network


def _fidelity_end(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".pt":
        return read_pretrained(path, "generator")
    weights = read_weights(path)
    return weights.state if weights.detail is None else read_weights(path, detail=0.0).state
