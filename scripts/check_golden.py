"""Prove that our networks are the published ones: same keys, same numbers.

    python scripts/check_golden.py DIR

Every ``DIR/NAME.json`` names a published network and its constructor arguments, with the keys and
shapes of its checkpoints; ``NAME.npz`` holds what it computes in float32 when its weights are
filled by the rule of ``DIR/README.md``. Each is built, filled and run. Exit code 0 means that all
passed, 1 that one did not.
"""

import argparse
import json
import re
import sys
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

from vidrestore.models.published import build_published

TOLERANCE = 2e-4
"""Of the largest golden value: how far any output may be off."""

RULES = ("fan_in", "unit")

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResults:
    """What became of one network."""

    name: str
    keys: int
    keys_wrong: tuple[str, ...]
    """Keys that are missing, superfluous or of another shape."""
    worst_error: float
    """Largest difference of any output over its largest golden value; NaN if it never ran."""

    @property
    def passed(self) -> bool:
        """Whether keys and numbers agree."""
        return not self.keys_wrong and self.worst_error <= TOLERANCE


def filled_value(key: str, shape: Sequence[int], rule: str) -> NDArray[np.float32] | None:
    """Return what the rule puts into a tensor; None where it is left as constructed."""
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
    """Return the filling rule that ``meta`` names, without what it says on spectral norms."""
    rule = str(meta.get("weights", "")).partition(";")[0].strip()
    if rule not in RULES:
        raise ValueError(f"a filling rule that this script does not know: {rule!r}")
    return rule


def fill(network: nn.Module, rule: str) -> None:
    """Fill a network's state dict by ``rule``: ``fan_in`` or ``unit``."""
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
    found = re.search(r"inp\((\d+), ?(\d+), ?seed=(\d+|i)\)", text)
    if found is None:
        raise ValueError(f"an input that this script cannot make: {text!r}")
    channels, size = int(found[1]), int(found[2])
    if found[3] == "i":
        batch = [smooth_picture(channels, size, seed) for seed in range(4)]
        return (torch.cat(batch),)
    image = smooth_picture(channels, size, int(found[3]))
    if "one-hot" not in text:
        return (image,)
    stripes = re.search(r"\(row//(\d+) \+ col//\1\) % 19", text)
    if stripes is None:
        raise ValueError(f"an input that this script cannot make: {text!r}")
    at = torch.arange(size) // int(stripes[1])
    label = (at[:, None] + at[None, :]) % 19
    return image, nn.functional.one_hot(label, 19).permute(2, 0, 1)[None].float()


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
        case "ResNetArcFace":
            return {"embedding": result}
        case "StyleGAN2Discriminator":
            return {"score": result}
        case "MultiScaleDiscriminator":
            return {f"score{index}": score for index, score in enumerate(result.scores)}
        case "ParseNet (FPN)":
            return {"logits": result.logits, "image": result.image}
        case _:
            return {"image": getattr(result, "image", result)}


def compared(ours: Mapping[str, Tensor], golden: Arrays, meta: Mapping[str, Any]) -> float:
    """Return the worst relative error over all golden outputs."""
    errors: list[float] = []
    for key, expected in golden.items():
        if key == "z":
            continue
        if key not in ours:
            raise ValueError(f"the network has no output {key!r}")
        found = ours[key]
        if key in {"image", "logits"}:
            stride = int(meta.get("stride", 1))
            found = found[:, :, ::stride, ::stride]
        if key.startswith("feat"):
            found = found[:, :: int(meta["feat_channel_stride"])]
        if found.shape != expected.shape:
            raise ValueError(f"{key} is {tuple(found.shape)}, golden {expected.shape}")
        error = np.abs(found.detach().float().numpy() - expected).max()
        errors.append(float(error / np.abs(expected).max()))
    if not errors:
        raise ValueError("no outputs to compare")
    return float(np.max(errors))  # unlike Python's, NaN where any is


def checked(json_path: Path) -> RunResults:
    """Build, fill, run and compare the network of one golden file."""
    description = json.loads(json_path.read_text())
    meta, name = description["meta"], json_path.stem
    with (
        json_path.with_suffix(".npz").open("rb") as raw,  # numpy leaves torn files open
        np.load(raw, allow_pickle=False) as file,
    ):
        golden = {key: file[key] for key in file.files}
    network = build_published(meta["arch"], meta.get("config", {})).eval()
    state = network.state_dict()
    wanted = {key: tuple(shape) for key, (shape, _) in description["state_dict"].items()}
    ours = {key: tuple(tensor.shape) for key, tensor in state.items()}
    wrong = sorted(key for key in wanted.keys() | ours if wanted.get(key) != ours.get(key))
    trainable = sum(parameter.numel() for parameter in network.parameters())
    if trainable != description["parameters"]:
        wrong.append(f"{trainable} parameters, not {description['parameters']}")
    if wrong:
        return RunResults(
            name=name, keys=len(wanted), keys_wrong=tuple(wrong), worst_error=float("nan")
        )
    fill(network, rule_of(meta))
    with torch.inference_mode():
        outputs = outputs_of(network, meta["arch"], inputs_of(meta, golden))
    worst = compared(outputs, golden, meta)
    return RunResults(name=name, keys=len(wanted), keys_wrong=(), worst_error=worst)


def main(argv: Sequence[str]) -> int:
    """Check a folder of golden files and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds NAME.json and NAME.npz")
    folder: Path = parser.parse_args(argv).folder
    files = sorted(folder.glob("*.json"))
    if not files:
        print(f"error: {folder}: no *.json here", file=sys.stderr)
        return 1
    print(f"{'network':<32} {'keys':>5} {'match':>5} {'worst error':>11}  (at most {TOLERANCE:g})")
    failed = 0
    for path in files:
        try:
            outcome = checked(path)
        except (ValueError, KeyError, OSError, EOFError, RuntimeError, BadZipFile) as error:
            print(f"{path.stem:<32} cannot be checked: {type(error).__name__}: {error}")
            failed += 1
            continue
        failed += not outcome.passed
        match = "no" if outcome.keys_wrong else "yes"
        verdict = "pass" if outcome.passed else "FAIL"
        print(
            f"{outcome.name:<32} {outcome.keys:>5} {match:>5} "
            f"{outcome.worst_error:>11.2e}  {verdict}"
        )
        for key in outcome.keys_wrong[:5]:
            print(f"    {key}")
    print(f"{len(files) - failed} of {len(files)} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
