"""Reads the weights of ``lite`` that a run starts from, and writes those of a trained network."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.models.lite import build_lite
from vidrestore.models.registry import LITE_SMALL_FILE, restorer_spec
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.registry import upscaler_spec
from vidrestore.training.tasks.build import read_pretrained
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.interpolation import pack
from vidrestore.weights.load import load_state, load_weights, read_weights
from vidrestore.weights.metadata import FORMAT_VERSION, interpolation_metadata
from vidrestore.weights.save import save_weights

EMBEDDED, EMBEDDED_SMALL = "embedded", "embedded for small crops"
UNTRAINED, COMPACT = "untrained", "compact"
_FOLDED_PIXELS = 16
"""Number of the crop's pixels in one pixel of the features of ``lite``."""
_DETAIL_LOGIT = -4.0
"""Initial logit of the part of the crop's finest detail that ``lite`` keeps: 2 %."""


def read_starting_state(pretrained: str) -> dict[str, Tensor]:
    """Return the weights that a run starts from, on the CPU.

    Args:
        pretrained: ``embedded``, ``untrained``, ``compact`` (see ``state_from_compact``), or a
            file, of which the fidelity end is taken; of ``embedded for small crops`` the default.

    Raises:
        WeightsError: The file is missing, unsafe, or not of ``lite``.
    """
    network = build_lite()
    if pretrained == EMBEDDED:
        file = restorer_spec("lite").packaged_file
        if file is None:
            raise WeightsError("the weights of lite are not in the package")
        with bundled_file(file) as path:
            load_state(network, _fidelity_end(path), path)
    elif pretrained == EMBEDDED_SMALL:
        with bundled_file(LITE_SMALL_FILE) as path:
            load_state(network, read_weights(path).state, path)
    elif pretrained == COMPACT:
        return state_from_compact(_compact())
    elif pretrained != UNTRAINED:
        path = Path(pretrained)
        load_state(network, _fidelity_end(path), path)
    return network.state_dict()


def state_from_compact(compact: CompactUpscaler) -> dict[str, Tensor]:
    """Return weights with which ``lite`` computes ``compact`` at a quarter of the crop's side.

    The stem averages over 4 x 4 pixels, the U-Net adds nothing yet, and nearly all of the crop's
    finest detail is removed. The packaged ``lite`` was trained from these weights.

    Args:
        compact: A network with as many channels and convolutions as ``lite``.
    """
    network = build_lite()
    source = compact.state_dict()
    last = max(int(name.split(".")[1]) for name in source)
    state = network.state_dict()
    state["stem.weight"] = (
        source["body.0.weight"].repeat_interleave(_FOLDED_PIXELS, dim=1) / _FOLDED_PIXELS
    )
    state["stem.bias"] = source["body.0.bias"]
    state["stem_activation.weight"] = source["body.1.weight"]
    for index, source_index in enumerate(range(2, last, 2)):
        state[f"body.{index}.weight"] = source[f"body.{source_index}.weight"]
        state[f"body.{index}.bias"] = source[f"body.{source_index}.bias"]
        state[f"activations.{index}.weight"] = source[f"body.{source_index + 1}.weight"]
    bias = source[f"body.{last}.bias"]
    head = torch.zeros_like(state["head.weight"])
    head[: len(bias)] = source[f"body.{last}.weight"]
    state["head.weight"] = head
    state["head.bias"] = torch.cat([bias, torch.full_like(state["head.bias"], _DETAIL_LOGIT)])[
        : len(state["head.bias"])
    ]
    network.load_state_dict(state)
    return network.state_dict()


def build_lite_from(state: Mapping[str, Tensor]) -> nn.Module:
    """Return ``lite`` with these weights, frozen, in evaluation mode."""
    network = build_lite()
    network.load_state_dict(dict(state))
    return network.eval().requires_grad_(False)


def write_weights(
    ends: Mapping[str, Mapping[str, Tensor]],
    target: Path,
    *,
    model: str = "lite",
    license_name: str = restorer_spec("lite").license,
    default_detail: float,
    steps: int,
    config: Mapping[str, object],
) -> Path:
    """Write weights in the packaged format: the fidelity end in fp16, the difference in 8 bits.

    Args:
        ends: Weights of ``fidelity``, ``detail`` or both; a single end is written in fp16.
        target: Path of the safetensors file, which appears when it is complete.
        model: Name of the network.
        license_name: Its license.
        default_detail: Position between two ends at ``--detail`` 0.5, 0 to 1.
        steps: Number of steps of the run.
        config: Settings of the run.

    Raises:
        WeightsError: A weight is not finite.
    """
    states = {
        name: {key: value.detach().float().cpu() for key, value in state.items()}
        for name, state in ends.items()
    }
    for name, state in states.items():
        culprit = next(
            (key for key, value in state.items() if not torch.isfinite(value).all()), None
        )
        if culprit is not None:
            raise WeightsError(f"{name} end: {culprit} is not finite; nothing was written")
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": model,
        "licence": license_name,
        "recipe": "scripts/train_gpu.py",
        "steps": str(steps),
        "training_config": json.dumps(config),
    }
    if len(states) == 2:
        tensors = pack(states["fidelity"], states["detail"])
        metadata |= interpolation_metadata(default_detail)
    else:
        (state,) = states.values()
        tensors = {key: value.to(torch.float16).contiguous() for key, value in state.items()}
    save_weights(tensors, target, metadata)
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
