"""Compare our networks with the published ones: the same keys and the same numbers.

    python scripts/compare_with_published.py DIR

``DIR/NAME.json`` names a published network, its constructor arguments, and the keys and shapes of
its checkpoints. ``DIR/NAME.npz`` holds its float32 outputs when its weights are filled by the rule
in ``tests/golden/README.md``. The script builds, fills and runs each network. The exit code is 0 if
all agree, 1 otherwise.
"""

import argparse
import json
import re
import sys
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidrestore.models.mmrb import discriminator_state_from_gpen
from vidrestore.models.published import GPEN_DISCRIMINATOR, build_published

TOLERANCE = 2e-4
"""Largest error of any output, as a share of the largest golden value."""

RULES = ("fan_in", "unit")

RETINAFACE = "facexlib RetinaFace"

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of one network with its golden file."""

    name: str
    keys: int
    keys_wrong: tuple[str, ...]
    """Keys that are missing, unexpected or of another shape."""
    worst_error: float
    """Largest error of any output, as a share of its largest golden value; NaN if not run."""

    @property
    def passed(self) -> bool:
        """Whether keys and numbers agree."""
        return not self.keys_wrong and self.worst_error <= TOLERANCE


def filled_value(key: str, shape: Sequence[int], rule: str) -> NDArray[np.float32] | None:
    """Return the values of a tensor by the rule; None if it stays as constructed."""
    if key.endswith(("num_batches_tracked", ".kernel")):
        return None
    x = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(tuple(shape))
    x = x.astype(np.float32)
    if key.endswith("running_var"):
        return np.abs(x) * np.float32(0.5) + np.float32(0.5)
    if key.endswith("running_mean"):
        return np.float32(0.1) * x
    if len(shape) <= 1:
        return 1 + np.float32(0.1) * x if key.endswith("weight") else np.float32(0.1) * x
    if (len(shape) == 4 and shape[0] == 1) or rule == "unit":
        return x
    fan = int(np.prod(shape[2:] if len(shape) == 5 else shape[1:]))
    return x / np.float32(np.sqrt(fan))


def rule_of(meta: Mapping[str, Any]) -> str:
    """Return the filling rule in ``meta``, without its remark about spectral norms."""
    rule = str(meta.get("weights", "")).partition(";")[0].strip()
    if rule not in RULES:
        raise ValueError(f"unknown filling rule {rule!r}; known: {', '.join(RULES)}")
    return rule


def fill(
    network: nn.Module, rule: str, published: Mapping[str, Sequence[int]] | None = None
) -> None:
    """Fill a network's state dict by ``rule``: ``fan_in`` or ``unit``.

    Args:
        network: To fill.
        rule: See ``tests/golden/README.md``.
        published: The published keys and shapes of GPEN's discriminator, which ours has under other
            names; None for a network with the published keys.
    """
    if published is not None:
        values = {key: filled_value(key, shape, rule) for key, shape in published.items()}
        state = {key: torch.from_numpy(value) for key, value in values.items() if value is not None}
        network.load_state_dict(discriminator_state_from_gpen(state), strict=True)
        return
    state = network.state_dict()
    for key, tensor in state.items():
        value = filled_value(key, tensor.shape, rule)
        if value is not None:
            state[key] = torch.from_numpy(np.asarray(value, dtype=np.float32)).reshape(tensor.shape)
    for key in [key for key in state if key.endswith("weight_u")]:
        _settle_spectral_norm(state, key.removesuffix("_u"))
    network.load_state_dict(state, strict=True)


def _settle_spectral_norm(state: dict[str, Tensor], weight: str) -> None:
    matrix = state[f"{weight}_orig"].flatten(1)
    u = nn.functional.normalize(state[f"{weight}_u"], dim=0)
    v = state[f"{weight}_v"]
    for _ in range(10):
        v = nn.functional.normalize(matrix.t() @ u, dim=0)
        u = nn.functional.normalize(matrix @ v, dim=0)
    state[f"{weight}_u"], state[f"{weight}_v"] = u, v


def smooth_picture(channels: int, size: int, seed: int) -> Tensor:
    """Return ``inp(channels, size, seed)``: ``(1, channels, size, size)`` in [-0.8, 0.8]."""
    line = np.linspace(0, 1, size)
    y, x = np.meshgrid(line, line, indexing="ij")
    planes = [
        0.8 * np.sin(2 * np.pi * ((i + 1) * x + (i + 2) * y) + seed + i) for i in range(channels)
    ]
    return torch.from_numpy(np.stack(planes)[None].astype(np.float32))


def inputs_of(meta: Mapping[str, Any], golden: Arrays) -> tuple[Tensor, ...]:
    """Return the inputs that ``meta`` describes."""
    text = str(meta.get("input", ""))
    if "z" in golden:
        return (torch.from_numpy(golden["z"]),)
    match = re.search(r"inp\((\d+), ?(\d+), ?seed=(\d+|i)\)", text)
    if match is None:
        raise ValueError(f"unknown input {text!r}")
    channels, size = int(match[1]), int(match[2])
    if match[3] == "i":
        batch = [smooth_picture(channels, size, seed) for seed in range(4)]
        return (torch.cat(batch),)
    image = smooth_picture(channels, size, int(match[3]))
    if "one-hot" not in text:
        return (image,)
    stripes = re.search(r"\(row//(\d+) \+ col//\1\) % 19", text)
    if stripes is None:
        raise ValueError(f"unknown input {text!r}")
    stripe = torch.arange(size) // int(stripes[1])
    label = (stripe[:, None] + stripe[None, :]) % 19
    return image, nn.functional.one_hot(label, 19).permute(2, 0, 1)[None].float()


def built(arch: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network that is published as ``arch``: ours, or facexlib's RetinaFace.

    Raises:
        ValueError: The name or an argument is unknown.
    """
    if arch != RETINAFACE:
        return build_published(arch, arguments)
    from facexlib.detection.retinaface import (
        RetinaFace,  # pyright: ignore[reportUnknownVariableType]
    )

    with warnings.catch_warnings():  # facexlib asks torchvision for its ResNet the old way
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        return RetinaFace(device="cpu", **arguments)


def outputs_of(network: nn.Module, arch: str, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Return a network's outputs under the names that the golden files use."""
    if arch == "StyleGAN2Generator":
        return {"image": network(*inputs), "latent": network.get_submodule("style_mlp")(*inputs)}
    if arch in {"GFPGANv1", "GFPGANv1Clean"}:
        restored = network(*inputs, with_pyramid=True)
        sized = {f"rgb_{rgb.shape[-1]}": rgb for rgb in restored.pyramid}
        return {"image": restored.image, **sized}
    result = network(*inputs)
    match arch:
        case "FacialComponentDiscriminator":
            return {
                "score": result.scores,
                "feat0": result.features[0],
                "feat1": result.features[1],
            }
        case _ if arch == RETINAFACE:
            boxes, scores, landmarks = result
            return {"anchor_boxes": boxes, "anchor_scores": scores, "anchor_landmarks": landmarks}
        case "ResNetArcFace":
            return {"embedding": result}
        case "StyleGAN2Discriminator" | "GPEN Discriminator":
            return {"score": result}
        case "MultiScaleDiscriminator":
            return {f"score{index}": score for index, score in enumerate(result.scores)}
        case "ParseNet (FPN)":
            return {"logits": result.logits, "image": result.image}
        case _:
            return {"image": getattr(result, "image", result)}


def worst_error(ours: Mapping[str, Tensor], golden: Arrays, meta: Mapping[str, Any]) -> float:
    """Return the largest relative error over all golden outputs."""
    errors: list[float] = []
    for key, expected in golden.items():
        if key == "z":
            continue
        if key not in ours:
            raise ValueError(f"the network has no output {key!r}")
        output = ours[key]
        if key in {"image", "logits"}:
            stride = int(meta.get("stride", 1))
            output = output[:, :, ::stride, ::stride]
        if key.startswith("feat"):
            output = output[:, :: int(meta["feat_channel_stride"])]
        if key.startswith("anchor"):
            output = output[:, :: int(meta["anchor_stride"])]
        if output.shape != expected.shape:
            raise ValueError(f"{key} is {tuple(output.shape)}, golden {expected.shape}")
        error = np.abs(output.detach().float().numpy() - expected).max()
        errors.append(float(error / np.abs(expected).max()))
    if not errors:
        raise ValueError("no outputs to compare")
    return float(np.max(errors))  # unlike Python's, NaN where any is


def compare(json_path: Path) -> Comparison:
    """Build, fill, run and compare the network of one golden file."""
    description = json.loads(json_path.read_text())
    meta, name = description["meta"], json_path.stem
    with (
        json_path.with_suffix(".npz").open("rb") as raw,  # numpy leaves torn files open
        np.load(raw, allow_pickle=False) as file,
    ):
        golden = {key: file[key] for key in file.files}
    network = built(meta["arch"], meta.get("config", {})).eval()
    state = network.state_dict()
    published = {key: tuple(shape) for key, (shape, _) in description["state_dict"].items()}
    expected, translated = published, meta["arch"] == GPEN_DISCRIMINATOR
    if translated:
        empty = {key: torch.empty(shape) for key, shape in published.items()}
        renamed = discriminator_state_from_gpen(empty)
        expected = {key: tuple(tensor.shape) for key, tensor in renamed.items()}
    ours = {key: tuple(tensor.shape) for key, tensor in state.items()}
    wrong = sorted(key for key in expected.keys() | ours if expected.get(key) != ours.get(key))
    trainable = sum(parameter.numel() for parameter in network.parameters())
    if trainable != description["parameters"]:
        wrong.append(f"{trainable} parameters, not {description['parameters']}")
    if wrong:
        return Comparison(
            name=name, keys=len(expected), keys_wrong=tuple(wrong), worst_error=float("nan")
        )
    fill(network, rule_of(meta), published if translated else None)
    with torch.inference_mode():
        outputs = outputs_of(network, meta["arch"], inputs_of(meta, golden))
    worst = worst_error(outputs, golden, meta)
    return Comparison(name=name, keys=len(expected), keys_wrong=(), worst_error=worst)


def main(argv: Sequence[str]) -> int:
    """Compare the networks of a folder of golden files and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds NAME.json and NAME.npz")
    folder: Path = parser.parse_args(argv).folder
    files = sorted(folder.glob("*.json"))
    if not files:
        print(f"error: {folder}: no *.json files", file=sys.stderr)
        return 1
    print(f"{'network':<32} {'keys':>5} {'match':>5} {'worst error':>11}  (at most {TOLERANCE:g})")
    failed = 0
    for path in files:
        try:
            comparison = compare(path)
        except (ValueError, KeyError, OSError, EOFError, RuntimeError, BadZipFile) as error:
            print(f"{path.stem:<32} cannot be compared: {type(error).__name__}: {error}")
            failed += 1
            continue
        failed += not comparison.passed
        match = "no" if comparison.keys_wrong else "yes"
        verdict = "pass" if comparison.passed else "FAIL"
        print(
            f"{comparison.name:<32} {comparison.keys:>5} {match:>5} "
            f"{comparison.worst_error:>11.2e}  {verdict}"
        )
        for key in comparison.keys_wrong[:5]:
            print(f"    {key}")
    print(f"{len(files) - failed} of {len(files)} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
